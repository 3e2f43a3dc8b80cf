import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { concat, newId, randomBytes, toHex, type Bytes } from "../../src/base/bytes.js";
import { signDevice } from "../../src/mls/credential.js";
import { generateSigningKey, type KeyPair } from "../../src/mls/ed25519.js";
import { encodeChain, enter, type WelcomeFacts } from "../../src/trust/chain.js";
import { judgeCommit, type CommitFacts } from "../../src/trust/commit.js";
import type { Device } from "../../src/trust/device.js";
import * as lists from "../../src/trust/deviceList.js";
import type { RoomAt } from "../../src/trust/follow.js";
import { decodeFounding, encodeFounding, foundingHash, roomIdOf, type Founding } from "../../src/trust/founding.js";
import * as states from "../../src/trust/state.js";
import { changes, signStatement, type RawChange } from "../../src/trust/statement.js";
import { folder, fromHex, random, vectors } from "./vectors.js";

/* The vectors, and a room of two users that the test makes itself, to change single facts. */
interface Person {
  user: string;
  identity: KeyPair;
  signing: KeyPair;
  device: Device;
}

async function deviceOf(user: string, device: string, identity: KeyPair, signing: KeyPair): Promise<Device> {
  const approval = await signDevice(identity.privateKey, user, device, signing.publicKey);
  return { user, device, identity: copyOf(identity.publicKey), approval, signatureKey: copyOf(signing.publicKey) };
}
const copyOf = (bytes: Uint8Array): Bytes => new Uint8Array(bytes);

async function person(): Promise<Person> {
  const [identity, signing] = await Promise.all([generateSigningKey(), generateSigningKey()]);
  const user = newId();
  return { user, identity, signing, device: await deviceOf(user, newId(), identity, signing) };
}

const [anna, ben] = await Promise.all([person(), person()]);
const founding: Founding = { kind: "group", founder: anna.user, identity: anna.device.identity, nonce: randomBytes(16) };
const hashOfFounding = await foundingHash(encodeFounding(founding));
const room = roomIdOf(hashOfFounding);

/** A list of Anna's one device by another identity than before. */
async function renewal(after: KeyPair): Promise<Bytes> {
  const { user, identity, signing, device } = anna;
  const listed = await lists.signListedDevice(
    user,
    { device: device.device, signatureKey: device.signatureKey, linkKey: randomBytes(32), since: 1 },
    signing.privateKey,
  );
  const content = {
    user,
    username: "anna",
    number: 2,
    previous: randomBytes(32),
    identity: copyOf(after.publicKey),
    devices: [listed],
    reason: 4,
    signer: device.device,
  };
  const seeds = { identity: after.privateKey, device: signing.privateKey, identityBefore: identity.privateKey };
  return lists.encodeDeviceList(await lists.signDeviceList(content, seeds));
}

async function sign(
  from: Partial<RoomAt>,
  place: { generation: number; epoch: number },
  all: RawChange[],
  after: states.RoomState,
  by: Device,
  seed: Uint8Array,
) {
  const before = from.state ?? states.emptyState;
  return signStatement(
    {
      room,
      ...place,
      number: (from.head?.number ?? 0) + 1,
      previous: from.head?.hash ?? hashOfFounding,
      before: await states.stateHash(states.encodeState(before)),
      state: await states.stateHash(states.encodeState(after)),
      changes: all,
    },
    { device: by, seed },
  );
}

const roster = (identity: Uint8Array, list = 0): states.RoomState => ({
  ...states.emptyState,
  roster: [
    { user: anna.user, identity: copyOf(identity), since: 1, list },
    { user: ben.user, identity: ben.device.identity, since: 1, list: 0 },
  ].toSorted((a, b) => (a.user < b.user ? -1 : 1)),
  roles: [{ user: anna.user, role: states.owner }],
});

const first = await sign(
  {},
  { generation: 0, epoch: 0 },
  [changes.add(anna.user, anna.device.identity, states.owner, 0), changes.add(ben.user, ben.device.identity, states.member, 0)],
  roster(anna.device.identity),
  anna.device,
  anna.signing.privateKey,
);

const facts: CommitFacts = {
  room,
  founding,
  foundingHash: hashOfFounding,
  generation: 0,
  epoch: 0,
  state: states.emptyState,
  head: undefined,
  statement: first,
  before: [anna.device],
  after: [anna.device, ben.device],
  committer: anna.device,
  committerAfter: anna.device,
  isPrivate: true,
  proposals: [{ kind: "add", leaf: ben.device }],
  hasPath: false,
};

async function founded(): Promise<RoomAt> {
  const result = await judgeCommit(facts);
  if (!result.ok) throw new Error(result.rule);
  return result;
}

test("the first Commit of a room founds it, and only with its statement and approved leaves", async () => {
  expect(await founded()).toMatchObject({ head: { number: 1 } });
  expect(await judgeCommit({ ...facts, statement: undefined })).toEqual({ ok: false, rule: "leaf" });
  expect(await judgeCommit({ ...facts, after: [anna.device, { ...ben.device, approval: new Uint8Array(64) }] })).toEqual({ ok: false, rule: "leaf" });
  expect(await judgeCommit({ ...facts, committer: ben.device })).toEqual({ ok: false, rule: "author" });
});

test("a user renews its identity in the reset that its device founds, and the others enter", async () => {
  const at = await founded();
  const after = await generateSigningKey();
  const renewed = await deviceOf(anna.user, anna.device.device, after, anna.signing);
  const state = roster(after.publicKey, 2);
  const statement = await sign(at, { generation: 1, epoch: 0 }, [changes.renew(await renewal(after))], state, renewed, anna.signing.privateKey);
  const reset: CommitFacts = {
    ...facts,
    ...at,
    generation: 1,
    statement,
    before: [renewed],
    after: [renewed, ben.device],
    committer: renewed,
    committerAfter: renewed,
    groupBefore: [anna.device, ben.device],
  };
  expect(await judgeCommit(reset)).toMatchObject({ ok: true, head: { number: 2 }, state });
  // The same renewal in an ordinary Commit is by another user.
  expect(await judgeCommit({ ...reset, epoch: 3, generation: 1 })).toMatchObject({ ok: false, rule: "epoch" });
  // The signer was no leaf of the group before.
  expect(await judgeCommit({ ...reset, groupBefore: [ben.device] })).toEqual({ ok: false, rule: "change" });
  expect(await judgeCommit({ ...reset, groupBefore: undefined })).toEqual({ ok: false, rule: "change" });
  const more = [changes.renew(await renewal(after)), changes.role(ben.user, states.admin)];
  const two = await sign(at, { generation: 1, epoch: 0 }, more, state, renewed, anna.signing.privateKey);
  expect(await judgeCommit({ ...reset, statement: two })).toEqual({ ok: false, rule: "change" });

  const welcome: WelcomeFacts = {
    extension: encodeChain({ founding: encodeFounding(founding), base: new Uint8Array(), statements: [first, statement] }),
    room,
    generation: 1,
    epoch: 1,
    leaves: [renewed, ben.device],
    signer: renewed,
    user: ben.user,
    known: { head: at.head, foundingHash: hashOfFounding, confirmed: true, followedRemoval: false, agreed: false },
    newest: { generation: 0, epoch: 1 },
    logGeneration: 1,
    groupBefore: [anna.device, ben.device],
  };
  expect(await enter(welcome)).toMatchObject({ ok: true, isReset: true, confirmed: true, head: { number: 2 }, state, missing: [], added: [] });
  expect(await enter({ ...welcome, known: { ...welcome.known!, head: { number: 1, hash: randomBytes(32) } } })).toEqual({ ok: false, rule: "head" });
  expect(await enter({ ...welcome, known: undefined })).toMatchObject({ ok: true, confirmed: false });
  expect(await enter({ ...welcome, groupBefore: [ben.device] })).toEqual({ ok: false, rule: "change" });
  expect(await enter({ ...welcome, generation: 2 })).toEqual({ ok: false, rule: "head" });
});

const file = vectors("resets");
const group = vectors("statements").group;

interface ShownLeaf {
  user: string;
  device: string;
  identityKey: string;
  signatureKey: string;
  approval: string;
}
const leafOf = (leaf: ShownLeaf): Device => ({
  user: leaf.user,
  device: leaf.device,
  identity: fromHex(leaf.identityKey),
  approval: fromHex(leaf.approval),
  signatureKey: fromHex(leaf.signatureKey),
});
const headOf = (number: number) => ({ number, hash: fromHex(group.valid[number - 1].hash) });
const commonFacts = async () => {
  const encoded = fromHex(group.founding);
  return { room: file.roomId as string, founding: decodeFounding(encoded), foundingHash: await foundingHash(encoded) };
};

test("the vectors of the first Commit of a reset", async () => {
  const { valid, invalid } = file.commits;
  expect([valid.length, invalid.length]).toEqual([5, 13]);
  for (const each of [...valid, ...invalid]) {
    const committer = leafOf(each.committer);
    const added = each.add.map(leafOf) as Device[];
    const result = await judgeCommit({
      ...(await commonFacts()),
      generation: each.generation,
      epoch: each.epoch,
      state: states.decodeState(fromHex(group.valid[each.head - 1].state)),
      head: headOf(each.head),
      ...(each.statement ? { statement: fromHex(each.statement) } : {}),
      before: [committer],
      after: [committer, ...added],
      committer,
      committerAfter: committer,
      isPrivate: true,
      proposals: added.map((leaf) => ({ kind: "add", leaf })),
      hasPath: true,
      groupBefore: each.groupBefore.map(leafOf),
    });
    if (each.rule) expect(result, each.about).toEqual({ ok: false, rule: each.rule });
    else if (!result.ok) expect.fail(`${each.about}: ${result.rule}`);
    else expect([toHex(states.encodeState(result.state)), toHex(result.head.hash)], each.about).toEqual([each.state, each.hash]);
  }
});

test("the vectors of the Welcome of a reset", async () => {
  const { valid, invalid } = file.welcomes;
  expect([valid.length, invalid.length]).toEqual([4, 8]);
  const { foundingHash: hash } = await commonFacts();
  const devices = (all: Device[]) => all.map(({ device }) => device);
  for (const each of [...valid, ...invalid]) {
    const leaves = each.leaves.map(leafOf) as Device[];
    const known = each.known === null ? undefined : { head: headOf(each.known), foundingHash: hash, confirmed: true, followedRemoval: false, agreed: false };
    const result = await enter({
      extension: fromHex(each.encoded),
      room: file.roomId,
      generation: each.generation,
      epoch: each.epoch,
      leaves,
      signer: leaves.find(({ device }) => device === each.signer),
      user: each.user,
      ...(known ? { known } : {}),
      groupBefore: each.groupBefore.map(leafOf),
    });
    if (each.rule) expect(result, each.about).toEqual({ ok: false, rule: each.rule });
    else if (!result.ok) expect.fail(`${each.about}: ${result.rule}`);
    else {
      expect([toHex(states.encodeState(result.state)), toHex(result.head.hash)], each.about).toEqual([each.state, each.hash]);
      expect([devices(result.missing), devices(result.added), result.isReset, result.confirmed], each.about).toEqual([each.missing, each.added, true, true]);
    }
  }
});

test("damaged statements and chains are refused and never an error", async () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));
  const next = random(seed);
  const extension = encodeChain({ founding: encodeFounding(founding), base: new Uint8Array(), statements: [first] });
  const welcome = { room, generation: 0, epoch: 1, leaves: [anna.device, ben.device], signer: anna.device, user: ben.user };
  expect(await enter({ ...welcome, extension })).toMatchObject({ ok: true });
  for (let turn = 0; turn < 300; turn++) {
    const damage = (bytes: Bytes) => {
      const copy = copyOf(bytes);
      copy[Math.floor(next() * copy.length)]! ^= 1 << Math.floor(next() * 8);
      return turn % 3 === 0
        ? copyOf(bytes.subarray(0, Math.floor(next() * bytes.length)))
        : turn % 3 === 1
          ? copy
          : concat(bytes, copy.subarray(0, 1 + (turn % 9)));
    };
    expect((await judgeCommit({ ...facts, statement: damage(first) })).ok, `SEED=${seed}`).toBe(false);
    expect((await enter({ ...welcome, extension: damage(extension) })).ok, `SEED=${seed}`).toBe(false);
  }
});

test("the tests of this folder read all files of vectors", () => {
  const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
  const here = new URL("./", import.meta.url);
  const tests = readdirSync(here).filter((name) => name.endsWith(".test.ts"));
  const text = tests.map((name) => readFileSync(new URL(name, here), "utf8")).join("");
  expect(files).toHaveLength(16);
  for (const name of files) expect(text).toContain(`vectors("${name.slice(0, -5)}")`);
});
