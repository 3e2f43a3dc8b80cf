import { guessFromStatus, readErrorBody, SecureMessagingError } from "../errors.js";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** How to reach a server. */
export interface ServerAddress {
  /** The server's address, `https://…` (`http://…` on one's own machine). */
  url: string;
  /** Whether `http://` to another machine is allowed. Then anyone on the way reads passwords and tokens: for tests in a closed network. */
  allowInsecureHttp?: boolean;
}

/** Calls REST endpoints and turns every failure into a {@link SecureMessagingError}. @internal */
export class Http {
  readonly base: string;
  /** How far the server's clock is ahead of this device's, as its last answer told. */
  private aheadMs = 0;

  constructor({ url, allowInsecureHttp = false }: ServerAddress, private readonly timeoutMs = 30_000) {
    let parsed: URL;
    try {
      parsed = new URL(url);
    } catch (error) {
      throw SecureMessagingError.of("Invalid", `url must be the server's address, such as https://chat.example.org, and is ${JSON.stringify(url) ?? "missing"}.`, error);
    }
    if (parsed.protocol !== "http:" && parsed.protocol !== "https:")
      throw SecureMessagingError.of("Invalid", `url must begin with http:// or https://, and is ${JSON.stringify(url)}.`);
    if (parsed.protocol === "http:" && !isLoopback(parsed.hostname) && !allowInsecureHttp)
      throw SecureMessagingError.of("Invalid", `Passwords and tokens would travel in the clear to ${parsed.hostname}: use https://, or set allowInsecureHttp for a test in a closed network.`);
    parsed.hash = parsed.search = "";
    this.base = parsed.href.replace(/\/+$/, "");
  }

  /** The time by the server's clock, in milliseconds; by this device's until the server has answered, or where the answer does not tell. */
  now(): number {
    return Date.now() + this.aheadMs;
  }

  async call<T>(method: Method, path: string, body?: unknown, accessToken?: string): Promise<T> {
    let response: Response;
    let text: string;
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(new Error(`no answer within ${this.timeoutMs / 1000} s`)), this.timeoutMs);
    const asked = Date.now();
    try {
      response = await fetch(`${this.base}/${path}`, {
        method,
        headers: {
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...(accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal: timeout.signal,
        credentials: "omit",
        cache: "no-store",
        // What is sent is for this server alone.
        redirect: "manual",
      });
      text = await response.text();
    } catch (error) {
      throw SecureMessagingError.unreachable(timeout.signal.aborted ? timeout.signal.reason : error, `The server cannot be reached at ${this.base}${originHint(this.base)}`);
    } finally {
      clearTimeout(timer);
    }
    if (response.type === "opaqueredirect" || (response.status >= 300 && response.status < 400)) {
      const to = response.headers.get("location");
      throw SecureMessagingError.of("Unavailable", `The server at ${this.base} redirects${to ? ` to ${to}` : ""}. The SDK does not follow: give the server's own address.`);
    }
    const date = Date.parse(response.headers.get("date") ?? "");
    if (!Number.isNaN(date))
      this.aheadMs = date + 500 - (asked + Date.now()) / 2;
    let value: unknown;
    try {
      value = text === "" ? undefined : JSON.parse(text);
    } catch (error) {
      if (response.ok)
        throw SecureMessagingError.of("Internal", `The answer from ${this.base} is not JSON: is this the address of a SecureMessaging server?`, error);
    }
    if (response.ok)
      return value as T;
    const known = readErrorBody(value);
    throw known ? new SecureMessagingError(known) : guessFromStatus(response.status, this.base);
  }
}

const isLoopback = (host: string): boolean => host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);

/** A browser hides why: a page of another origin cannot tell a server that is away from one that does not allow it. */
function originHint(base: string): string {
  const { location } = globalThis as { location?: { origin?: string } };
  const origin = location?.origin;
  return origin && origin !== "null" && new URL(base).origin !== origin ? ` from ${origin} (does its setting Server:AllowedOrigins name that origin?)` : "";
}
