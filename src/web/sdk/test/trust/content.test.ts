import { expect, test } from "vitest";
import { concat, utf8 } from "../../src/base/bytes.js";
import { levelsOf, parseJson } from "../../src/content/json.js";
import { decodeContent, decodeMessage, encodeMessage, type MessageContent } from "../../src/content/message.js";
import { random, vectors } from "./vectors.js";

const file = vectors("content");
const contentOf = (json: string): MessageContent => {
  const decoded = decodeContent(utf8(json));
  if (decoded.kind !== "content") throw new Error(decoded.kind);
  return decoded.content;
};

test("contents of all types are read and written", () => {
  expect(file.valid).toHaveLength(10);
  for (const { content, json, padded } of file.valid) {
    const { v, ...members } = content;
    expect(v).toBe(1);
    const decoded = contentOf(json);
    expect(decoded).toEqual(members);
    const encoded = encodeMessage(decoded);
    expect(encoded).toHaveLength(padded);
    expect(decodeMessage(encoded)).toEqual({ kind: "content", content: members });
    expect(decodeMessage(concat(encoded, new Uint8Array(encoded.length)))).toEqual({ kind: "malformed" });
    expect(decodeMessage(utf8(json))).toEqual({ kind: "malformed" });
    expect(decodeContent(utf8(JSON.stringify({ ...content, later: [{}] })))).toEqual({ kind: "content", content: members });
  }
});

test("later versions and types are not supported, other contents malformed", () => {
  expect([file.unsupported.length, file.malformed.length]).toEqual([2, 15]);
  for (const json of file.unsupported) expect(decodeContent(utf8(json)), json).toMatchObject({ kind: "unsupported", header: { room: { number: 4 } } });
  for (const json of file.malformed) expect(decodeContent(utf8(json)), json).toEqual({ kind: "malformed" });
});

test("members beyond their limits are malformed", () => {
  const base = JSON.parse(file.valid[0].json);
  const kind = (members: object) => decodeContent(utf8(JSON.stringify({ ...base, ...members }))).kind;
  const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
  const target = { author: base.id, id: base.id };
  const [, , , , , , , , { content: withFile }] = file.valid;
  const each: [object, object][] = [
    [{ ttl: 2 ** 31 }, { ttl: -1 }],
    [{ sent: 0 }, { sent: 2 ** 53 }],
    [{ read: 41 }, { read: null }],
    [{ seen: undefined }, { seen: null }],
    [{ seen: { seq: 255, gap: 255, hashes: [] } }, { seen: { seq: 256, gap: 255, hashes: [] } }],
    [{ id: base.id }, { id: base.id.toUpperCase() }],
    [
      { type: "custom", kind: "k".repeat(64), data: nested(32) },
      { type: "custom", kind: "k", data: nested(33) },
    ],
    [
      { type: "custom", kind: "k", data: null },
      { type: "custom", kind: "k".repeat(65), data: null },
    ],
    [
      { type: "reaction", target, emoji: "👍".repeat(16), removed: true },
      { type: "reaction", target, emoji: "👍".repeat(17) },
    ],
    [
      { type: "reaction", target, emoji: "a", removed: false },
      { type: "reaction", target, emoji: "a", removed: 1 },
    ],
    [
      { type: "delete", target: base.id, seqs: Array(16).fill(1) },
      { type: "delete", target: base.id, seqs: Array(17).fill(1) },
    ],
    [
      { type: "pin", target },
      { type: "pin", target: base.id },
    ],
    [
      { type: "leave", token: "AA" },
      { type: "leave", token: "AB" },
    ],
    [
      { type: "file", files: Array.from({ length: 32 }, () => ({ ...withFile.files[0], alt: undefined, get: "", delete: "", key: "" })) },
      { type: "file", files: Array.from({ length: 33 }, () => withFile.files[0]) },
    ],
    [{ text: "a".repeat(31_000) }, { text: "a".repeat(32_255) }],
  ];
  for (const [good, bad] of each) {
    expect(kind(good), JSON.stringify(good).slice(0, 100)).toBe("content");
    expect(kind(bad), JSON.stringify(bad).slice(0, 100)).toBe("malformed");
  }
  expect(() => encodeMessage({ ...contentOf(file.valid[0].json), type: "text", text: "a".repeat(32_255) })).toThrow(RangeError);
  expect(() => encodeMessage({ ...contentOf(file.valid[0].json), ttl: 0 })).toThrow(TypeError);
});

test("JSON has one value for all readers", () => {
  const parse = (text: string) => parseJson(utf8(text));
  expect(parse(' { "a" : [ 1 , -2 , 0 , true , false , null , "\\u00e4\\n\\ud83d\\ude00" ] } ')).toEqual({ a: [1, -2, 0, true, false, null, "ä\n😀"] });
  expect(parse('{"__proto__":1,"constructor":2}')).toEqual(JSON.parse('{"__proto__":1,"constructor":2}'));
  expect(parse("-0")).toBe(0);
  expect(parse("9007199254740991")).toBe(Number.MAX_SAFE_INTEGER);
  const malformed = ["", "01", "1.0", "1e3", "-", "+1", "9007199254740992", "NaN", "tru", '"\\x"', '"\\ud800"', '"\u0001"', '"', "[1,]", "[,1]", "[1 2]"];
  malformed.push(
    '{"a":1,}',
    '{"a":1,"\\u0061":2}',
    "{a:1}",
    '{"a"}',
    "1 2",
    "\u00a01",
    "\ufeff1",
    "// a\n1",
    "[".repeat(600) + "]".repeat(600),
    "[".repeat(30_000),
  );
  for (const text of malformed) expect(parse(text), text.slice(0, 20)).toBeUndefined();
  expect(parseJson(new Uint8Array([0x22, 0xff, 0x22]))).toBeUndefined();
  expect(levelsOf(parse('[{"a":[]},1]')!)).toBe(3);
});

test("damaged contents are never an error, and agree with JSON.parse where both read them", () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));
  const next = random(seed);
  for (const { json } of file.valid) {
    const bytes = utf8(json);
    for (let length = 0; length < bytes.length; length++) expect(decodeContent(bytes.slice(0, length)).kind, `SEED=${seed}`).toBe("malformed");
    for (let turn = 0; turn < 500; turn++) {
      const damaged = bytes.slice();
      damaged[Math.floor(next() * damaged.length)]! ^= 1 << Math.floor(next() * 8);
      const value = parseJson(damaged);
      if (value !== undefined) expect(value, `SEED=${seed}`).toEqual(JSON.parse(new TextDecoder().decode(damaged)));
      const decoded = decodeContent(damaged);
      if (decoded.kind === "content") expect(decodeMessage(encodeMessage(decoded.content)), `SEED=${seed}`).toEqual(decoded);
    }
  }
});
