/* A message of a device that the newest list of its user does not have is marked, and so is the device that has let this one in. */
import { expect, test } from "vitest";
import { newId, randomBytes, toHex } from "../../src/base/bytes.js";
import { holdsOf } from "../../src/rooms/holds.js";
import { compareLists, noteEntrance } from "../../src/rooms/listed.js";
import type { KnownPeople } from "../../src/rooms/ports.js";
import type { MessageRecord } from "../../src/rooms/records.js";
import { keys, unpack } from "../../src/store/store.js";
import { Lab, type LabDevice } from "./lab.js";

const text = (value: string) => ({ type: "text", text: value }) as const;
const hash = "A".repeat(22);

async function two(): Promise<{ lab: Lab; anna: LabDevice; ben: LabDevice }> {
  const lab = await Lab.open(2);
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  return { lab, anna, ben };
}

/** Anna knows this list of Ben: with his device, or with another one. */
function give(anna: LabDevice, ben: LabDevice, number: number, isListed: boolean): Promise<void> {
  const signatureKey = isListed ? ben.of.signature.publicKey : randomBytes(32);
  anna.lists.set(ben.userId, { number, hash: new Uint8Array(32), devices: [{ deviceId: ben.of.identity.deviceId, signatureKey }] });
  return anna.step(async (draft) => void (await compareLists(draft, anna.applying)));
}

const isMarked = async (device: LabDevice, seq: number) => (await device.at(seq))!.unlisted;

test("a message of a device in the newest list has no mark, also after the device is revoked", async () => {
  const { lab, anna, ben } = await two();
  await give(anna, ben, 1, true);
  const { seq } = await lab.say(ben, text("hello"));
  await give(anna, ben, 2, false);
  expect(await isMarked(anna, seq)).toBeUndefined();
  expect(anna.state.unlisted).toBeUndefined();
});

test("a message of a device that the newest list does not have counts and is marked", async () => {
  const { lab, anna, ben } = await two();
  await give(anna, ben, 2, false);
  const { seq } = await lab.say(ben, text("hello"));
  expect(await anna.at(seq)).toMatchObject({ content: text("hello"), from: { userId: ben.userId }, unlisted: true });
  expect((await anna.at(seq))!.late).toBeUndefined();
});

test("a newer list with the device takes the marks away, and people see it", async () => {
  const { lab, anna, ben } = await two();
  await give(anna, ben, 1, false);
  const seqs = [(await lab.say(ben, text("one"))).seq, (await lab.say(ben, text("two"))).seq];
  expect(await Promise.all(seqs.map((seq) => isMarked(anna, seq)))).toEqual([true, true]);
  const changed = anna.listen("changed");
  await give(anna, ben, 2, true);
  expect(changed.map(({ seq, unlisted }) => [seq, unlisted])).toEqual(seqs.map((seq) => [seq, undefined]));
  expect(unpack<MessageRecord>((await anna.store.get(keys.message(lab.room, seqs[0]!)))!).signedBy).toBeUndefined();
  expect(anna.state.unlisted).toBeUndefined();
});

test("a message that names a list which is on its way is marked only when that list does not have the device", async () => {
  const { lab, anna, ben } = await two();
  await give(anna, ben, 1, false);
  const first = await lab.say(ben, text("by a new device"), { list: { number: 2, hash } });
  expect(await isMarked(anna, first.seq)).toBeUndefined();
  await give(anna, ben, 1, false);
  expect(await isMarked(anna, first.seq)).toBeUndefined();
  const changed = anna.listen("changed");
  await give(anna, ben, 2, false);
  expect(await isMarked(anna, first.seq)).toBe(true);
  await give(anna, ben, 2, false);
  expect(changed).toHaveLength(1);
});

test("a message is marked when the server withholds the list that it names", async () => {
  const { lab, anna, ben } = await two();
  const { seq } = await lab.say(ben, text("hello"), { list: { number: 2, hash } });
  expect(await isMarked(anna, seq)).toBeUndefined();
  anna.withheld.add(ben.userId);
  await anna.step(async (draft) => void (await compareLists(draft, anna.applying)));
  expect(await isMarked(anna, seq)).toBe(true);
});

test("an edit by a device that no list has marks its target", async () => {
  const { lab, anna, ben } = await two();
  await give(anna, ben, 1, true);
  const { seq, id } = await lab.say(ben, text("before"));
  await give(anna, ben, 2, false);
  await lab.say(ben, { type: "edit", target: id, text: "after" });
  expect(await anna.at(seq)).toMatchObject({ content: text("after"), unlisted: true });
  await give(anna, ben, 3, true);
  expect(await isMarked(anna, seq)).toBeUndefined();
});

test("a device that has let this one in, and that its user has revoked, holds the sends until a person decides", async () => {
  const { anna, ben } = await two();
  const people = { ...anna.applying.people, listsOf: () => [] } as unknown as KnownPeople;
  const kinds = () =>
    holdsOf({
      state: anna.state,
      signed: anna.signed,
      group: undefined,
      welcome: undefined,
      people,
      own: { userId: anna.userId, deviceId: anna.of.identity.deviceId },
    });
  const signer = ben.group.leaves().find((leaf) => leaf.userId === ben.userId)!;
  const enter = () => anna.step(async (draft) => noteEntrance(draft, signer, anna.applying));
  await enter();
  // The list is not known yet.
  expect(kinds()).toEqual([]);
  const revoked = { number: 2, hash: new Uint8Array(32), devices: [{ deviceId: newId(), signatureKey: randomBytes(32) }] };
  anna.lists.set(ben.userId, revoked);
  await anna.step(async (draft) => void (await compareLists(draft, anna.applying)));
  expect(kinds()).toMatchObject([{ kind: "unlistedWelcome", userId: ben.userId, deviceId: signer.deviceId }]);
  anna.state = { ...anna.state, answered: [`unlistedWelcome ${toHex(signer.signatureKey)}`] };
  expect(kinds()).toEqual([]);
  delete anna.state.answered;
  // A newer list has the device, so its later revocation says nothing about this entry.
  await give(anna, ben, 3, true);
  anna.lists.set(ben.userId, { ...revoked, number: 4 });
  await anna.step(async (draft) => void (await compareLists(draft, anna.applying)));
  expect([kinds(), anna.state.entrance]).toEqual([[], undefined]);
});
