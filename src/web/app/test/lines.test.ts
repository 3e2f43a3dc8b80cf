import "./browser.js";
import { expect, test } from "vitest";
import type { Message } from "../src/base/sdk.js";
import { rowsOf } from "../src/screens/chat/rows.js";
import { sentenceOf, toneOf, type LineFacts } from "../src/text/lines.js";
import { strings } from "../src/text/strings.js";

const names: Record<string, string> = { a: "Anna", b: "Ben" };
const say = (line: Partial<LineFacts>): string => sentenceOf({ kind: "", at: 0, ...line }, (userId) => names[userId ?? ""] ?? "Someone");

test("members, roles, the timer and the name are shown with who did it", () => {
  const by = { userId: "a" };
  expect(say({ kind: "joined", by, userId: "b" })).toBe("Anna added Ben");
  expect(say({ kind: "removed", by, userId: "b" })).toBe("Anna removed Ben");
  expect(say({ kind: "left", by: { userId: "b" }, userId: "b" })).toBe("Ben left");
  expect(say({ kind: "role", by, userId: "b", role: "admin" })).toBe("Anna made Ben an admin");
  expect(say({ kind: "timeToLive", by, timeToLiveSeconds: 86_400 })).toBe("Anna set messages to disappear after 1 day");
  expect(say({ kind: "timeToLive", by })).toBe("Anna turned disappearing messages off");
  expect(say({ kind: "name", by, name: "Lunch" })).toBe("Anna named the group “Lunch”");
});

test("changes of devices and keys are shown, and what may be an attack stands out", () => {
  expect(say({ kind: "devices", userId: "b", added: ["x"], removed: ["y", "z"] })).toBe("Ben added 1 device and removed 2 devices");
  expect(say({ kind: "identityRenewed", userId: "b" })).toBe("Ben has a new safety number, signed with the earlier keys");
  expect(say({ kind: "renamed", userId: "b", username: "bernd" })).toBe("Ben is now called bernd");
  expect(say({ kind: "invalidCommit" })).toMatch(/^An unknown device/);
  expect(say({ kind: "invalidCommit", userId: "b" })).toBe("The server says that Ben made the change that was not allowed. There is no proof of it.");
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
  time: new Date(at),
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

test("that the server no longer shows a conversation stands after the newest message of that time", () => {
  expect(order([{ kind: "withheld", at: 60_000, seq: 3, index: 9_000 }])).toEqual(["3", "withheld", "5"]);
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

test("a line without a place never holds up those with one, and each row has its own key", () => {
  const lines: LineFacts[] = [
    { kind: "joined", at: 60_000, seq: 4, index: 0, by: { userId: "a" }, userId: "b" },
    { kind: "role", at: 60_000, seq: 4, index: 1, by: { userId: "a" }, userId: "b" },
    { kind: "left", at: 120_000, seq: 6, index: 0 },
    // Noticed after the last message, and stored by the SDK before the other ones.
    { kind: "identityChanged", at: 500_000, userId: "b" },
    { kind: "listFork", at: 70_000, userId: "b" },
  ];
  expect(order(lines)).toEqual(["3", "joined", "role", "listFork", "5", "left", "identityChanged"]);
  const keys = rowsOf(
    { loaded: true, messages: [], atStart: true, loadingOlder: false, outgoing: [], marks: { read: {} } },
    "a",
    1,
    undefined,
    new Map(),
    lines,
  ).map((row) => row.key);
  expect(new Set(keys).size).toBe(keys.length);
});

test("people whom one statement adds are one line, without the founder", () => {
  const by = { userId: "a" };
  const about = { seq: 1, at: 0 };
  const rows = rowsOf({ loaded: true, messages: [], atStart: true, loadingOlder: false, outgoing: [], marks: { read: {} } }, "a", 1, undefined, new Map(), [
    ...["a", "b", "c"].map((userId, index) => ({ ...about, index, kind: "joined", by, userId })),
    { ...about, index: 3, kind: "founded", by },
    { ...about, index: 0, seq: 2, kind: "joined", by: { userId: "b" }, userId: "d" },
  ]);
  expect(rows.flatMap((row) => (row.type === "line" ? [[row.line.kind, row.line.userIds ?? row.line.userId]] : []))).toEqual([
    ["founded", undefined],
    ["joined", ["b", "c"]],
    ["joined", "d"],
  ]);
});

test("a sentence about this user is about you", () => {
  const own = (line: Partial<LineFacts>): string =>
    sentenceOf({ kind: "", at: 0, ...line }, (userId) => (userId === "me" ? strings.common.you : (names[userId ?? ""] ?? "Someone")));
  expect(own({ kind: "joined", by: { userId: "me" }, userIds: ["a", "b"] })).toBe("You added Anna and Ben");
  expect(own({ kind: "joined", by: { userId: "a" }, userIds: ["b", "me"] })).toBe("Anna added Ben and you");
  expect(own({ kind: "removed", by: { userId: "a" }, userId: "me" })).toBe("Anna removed you");
  expect(own({ kind: "deviceAdded", by: { userId: "me" }, userId: "me" })).toBe("A new device of yours can read here");
  expect(own({ kind: "deviceRemoved", by: { userId: "a" }, userId: "b" })).toBe("A device of Ben can no longer read here (done by the app of Anna)");
  expect(own({ kind: "deviceAdded", by: { userId: "me" }, userId: "b" })).toBe("A new device of Ben can read here (done by your app)");
  expect(own({ kind: "reset", by: { userId: "a" }, missing: [1, 2], added: [] })).toBe("Anna restarted the encryption of this conversation, without 2 devices");
});
