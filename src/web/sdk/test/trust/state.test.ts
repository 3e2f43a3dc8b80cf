import { expect, test } from "vitest";
import { toHex } from "../../src/base/bytes.js";
import { decodeFounding, encodeFounding, foundingHash, roomIdOf } from "../../src/trust/founding.js";
import * as states from "../../src/trust/state.js";
import { fromHex, fuzz, ruleOf, vectors } from "./vectors.js";

const founding = vectors("founding");
const state = vectors("state");

test("a founding gives the id of its room", async () => {
  expect(founding.valid).toHaveLength(2);
  for (const each of founding.valid) {
    const decoded = decodeFounding(fromHex(each.encoded));
    expect(decoded).toEqual({
      kind: each.kind === 1 ? "group" : "direct",
      founder: each.founder,
      identity: fromHex(each.identityKey),
      nonce: fromHex(each.nonce),
      ...(each.other ? { other: each.other } : {}),
    });
    expect(toHex(encodeFounding(decoded))).toBe(each.encoded);
    const hash = await foundingHash(fromHex(each.encoded));
    expect(toHex(hash)).toBe(each.hash);
    expect(roomIdOf(hash)).toBe(each.roomId);
    fuzz(fromHex(each.encoded), decodeFounding, encodeFounding);
  }
  expect(founding.invalid).toHaveLength(6);
  for (const { rule, encoded } of founding.invalid) expect(ruleOf(() => decodeFounding(fromHex(encoded)))).toBe(rule);
});

test("states have one encoding and keep later parts", async () => {
  const valid = [...state.valid, ...state.ignored, ...state.critical];
  expect(valid).toHaveLength(5);
  for (const { parts, encoded, hash } of valid) {
    const decoded = states.decodeState(fromHex(encoded));
    expect(states.partsOf(decoded).map(({ type, value }) => ({ type, value: toHex(value) }))).toEqual(parts);
    expect(toHex(states.encodeState(decoded))).toBe(encoded);
    expect(toHex(await states.stateHash(fromHex(encoded)))).toBe(hash);
    expect(states.needsUpdate(decoded)).toBe(state.critical.some((each: { hash: string }) => each.hash === hash));
  }
});

test("the parts of a state are typed", () => {
  const decoded = states.decodeState(fromHex(state.valid[2].encoded));
  expect(decoded.name).toBe("Küche 🥘");
  expect(decoded.timeToLive).toBe(86_400);
  expect(decoded.history).toBe(30);
  expect(decoded.policy).toEqual([
    { action: 1, role: 2 },
    { action: 4, role: 0 },
  ]);
  const [anna, ben] = ["663c49ea-a1db-4bd2-b026-4b014c732122", "4e3096fd-e53e-47a1-9b2c-600b64f7deb2"] as const;
  expect([states.roleOf(decoded, anna), states.roleOf(decoded, ben)]).toEqual([states.owner, states.moderator]);
  expect(states.may(decoded, ben, states.actions.send)).toBe(false);
  expect(states.may(decoded, ben, states.actions.rename)).toBe(true);
  expect(states.may(decoded, ben, states.actions.moderate)).toBe(true);
  expect(states.may(decoded, decoded.bans[0]!, states.actions.rename)).toBe(false);
  expect(decoded.invitations.map(({ user, approval, uses, used }) => ({ user, approval, uses, used: used.length }))).toEqual(
    expect.arrayContaining([
      { user: undefined, approval: false, uses: 2, used: 1 },
      { user: decoded.bans[0], approval: true, uses: 2, used: 0 },
    ]),
  );
  expect(states.withoutPart(decoded, 9)).toBeUndefined();
  expect(states.withoutPart(decoded, 3)?.name).toBeUndefined();
});

test("states that break the specification are rejected", () => {
  expect(state.invalid).toHaveLength(13);
  for (const { rule, encoded } of state.invalid)
    expect(
      ruleOf(() => states.decodeState(fromHex(encoded))),
      encoded,
    ).toBe(rule);
});

test("a name has 1 to 800 bytes, a list of the state its limit", () => {
  const name = (length: number) => states.encodeState({ ...states.emptyState, name: "a".repeat(length) });
  expect(states.decodeState(name(800)).name).toHaveLength(800);
  for (const length of [0, 801]) expect(ruleOf(() => states.decodeState(name(length)))).toBe("text");
  const bans = (length: number) =>
    states.encodeState({ ...states.emptyState, bans: Array.from({ length }, (_, i) => `00000000-0000-4000-8000-${i.toString(16).padStart(12, "0")}`) });
  expect(states.decodeState(bans(4096)).bans).toHaveLength(4096);
  expect(ruleOf(() => states.decodeState(bans(4097)))).toBe("length");
  const later = (length: number) =>
    states.encodeState({ ...states.emptyState, later: Array.from({ length }, (_, i) => ({ type: 9 + i, value: new Uint8Array() })) });
  expect(states.decodeState(later(64)).later).toHaveLength(64);
  expect(ruleOf(() => states.decodeState(later(65)))).toBe("length");
  expect(ruleOf(() => states.decodeState(new Uint8Array(256 * 1024 + 1)))).toBe("length");
});

test("damaged states are rejected or encode to the same bytes", () => {
  // Cut between two parts, a state is a state: only the damage inside parts is refused.
  const encoded = fromHex(state.valid[2].encoded);
  fuzz(
    new Uint8Array([...lengthOf(encoded), ...encoded]),
    (bytes) => states.decodeState(contentOf(bytes)),
    (value) => {
      const content = states.encodeState(value);
      return new Uint8Array([...lengthOf(content), ...content]);
    },
  );
});

/* Two bytes of length before the content make each truncation visible. */
const lengthOf = (content: Uint8Array) => [content.length >> 8, content.length & 255];
function contentOf(bytes: Uint8Array): Uint8Array {
  const content = bytes.subarray(2);
  return content.length === bytes[0]! * 256 + bytes[1]! ? content : new Uint8Array([0]);
}
