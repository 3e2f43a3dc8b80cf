import { guessFromStatus, readErrorBody, SecureMessagingError } from "../base/errors.js";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** The server to connect to. */
export interface ServerAddress {
  /** The server's address: `https://…`, or `http://…` on the own machine. */
  url: string;
  /** Whether `http://` to another machine is allowed. An attacker on the network then reads passwords and tokens. Only for tests in a closed network. */
  allowInsecureHttp?: boolean;
}

/** Calls REST endpoints. Each failure is a {@link SecureMessagingError}. @internal */
export class Http {
  readonly base: string;
  /** Milliseconds by which the server's clock was ahead of this device's at the last answer. */
  private aheadMs = 0;

  constructor(
    { url, allowInsecureHttp = false }: ServerAddress,
    private readonly timeoutMs = 30_000,
  ) {
    let parsed: URL;
    try {
      parsed = new URL(url);
    } catch (error) {
      throw SecureMessagingError.of(
        "Invalid",
        `url must be the server's address, such as https://chat.example.org, and is ${JSON.stringify(url) ?? "missing"}.`,
        error,
      );
    }
    if (parsed.protocol !== "http:" && parsed.protocol !== "https:")
      throw SecureMessagingError.of("Invalid", `url must begin with http:// or https://, and is ${JSON.stringify(url)}.`);
    if (parsed.protocol === "http:" && !isLoopback(parsed.hostname) && !allowInsecureHttp)
      throw SecureMessagingError.of(
        "Invalid",
        `Passwords and tokens would travel in the clear to ${parsed.hostname}: use https://, or set allowInsecureHttp for a test in a closed network.`,
      );
    parsed.hash = parsed.search = "";
    this.base = parsed.href.replace(/\/+$/, "");
  }

  /** The server's time in milliseconds. Before the first answer, and when an answer has no date, this device's time. */
  now(): number {
    return Date.now() + this.aheadMs;
  }

  /** @param closing - Ends the call when it aborts. The call then rejects with the signal's reason, and its outcome is unknown. */
  async call<T>(method: Method, path: string, body?: unknown, accessToken?: string, closing?: AbortSignal): Promise<T> {
    closing?.throwIfAborted();
    let response: Response;
    let text: string;
    const ending = new AbortController();
    const timer = setTimeout(() => ending.abort(new Error(`no answer within ${this.timeoutMs / 1000} s`)), this.timeoutMs);
    // AbortSignal.any would do this, and is missing in Safari before 17.4.
    const close = () => ending.abort(closing?.reason);
    closing?.addEventListener("abort", close, { once: true });
    const asked = Date.now();
    try {
      response = await fetch(`${this.base}/${path}`, {
        method,
        headers: {
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...(accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal: ending.signal,
        credentials: "omit",
        cache: "no-store",
        // A redirect would send the request to another server.
        redirect: "manual",
      });
      text = await response.text();
    } catch (error) {
      closing?.throwIfAborted();
      throw SecureMessagingError.unreachable(
        ending.signal.aborted ? ending.signal.reason : error,
        `The server cannot be reached at ${this.base}${originHint(this.base)}`,
      );
    } finally {
      clearTimeout(timer);
      closing?.removeEventListener("abort", close);
    }
    if (response.type === "opaqueredirect" || (response.status >= 300 && response.status < 400)) {
      const to = response.headers.get("location");
      throw SecureMessagingError.of(
        "Unavailable",
        `The server at ${this.base} redirects${to ? ` to ${to}` : ""}. The SDK does not follow: give the server's own address.`,
      );
    }
    const date = Date.parse(response.headers.get("date") ?? "");
    if (!Number.isNaN(date)) this.aheadMs = date + 500 - (asked + Date.now()) / 2;
    let value: unknown;
    try {
      value = text === "" ? undefined : JSON.parse(text);
    } catch (error) {
      if (response.ok)
        throw SecureMessagingError.of("Internal", `The answer from ${this.base} is not JSON. Is this the address of a SecureMessaging server?`, error);
    }
    if (response.ok) return value as T;
    const known = readErrorBody(value);
    throw known ? new SecureMessagingError(known) : guessFromStatus(response.status, this.base);
  }
}

const isLoopback = (host: string): boolean => host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);

/** A browser does not say why a request failed: a page of another origin cannot distinguish an absent server from one that does not allow the origin. */
function originHint(base: string): string {
  const { location } = globalThis as { location?: { origin?: string } };
  const origin = location?.origin;
  return origin && origin !== "null" && new URL(base).origin !== origin ? ` from ${origin} (does its setting Server:AllowedOrigins contain that origin?)` : "";
}
