/** The server's catalogue of what can go wrong, and the SDK's own from `SignedOut` on. */
export type ErrorCode =
  | "Internal" | "NotFound" | "Unauthenticated" | "Forbidden" | "Invalid" | "Conflict" | "WrongEpoch" | "EpochTooOld"
  | "TooLarge" | "RateLimited" | "Overloaded" | "Unavailable" | "Expired" | "QuotaExceeded"
  /** A code of a later version of the server; `retryable` says what to do. */
  | "Unknown"
  /** The session is over; sign in again. */
  | "SignedOut"
  /** This device cannot do that yet: it waits for approval, or has not been let into the room's group. */
  | "NotReady"
  /** A person has no device that could read a message. */
  | "NoDevice"
  /** The account has as many devices as it may have, and all are approved: remove one of them. */
  | "TooManyDevices"
  /** The store on this device cannot be read or written: the message names the cause. What is retryable may work again, as when there is space. */
  | "StoreFailed"
  /** This platform lacks what the SDK needs, see `missingFeatures`. Nothing was sent. */
  | "UnsupportedPlatform";

/** A part of a request that the server refused. `pointer` or `parameter` names it. */
export interface FieldError {
  /** What is wrong with it. A sentence for a developer. */
  detail: string;
  /** A member of the request's body: a JSON Pointer as a URI fragment (RFC 6901 section 6), such as `#/members/0`; `#` is the whole body. */
  pointer?: string;
  /** A parameter of the path, the query or the header, or of the hub method, by its name. */
  parameter?: string;
}

/** An error as the server sends it. */
export interface ErrorBody {
  code: ErrorCode;
  message: string;
  retryable: boolean;
  retryAfterMs?: number;
  currentEpoch?: number;
  errors?: FieldError[];
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
  /** With `Invalid` and `TooLarge`: which parts of the request the server refused. Empty when the server names none. */
  readonly errors: readonly FieldError[];

  constructor(body: ErrorBody, cause?: unknown) {
    super(body.message, cause === undefined ? undefined : { cause });
    this.code = body.code;
    this.retryable = body.retryable;
    this.retryAfterMs = body.retryAfterMs;
    this.currentEpoch = body.currentEpoch;
    this.errors = body.errors ?? [];
  }

  /** @internal */
  static of(code: ErrorCode, message: string, cause?: unknown): SecureMessagingError {
    return new SecureMessagingError({ code, message, retryable: isRetryable(code) }, cause);
  }

  /** @internal The server did not answer: the outcome is unknown. */
  static unreachable(cause?: unknown, what = "The server cannot be reached"): SecureMessagingError {
    const why = reasonOf(cause);
    return SecureMessagingError.of("Unavailable", why === "" ? `${what}.` : `${what}: ${why}.`, cause);
  }

  /** @internal @param lasts Whether trying again is of no use. */
  static store(message: string, cause?: unknown, lasts = false): SecureMessagingError {
    return new SecureMessagingError({ code: "StoreFailed", message, retryable: !lasts }, cause);
  }

  /** @internal */
  static signedOut(): SecureMessagingError {
    return SecureMessagingError.of("SignedOut", "The session is over; sign in again.");
  }
}

/** @internal The innermost cause that says something. Node's fetch says "fetch failed" and hides why. */
export function reasonOf(error: unknown): string {
  let text = "";
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const { code } = at as NodeJS.ErrnoException;
    text = at.message || (typeof code === "string" ? code : "") || text;
  }
  return text.replace(/\.$/, "");
}

/** @internal The session is over, which has an event of its own. */
export const isSignedOut = (error: unknown): boolean => error instanceof SecureMessagingError && error.code === "SignedOut";

/** @internal Waiting may help: the server has not answered, or the session is being renewed. */
export const mayPass = (error: unknown): error is SecureMessagingError => error instanceof SecureMessagingError && (error.retryable || error.code === "Unauthenticated");

const codes = new Set<string>([
  "Internal", "NotFound", "Unauthenticated", "Forbidden", "Invalid", "Conflict", "WrongEpoch", "EpochTooOld",
  "TooLarge", "RateLimited", "Overloaded", "Unavailable", "Expired", "QuotaExceeded",
]);

function isRetryable(code: ErrorCode): boolean {
  return code === "Internal" || code === "RateLimited" || code === "Overloaded" || code === "Unavailable" || code === "StoreFailed";
}

/** @internal Reads an error of the server's own; undefined when the text is somebody else's. */
export function readErrorBody(value: unknown): ErrorBody | undefined {
  if (typeof value !== "object" || value === null)
    return undefined;
  const { code, message, detail, retryable, retryAfterMs, currentEpoch, errors } = value as Record<string, unknown>;
  // A code of a later version is the server's when it comes with the rest of the catalogue's fields.
  if (typeof code !== "string" || (!codes.has(code) && typeof retryable !== "boolean"))
    return undefined;
  const known = codes.has(code) ? code as ErrorCode : "Unknown";
  const text = typeof message === "string" ? message : typeof detail === "string" ? detail : "The server refused.";
  const body: ErrorBody = {
    code: known, message: text, retryable: typeof retryable === "boolean" ? retryable : isRetryable(known),
  };
  if (typeof retryAfterMs === "number" && retryAfterMs >= 0)
    body.retryAfterMs = retryAfterMs;
  if (typeof currentEpoch === "number")
    body.currentEpoch = currentEpoch;
  const fields = Array.isArray(errors) ? errors.flatMap(readFieldError) : [];
  if (fields.length > 0)
    body.errors = fields;
  return body;
}

/** An entry that does not read as one is left out. */
function readFieldError(value: unknown): FieldError[] {
  const { detail, pointer, parameter } = (value ?? {}) as Record<string, unknown>;
  return typeof detail !== "string" ? []
    : [{ detail, ...(typeof pointer === "string" ? { pointer } : {}), ...(typeof parameter === "string" ? { parameter } : {}) }];
}

/** @internal For another tab. */
export const toBody = ({ code, message, retryable, retryAfterMs, currentEpoch, errors }: SecureMessagingError): ErrorBody => ({
  code, message, retryable, ...(retryAfterMs === undefined ? {} : { retryAfterMs }), ...(currentEpoch === undefined ? {} : { currentEpoch }),
  ...(errors.length === 0 ? {} : { errors: errors.map((error) => ({ ...error })) }),
});

/** @internal Guesses from a status that came without a body of the server's own. */
export function guessFromStatus(status: number, what = "The server"): SecureMessagingError {
  // A bare 401 is a proxy's: only the server's own word may end a session.
  const code: ErrorCode = status === 404 ? "NotFound" : status === 413 ? "TooLarge" : status === 429 ? "RateLimited"
    : status === 502 || status === 503 || status === 504 ? "Unavailable" : "Internal";
  return SecureMessagingError.of(code, `${what} answered with status ${status} and without an error of its own: something stands in between, or the address is another server's.`);
}
