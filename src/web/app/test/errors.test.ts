import { expect, test } from "vitest";
import { sentence, sentenceOfWarning } from "../src/text/errors.js";
import { SecureMessagingError, type ErrorCode } from "../src/base/sdk.js";
import { strings } from "../src/text/strings.js";

const error = (code: ErrorCode, more: { message?: string; retryAfterMs?: number } = {}) =>
  new SecureMessagingError({ code, message: "developer's words", retryable: false, ...more });

test("a limit has the server's sentence, the limit of devices says what to do, and a rate limit gives the seconds", () => {
  expect(sentence(error("TooLarge", { message: "A room may have at most 1,000 members." }))).toContain("A room may have at most 1,000 members.");
  expect(sentence(error("TooManyDevices"))).toContain("Remove one under Settings, Devices and keys");
  expect(sentence(error("RateLimited", { retryAfterMs: 4_200 }))).toContain("5 seconds");
  expect(sentence(error("TooLarge", { message: "A room may have at most 1,000 members." }), { TooLarge: strings.start.full })).toBe(strings.start.full);
});

test("each thrown value has a sentence, and none contains the message for developers", () => {
  for (const code of Object.keys(strings.errors) as (keyof typeof strings.errors)[])
    expect(sentence(error(code, code === "TooLarge" ? { message: "" } : {}))).toBe(strings.errors[code]);
  for (const thrown of [new Error("developer's words"), undefined, "developer's words", { code: "CodeOfTomorrow" }, { code: 5 }])
    expect(sentence(thrown)).toBe(strings.errors.Internal);
});

test("a warning has a sentence when a person can act on it", () => {
  const rejected = { code: "QuotaExceeded", message: "developer's words", retryable: false } as const;
  expect(sentenceOfWarning({ area: "outbox", kind: "sendFailed", error: rejected })).toBe(strings.errors.QuotaExceeded);
  expect(sentenceOfWarning({ area: "room", kind: "clockWrong" })).toBe(strings.clockWrong);
  expect(sentenceOfWarning({ area: "device", kind: "clockWrong" })).toBeUndefined();
  expect(sentenceOfWarning({ area: "room", kind: "logFailed", error: rejected })).toBeUndefined();
});

/** All sentences. Functions are called with the word "one" for each parameter. */
function sentences(value: unknown): string[] {
  if (typeof value === "function") return sentences((value as (...args: unknown[]) => unknown)(...Array.from({ length: value.length }, () => ["one"])));
  return typeof value === "string" ? [value] : typeof value === "object" && value !== null ? Object.values(value).flatMap(sentences) : [];
}

test("no sentence contains somebody, nobody or whoever, and none ends in two punctuation marks", () => {
  const all = sentences({ ...strings, time: undefined });
  expect(all.length).toBeGreaterThan(300);
  expect(all.filter((text) => /\b(?:somebody|nobody|whoever|whomever|till)\b|[.!?]{2}$/i.test(text))).toEqual([]);
});
