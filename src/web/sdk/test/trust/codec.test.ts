import { expect, test } from "vitest";
import { toHex } from "../../src/base/bytes.js";
import * as codec from "../../src/trust/codec.js";
import { fromHex, ruleOf, vectors } from "./vectors.js";

const encoding = vectors("encoding");

test("the headers of vectors have one form", () => {
  expect(encoding.headers).toHaveLength(7);
  for (const { length, header } of encoding.headers) {
    if (length > 2 ** 20) {
      expect(ruleOf(() => new codec.Reader(fromHex(header)).vector())).toBe("length");
      continue;
    }
    const encoded = codec.vector(new Uint8Array(length));
    expect(toHex(encoded.subarray(0, encoded.length - length))).toBe(header);
    expect(codec.decode(encoded, (reader) => reader.vector())).toHaveLength(length);
  }
  expect(encoding.invalidHeaders).toHaveLength(8);
  for (const header of encoding.invalidHeaders) {
    const bytes = new Uint8Array(20_000);
    bytes.set(fromHex(header));
    const padded = header.length < 8 ? fromHex(header) : bytes;
    expect(
      ruleOf(() => new codec.Reader(padded).vector()),
      header,
    ).toBe("length");
  }
});

test("hashes and signatures have labels", async () => {
  expect(encoding.hashes).toHaveLength(5);
  for (const { name, value, hash } of encoding.hashes) expect(toHex(await codec.hash(name, fromHex(value)))).toBe(hash);
  const { seed, key, name, value, signature } = encoding.signature;
  expect(toHex(await codec.signLabelled(fromHex(seed), name, fromHex(value)))).toBe(signature);
  expect(await codec.verifyLabelled(fromHex(key), name, fromHex(value), fromHex(signature))).toBe(true);
  expect(await codec.verifyLabelled(fromHex(key), "State", fromHex(value), fromHex(signature))).toBe(false);
});

test("signatures that only some libraries accept are refused", async () => {
  expect(encoding.invalidSignatures).toHaveLength(4);
  for (const { about, key, name, value, signature } of encoding.invalidSignatures)
    expect(await codec.verifyLabelled(fromHex(key), name, fromHex(value), fromHex(signature)), about).toBe(false);
});

test("a number above 2^53 - 1, a boolean of 2 and bytes after the end are rejected", () => {
  expect(codec.decode(fromHex("001fffffffffffff"), (reader) => reader.uint64())).toBe(Number.MAX_SAFE_INTEGER);
  expect(toHex(codec.uint64(Number.MAX_SAFE_INTEGER))).toBe("001fffffffffffff");
  expect(ruleOf(() => codec.decode(fromHex("0020000000000000"), (reader) => reader.uint64()))).toBe("number");
  expect(ruleOf(() => codec.decode(fromHex("02"), (reader) => reader.boolean()))).toBe("length");
  expect(ruleOf(() => codec.decode(fromHex("0100"), (reader) => reader.uint8()))).toBe("length");
  expect(
    ruleOf(() =>
      codec.decode(fromHex("020201"), (reader) =>
        reader.list(
          (each) => each.uint8(),
          (each) => each,
        ),
      ),
    ),
  ).toBe("order");
  expect(ruleOf(() => codec.decode(fromHex("02c328"), (reader) => reader.text()))).toBe("length");
  expect(() => codec.uint8(256)).toThrow(RangeError);
  expect(() => codec.uint64(2 ** 53)).toThrow(RangeError);
});

test("base64url has one form", () => {
  expect(codec.fromBase64Url(codec.toBase64Url(fromHex("fbff00")))).toEqual(fromHex("fbff00"));
  for (const text of ["AA==", "A", "AB", "+/+/", "AAAA\n"]) expect(codec.fromBase64Url(text), text).toBeUndefined();
});
