import { guessFromStatus, readErrorBody, SecureMessagingError } from "../errors.js";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** Calls REST endpoints and turns every failure into a {@link SecureMessagingError}. @internal */
export class Http {
  readonly base: string;

  constructor(url: string, private readonly timeoutMs = 30_000) {
    const parsed = new URL(url);
    if (parsed.protocol !== "http:" && parsed.protocol !== "https:")
      throw SecureMessagingError.of("Invalid", "The server's address begins with http:// or https://.");
    this.base = parsed.href.replace(/\/+$/, "");
  }

  async call<T>(method: Method, path: string, body?: unknown, accessToken?: string): Promise<T> {
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${this.base}/${path}`, {
        method,
        headers: {
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...(accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.timeout(this.timeoutMs),
        credentials: "omit",
        cache: "no-store",
      });
      text = await response.text();
    } catch (error) {
      throw SecureMessagingError.unreachable(error);
    }
    let value: unknown;
    try {
      value = text === "" ? undefined : JSON.parse(text);
    } catch (error) {
      if (response.ok)
        throw SecureMessagingError.of("Internal", "The server's answer cannot be read.", error);
    }
    if (response.ok)
      return value as T;
    const known = readErrorBody(value);
    throw known ? new SecureMessagingError(known) : guessFromStatus(response.status);
  }
}
