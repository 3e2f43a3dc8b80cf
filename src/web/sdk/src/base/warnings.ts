import { SecureMessagingError, toBody, type ErrorBody } from "./errors.js";

/** The part of the client that a {@link Warning} comes from. */
export type WarningArea = "connection" | "session" | "store" | "device" | "people" | "room" | "outbox" | "tabs";

/** A failure or an anomaly, as plain data. The client continues by itself. An application logs it, or shows what a person can act on. */
export interface Warning {
  /** The part of the client that reports it. */
  area: WarningArea;
  /** The name of the occasion. It is stable, so code may compare it. */
  kind: string;
  /** The room that it is about. */
  roomId?: string;
  /** What failed. Its `message` names the cause. */
  error?: ErrorBody;
  /** Whether the client tries again by itself. */
  retrying: boolean;
  /** Details for a log, for example a stack. */
  detail?: string;
}

/** @internal */
export type Warn = (warning: Warning) => void;

/** @internal The failure as plain data. */
export function bodyOf(error: unknown): ErrorBody {
  return error instanceof SecureMessagingError
    ? toBody(error)
    : { code: "Internal", message: error instanceof Error ? error.message : String(error), retryable: false };
}

/** @internal The stack of an error and the messages of its causes. */
export function detailOf(error: unknown): string {
  const lines: string[] = [];
  for (let at = error, depth = 0; at !== undefined && depth < 5; at = at instanceof Error ? at.cause : undefined, depth++)
    // oxlint-disable-next-line typescript/no-base-to-string -- any value can be thrown, and this function never throws
    lines.push(at instanceof Error && !(at instanceof SecureMessagingError) ? (at.stack ?? at.message) : String(at));
  return lines.join("\ncaused by ");
}

/** @internal */
export function warningOf(area: WarningArea, kind: string, error: unknown, about: { roomId?: string; retrying?: boolean } = {}): Warning {
  return {
    area,
    kind,
    ...(about.roomId === undefined ? {} : { roomId: about.roomId }),
    error: bodyOf(error),
    retrying: about.retrying ?? false,
    detail: detailOf(error),
  };
}

/** Reports why a loop cannot continue: once for each cause, and again after {@link recovered}. @internal */
export class FailureReporter {
  private last: string | undefined;

  constructor(private readonly send: (error: unknown) => void) {}

  report(error: unknown): void {
    const { code, message } = bodyOf(error);
    const cause = `${code} ${message}`;
    if (cause === this.last) return;
    this.last = cause;
    this.send(error);
  }

  recovered(): void {
    this.last = undefined;
  }
}

/** @internal For an application without a listener. */
export function toConsole({ area, kind, roomId, error, detail, retrying }: Warning): void {
  const where = roomId === undefined ? "" : ` in room ${roomId}`;
  console.warn(`SecureMessaging: ${area}/${kind}${where}: ${error?.message ?? detail ?? ""}${retrying ? " (trying again)" : ""}`);
}
