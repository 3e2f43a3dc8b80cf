import { describe, expect, test } from "vitest";
import { concat, equal, newId, randomBytes, toHex } from "../src/base/bytes.js";
import { decodeCredential, encodeCredential } from "../src/mls/credential.js";
import { verify } from "../src/mls/ed25519.js";
import { Group, groupIdOf, messagesPerEpoch } from "../src/mls/group.js";
import type { ClientState } from "ts-mls";
import { createCommit } from "ts-mls/createCommit.js";
import { signKeyPackage } from "ts-mls/keyPackage.js";
import { signLeafNodeKeyPackage, type LeafNodeKeyPackage } from "ts-mls/leafNode.js";
import { decodePackageMessage, encodeMessage, readHeader, readKeyPackage, welcomeReferences } from "../src/mls/messages.js";
import { suite } from "../src/mls/suite.js";
import { openSignal, sealSignal } from "../src/rooms/signals.js";
import { bytesOf, foundBy, newDevice, newUser, packageOf, stored, textOf, type TestDevice } from "./people.js";

async function pair(): Promise<{ a: Group; b: Group }> {
  const [ann, ben] = await Promise.all([newUser(), newUser()]);
  const [devA, devB] = await Promise.all([newDevice(ann), newDevice(ben)]);
  const kp = await packageOf(devB);
  const founding = await (await foundBy(devA)).commit({ remove: [], add: [kp.message] });
  return { a: founding.before.merge(founding.after), b: (await Group.join(founding.welcome!, kp)).group };
}

/** The KeyPackage of a device with another leaf. Its signatures are right. */
async function withLeaf(own: { message: Uint8Array }, { signature }: TestDevice, change: Partial<LeafNodeKeyPackage>): Promise<Uint8Array> {
  const keyPackage = decodePackageMessage(own.message);
  const { signature: sign } = await suite();
  const leafNode = await signLeafNodeKeyPackage({ ...keyPackage.leafNode, ...change }, signature.privateKey, sign);
  const signed = await signKeyPackage({ ...keyPackage, leafNode }, signature.privateKey, sign);
  return encodeMessage({ version: "mls10", wireformat: "mls_key_package", keyPackage: signed });
}

/** What a leaf of a member says about itself, so that no other leaf can be changed any more. */
const strange = {
  capabilities: { versions: ["mls10"], ciphersuites: [], extensions: [], proposals: [], credentials: ["x509"] },
} satisfies Partial<LeafNodeKeyPackage>;

describe("a group", () => {
  test("carries messages both ways, also through its stored form", async () => {
    let { a, b } = await pair();
    for (let i = 0; i < 5; i++) {
      const sent = await stored(a).encrypt(bytesOf(`a${i}`));
      a = sent.group;
      const got = await stored(b).decrypt(sent.message);
      b = got.group;
      expect(textOf(got.plaintext)).toBe(`a${i}`);
      expect(got.sender.userId).toBe(a.leaves()[0]!.userId);
      const back = await b.encrypt(bytesOf(`b${i}`));
      b = back.group;
      a = (await a.decrypt(back.message)).group;
    }
    expect(equal(a.epochAuthenticator, b.epochAuthenticator)).toBe(true);
  });

  test("decrypts a message once, and its stored form cannot either", async () => {
    const { a, b } = await pair();
    const { message } = await a.encrypt(bytesOf("once"));
    const { group } = await b.decrypt(message);
    await expect(group.decrypt(message)).rejects.toThrow();
    await expect(stored(group).decrypt(message)).rejects.toThrow();
  });

  test("reads a message after as many that have expired as a device sends in one epoch, and takes no more steps for a forged one", async () => {
    let { a, b } = await pair();
    const messages: Uint8Array[] = [];
    for (let i = 0; i <= 201; i++) {
      const sent = await a.encrypt(bytesOf(`${i}`));
      a = sent.group;
      messages.push(sent.message);
      expect(a.encrypted).toBe(i + 1);
    }
    await expect(b.decrypt(messages[201]!)).rejects.toThrow();
    const got = await stored(b).decrypt(messages[messagesPerEpoch.alone]!);
    b = got.group;
    expect(textOf(got.plaintext)).toBe(`${messagesPerEpoch.alone}`);
    expect(textOf((await b.decrypt(messages[201]!)).plaintext)).toBe("201");
  });

  test("reads the header, and does not throw on random bytes", async () => {
    const { a } = await pair();
    const { message } = await a.encrypt(bytesOf("x"));
    expect(readHeader(message)).toMatchObject({ epoch: 1, contentType: "application", groupId: a.id });
    for (let i = 0; i < 200; i++) {
      expect(readHeader(randomBytes(i))).toBeUndefined();
      expect(readKeyPackage(randomBytes(i), Date.now())).toBeUndefined();
    }
    expect(readHeader(concat(message, new Uint8Array(1)))).toBeUndefined();
  });

  test("a removed member cannot read the next epoch", async () => {
    const people = await Promise.all(Array.from({ length: 3 }, async () => newDevice(await newUser())));
    const packages = await Promise.all(people.slice(1).map(packageOf));
    const founding = await (await foundBy(people[0]!)).commit({ remove: [], add: packages.map((p) => p.message) });
    let a = founding.before.merge(founding.after);
    let b = (await Group.join(founding.welcome!, packages[0]!)).group;
    const evicted = (await Group.join(founding.welcome!, packages[1]!)).group;
    // A Commit that only removes: without an UpdatePath the removed member could derive the next epoch from what it has.
    const removal = await a.commit({ remove: [2], add: [] });
    a = removal.before.merge(removal.after);
    b = (await b.applyCommit(removal.commit)).group!;
    expect((await evicted.applyCommit(removal.commit)).group).toBeUndefined();
    const sent = await a.encrypt(bytesOf("without you"));
    expect(textOf((await b.decrypt(sent.message)).plaintext)).toBe("without you");
    await expect(evicted.decrypt(sent.message)).rejects.toThrow();
    expect(equal(a.epochAuthenticator, evicted.epochAuthenticator)).toBe(false);
    expect(a.leaves().map((leaf) => leaf.userId)).not.toContain(people[2]!.identity.userId);
  });

  test("a removed member whose leaf is filled again detects the removal", async () => {
    const people = await Promise.all(Array.from({ length: 3 }, async () => newDevice(await newUser())));
    const packages = await Promise.all(people.slice(1).map(packageOf));
    const founding = await (await foundBy(people[0]!)).commit({ remove: [], add: [packages[0]!.message] });
    const evicted = (await Group.join(founding.welcome!, packages[0]!)).group;
    const swap = await founding.before.merge(founding.after).commit({ remove: [1], add: [packages[1]!.message] });
    const opened = await evicted.openCommit(swap.commit);
    const { group } = await evicted.applyCommit(swap.commit);
    expect(group).toBeUndefined();
    expect(opened.removesThisDevice).toBe(true);
    expect(opened.committer.deviceId).toBe(people[0]!.identity.deviceId);
    expect((await Group.join(swap.welcome!, packages[1]!)).group.epoch).toBe(2);
  });

  test("two Commits of one epoch use different keys, and messages of the epoch before can be read after merging", async () => {
    const { a, b } = await pair();
    const first = await a.commit({ remove: [], add: [] });
    const second = await first.before.commit({ remove: [], add: [] });
    expect(equal(first.commit, second.commit)).toBe(false);
    const early = await b.encrypt(bytesOf("early"));
    const late = await early.group.encrypt(bytesOf("late"));
    const { group } = await second.before.decrypt(early.message);
    const merged = stored(group.merge(second.after));
    expect((await b.applyCommit(second.commit)).group!.epoch).toBe(2);
    expect(textOf((await merged.decrypt(late.message)).plaintext)).toBe("late");
    await expect(merged.decrypt(early.message)).rejects.toThrow();
  });

  test("a group with one member has an epoch", async () => {
    const founding = await (await foundBy(await newDevice(await newUser()))).commit({ remove: [], add: [] });
    expect(founding.welcome).toBeUndefined();
    expect(founding.before.merge(founding.after).epoch).toBe(1);
  });

  test("a KeyPackage without a valid signature of the identity is not added", async () => {
    const mallory = await newDevice(await newUser());
    mallory.identity.identitySignature = randomBytes(64);
    const kp = await packageOf(mallory);
    const group = await foundBy(await newDevice(await newUser()));
    await expect(group.commit({ remove: [], add: [kp.message] })).rejects.toThrow(/credential/i);
    expect(readKeyPackage(kp.message, Date.now())?.deviceId).toBe(mallory.identity.deviceId);
  });

  test("refuses a Commit after which a key stands in two nodes, and does not make one", async () => {
    const { a, b } = await pair();
    const [device, other] = await Promise.all([newDevice(await newUser()), newDevice(await newUser())]);
    const [good, packageOfOther] = await Promise.all([packageOf(device), packageOf(other)]);
    const twin = await withLeaf(packageOfOther, other, { hpkePublicKey: decodePackageMessage(good.message).leafNode.hpkePublicKey });
    expect(await Group.addable([good.message, twin, good.message], a, [])).toEqual([true, false, false]);
    const both = await a.commit({ remove: [], add: [good.message, twin] });
    await expect(b.applyCommit(both.commit)).rejects.toThrow("two nodes");
    const added = await a.commit({ remove: [], add: [good.message] });
    const author = added.before.merge(added.after);
    const group = (await b.applyCommit(added.commit)).group!;
    expect(await Group.addable([twin, good.message], group, [])).toEqual([false, false]);
    // The device is replaced: its earlier leaf goes with the same Commit.
    expect(await Group.addable([twin, good.message], group, [2])).toEqual([true, false]);
    const again = await author.commit({ remove: [2], add: [good.message] });
    expect((await group.applyCommit(again.commit)).group!.leaves()).toHaveLength(3);
  });

  test("refuses a Commit after which a leaf does not support what rooms use", async () => {
    const { a, b } = await pair();
    const state = Reflect.get(a, "state") as ClientState;
    const tree = state.ratchetTree.map((node, i) => (i === 0 && node?.nodeType === "leaf" ? { ...node, leaf: { ...node.leaf, ...strange } } : node));
    const hostile = { ...state, ratchetTree: tree, unappliedProposals: {} };
    const made = await createCommit({ state: hostile, cipherSuite: await suite() }, {});
    await expect(b.applyCommit(encodeMessage(made.commit))).rejects.toThrow("a leaf uses");
    expect((await b.applyCommit((await a.commit({ remove: [], add: [] })).commit)).group!.epoch).toBe(2);
  });

  test("takes only KeyPackages that are valid", async () => {
    const [device, mallory] = await Promise.all([newDevice(await newUser()), newDevice(await newUser())]);
    const [good, own] = await Promise.all([packageOf(device), packageOf(mallory)]);
    const altered = Uint8Array.from(own.message);
    altered[altered.length - 1]! ^= 1;
    const others = [
      altered,
      await withLeaf(own, mallory, strange),
      await withLeaf(own, mallory, { extensions: [{ extensionType: 0xf0a1, extensionData: new Uint8Array() }] }),
    ];
    expect(await Group.addable([...others, good.message, own.message], undefined, [])).toEqual([false, false, false, true, true]);
    mallory.identity.identitySignature = randomBytes(64);
    expect(await Group.addable([(await packageOf(mallory)).message], undefined, [])).toEqual([false]);
  });

  test("signals can be read only by members of the epoch, and only unchanged", async () => {
    const { a, b } = await pair();
    const signal = await sealSignal(a, bytesOf("typing"));
    expect(signal.length).toBeLessThanOrEqual(1024);
    const got = await openSignal(b, signal);
    expect(textOf(got!.content)).toBe("typing");
    expect(got!.sender.index).toBe(0);
    signal[signal.length - 1]! ^= 1;
    expect(await openSignal(b, signal)).toBeUndefined();
    expect(await openSignal(b, randomBytes(300))).toBeUndefined();
    await expect(sealSignal(a, randomBytes(1000))).rejects.toThrow(RangeError);
  });

  test("any sequence of joins and removals leaves all members with the same state", { timeout: 120_000 }, async () => {
    let joins = 0;
    for (let run = 0; run < 6; run++) {
      let members: { device: TestDevice; group: Group }[] = [{ device: await newDevice(await newUser()), group: undefined! }];
      members[0]!.group = await foundBy(members[0]!.device);
      for (let step = 0; step < 12; step++) {
        const who = members[Math.floor(Math.random() * members.length)]!;
        const others = members.filter((m) => m !== who);
        const leaving = others.filter(() => Math.random() < 0.2).slice(0, 3);
        const joining = await Promise.all(
          Array.from({ length: Math.floor(Math.random() * 3) }, async () => {
            const device = await newDevice({ ...(await newUser()) });
            return { device, kp: await packageOf(device) };
          }),
        );
        const own = await who.group.commit({ remove: leaving.map((m) => m.group.ownLeafIndex), add: joining.map((j) => j.kp.message) });
        for (const member of members) {
          if (member === who) {
            member.group = own.before.merge(own.after);
            continue;
          }
          const { group } = await member.group.applyCommit(own.commit);
          expect(group === undefined).toBe(leaving.includes(member));
          if (group) member.group = group;
        }
        members = members.filter((m) => !leaving.includes(m));
        if (own.welcome) expect(welcomeReferences(own.welcome).toSorted()).toEqual(joining.map((j) => toHex(j.kp.reference)).toSorted());
        for (const { device, kp } of joining) {
          members.push({ device, group: (await Group.join(own.welcome!, kp)).group });
          joins++;
        }
        const authenticators = new Set(members.map((m) => toHex(m.group.epochAuthenticator)));
        expect(authenticators.size).toBe(1);
      }
    }
    expect(joins).toBeGreaterThan(20);
  });
});

describe("a Commit", () => {
  test("can be judged before it is applied: author, changes, path, signed data", async () => {
    const { a, b } = await pair();
    const [device, leaver] = await Promise.all([newDevice(await newUser()), newDevice(await newUser())]);
    const both = await a.commit({ remove: [], add: [(await packageOf(leaver)).message] });
    const only = await b.openCommit(both.commit);
    expect(only).toMatchObject({ isByValue: true, path: undefined, removesThisDevice: false, authenticatedData: new Uint8Array() });
    const group = (await b.applyCommit(both.commit)).group!;
    const author = both.before.merge(both.after);
    const kp = await packageOf(device);
    const own = await author.commit({ remove: [2], add: [kp.message], authenticatedData: bytesOf("signed"), roomInfo: bytesOf("for new devices") });
    const opened = await group.openCommit(own.commit);
    expect(opened.committer).toEqual(group.leaves()[0]);
    expect(textOf(opened.authenticatedData)).toBe("signed");
    expect(opened.proposals.map((each) => (each.type === "other" ? each.name : [each.type, each.leaf.deviceId]))).toEqual([
      ["remove", leaver.identity.deviceId],
      ["add", device.identity.deviceId],
    ]);
    expect(opened.path).toMatchObject({ index: 0, deviceId: opened.committer.deviceId, signatureKey: opened.committer.signatureKey });
    // Nothing has changed: the same group can still apply it.
    expect((await group.applyCommit(own.commit)).group!.epoch).toBe(author.epoch + 1);
    const joined = await Group.join(own.welcome!, kp);
    expect(textOf(joined.roomInfo!)).toBe("for new devices");
    expect(joined.signer.deviceId).toBe(opened.committer.deviceId);
  });

  test("with altered signed data, or bytes, throws", async () => {
    const { a, b } = await pair();
    const { commit } = await a.commit({ remove: [], add: [], authenticatedData: bytesOf("signed data that is long enough to be found") });
    const text = toHex(commit);
    const at = text.indexOf(toHex(bytesOf("signed data"))) / 2;
    for (const place of [at, commit.length - 1]) {
      const altered = Uint8Array.from(commit);
      altered[place]! ^= 1;
      await expect(b.openCommit(altered)).rejects.toThrow();
      await expect(b.applyCommit(altered)).rejects.toThrow();
    }
    expect((await b.openCommit(commit)).committer.deviceId).toBe(a.leaves()[0]!.deviceId);
  });
});

test("credentials", async () => {
  const device = await newDevice(await newUser());
  expect(encodeCredential(device.identity).length).toBe(128);
  expect(decodeCredential(encodeCredential(device.identity))).toEqual(device.identity);
  expect(decodeCredential(randomBytes(127))).toBeUndefined();
  // Under the neutral element, any of its signatures is valid.
  const neutral = new Uint8Array(32);
  neutral[0] = 1;
  expect(await verify(neutral, bytesOf(newId()), concat(neutral, new Uint8Array(32)))).toBe(false);
});

test.each([-1, 2 ** 32, 1.5, NaN])("a group has no generation %s, which would be that of another group", (generation) => {
  expect(() => groupIdOf(new Uint8Array(16), generation)).toThrow(RangeError);
});
