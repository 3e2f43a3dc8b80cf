import "./browser.js";
import { expect, test } from "vitest";
import type { Message } from "../src/base/sdk.js";
import { rowsOf } from "../src/screens/chat/rows.js";
import { sentenceOf, toneOf, type LineFacts } from "../src/text/lines.js";
import { strings } from "../src/text/strings.js";

const names: Record<string, string> = { a: "Anna", b: "Ben" };
const say = (line: Partial<LineFacts>): string => sentenceOf({ kind: "", at: 0, ...line }, (userId) => names[userId ?? ""] ?? "Someone");

test("members, roles, the timer and the name are told with who did it", () => {
  const by = { userId: "a" };
  expect(say({ kind: "joined", by, userId: "b" })).toBe("Anna added Ben");
  expect(say({ kind: "removed", by, userId: "b" })).toBe("Anna removed Ben");
  expect(say({ kind: "left", by: { userId: "b" }, userId: "b" })).toBe("Ben left");
  expect(say({ kind: "role", by, userId: "b", role: "admin" })).toBe("Anna made Ben an admin");
  expect(say({ kind: "timeToLive", by, timeToLiveSeconds: 86_400 })).toBe("Anna set messages to disappear after 1 day");
  expect(say({ kind: "timeToLive", by })).toBe("Anna turned disappearing messages off");
  expect(say({ kind: "name", by, name: "Lunch" })).toBe("Anna named the group “Lunch”");
});

test("changes of devices and keys are told, and what may be an attack stands out", () => {
  expect(say({ kind: "devices", userId: "b", added: ["x"], removed: ["y", "z"] })).toBe("Ben added 1 device and removed 2 devices");
  expect(say({ kind: "identityRenewed", userId: "b" })).toBe("Ben has a new safety number, signed with the earlier keys");
  expect(say({ kind: "renamed", userId: "b", username: "bernd" })).toBe("Ben is now called bernd");
  expect(say({ kind: "invalidCommit" })).toMatch(/^An unknown device/);
  expect((["joined", "devices", "identityRenewed", "identityChanged", "listFork", "invalidCommit"] as const).map((kind) => toneOf({ kind, at: 0 }))).toEqual([
    "plain",
    "keys",
    "keys",
    "alarm",
    "alarm",
    "alarm",
  ]);
});

test("each kind of line has a sentence of its own", () => {
  const kinds =
    "founded entered joined left removed role name timeToLive settings deviceAdded deviceRemoved deviceReplaced deviceReadded identityRenewed reset " +
    "invalidCommit rosterMismatch stateMismatch transcriptMismatch withheld devices renamed identityChanged listFork nameChanged listWithheld";
  const sentences = kinds.split(" ").map((kind) => say({ kind, by: { userId: "a" }, userId: "b" }));
  expect(sentences.filter((sentence) => sentence === strings.lines.other || /undefined/.test(sentence))).toEqual([]);
  expect(new Set(sentences).size).toBe(sentences.length);
  expect(say({ kind: "of a later version" })).toBe(strings.lines.other);
});

const message = (seq: number, at: number): Message => ({
  seq,
  id: `m${seq}`,
  from: { userId: "b", deviceId: "d" },
  mine: false,
  at: new Date(at),
  content: { type: "text", text: `text ${seq}` },
});

const order = (lines: LineFacts[], atStart = true): string[] =>
  rowsOf(
    { loaded: true, messages: [message(3, 60_000), message(5, 120_000)], atStart, loadingOlder: false, outgoing: [], marks: { read: {} } },
    "a",
    1,
    undefined,
    new Map(),
    lines,
  ).flatMap((row) => (row.type === "line" ? [row.line.kind] : row.type === "bubble" ? [`${row.message!.seq}`] : []));

test("a line stands before the message of its place, or at the time when it was noticed", () => {
  expect(
    order([
      { kind: "joined", at: 50_000, seq: 2 },
      { kind: "devices", at: 90_000 },
      { kind: "timeToLive", at: 100_000, seq: 5 },
      { kind: "left", at: 130_000, seq: 6 },
    ]),
  ).toEqual(["joined", "3", "devices", "timeToLive", "5", "left"]);
});

test("lines from before the loaded part of the history appear with it", () => {
  const lines = [
    { kind: "joined", at: 1_000, seq: 1 },
    { kind: "devices", at: 2_000 },
    { kind: "left", at: 130_000, seq: 6 },
  ];
  expect(order(lines, false)).toEqual(["3", "5", "left"]);
  expect(order(lines)).toEqual(["joined", "devices", "3", "5", "left"]);
});
