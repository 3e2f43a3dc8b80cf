/** The server's catalogue of what can go wrong, and two of the SDK's own: `SignedOut` and `NotReady`. */
export type ErrorCode =
  | "Internal" | "NotFound" | "Unauthenticated" | "Forbidden" | "Invalid" | "Conflict" | "WrongEpoch" | "EpochTooOld"
  | "TooLarge" | "RateLimited" | "Overloaded" | "Unavailable" | "Expired"
  /** The session is over; sign in again. */
  | "SignedOut"
  /** This device cannot do that yet: it waits for approval, or has not been let into the room's group. */
  | "NotReady";

/** An error as the server sends it. */
export interface ErrorBody {
  code: ErrorCode;
  message: string;
  retryable: boolean;
  retryAfterMs?: number;
  currentEpoch?: number;
}

/** The one error that the SDK throws. */
export class SecureMessagingError extends Error {
  override readonly name = "SecureMessagingError";
  /** Which entry of the catalogue. */
  readonly code: ErrorCode;
  /** Whether repeating the same call can succeed. */
  readonly retryable: boolean;
  /** Milliseconds to wait before a retry, when the server knows. */
  readonly retryAfterMs: number | undefined;
  /** With `WrongEpoch` and `EpochTooOld`: the room's MLS epoch. */
  readonly currentEpoch: number | undefined;

  constructor(body: ErrorBody, cause?: unknown) {
    super(body.message, cause === undefined ? undefined : { cause });
    this.code = body.code;
    this.retryable = body.retryable;
    this.retryAfterMs = body.retryAfterMs;
    this.currentEpoch = body.currentEpoch;
  }

  /** @internal */
  static of(code: ErrorCode, message: string, cause?: unknown): SecureMessagingError {
    return new SecureMessagingError({ code, message, retryable: isRetryable(code) }, cause);
  }

  /** @internal The server did not answer: the outcome is unknown. */
  static unreachable(cause?: unknown): SecureMessagingError {
    return SecureMessagingError.of("Unavailable", "The server cannot be reached.", cause);
  }

  /** @internal */
  static signedOut(): SecureMessagingError {
    return SecureMessagingError.of("SignedOut", "The session is over; sign in again.");
  }
}

const codes = new Set<string>([
  "Internal", "NotFound", "Unauthenticated", "Forbidden", "Invalid", "Conflict", "WrongEpoch", "EpochTooOld",
  "TooLarge", "RateLimited", "Overloaded", "Unavailable", "Expired",
]);

function isRetryable(code: ErrorCode): boolean {
  return code === "Internal" || code === "RateLimited" || code === "Overloaded" || code === "Unavailable";
}

/** @internal Reads an error of the server's own; undefined when the text is somebody else's. */
export function readErrorBody(value: unknown): ErrorBody | undefined {
  if (typeof value !== "object" || value === null)
    return undefined;
  const { code, message, detail, retryable, retryAfterMs, currentEpoch } = value as Record<string, unknown>;
  if (typeof code !== "string" || !codes.has(code))
    return undefined;
  const text = typeof message === "string" ? message : typeof detail === "string" ? detail : "The server refused.";
  const body: ErrorBody = {
    code: code as ErrorCode, message: text, retryable: typeof retryable === "boolean" ? retryable : isRetryable(code as ErrorCode),
  };
  if (typeof retryAfterMs === "number" && retryAfterMs >= 0)
    body.retryAfterMs = retryAfterMs;
  if (typeof currentEpoch === "number")
    body.currentEpoch = currentEpoch;
  return body;
}

/** @internal For another tab. */
export const toBody = ({ code, message, retryable, retryAfterMs, currentEpoch }: SecureMessagingError): ErrorBody => ({
  code, message, retryable, ...(retryAfterMs === undefined ? {} : { retryAfterMs }), ...(currentEpoch === undefined ? {} : { currentEpoch }),
});

/** @internal Guesses from a status that came without a body of the server's own. */
export function guessFromStatus(status: number): SecureMessagingError {
  // A bare 401 is a proxy's: only the server's own word may end a session.
  const code: ErrorCode = status === 404 ? "NotFound" : status === 413 ? "TooLarge" : status === 429 ? "RateLimited"
    : status === 502 || status === 503 || status === 504 ? "Unavailable" : "Internal";
  return SecureMessagingError.of(code, `The server answered with status ${status}.`);
}
