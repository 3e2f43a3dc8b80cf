import { expect, test } from "vitest";
import { concat, fromHex } from "../src/base/bytes.js";
import { generateSigningKey, sign, verify } from "../src/mls/ed25519.js";

const message = new Uint8Array([1, 2, 3]);
const order = 2n ** 252n + 27742317777372353535851937790883648493n;

const toNumber = (bytes: Uint8Array) => bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
const toBytes = (value: bigint) => Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 255n));

/** Encodings of the points whose order divides 8, and the other encodings that decoders accept for them. */
const small = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0000000000000000000000000000000000000000000000000000000000000080",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000080",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
].map(fromHex);

test("a valid signature is accepted, and no other message, key or length", async () => {
  const { privateKey, publicKey } = await generateSigningKey();
  const signature = await sign(privateKey, message);
  expect(await verify(publicKey, message, signature)).toBe(true);
  expect(await verify(publicKey, new Uint8Array([1, 2]), signature)).toBe(false);
  expect(await verify((await generateSigningKey()).publicKey, message, signature)).toBe(false);
  expect(await verify(publicKey.subarray(1), message, signature)).toBe(false);
  expect(await verify(publicKey, message, signature.subarray(1))).toBe(false);
});

test("an S that is not below the order is refused", async () => {
  const { privateKey, publicKey } = await generateSigningKey();
  const signature = await sign(privateKey, message);
  const s = toNumber(signature.subarray(32));
  expect(await verify(publicKey, message, concat(signature.subarray(0, 32), toBytes(s)))).toBe(true);
  expect(await verify(publicKey, message, concat(signature.subarray(0, 32), toBytes(s + order)))).toBe(false);
});

test("keys and R of small order are refused in all their encodings, with S = 0 too", async () => {
  const { publicKey } = await generateSigningKey();
  const zero = new Uint8Array(32);
  for (const point of small) {
    for (const r of small) expect(await verify(point, message, concat(r, zero))).toBe(false);
    expect(await verify(publicKey, message, concat(point, zero))).toBe(false);
  }
});

test("a key that is not canonical is refused", async () => {
  // y = p + 3 has the point of y = 3.
  expect(await verify(toBytes(2n ** 255n - 19n + 3n), message, new Uint8Array(64))).toBe(false);
});
