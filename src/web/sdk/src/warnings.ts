import { SecureMessagingError, toBody, type ErrorBody } from "./errors.js";

/** The part of the client that a {@link Warning} comes from. */
export type WarningArea = "connection" | "session" | "store" | "device" | "room" | "outbox" | "tabs";

/** Something failed, or is not as it should be. The client deals with it; an application logs it, or shows what a person can act on. Plain data. */
export interface Warning {
  /** The part that says so. */
  area: WarningArea;
  /** Names the occasion; stable, for code. */
  kind: string;
  /** The room that it is about. */
  roomId?: string;
  /** What failed. `message` names the cause. */
  error?: ErrorBody;
  /** Whether the client tries again by itself. */
  retrying: boolean;
  /** More, for a log: a stack, or what was found. */
  detail?: string;
}

/** @internal */
export type Warn = (warning: Warning) => void;

/** @internal What went wrong, as plain data. */
export function bodyOf(error: unknown): ErrorBody {
  return error instanceof SecureMessagingError ? toBody(error) : { code: "Internal", message: error instanceof Error ? error.message : String(error), retryable: false };
}

/** @internal The stack of an error and the messages of its causes. */
export function detailOf(error: unknown): string {
  const lines: string[] = [];
  for (let at = error, depth = 0; at !== undefined && depth < 5; at = at instanceof Error ? at.cause : undefined, depth++)
    lines.push(at instanceof Error && !(at instanceof SecureMessagingError) ? at.stack ?? at.message : String(at));
  return lines.join("\ncaused by ");
}

/** @internal */
export function warningOf(area: WarningArea, kind: string, error: unknown, about: { roomId?: string; retrying?: boolean } = {}): Warning {
  return { area, kind, ...(about.roomId === undefined ? {} : { roomId: about.roomId }), error: bodyOf(error), retrying: about.retrying ?? false, detail: detailOf(error) };
}

/** Says what holds a loop up: once, and again when the cause is another or came back. @internal */
export class Trouble {
  private last: string | undefined;

  constructor(private readonly say: (error: unknown) => void) {}

  met(error: unknown): void {
    const { code, message } = bodyOf(error);
    const cause = `${code} ${message}`;
    if (cause === this.last)
      return;
    this.last = cause;
    this.say(error);
  }

  over(): void {
    this.last = undefined;
  }
}

/** @internal For an application that does not listen. */
export function toConsole({ area, kind, roomId, error, detail, retrying }: Warning): void {
  console.warn(`SecureMessaging: ${area}/${kind}${roomId === undefined ? "" : ` in room ${roomId}`}: ${error?.message ?? detail ?? ""}${retrying ? " (trying again)" : ""}`);
}
