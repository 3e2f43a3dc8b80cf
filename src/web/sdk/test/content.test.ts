import { expect, test } from "vitest";
import { safetyNumber } from "../src/account/people.js";
import { deviceCode } from "../src/account/deviceRecord.js";
import { newId, randomBytes } from "../src/base/bytes.js";
import { canBeRead, decodeContent, encodeContent, requirementOf, type Content } from "../src/content/content.js";
import { buckets, maxContentBytes, pad, unpad } from "../src/content/padding.js";

test("padding fills up to the next size and is removed exactly", () => {
  for (const length of [0, 1, 254, 255, 256, 511, 512, 5000, maxContentBytes]) {
    const content = randomBytes(length).map((byte) => (length % 2 ? byte : 0));
    const padded = pad(content);
    expect(buckets).toContain(padded.length);
    expect(unpad(padded)).toEqual(content);
  }
  expect(() => pad(new Uint8Array(maxContentBytes + 1))).toThrow(RangeError);
  expect(unpad(new Uint8Array(256))).toBeUndefined();
  expect(unpad(new Uint8Array())).toBeUndefined();
});

test("every content is decoded as it was encoded", () => {
  const target = newId();
  const all: Content[] = [
    { type: "text", text: "naïve 🙂\n" },
    { type: "reply", to: target, text: "" },
    { type: "edit", target, text: "x" },
    { type: "delete", target },
    { type: "reaction", target, emoji: "👍" },
    { type: "reaction", target, emoji: "👍", removed: true },
    { type: "receipt", upTo: 7 },
    { type: "name", name: "Lunch" },
    { type: "custom", kind: "poll", data: { a: [1, null] } },
  ];
  for (const content of all) {
    const id = newId();
    expect(decodeContent(pad(encodeContent({ id, content })))).toEqual({ id, content });
  }
});

test("a read position is sent with a content, unless it does not fit or is not a place", () => {
  const id = newId();
  const text = (length: number): Content => ({ type: "text", text: "x".repeat(length) });
  expect(decodeContent(pad(encodeContent({ id, content: text(5), read: 12 })))).toEqual({ id, content: text(5), read: 12 });
  const full = text(maxContentBytes - encodeContent({ id, content: text(0) }).length);
  expect(decodeContent(pad(encodeContent({ id, content: full, read: 12 })))).toEqual({ id, content: full });
  for (const read of [-1, 1e300, "12", null, {}])
    expect(decodeContent(pad(new TextEncoder().encode(JSON.stringify({ v: 1, id, type: "text", text: "x", read }))))).toEqual({ id, content: text(1) });
});

test("invalid content of a modified client is malformed, and decoding does not throw", () => {
  const id = newId();
  const bad: unknown[] = [
    null,
    1,
    "x",
    [],
    {},
    { v: 2, type: "text", text: "x" },
    { v: "2", id, type: "text", text: "x" },
    { v: 1, type: "text", text: "x" },
    { v: 1, id: "../..", type: "text", text: "x" },
    { v: 1, id, type: "text" },
    { v: 1, id, type: "text", text: 5 },
    { v: 1, id, type: "text", text: "\ud800" },
    { v: 1, id, type: "reaction", target: id, emoji: "x".repeat(100) },
    { v: 1, id, type: "receipt", upTo: -1 },
    { v: 1, id, type: "receipt", upTo: 1e300 },
    { v: 1, id, type: "edit", target: {}, text: "" },
    { v: 1, id, type: "x".repeat(100) },
    { v: 1, id, type: "" },
    { v: 1, id, type: "reaction", target: id, emoji: "__proto__" },
    { v: 1, id, type: "custom", kind: "x", data: JSON.parse(`{"a":[{"__proto__":1}]}`) },
    { v: 1, id, type: "__proto__" },
    { v: 1, id, type: { toString: 1 } },
  ];
  for (const value of bad)
    expect(decodeContent(pad(new TextEncoder().encode(JSON.stringify(value)))), JSON.stringify(value).slice(0, 100)).toMatchObject({ type: "malformed" });
  const deep = `{"v":1,"id":"${id}","type":"custom","kind":"x","data":${"[".repeat(9000)}${"]".repeat(9000)}}`;
  expect(decodeContent(pad(new TextEncoder().encode(deep)))).toMatchObject({ type: "malformed" });
  for (let i = 0; i < 2000; i++) expect(decodeContent(i % 2 ? randomBytes(i % 600) : pad(randomBytes(i % 600)))).toMatchObject({ type: "malformed" });
});

test("content that cannot be decoded again is rejected before it is sent, with its field", () => {
  expect(canBeRead({ type: "name", name: "n".repeat(200) })).toBe(true);
  expect(canBeRead({ type: "name", name: "n".repeat(201) })).toBe(false);
  expect(requirementOf("name")).toContain("name must be");
  expect(requirementOf("text")).toContain("text must be");
});

test("a type or version of a later client is unsupported and keeps its id, and unknown fields are ignored", () => {
  const id = newId();
  const read = (value: unknown) => decodeContent(pad(new TextEncoder().encode(JSON.stringify(value))));
  expect(read({ v: 1, id, type: "poll.v2", options: ["a", { deep: [null] }] })).toEqual({ id, content: { type: "unsupported", name: "poll.v2" } });
  expect(read({ v: 2, id, type: "text", text: "x" })).toEqual({ id, content: { type: "unsupported", name: "text" } });
  expect(read({ v: 3, id })).toEqual({ id, content: { type: "unsupported", name: "" } });
  expect(read({ v: 1, id, type: "unsupported", name: "x" })).toEqual({ id, content: { type: "unsupported", name: "unsupported" } });
  for (const content of [
    { type: "text", text: "x" },
    { type: "reply", to: id, text: "x" },
    { type: "reaction", target: id, emoji: "👍" },
  ] as const)
    expect(read({ v: 1, id, ...content, mentions: [id], later: { a: 1 } })).toEqual({ id, content });
});

test("safety numbers are equal for both users and differ for each pair, and device codes differ for each device", async () => {
  const [a, b, c] = Array.from({ length: 3 }, () => ({ userId: newId(), identityKey: randomBytes(32) }));
  const number = await safetyNumber(a!, b!);
  expect(number).toMatch(/^(\d{5} ){11}\d{5}$/);
  expect(await safetyNumber(b!, a!)).toBe(number);
  expect(await safetyNumber(a!, c!)).not.toBe(number);
  const device = { id: newId(), signatureKey: randomBytes(32), linkKey: randomBytes(32) };
  expect(await deviceCode(device)).toMatch(/^(\d{5} ){5}\d{5}$/);
  expect(await deviceCode({ ...device, linkKey: randomBytes(32) })).not.toBe(await deviceCode(device));
});
