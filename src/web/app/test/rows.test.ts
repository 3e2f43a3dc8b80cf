import "./browser.js";
import { expect, test } from "vitest";
import type { Message } from "../src/base/sdk.js";
import { rowsOf, type SendState } from "../src/screens/chat/rows.js";

const message = (seq: number): Message => ({
  seq,
  id: `m${seq}`,
  from: { userId: "anna", deviceId: "d" },
  mine: true,
  at: new Date(0),
  time: new Date(0),
  content: { type: "text", text: "x" },
});

const states = (read: Record<string, number>, others: number | undefined, delivered?: number): (SendState | undefined)[] =>
  rowsOf(
    {
      loaded: true,
      messages: [message(1), message(2)],
      atStart: false,
      loadingOlder: false,
      outgoing: [],
      marks: { read, ...(delivered === undefined ? {} : { delivered }) },
    },
    "anna",
    others,
    undefined,
    new Map(),
  ).flatMap((row) => (row.type === "bubble" ? [row.state] : []));

test("a message is read when all others have read it, delivered when one device has received it, and alone without other members", () => {
  expect(states({}, 2)).toEqual(["sent", "sent"]);
  expect(states({ ben: 1 }, 2, 1)).toEqual(["delivered", "sent"]);
  expect(states({ ben: 2, cleo: 1 }, 2, 2)).toEqual(["read", "delivered"]);
  expect(states({ anna: 2 }, 1)).toEqual(["sent", "sent"]);
  expect(states({}, undefined)).toEqual(["sent", "sent"]);
  expect(states({ ben: 1 }, 0, 1)).toEqual(["delivered", "alone"]);
});

const shown = (messages: Message[], quotes: ReadonlyMap<string, Message | undefined> = new Map()): ReturnType<typeof rowsOf> =>
  rowsOf({ loaded: true, messages, atStart: false, loadingOlder: false, outgoing: [], marks: { read: {} } }, "anna", 1, undefined, quotes);

test("places that were never read are a row of their own", () => {
  const { from: _, ...missing } = message(2);
  const rowOf = (content: { expired?: true }) => {
    const rows = shown([message(1), { ...missing, mine: false, content: { type: "missing", places: 3, ...content } }, message(5)]);
    expect(rows.map(({ type }) => type)).toEqual(["day", "bubble", "missing", "bubble"]);
    return rows[2];
  };
  expect(rowOf({})).toMatchObject({ seq: 2, isExpired: false, text: expect.stringContaining("3 messages are missing here") as string });
  expect(rowOf({ expired: true })).toMatchObject({ isExpired: true, text: expect.stringContaining("3 messages have probably disappeared") as string });
});

test("a place whose time the server does not have begins no day of its own", () => {
  const at = new Date(Date.UTC(2026, 0, 2));
  const missing = { ...message(1), mine: false, time: new Date(0), content: { type: "missing", places: 1 } } as const;
  const rows = shown([missing, { ...message(2), time: at }, { ...missing, seq: 3 }]);
  expect(rows.map((row) => ("at" in row ? [row.type, row.at] : [row.type]))).toEqual(
    ["day", "missing", "bubble", "missing"].map((type) => [type, at.getTime()]),
  );
});

test("rows show the signed times, whatever the server says, and a day neither begins twice nor again after a later one", () => {
  const at = (seq: number, time: number, server: number) => ({ ...message(seq), time: new Date(time), at: new Date(server) });
  const noon = new Date(2026, 0, 2, 12).getTime();
  const dayMs = 86_400_000;
  const rows = shown([at(1, noon, noon - dayMs), at(2, noon - dayMs, noon), at(3, noon + 60_000, noon + 3 * dayMs), at(4, noon + dayMs, 0)]);
  expect(rows.map((row) => ("at" in row ? [row.type, (row.at - noon) / 60_000] : [row.type]))).toEqual([
    ["day", 0],
    ["bubble", 0],
    ["bubble", -1440],
    ["bubble", 1],
    ["day", 1440],
    ["bubble", 1440],
  ]);
  // A message of another day stands alone.
  expect(rows.map((row) => row.type === "bubble" && row.first)).toEqual([false, true, true, true, false, true]);
});

test("an answer quotes the message of the author whom it names, and not another one with the same id", () => {
  const bens: Message = { ...message(2), id: "m1", mine: false, from: { userId: "ben", deviceId: "e" }, content: { type: "text", text: "Ben's" } };
  const answer = (author: string, id: string): Message => ({ ...message(3), content: { type: "reply", to: { author, id }, text: "yes" } });
  const quoted = (author: string, id: string, quotes?: ReadonlyMap<string, Message | undefined>) => {
    const row = shown([message(1), bens, answer(author, id)], quotes).at(-1)!;
    return row.type === "bubble" ? (row.quoteMissing ? "missing" : row.quoted?.seq) : undefined;
  };
  expect(quoted("anna", "m1")).toBe(1);
  expect(quoted("ben", "m1")).toBe(2);
  expect(quoted("cleo", "m1")).toBeUndefined();
  expect(quoted("cleo", "m1", new Map([["cleo/m1", undefined]]))).toBe("missing");
});
