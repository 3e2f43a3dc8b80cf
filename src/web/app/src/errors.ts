import { strings } from "./strings.js";

/** A sentence that a person can act on, for whatever was thrown. `special` has better words for some codes, where the place knows more. */
export function sentence(error: unknown, special: Partial<Record<string, string>> = {}): string {
  const code = codeOf(error);
  const known: Record<string, string> = strings.errors;
  // Of a limit only the server knows which one and how much.
  const limit = code === "TooLarge" && error instanceof Error && error.message !== "" ? strings.errorLimit(error.message) : undefined;
  const text = special[code] ?? limit ?? known[code] ?? strings.errors.Internal;
  const wait = waitOf(error);
  return code === "RateLimited" && wait !== undefined ? strings.errorWait(Math.max(1, Math.ceil(wait / 1000))) : text;
}

/** The code of the catalogue; an error of another kind is one of the app's own. */
export function codeOf(error: unknown): string {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "Internal";
}

function waitOf(error: unknown): number | undefined {
  const wait = typeof error === "object" && error !== null && "retryAfterMs" in error ? error.retryAfterMs : undefined;
  return typeof wait === "number" ? wait : undefined;
}
