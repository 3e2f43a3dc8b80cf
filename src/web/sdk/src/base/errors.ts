/** The server's error codes, and from `SignedOut` on the SDK's own. */
export type ErrorCode =
  | "Internal"
  | "NotFound"
  | "Unauthenticated"
  | "Forbidden"
  | "Invalid"
  | "Conflict"
  | "WrongEpoch"
  | "EpochTooOld"
  | "TooLarge"
  | "RateLimited"
  | "Overloaded"
  | "Unavailable"
  | "Expired"
  | "QuotaExceeded"
  /** A code of a later version of the server. `retryable` says whether to try again. */
  | "Unknown"
  /** The session has ended. Sign in again. */
  | "SignedOut"
  /** This device cannot do this yet: it waits for approval, or is not yet in the room's MLS group. */
  | "NotReady"
  /** A person has no device that can read a message. */
  | "NoDevice"
  /** The account has reached its limit of devices, and all are approved. Remove one of them. */
  | "TooManyDevices"
  /**
   * The server does not know this device, or another device has revoked it. Its keys and its history are kept. A person decides with `devices.startOver`
   * whether it becomes a new device.
   */
  | "DeviceUnknown"
  /** The server says that a known username belongs to another user. A person decides with `people.acceptName`. */
  | "NameChanged"
  /** The message reached the room when it no longer counted there: this device had lost its place or its right to send. Send it again. */
  | "NotDelivered"
  /** The store on this device cannot be read or written. The message names the cause. With `retryable` it may work later, for example when there is space. */
  | "StoreFailed"
  /** This platform lacks a feature that the SDK needs, see `missingFeatures`. Nothing was sent. */
  | "UnsupportedPlatform";

/** A part of a request that the server rejected, named by `pointer` or `parameter`. */
export interface FieldError {
  /** What is wrong, as a sentence for a developer. */
  detail: string;
  /** The member of the request body: a JSON Pointer as a URI fragment (RFC 6901 section 6), for example `#/members/0`. `#` is the whole body. */
  pointer?: string;
  /** The name of a path, query, header or hub method parameter. */
  parameter?: string;
}

/** An error as plain data, as the server sends it. */
export interface ErrorBody {
  /** The error code. */
  code: ErrorCode;
  /** What is wrong, as a sentence for a developer. */
  message: string;
  /** Whether the same call can succeed later. */
  retryable: boolean;
  /** Milliseconds to wait before a retry. */
  retryAfterMs?: number;
  /** With `WrongEpoch` and `EpochTooOld`: the room's MLS epoch. */
  currentEpoch?: number;
  /** The rejected parts of the request. */
  errors?: FieldError[];
}

/** The only error class that the SDK throws. */
export class SecureMessagingError extends Error {
  /** Always `SecureMessagingError`. */
  override readonly name = "SecureMessagingError";
  /** The error code. */
  readonly code: ErrorCode;
  /** Whether the same call can succeed later. */
  readonly retryable: boolean;
  /** Milliseconds to wait before a retry, when the server gives them. */
  readonly retryAfterMs: number | undefined;
  /** With `WrongEpoch` and `EpochTooOld`: the room's MLS epoch. */
  readonly currentEpoch: number | undefined;
  /** With `Invalid` and `TooLarge`: the parts of the request that the server rejected. Empty when the server names none. */
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

  /** @internal The server did not answer, so the outcome is unknown. */
  static unreachable(cause?: unknown, what = "The server cannot be reached"): SecureMessagingError {
    const why = reasonOf(cause);
    return SecureMessagingError.of("Unavailable", why === "" ? `${what}.` : `${what}: ${why}.`, cause);
  }

  /** @internal @param lasts - Whether a retry cannot help. */
  static store(message: string, cause?: unknown, lasts = false): SecureMessagingError {
    return new SecureMessagingError({ code: "StoreFailed", message, retryable: !lasts }, cause);
  }

  /** @internal */
  static signedOut(): SecureMessagingError {
    return SecureMessagingError.of("SignedOut", "The session has ended. Sign in again.");
  }
}

/** @internal The message of the innermost cause. Node's fetch says only "fetch failed" itself. */
export function reasonOf(error: unknown): string {
  let text = "";
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const { code } = at as NodeJS.ErrnoException;
    text = at.message || (typeof code === "string" ? code : "") || text;
  }
  return text.replace(/\.$/, "");
}

/** @internal The end of the session has its own event. */
export const isSignedOut = (error: unknown): boolean => error instanceof SecureMessagingError && error.code === "SignedOut";

/** @internal Whether waiting can help: the server did not answer, or the session is being renewed. */
export const mayPass = (error: unknown): error is SecureMessagingError =>
  error instanceof SecureMessagingError && (error.retryable || error.code === "Unauthenticated");

const codes = new Set<string>([
  "Internal",
  "NotFound",
  "Unauthenticated",
  "Forbidden",
  "Invalid",
  "Conflict",
  "WrongEpoch",
  "EpochTooOld",
  "TooLarge",
  "RateLimited",
  "Overloaded",
  "Unavailable",
  "Expired",
  "QuotaExceeded",
]);

function isRetryable(code: ErrorCode): boolean {
  return code === "Internal" || code === "RateLimited" || code === "Overloaded" || code === "Unavailable" || code === "StoreFailed";
}

/** @internal Reads an error of this server; undefined for any other text, such as a proxy's page. */
export function readErrorBody(value: unknown): ErrorBody | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { code, message, detail, retryable, retryAfterMs, currentEpoch, errors } = value as Record<string, unknown>;
  // An unknown code counts as this server's when the other fields of the catalogue come with it.
  if (typeof code !== "string" || (!codes.has(code) && typeof retryable !== "boolean")) return undefined;
  const known = codes.has(code) ? (code as ErrorCode) : "Unknown";
  const text = typeof message === "string" ? message : typeof detail === "string" ? detail : "The server rejected the request.";
  const body: ErrorBody = {
    code: known,
    message: text,
    retryable: typeof retryable === "boolean" ? retryable : isRetryable(known),
  };
  if (typeof retryAfterMs === "number" && retryAfterMs >= 0) body.retryAfterMs = retryAfterMs;
  if (typeof currentEpoch === "number") body.currentEpoch = currentEpoch;
  const fields = Array.isArray(errors) ? errors.flatMap(readFieldError) : [];
  if (fields.length > 0) body.errors = fields;
  return body;
}

/** Leaves out an entry that is not valid. */
function readFieldError(value: unknown): FieldError[] {
  const { detail, pointer, parameter } = (value ?? {}) as Record<string, unknown>;
  return typeof detail !== "string"
    ? []
    : [{ detail, ...(typeof pointer === "string" ? { pointer } : {}), ...(typeof parameter === "string" ? { parameter } : {}) }];
}

/** @internal The error as plain data, for another tab. */
export const toBody = ({ code, message, retryable, retryAfterMs, currentEpoch, errors }: SecureMessagingError): ErrorBody => ({
  code,
  message,
  retryable,
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  ...(currentEpoch === undefined ? {} : { currentEpoch }),
  ...(errors.length === 0 ? {} : { errors: errors.map((error) => ({ ...error })) }),
});

/** @internal The error for a status without an error body of this server. */
export function guessFromStatus(status: number, what = "The server"): SecureMessagingError {
  // A 401 without a body comes from a proxy: only the server itself may end a session.
  const code: ErrorCode =
    status === 404
      ? "NotFound"
      : status === 413
        ? "TooLarge"
        : status === 429
          ? "RateLimited"
          : status === 502 || status === 503 || status === 504
            ? "Unavailable"
            : "Internal";
  return SecureMessagingError.of(
    code,
    `${what} answered with status ${status} and without an error of its own: something stands in between, or the address is another server's.`,
  );
}
