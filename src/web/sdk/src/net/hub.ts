import { HttpTransportType, HubConnectionBuilder, LogLevel, type HubConnection } from "@microsoft/signalr";
import { MessagePackHubProtocol } from "@microsoft/signalr-protocol-msgpack";
import { Emitter } from "../base/events.js";
import { isSignedOut, readErrorBody, reasonOf, SecureMessagingError } from "../base/errors.js";
import { Backoff, defer, sleep, ticks, type Deferred } from "../base/timing.js";
import { FailureReporter } from "../base/warnings.js";
import { readSessionEndReason, type LogEntry, type LogPage, type RoomHead, type SendAck, type SendResult } from "./wire.js";
import type { Session } from "./session.js";

/** What the hub sends to a client, and the state of the connection. @internal */
export interface HubEvents {
  received: { roomId: string; entries: LogEntry[] };
  signaled: { roomId: string; signal: Uint8Array };
  roomChanged: { roomId: string; change: string };
  resync: { roomId: string };
  keyPackagesLow: { deviceId: string };
  welcomesWaiting: { deviceId: string };
  connected: undefined;
  lost: undefined;
  /** A failure that is retried, or that has no consequence. */
  failed: { kind: string; error: unknown; retrying: boolean };
  /** The link has stopped: it will not connect again. */
  gaveUp: { error: SecureMessagingError };
}

interface Connection {
  hub: HubConnection;
  closed: Deferred<void>;
  draining: Deferred<number>;
  isClosed: boolean;
}

/** After a connection of this length, the next attempt begins with a short wait again. */
const settledMs = 5_000;
const connectTimeoutMs = 15_000;

/**
 * The connection to the hub. It retries the first connect and all later ones with full jitter, without an end. Before the token expires, and when the node
 * drains, it makes the next connection while the old one still works. @internal
 */
export class HubLink extends Emitter<HubEvents> {
  private ready = defer<Connection>();
  private live: Connection | undefined;
  private readonly closing = new AbortController();
  private running: Promise<void> | undefined;
  private readonly breaks = new FailureReporter((error) => this.failed("connectionBroke", error, true));
  private readonly reporter = new FailureReporter((error) => this.failed("notConnected", error, true));

  constructor(
    private readonly session: Session,
    private readonly callTimeoutMs = 30_000,
  ) {
    super();
  }

  start(): void {
    this.running ??= this.run().catch((error: unknown) => {
      if (!this.closing.signal.aborted && !isSignedOut(error))
        this.emit("gaveUp", {
          error:
            error instanceof SecureMessagingError
              ? error
              : SecureMessagingError.of("Internal", `The connection has stopped because of a defect in the SDK: ${reasonOf(error)}.`, error),
        });
      this.ready.reject(error);
      this.ready = defer();
      this.ready.reject(error);
    });
  }

  get isConnected(): boolean {
    return this.live !== undefined;
  }

  async close(): Promise<void> {
    this.closing.abort(SecureMessagingError.of("Unavailable", "The client is closed."));
    await this.running;
  }

  sync(roomId: string, afterSeq: number, limit: number): Promise<LogPage> {
    return this.invoke<LogPage>("Sync", roomId, afterSeq, limit);
  }

  heads(): Promise<RoomHead[]> {
    return this.invoke<RoomHead[]>("Heads");
  }

  sendBatch(requests: unknown[]): Promise<SendResult[]> {
    return this.invoke<SendResult[]>("SendBatch", requests);
  }

  retract(roomId: string, seq: number): Promise<SendAck> {
    return this.invoke<SendAck>("Retract", roomId, seq);
  }

  /** Does nothing while there is no connection: a late signal has no use. */
  async signal(roomId: string, signal: Uint8Array): Promise<void> {
    if (this.live) await this.invoke<void>("Signal", roomId, signal);
  }

  markDelivered(roomId: string, seq: number): Promise<void> {
    return this.invoke<void>("MarkDelivered", roomId, seq);
  }

  /** Calls the hub, as soon as there is a connection. A connection that breaks or does not answer is `Unavailable`: the outcome is unknown. */
  private async invoke<T>(method: string, ...args: unknown[]): Promise<T> {
    const connection = await this.ready.promise;
    const timeout = new AbortController();
    try {
      return await Promise.race([
        connection.hub.invoke<T>(method, ...args),
        sleep(this.callTimeoutMs, timeout.signal).then(() => {
          // A hub that keeps the connection alive and answers no call would block all callers.
          this.markClosed(connection);
          throw SecureMessagingError.unreachable();
        }),
      ]);
    } catch (error) {
      throw toError(error);
    } finally {
      timeout.abort(new Error("answered"));
    }
  }

  private async run(): Promise<void> {
    const backoff = new Backoff();
    const { signal } = this.closing;
    let current: Connection | undefined;
    try {
      while (!signal.aborted) {
        try {
          const next = await this.connect();
          this.reporter.recovered();
          const since = ticks();
          const previous = current;
          current = next;
          this.publish(next);
          if (previous) await this.dispose(previous);
          await this.nextNeeded(next, signal);
          if (ticks() - since > settledMs) {
            backoff.reset();
            continue;
          }
          // It has closed, its node drains, or its token expires. The next connection may need another one as soon.
        } catch (error) {
          if (this.session.isOver) throw SecureMessagingError.signedOut();
          if (signal.aborted) break;
          if (error instanceof SecureMessagingError && error.code === "UnsupportedPlatform") throw error;
          this.reporter.report(error);
          await backoff.wait(error instanceof SecureMessagingError ? error.retryAfterMs : undefined, signal);
          continue;
        }
        if (this.session.isOver) throw SecureMessagingError.signedOut();
        await backoff.wait(undefined, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      if (current) await this.dispose(current);
    }
    throw signal.reason;
  }

  private async connect(): Promise<Connection> {
    // Each connection gets its own single-use ticket, so that no token stands in a URL.
    const { ticket } = await this.session.call<{ ticket: string }>("POST", "v1/auth/ticket");
    const hub = this.build(ticket);
    hub.serverTimeoutInMilliseconds = 30_000;
    hub.keepAliveIntervalInMilliseconds = 10_000;
    const connection: Connection = { hub, closed: defer(), draining: defer(), isClosed: false };
    hub.on("Received", (roomId: string, entries: LogEntry[]) => this.emit("received", { roomId, entries }));
    hub.on("Signaled", (roomId: string, signal: Uint8Array) => this.emit("signaled", { roomId, signal }));
    hub.on("RoomChanged", (roomId: string, change: string) => this.emit("roomChanged", { roomId, change }));
    hub.on("Resync", (roomId: string) => this.emit("resync", { roomId }));
    hub.on("KeyPackagesLow", (deviceId: string) => this.emit("keyPackagesLow", { deviceId }));
    hub.on("WelcomesWaiting", (deviceId: string) => this.emit("welcomesWaiting", { deviceId }));
    hub.on("Draining", (ms: number) => connection.draining.resolve(Math.min(Math.max(0, ms), 60_000)));
    hub.on(
      "SessionEnded",
      (reason: unknown) => void this.session.end(readSessionEndReason(reason)).catch((error: unknown) => this.failed("sessionEndNotStored", error, false)),
    );
    hub.onclose((error) => {
      // Each cause is reported once. Otherwise a server that violates the framing looks like a bad network.
      if (error && !connection.isClosed) this.breaks.report(toError(error));
      this.markClosed(connection);
    });
    const timeout = new AbortController();
    try {
      await Promise.race([hub.start(), sleep(connectTimeoutMs, timeout.signal).then(() => Promise.reject(SecureMessagingError.unreachable()))]);
      return connection;
    } catch (error) {
      void this.stop(hub);
      throw await this.whyNot(error);
    } finally {
      timeout.abort(new Error("connected"));
    }
  }

  private build(ticket: string): HubConnection {
    try {
      return new HubConnectionBuilder()
        .withUrl(`${this.session.http.base}/hubs/chat?ticket=${encodeURIComponent(ticket)}`, {
          transport: HttpTransportType.WebSockets,
          skipNegotiation: true,
          withCredentials: false,
        })
        .withHubProtocol(new MessagePackHubProtocol())
        .configureLogging(LogLevel.None)
        .build();
    } catch (error) {
      throw SecureMessagingError.of(
        "UnsupportedPlatform",
        `This platform has no WebSocket: ${reasonOf(error)}. In a server-side bundle, exclude @secure-messaging/sdk and @microsoft/signalr.`,
        error,
      );
    }
  }

  /** REST works and the WebSocket does not. A browser does not say why. The server does say it to a POST, which carries the same Origin header. */
  private async whyNot(cause: unknown): Promise<SecureMessagingError> {
    // SignalR's own message speaks of endpoints and sticky sessions.
    const error = reasonOf(cause).includes("WebSocket failed to connect")
      ? SecureMessagingError.unreachable(
          cause instanceof SecureMessagingError ? cause : undefined,
          `The WebSocket to ${this.session.http.base}/hubs/chat was not opened, although the server answers REST calls. A proxy may block WebSockets`,
        )
      : toError(cause);
    const { location } = globalThis as { location?: { origin?: string } };
    if (error.code !== "Unavailable" || !location?.origin) return error;
    try {
      await this.session.http.call("POST", "hubs/chat", undefined, undefined, this.closing.signal);
    } catch (refusal) {
      if (refusal instanceof SecureMessagingError && refusal.code === "Forbidden")
        return SecureMessagingError.of(
          "Unavailable",
          `The server rejects connections from pages of ${location.origin}: its setting Server:AllowedOrigins does not contain that origin.`,
          error,
        );
    }
    return error;
  }

  private async stop(hub: HubConnection): Promise<void> {
    try {
      await hub.stop();
    } catch (error) {
      this.failed("notStopped", error, false);
    }
  }

  /** Resolves when this connection has closed, when its token is about to expire, or when its node drains. */
  private async nextNeeded(connection: Connection, signal: AbortSignal): Promise<void> {
    const leave = new AbortController();
    const stop = () => leave.abort(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    try {
      const untilRenewal = Math.min(Math.max(this.session.renewAt - Date.now(), 250), 24 * 3_600_000);
      const within = await Promise.race([
        connection.closed.promise.then(() => undefined),
        connection.draining.promise,
        sleep(untilRenewal, leave.signal).then(() => undefined),
      ]);
      if (within !== undefined) await Promise.race([connection.closed.promise, sleep(Math.random() * within, leave.signal)]);
    } finally {
      signal.removeEventListener("abort", stop);
      leave.abort(new Error("left"));
    }
  }

  private publish(connection: Connection): void {
    if (connection.isClosed) return;
    this.live = connection;
    this.ready.resolve(connection);
    this.ready = defer();
    this.ready.resolve(connection);
    this.emit("connected", undefined);
  }

  private markClosed(connection: Connection): void {
    if (connection.isClosed) return;
    connection.isClosed = true;
    connection.closed.resolve();
    if (this.live === connection) {
      this.live = undefined;
      this.ready = defer();
      this.emit("lost", undefined);
    }
  }

  private failed(kind: string, error: unknown, retrying: boolean): void {
    this.emit("failed", { kind, error, retrying });
  }

  private async dispose(connection: Connection): Promise<void> {
    this.markClosed(connection);
    await this.stop(connection.hub);
  }
}

/** A HubException's text ends with the server's error as JSON. Any other text means that the connection broke. */
function toError(error: unknown): SecureMessagingError {
  if (error instanceof SecureMessagingError) return error;
  const text = error instanceof Error ? error.message : "";
  const start = text.indexOf("{");
  if (start >= 0) {
    try {
      const body = readErrorBody(JSON.parse(text.slice(start)));
      if (body) return new SecureMessagingError(body);
    } catch {
      // A text of another origin that contains a brace.
      return SecureMessagingError.unreachable(error, "The connection to the hub failed");
    }
  }
  return SecureMessagingError.unreachable(error, "The connection to the hub failed");
}
