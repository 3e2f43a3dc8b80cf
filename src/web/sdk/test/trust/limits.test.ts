import { expect, test } from "vitest";
import { concat, type Bytes } from "../../src/base/bytes.js";
import { decodeContent } from "../../src/content/message.js";
import { decodeChain } from "../../src/trust/chain.js";
import { decodeDeviceList } from "../../src/trust/deviceList.js";
import { decodeState } from "../../src/trust/state.js";
import { decodeStatement } from "../../src/trust/statement.js";
import { fromHex, ruleOf, vectors } from "./vectors.js";

type Piece = string | { repeat: string; times: number } | { from: number; times: number; width: number; before: string; after: string };
interface Case {
  of: keyof typeof outcomes;
  about: string;
  most: number;
  rule: string;
  at?: Piece[];
  above: Piece[];
}

const bigEndian = (number: number, width: number): Bytes => fromHex(number.toString(16).padStart(2 * width, "0"));

function expand(pieces: readonly Piece[]): Bytes {
  const expanded = pieces.map((piece) => {
    if (typeof piece === "string") return fromHex(piece);
    if ("repeat" in piece) return fromHex(piece.repeat.repeat(piece.times));
    const numbers = Array.from({ length: piece.times }, (_, i) => bigEndian(piece.from + i, piece.width));
    return concat(...numbers.map((number) => concat(fromHex(piece.before), number, fromHex(piece.after))));
  });
  return concat(...expanded);
}

/** The rule by which an encoding is refused; undefined when it is accepted. */
const outcomes = {
  state: (encoded: Bytes) => ruleOf(() => decodeState(encoded)),
  statement: (encoded: Bytes) => ruleOf(() => decodeStatement(encoded)),
  deviceList: (encoded: Bytes) => ruleOf(() => decodeDeviceList(encoded)),
  chain: (encoded: Bytes) => ruleOf(() => decodeChain(encoded)),
  content(encoded: Bytes) {
    const { kind } = decodeContent(encoded);
    return kind === "content" ? undefined : kind;
  },
};

test("each limit is accepted at its value, and refused one above", () => {
  const cases = vectors("limits").cases as Case[];
  expect(cases).toHaveLength(30);
  for (const { of, about, rule, at, above } of cases) {
    if (at) expect(outcomes[of](expand(at)), `${about}: at`).toBeUndefined();
    expect(outcomes[of](expand(above)), `${about}: above`).toBe(rule);
  }
});
