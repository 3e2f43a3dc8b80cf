import { SecureMessagingError } from "../base/errors.js";
import { Emitter } from "../base/events.js";
import { keys, pack, read, type Store } from "../store/store.js";
import { Backoff } from "../base/timing.js";
import { FailureReporter } from "../base/warnings.js";
import type { SessionEndReason, TokenResponse, Unknown } from "./wire.js";
import { Http, type Method, type ServerAddress } from "./http.js";

export interface StoredSession {
  url: string;
  allowInsecureHttp?: boolean;
  userId: string;
  username: string;
  sessionId: string;
  accessToken?: string;
  accessIssuedAt: number;
  accessExpiresAt: number;
  refreshToken?: string;
}

/** The events of a session. @internal */
export interface SessionEvents {
  /** The session has ended, once; with the server's reason when it gave one. */
  ended: { reason: SessionEndReason | Unknown | undefined };
  /** The token cannot be renewed, or the end of the session cannot be stored. */
  trouble: { kind: string; error: unknown; retrying: boolean };
}

/**
 * The tokens of a session. One renewal of the access token serves all callers, and is retried until the server answers: only a definite rejection ends the
 * session. A new refresh token is stored before the tokens are used. If the process ends in between, the server accepts the old one until a newer one was
 * used. @internal
 */
export class Session extends Emitter<SessionEvents> {
  private renewal: Promise<string> | undefined;
  private readonly closing = new AbortController();
  private readonly reporter = new FailureReporter((error) => this.emit("trouble", { kind: "notRenewed", error, retrying: true }));

  private constructor(
    private current: StoredSession,
    private readonly store: Store,
    readonly http: Http,
  ) {
    super();
  }

  /** @param isNew - Whether the account was made now, so that its first device may found the user's identity. */
  static async begin(tokens: TokenResponse, address: ServerAddress, store: Store, http: Http, isNew = false): Promise<Session> {
    const stored = toStored(tokens, address);
    await store.write(
      new Map([
        ...(isNew ? [[keys.mayFound, pack(true)] as [string, Uint8Array]] : []),
        ["owner", pack(tokens.userId)],
        [keys.session, pack(stored)],
        [keys.signUp, null],
      ]),
    );
    return new Session(stored, store, http);
  }

  static async resume(store: Store): Promise<Session | undefined> {
    const stored = await read<StoredSession>(store, keys.session);
    return stored?.refreshToken === undefined ? undefined : new Session(stored, store, new Http(stored));
  }

  get userId(): string {
    return this.current.userId;
  }

  get username(): string {
    return this.current.username;
  }

  get sessionId(): string {
    return this.current.sessionId;
  }

  get isOver(): boolean {
    return this.current.refreshToken === undefined;
  }

  /** The time of the server's clock, as far as it is known. */
  now(): number {
    return this.http.now();
  }

  get refreshToken(): string | undefined {
    return this.current.refreshToken;
  }

  /** The time to renew the access token: 60 s before it expires, or a third of its lifetime when that is shorter. */
  get renewAt(): number {
    return this.current.accessExpiresAt - Math.min(60_000, (this.current.accessExpiresAt - this.current.accessIssuedAt) / 3);
  }

  /** @param rejected - A token that the server has rejected although it is valid by this device's clock. */
  accessToken(rejected?: string): Promise<string> {
    if (this.isOver) return Promise.reject(SecureMessagingError.signedOut());
    const token = this.current.accessToken;
    if (token !== undefined && token !== rejected && Date.now() < this.renewAt) return Promise.resolve(token);
    return (this.renewal ??= this.renew().finally(() => {
      this.renewal = undefined;
    }));
  }

  /** Calls an endpoint with the access token. When the server rejects the token, renews it and calls once more. {@link close} ends running calls. */
  async call<T>(method: Method, path: string, body?: unknown): Promise<T> {
    const token = await this.accessToken();
    try {
      return await this.http.call<T>(method, path, body, token, this.closing.signal);
    } catch (error) {
      if (!(error instanceof SecureMessagingError) || error.code !== "Unauthenticated") throw error;
      return this.http.call<T>(method, path, body, await this.accessToken(token), this.closing.signal);
    }
  }

  /** Ends the session on this device. The store keeps everything except the tokens. */
  async end(reason?: SessionEndReason | Unknown): Promise<void> {
    if (this.isOver) return;
    this.current = { ...this.current, refreshToken: undefined, accessToken: undefined };
    try {
      await this.store.write(new Map([[keys.session, pack(this.current)]]));
    } finally {
      this.emit("ended", { reason });
    }
  }

  /** Ends running calls at once. Waits for a running renewal, so that its answer is not lost. */
  async close(): Promise<void> {
    this.closing.abort(SecureMessagingError.of("Unavailable", "The client is closed."));
    if (this.renewal) await Promise.allSettled([this.renewal]);
  }

  private async renew(): Promise<string> {
    const backoff = new Backoff();
    for (;;) {
      let wait: number | undefined;
      try {
        // A client that has lost the store to another must not use up the token of the other: this write then fails.
        await this.store.write(new Map([[keys.session, pack(this.current)]]));
        const tokens = await this.http.call<TokenResponse>("POST", "v1/auth/refresh", { refreshToken: this.current.refreshToken });
        // Everything in the store belongs to one user: messages would count as this user's own, and rooms as left.
        if (tokens.userId !== this.userId) throw SecureMessagingError.of("Internal", "The server answers with the tokens of another account.");
        const next = toStored(tokens, this.current);
        await this.store.write(new Map([[keys.session, pack(next)]]));
        this.current = next;
        this.reporter.recovered();
        return next.accessToken!;
      } catch (error) {
        if (error instanceof SecureMessagingError && error.code === "Unauthenticated") {
          await this.end();
          throw SecureMessagingError.signedOut();
        }
        if (!this.closing.signal.aborted) this.reporter.report(error);
        wait = error instanceof SecureMessagingError ? error.retryAfterMs : undefined;
      }
      await backoff.wait(wait, this.closing.signal);
    }
  }
}

function toStored(tokens: TokenResponse, { url, allowInsecureHttp }: ServerAddress): StoredSession {
  const now = Date.now();
  return {
    url,
    ...(allowInsecureHttp ? { allowInsecureHttp } : {}),
    userId: tokens.userId,
    username: tokens.username,
    sessionId: tokens.sessionId,
    accessToken: tokens.accessToken,
    accessIssuedAt: now,
    accessExpiresAt: now + tokens.expiresIn * 1000,
    refreshToken: tokens.refreshToken,
  };
}
