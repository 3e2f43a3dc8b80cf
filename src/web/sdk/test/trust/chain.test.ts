import { expect, test } from "vitest";
import { toHex } from "../../src/base/bytes.js";
import { decodeChain, encodeChain, enter, extensionType, most, type KnownRoom, type WelcomeFacts } from "../../src/trust/chain.js";
import type { Device } from "../../src/trust/device.js";
import { foundingHash } from "../../src/trust/founding.js";
import { encodeState } from "../../src/trust/state.js";
import { decodeStatement } from "../../src/trust/statement.js";
import { fromHex, fuzz, ruleOf, vectors } from "./vectors.js";

const file = vectors("welcome");
const statements = vectors("statements");
const leaves = new Map<string, Device>();
for (const { before, add } of [...vectors("commits").valid, ...vectors("commits").invalid.slice(0, 1)])
  for (const leaf of [...before, ...add])
    leaves.set(`${leaf.device} ${leaf.identityKey}`, {
      user: leaf.user,
      device: leaf.device,
      identity: fromHex(leaf.identityKey),
      approval: fromHex(leaf.approval),
      signatureKey: fromHex(leaf.signatureKey),
    });

/** The leaf of the author of the newest statement. */
function authorOf(encoded: string): Device {
  const chain = decodeChain(fromHex(encoded));
  return decodeStatement(chain.statements.at(-1)!).author;
}

/** A Welcome into the epoch after the newest statement. */
function factsOf({ user, encoded }: { user: string; encoded: string }, fields: Partial<WelcomeFacts> = {}): WelcomeFacts {
  const newest = decodeStatement(decodeChain(fromHex(encoded)).statements.at(-1)!);
  const author = authorOf(encoded);
  return {
    extension: fromHex(encoded),
    room: file.roomId,
    generation: newest.generation,
    epoch: newest.epoch + 1,
    leaves: [author],
    signer: author,
    user,
    ...fields,
  };
}

const knownAt = async (number: number, fields: Partial<KnownRoom> = {}): Promise<KnownRoom> => ({
  head: { number, hash: fromHex(statements.group.valid[number - 1].hash) },
  foundingHash: await foundingHash(fromHex(statements.group.founding)),
  confirmed: true,
  followedRemoval: false,
  agreed: false,
  ...fields,
});

test("a new device follows the chain to the state of the room, which is not confirmed", async () => {
  expect(file.type).toBe(extensionType.toString(16));
  expect(file.valid).toHaveLength(3);
  for (const each of file.valid) {
    const result = await enter(factsOf(each, each.head === 11 ? { leaves: [...benOnly(), authorOf(each.encoded)] } : {}));
    expect(result).toMatchObject({ ok: true, head: { number: each.head }, confirmed: false, isReset: false });
    if (!result.ok) continue;
    expect(toHex(encodeState(result.state))).toBe(each.state);
    expect(toHex(result.head.hash)).toBe(statements.group.valid[each.head - 1].hash);
    expect(toHex(encodeChain(decodeChain(fromHex(each.encoded))))).toBe(each.encoded);
  }
});

const benOnly = () => [...leaves.values()].filter((leaf) => leaf.user === statements.group.valid[3].author.user).slice(0, 1);

test("a device that knows the room enters when the chain continues what it knows", async () => {
  expect(file.known).toHaveLength(6);
  for (const each of file.known) {
    const known = await knownAt(each.stored, { followedRemoval: each.followedRemoval ?? false });
    const result = await enter(factsOf(each, { known }));
    expect(result, each.about).toMatchObject(each.enters ? { ok: true, confirmed: !each.followedRemoval } : { ok: false, rule: "head" });
  }
  const decided = file.known[5];
  expect(await enter(factsOf(decided, { known: await knownAt(1) }))).toEqual({ ok: false, rule: "head", person: true });
  expect(await enter(factsOf(decided, { known: await knownAt(1, { agreed: true }) }))).toMatchObject({ ok: true, confirmed: false });
  const fork = await knownAt(3, { agreed: true, head: { number: 3, hash: new Uint8Array(32) } });
  expect(await enter(factsOf(file.known[0], { known: fork }))).toEqual({ ok: false, rule: "head" });
});

test("invalid chains name their rule", async () => {
  expect(file.invalid).toHaveLength(6);
  for (const each of file.invalid) expect(await enter(factsOf(each)), each.about ?? each.rule).toEqual({ ok: false, rule: each.rule });
});

test("a Welcome is later than the device's groups, near the log, above its statements and signed by a leaf", async () => {
  const [, each] = file.valid;
  const { generation, epoch } = factsOf(each);
  const rule = async (fields: Partial<WelcomeFacts>) => {
    const result = await enter(factsOf(each, fields));
    return result.ok ? undefined : result.rule;
  };
  expect(await rule({ newest: { generation, epoch: epoch - 1 } })).toBeUndefined();
  expect(await rule({ newest: { generation, epoch } })).toBe("epoch");
  expect(await rule({ newest: { generation: generation + 1, epoch: 0 } })).toBe("generation");
  expect(await rule({ generation: 16, epoch: 2, logGeneration: 0 })).toBeUndefined();
  expect(await rule({ generation: 17, epoch: 2, logGeneration: 0 })).toBe("generation");
  expect(await rule({ epoch: epoch - 1 })).toBe("epoch");
  expect(await rule({ signer: undefined })).toBe("leaf");
  expect(await rule({ signer: benOnly()[0] })).toBe("leaf");
  const [author] = factsOf(each).leaves;
  expect(await rule({ leaves: [author, undefined] })).toBe("leaf");
  expect(await rule({ leaves: [author, author] })).toBe("device");
  expect(await rule({ leaves: [author, { ...author!, approval: new Uint8Array(64) }] })).toBe("leaf");
});

test("a new own device enters no group that is older than the one that its approving device knew", async () => {
  const [each] = file.known;
  const { generation } = factsOf(each);
  const enters = async (of: number) => enter(factsOf(each, { known: await knownAt(each.stored, { generation: of }) }));
  expect(await enters(generation)).toMatchObject({ ok: true });
  expect(await enters(generation + 1)).toEqual({ ok: false, rule: "generation" });
});

test("a reset is entered with the statement that is the head", async () => {
  const signer = authorOf(file.valid[0].encoded);
  const chain = (from: number, to: number) => ({
    founding: fromHex(statements.group.founding),
    base: fromHex(statements.group.valid[from - 2].state),
    statements: statements.group.valid.slice(from - 1, to).map((each: { encoded: string }) => fromHex(each.encoded)),
  });
  const reset = async (from: number, to: number, stored: number, fields: Partial<WelcomeFacts> = {}) =>
    enter({
      extension: encodeChain(chain(from, to)),
      room: file.roomId,
      generation: 2,
      epoch: 1,
      leaves: [signer],
      signer,
      user: signer.user,
      known: await knownAt(stored),
      groupBefore: [signer, ...benOnly()],
      ...fields,
    });
  expect(await reset(5, 5, 5)).toMatchObject({ ok: true, isReset: true, confirmed: true, missing: benOnly(), added: [] });
  expect(await reset(5, 5, 4)).toEqual({ ok: false, rule: "head" });
  expect(await reset(2, 3, 3)).toEqual({ ok: false, rule: "head" });
  expect(await reset(2, 3, 2)).toEqual({ ok: false, rule: "head" });
  expect(await reset(5, 5, 5, { groupBefore: benOnly() })).toEqual({ ok: false, rule: "leaf" });
});

test("damaged chains are rejected or encode to the same bytes, and a chain has limits", () => {
  fuzz(fromHex(file.valid[0].encoded), decodeChain, encodeChain);
  const [one] = decodeChain(fromHex(file.valid[0].encoded)).statements;
  const chain = { founding: new Uint8Array(), base: new Uint8Array(), statements: Array.from({ length: most.statements }, () => new Uint8Array(700)) };
  expect(decodeChain(encodeChain(chain)).statements).toHaveLength(512);
  expect(() => encodeChain({ ...chain, statements: [...chain.statements, one!] })).toThrow(RangeError);
  expect(() => encodeChain({ ...chain, statements: [] })).toThrow(RangeError);
  expect(() => encodeChain({ ...chain, base: new Uint8Array(384 * 1024) })).toThrow(RangeError);
  expect(ruleOf(() => decodeChain(fromHex("0001000000")))).toBe("length");
});
