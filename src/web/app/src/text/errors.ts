import type { Warning } from "../base/sdk.js";
import { codeOf } from "../base/errors.js";
import { strings } from "./strings.js";

/** A sentence for the user about any thrown value. `special` replaces the general sentence of some codes. */
export function sentence(error: unknown, special: Partial<Record<string, string>> = {}): string {
  const code = codeOf(error);
  const known: Record<string, string> = strings.errors;
  // Only the server knows which limit was reached.
  const limit = code === "TooLarge" && error instanceof Error && error.message !== "" ? strings.errorLimit(error.message) : undefined;
  const text = special[code] ?? limit ?? known[code] ?? strings.errors.Internal;
  const wait = waitOf(error);
  return code === "RateLimited" && wait !== undefined ? strings.errorWait(Math.max(1, Math.ceil(wait / 1000))) : text;
}

/** What a person can act on in a warning; undefined for those that are retried, or shown in their place. */
export function sentenceOfWarning({ area, kind, error }: Pick<Warning, "area" | "kind" | "error">): string | undefined {
  if (error && (kind === "sendFailed" || kind === "gaveUp")) return sentence(error);
  // A clock that differs is worth a notice only when it keeps others out of a conversation.
  return area === "room" && kind === "clockWrong" ? strings.clockWrong : undefined;
}

function waitOf(error: unknown): number | undefined {
  const wait = typeof error === "object" && error !== null && "retryAfterMs" in error ? error.retryAfterMs : undefined;
  return typeof wait === "number" ? wait : undefined;
}
