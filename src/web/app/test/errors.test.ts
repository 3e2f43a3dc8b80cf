import { expect, test } from "vitest";
import { sentence } from "../src/errors.js";
import { SecureMessagingError, type ErrorCode } from "../src/sdk.js";
import { strings } from "../src/strings.js";

const error = (code: ErrorCode, more: { message?: string; retryAfterMs?: number } = {}) => new SecureMessagingError({ code, message: "developer's words", retryable: false, ...more });

test("a limit is named by the server's sentence, the limit of devices by what to do, and a wait by its seconds", () => {
  expect(sentence(error("TooLarge", { message: "A room has 1,000 members at most." }))).toContain("A room has 1,000 members at most.");
  expect(sentence(error("TooManyDevices"))).toContain("Remove one under Settings, Devices and keys");
  expect(sentence(error("RateLimited", { retryAfterMs: 4_200 }))).toContain("5 seconds");
  expect(sentence(error("TooLarge", { message: "A room has 1,000 members at most." }), { TooLarge: strings.start.full })).toBe(strings.start.full);
});

test("whatever is thrown has a sentence, and none shows a developer's words", () => {
  for (const code of Object.keys(strings.errors) as (keyof typeof strings.errors)[])
    expect(sentence(error(code, code === "TooLarge" ? { message: "" } : {}))).toBe(strings.errors[code]);
  for (const thrown of [new Error("developer's words"), undefined, "developer's words", { code: "CodeOfTomorrow" }, { code: 5 }])
    expect(sentence(thrown)).toBe(strings.errors.Internal);
});

/** All sentences, with these words where something is put into them. */
function sentences(value: unknown): string[] {
  if (typeof value === "function")
    return sentences((value as (...args: unknown[]) => unknown)(...Array.from({ length: value.length }, () => ["one"])));
  return typeof value === "string" ? [value] : typeof value === "object" && value !== null ? Object.values(value).flatMap(sentences) : [];
}

test("no sentence speaks of somebody, nobody or whoever, and none ends in two marks", () => {
  const all = sentences({ ...strings, time: undefined });
  expect(all.length).toBeGreaterThan(300);
  expect(all.filter((text) => /\b(?:somebody|nobody|whoever|whomever|till)\b|[.!?]{2}$/i.test(text))).toEqual([]);
});
