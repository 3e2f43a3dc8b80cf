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
