import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { fromHex, type Bytes } from "../../src/base/bytes.js";
import { FormatError, type RuleName } from "../../src/trust/rules.js";

export const folder = new URL("../../../../../tests/trust-vectors/", import.meta.url);

/** The vectors of one file. Their shape is that of `tests/trust-vectors/*.mjs`. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export const vectors = (name: string): any => JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8"));

/** The rule of the `FormatError` that `read` throws; undefined when it returns. */
export function ruleOf(read: () => unknown): RuleName | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return (error as FormatError).rule;
  }
}

/** Numbers from 0 to 1 that a seed determines (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Damages an encoding in all ways that a fuzzer can: every truncation is refused, and what is accepted after flips of bits encodes to the same bytes again.
 * `SEED` in the environment repeats a run.
 */
export function fuzz<T>(encoded: Bytes, decode: (bytes: Bytes) => T, encode: (value: T) => Uint8Array, turns = 400): void {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));
  const next = random(seed);
  const about = `SEED=${seed}`;
  expect(encode(decode(encoded)), about).toEqual(encoded);
  for (let length = 0; length < encoded.length; length++)
    expect(
      ruleOf(() => decode(encoded.slice(0, length))),
      about,
    ).toBeDefined();
  for (let turn = 0; turn < turns; turn++) {
    const damaged = encoded.slice();
    for (let flips = 1 + Math.floor(next() * 3); flips > 0; flips--) damaged[Math.floor(next() * damaged.length)]! ^= 1 << Math.floor(next() * 8);
    let value: T;
    try {
      value = decode(damaged);
    } catch (error) {
      expect(error, about).toBeInstanceOf(FormatError);
      continue;
    }
    expect(encode(value), about).toEqual(damaged);
  }
}

export { fromHex };
