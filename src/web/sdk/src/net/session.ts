import { SecureMessagingError } from "../errors.js";
import { keys, pack, read, type Store } from "../store/store.js";
import { Backoff } from "../timing.js";
import { Trouble } from "../warnings.js";
import type { SessionEndReason, TokenResponse, Unknown } from "../wire.js";
import { Http, type Method, type ServerAddress } from "./http.js";

export interface StoredSession {
  url: string; allowInsecureHttp?: boolean; userId: string; username: string; sessionId: string;
  accessToken?: string; accessIssuedAt: number; accessExpiresAt: number; refreshToken?: string;
}

/**
 * The session's tokens. Renews the access token before it expires, once for all callers and for as long as it takes: only the server's definite no ends the session. A
 * new refresh token is stored before anyone uses what came with it; should the process die in between, the server takes the old one until a newer one has been used. @internal
 */
export class Session {
  private renewal: Promise<string> | undefined;
  private readonly closing = new AbortController();
  /** Told once, when the session is over; with the server's reason when it gave one. */
  onEnd: ((reason: SessionEndReason | Unknown | undefined) => void) | undefined;
  /** What keeps the token from being renewed, or the session's end from being stored. */
  onTrouble: ((kind: string, error: unknown, retrying: boolean) => void) | undefined;
  private readonly trouble = new Trouble((error) => this.onTrouble?.("notRenewed", error, true));

  private constructor(private current: StoredSession, private readonly store: Store, readonly http: Http) {}

  static async begin(tokens: TokenResponse, address: ServerAddress, store: Store, http: Http): Promise<Session> {
    const stored = toStored(tokens, address);
    await store.write(new Map([["owner", pack(tokens.userId)], [keys.session, pack(stored)], [keys.signUp, null]]));
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

  get refreshToken(): string | undefined {
    return this.current.refreshToken;
  }

  /** When the access token should be renewed: a minute before it expires, or a third of a short life. */
  get renewAt(): number {
    return this.current.accessExpiresAt - Math.min(60_000, (this.current.accessExpiresAt - this.current.accessIssuedAt) / 3);
  }

  /** @param rejected A token that the server refused although it looks good by this clock. */
  accessToken(rejected?: string): Promise<string> {
    if (this.isOver)
      return Promise.reject(SecureMessagingError.signedOut());
    const token = this.current.accessToken;
    if (token !== undefined && token !== rejected && Date.now() < this.renewAt)
      return Promise.resolve(token);
    return this.renewal ??= this.renew().finally(() => { this.renewal = undefined; });
  }

  /** REST with the access token; renews it once when the server has had enough of it. */
  async call<T>(method: Method, path: string, body?: unknown): Promise<T> {
    const token = await this.accessToken();
    try {
      return await this.http.call<T>(method, path, body, token);
    } catch (error) {
      if (!(error instanceof SecureMessagingError) || error.code !== "Unauthenticated")
        throw error;
      return this.http.call<T>(method, path, body, await this.accessToken(token));
    }
  }

  /** The session is over here; everything but the tokens stays. */
  async end(reason?: SessionEndReason | Unknown): Promise<void> {
    if (this.isOver)
      return;
    this.current = { ...this.current, refreshToken: undefined, accessToken: undefined };
    try {
      await this.store.write(new Map([[keys.session, pack(this.current)]]));
    } finally {
      this.onEnd?.(reason);
    }
  }

  /** Lets a renewal that is under way come to its end, so that its reply is not lost. */
  async close(): Promise<void> {
    this.closing.abort(SecureMessagingError.of("Unavailable", "The client is closed."));
    if (this.renewal)
      await Promise.allSettled([this.renewal]);
  }

  private async renew(): Promise<string> {
    const backoff = new Backoff();
    for (;;) {
      let wait: number | undefined;
      try {
        // Whoever has lost the store to another must not use up the other's token: then this write fails.
        await this.store.write(new Map([[keys.session, pack(this.current)]]));
        const tokens = await this.http.call<TokenResponse>("POST", "v1/auth/refresh", { refreshToken: this.current.refreshToken });
        const next = toStored(tokens, this.current);
        await this.store.write(new Map([[keys.session, pack(next)]]));
        this.current = next;
        this.trouble.over();
        return next.accessToken!;
      } catch (error) {
        if (error instanceof SecureMessagingError && error.code === "Unauthenticated") {
          await this.end();
          throw SecureMessagingError.signedOut();
        }
        if (!this.closing.signal.aborted)
          this.trouble.met(error);
        wait = error instanceof SecureMessagingError ? error.retryAfterMs : undefined;
      }
      await backoff.wait(wait, this.closing.signal);
    }
  }
}

function toStored(tokens: TokenResponse, { url, allowInsecureHttp }: ServerAddress): StoredSession {
  const now = Date.now();
  return {
    url, ...(allowInsecureHttp ? { allowInsecureHttp } : {}), userId: tokens.userId, username: tokens.username, sessionId: tokens.sessionId, accessToken: tokens.accessToken,
    accessIssuedAt: now, accessExpiresAt: now + tokens.expiresIn * 1000, refreshToken: tokens.refreshToken,
  };
}
