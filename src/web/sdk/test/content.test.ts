import { expect, test } from "vitest";
import { deviceCode } from "../src/account/deviceRecord.js";
import { newId, randomBytes } from "../src/base/bytes.js";
import type { Content } from "../src/content/content.js";
import { buckets, maxContentBytes, pad, unpad } from "../src/content/padding.js";
import { fromStored, toStored, type Stored } from "../src/content/stored.js";
import { checkContent } from "../src/rooms/contents.js";
import { pack, unpack } from "../src/store/store.js";

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

test("a content is stored and read again, also with a key that the store's encoding refuses", () => {
  const data: unknown = JSON.parse('{"a":[{"__proto__":{"b":1}}]}');
  const content = { type: "custom", kind: "poll", data } as const;
  const stored = unpack<Stored<typeof content>>(pack(toStored(content)));
  expect(JSON.stringify(fromStored(stored))).toBe(JSON.stringify(content));
  const text = { type: "text", text: "x" } as const;
  expect(fromStored(toStored(text))).toEqual(text);
});

test("a content that receivers would find malformed is refused with its field", () => {
  const id = newId();
  expect(checkContent(id, { type: "custom", kind: "k", data: { a: undefined, b: 1 } }, undefined)).toEqual({ type: "custom", kind: "k", data: { b: 1 } });
  const refusal = (content: Content, ttl?: number) => {
    try {
      checkContent(id, content, ttl);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(refusal({ type: "text", text: "\ud800" })).toContain("text must be");
  expect(refusal({ type: "reaction", target: { author: id, id }, emoji: "" })).toContain("emoji a string");
  expect(refusal({ type: "reply", to: { author: "anna", id }, text: "x" })).toContain("to must be");
  expect(refusal({ type: "text", text: "x" }, 0)).toContain("timeToLiveSeconds");
  expect(refusal({ type: "poll" } as unknown as Content)).toContain('sends no content of the type "poll"');
});

test("device codes differ for each device", async () => {
  const device = { id: newId(), signatureKey: randomBytes(32), linkKey: randomBytes(32) };
  expect(await deviceCode(device)).toMatch(/^(\d{5} ){5}\d{5}$/);
  expect(await deviceCode({ ...device, linkKey: randomBytes(32) })).not.toBe(await deviceCode(device));
});
