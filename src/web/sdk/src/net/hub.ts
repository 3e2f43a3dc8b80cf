import { HttpTransportType, HubConnectionBuilder, LogLevel, type HubConnection } from "@microsoft/signalr";
import { MessagePackHubProtocol } from "@microsoft/signalr-protocol-msgpack";
import { isSignedOut, readErrorBody, reasonOf, SecureMessagingError } from "../errors.js";
import { Backoff, defer, sleep, ticks, type Deferred } from "../timing.js";
import { Trouble } from "../warnings.js";
import { readSessionEndReason, type LogEntry, type LogPage, type RoomHead, type SendAck, type SendResult } from "../wire.js";
import type { Session } from "./session.js";

/** What the hub pushes. */
export interface Pushes {
  received(roomId: string, entries: LogEntry[]): void;
  signaled(roomId: string, signal: Uint8Array): void;
  roomChanged(roomId: string, change: string): void;
  resync(roomId: string): void;
  keyPackagesLow(deviceId: string, available: number): void;
  welcomesWaiting(deviceId: string): void;
  connected(): void;
  lost(): void;
  /** Something failed that is tried again, or that changes nothing. */
  failed(kind: string, error: unknown, retrying: boolean): void;
  /** There will be no connection any more. */
  gaveUp(error: SecureMessagingError): void;
}

interface Connection {
  hub: HubConnection;
  closed: Deferred<void>;
  draining: Deferred<number>;
  isClosed: boolean;
}

/** A connection that lasted this long was a good one: the next attempt starts again with a short wait. */
const settledMs = 5_000;
const connectTimeoutMs = 15_000;

/**
 * The connection to the hub, for ever: the first connect and every one after it are retried with full jitter. Before the token expires, and when the node drains, the
 * next connection is made while the old one still serves. @internal
 */
export class HubLink {
  private ready = defer<Connection>();
  private live: Connection | undefined;
  private readonly closing = new AbortController();
  private running: Promise<void> | undefined;
  private readonly breaks = new Trouble((error) => this.pushes.failed("connectionBroke", error, true));
  private readonly trouble = new Trouble((error) => this.pushes.failed("notConnected", error, true));

  constructor(private readonly session: Session, private readonly pushes: Pushes, private readonly callTimeoutMs = 30_000) {}

  start(): void {
    this.running ??= this.run().catch((error: unknown) => {
      if (!this.closing.signal.aborted && !isSignedOut(error))
        this.pushes.gaveUp(error instanceof SecureMessagingError ? error : SecureMessagingError.of("Internal", `The connection has ended because the SDK failed: ${reasonOf(error)}.`, error));
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

  /** Only while connected: a signal is for now or never. */
  async signal(roomId: string, signal: Uint8Array): Promise<void> {
    if (this.live)
      await this.invoke<void>("Signal", roomId, signal);
  }

  markDelivered(roomId: string, seq: number): Promise<void> {
    return this.invoke<void>("MarkDelivered", roomId, seq);
  }

  /** Calls the hub once there is a connection. One that breaks or does not answer is `Unavailable`: outcome unknown. */
  private async invoke<T>(method: string, ...args: unknown[]): Promise<T> {
    const connection = await this.ready.promise;
    const timeout = new AbortController();
    try {
      return await Promise.race([
        connection.hub.invoke<T>(method, ...args),
        sleep(this.callTimeoutMs, timeout.signal).then(() => {
          // A hub that keeps the connection alive but answers nothing would hold everything up.
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
          this.trouble.over();
          const since = ticks();
          const previous = current;
          current = next;
          this.publish(next);
          if (previous)
            await this.dispose(previous);
          await this.nextNeeded(next, signal);
          const settled = ticks() - since > settledMs;
          if (settled)
            backoff.reset();
          if (settled || !next.isClosed)
            continue;
        } catch (error) {
          if (this.session.isOver)
            throw SecureMessagingError.signedOut();
          if (signal.aborted)
            break;
          if (error instanceof SecureMessagingError && error.code === "UnsupportedPlatform")
            throw error;
          this.trouble.met(error);
          await backoff.wait(error instanceof SecureMessagingError ? error.retryAfterMs : undefined, signal);
          continue;
        }
        if (this.session.isOver)
          throw SecureMessagingError.signedOut();
        await backoff.wait(undefined, signal);
      }
    } catch (error) {
      if (!signal.aborted)
        throw error;
    } finally {
      if (current)
        await this.dispose(current);
    }
    throw signal.reason;
  }

  private async connect(): Promise<Connection> {
    // Single use, so that no token ever stands in a URL.
    const { ticket } = await this.session.call<{ ticket: string }>("POST", "v1/auth/ticket");
    const hub = this.build(ticket);
    hub.serverTimeoutInMilliseconds = 30_000;
    hub.keepAliveIntervalInMilliseconds = 10_000;
    const connection: Connection = { hub, closed: defer(), draining: defer(), isClosed: false };
    hub.on("Received", (roomId: string, entries: LogEntry[]) => this.pushes.received(roomId, entries));
    hub.on("Signaled", (roomId: string, signal: Uint8Array) => this.pushes.signaled(roomId, signal));
    hub.on("RoomChanged", (roomId: string, change: string) => this.pushes.roomChanged(roomId, change));
    hub.on("Resync", (roomId: string) => this.pushes.resync(roomId));
    hub.on("KeyPackagesLow", (deviceId: string, available: number) => this.pushes.keyPackagesLow(deviceId, available));
    hub.on("WelcomesWaiting", (deviceId: string) => this.pushes.welcomesWaiting(deviceId));
    hub.on("Draining", (ms: number) => connection.draining.resolve(Math.min(Math.max(0, ms), 60_000)));
    hub.on("SessionEnded", (reason: unknown) => void this.session.end(readSessionEndReason(reason)).catch((error: unknown) => this.pushes.failed("sessionEndNotStored", error, false)));
    hub.onclose((error) => {
      // Each cause once: a server that breaks the framing would otherwise look like a bad network.
      if (error && !connection.isClosed)
        this.breaks.met(toError(error));
      this.markClosed(connection);
    });
    const timeout = new AbortController();
    try {
      await Promise.race([
        hub.start(),
        sleep(connectTimeoutMs, timeout.signal).then(() => Promise.reject(SecureMessagingError.unreachable())),
      ]);
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
          transport: HttpTransportType.WebSockets, skipNegotiation: true, withCredentials: false,
        })
        .withHubProtocol(new MessagePackHubProtocol())
        .configureLogging(LogLevel.None)
        .build();
    } catch (error) {
      throw SecureMessagingError.of("UnsupportedPlatform", `There is no WebSocket here: ${reasonOf(error)}. In a server-side bundle, leave @secure-messaging/sdk and @microsoft/signalr out of it.`, error);
    }
  }

  /** REST works and the WebSocket does not. A browser does not say why; the server does, to a POST, which carries the page's origin as the upgrade does. */
  private async whyNot(cause: unknown): Promise<SecureMessagingError> {
    // SignalR's own words tell of endpoints and sticky sessions.
    const error = reasonOf(cause).includes("WebSocket failed to connect")
      ? SecureMessagingError.unreachable(cause instanceof SecureMessagingError ? cause : undefined, `The WebSocket to ${this.session.http.base}/hubs/chat was not opened, although the server answers other calls: perhaps a proxy does not pass WebSockets`)
      : toError(cause);
    const { location } = globalThis as { location?: { origin?: string } };
    if (error.code !== "Unavailable" || !location?.origin)
      return error;
    try {
      await this.session.http.call("POST", "hubs/chat");
    } catch (refusal) {
      if (refusal instanceof SecureMessagingError && refusal.code === "Forbidden")
        return SecureMessagingError.of("Unavailable", `The server does not let pages of ${location.origin} connect: its setting Server:AllowedOrigins does not name that origin.`, error);
    }
    return error;
  }

  private async stop(hub: HubConnection): Promise<void> {
    try {
      await hub.stop();
    } catch (error) {
      this.pushes.failed("notStopped", error, false);
    }
  }

  /** Returns when this connection has closed, is about to expire, or its node wants it gone. */
  private async nextNeeded(connection: Connection, signal: AbortSignal): Promise<void> {
    const leave = new AbortController();
    const stop = () => leave.abort(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted)
      stop();
    try {
      const untilRenewal = Math.min(Math.max(this.session.renewAt - Date.now(), 250), 24 * 3_600_000);
      const within = await Promise.race([
        connection.closed.promise.then(() => undefined), connection.draining.promise, sleep(untilRenewal, leave.signal).then(() => undefined)]);
      if (within !== undefined)
        await Promise.race([connection.closed.promise, sleep(Math.random() * within, leave.signal)]);
    } finally {
      signal.removeEventListener("abort", stop);
      leave.abort(new Error("left"));
    }
  }

  private publish(connection: Connection): void {
    if (connection.isClosed)
      return;
    this.live = connection;
    this.ready.resolve(connection);
    this.ready = defer();
    this.ready.resolve(connection);
    this.pushes.connected();
  }

  private markClosed(connection: Connection): void {
    if (connection.isClosed)
      return;
    connection.isClosed = true;
    connection.closed.resolve();
    if (this.live === connection) {
      this.live = undefined;
      this.ready = defer();
      this.pushes.lost();
    }
  }

  private async dispose(connection: Connection): Promise<void> {
    this.markClosed(connection);
    await this.stop(connection.hub);
  }
}

/** A HubException's text ends with the server's error as JSON. Anything else is a connection that broke. */
function toError(error: unknown): SecureMessagingError {
  if (error instanceof SecureMessagingError)
    return error;
  const text = error instanceof Error ? error.message : "";
  const start = text.indexOf("{");
  if (start >= 0) {
    try {
      const body = readErrorBody(JSON.parse(text.slice(start)));
      if (body)
        return new SecureMessagingError(body);
    } catch {
      // Text of another origin that has a brace in it.
      return SecureMessagingError.unreachable(error, "The connection to the hub failed");
    }
  }
  return SecureMessagingError.unreachable(error, "The connection to the hub failed");
}
