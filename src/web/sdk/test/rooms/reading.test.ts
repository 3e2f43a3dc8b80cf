import { expect, test } from "vitest";
import { toBase64Url } from "../../src/trust/codec.js";
import { newId, randomBytes } from "../../src/base/bytes.js";
import { acceptOwn } from "../../src/rooms/history.js";
import { signerOf } from "../../src/rooms/statements.js";
import { signLeave } from "../../src/trust/statement.js";
import { SignedRoom } from "../../src/rooms/signedRoom.js";
import { keys, pack, unpack } from "../../src/store/store.js";
import { actions } from "../../src/trust/state.js";
import { Lab, type LabDevice } from "./lab.js";

const text = (value: string) => ({ type: "text", text: value }) as const;
const by = (device: LabDevice, id: string) => ({ author: device.userId, id });
const textAt = async (device: LabDevice, seq: number) => {
  const content = (await device.at(seq))?.content;
  return content?.type === "text" ? content.text : undefined;
};

test("a message counts for the user of the leaf that has signed it", async () => {
  const lab = await Lab.open(3);
  const [anna, ben, cleo] = lab.devices as [LabDevice, LabDevice, LabDevice];
  const { seq, id } = await lab.say(ben, text("hello"), { read: 1 });
  for (const device of [anna, cleo]) {
    expect(await device.at(seq)).toMatchObject({ id, from: { userId: ben.userId }, content: text("hello"), mine: false });
    expect((await device.at(seq))!.late).toBeUndefined();
  }
});

test("only the author edits and deletes, also when another member uses the same ids", async () => {
  const lab = await Lab.open(3);
  const [anna, ben, cleo] = lab.devices as [LabDevice, LabDevice, LabDevice];
  const { seq, id } = await lab.say(anna, text("mine"));
  await lab.say(ben, { type: "edit", target: id, text: "forged" });
  await lab.say(ben, { type: "delete", target: id, seqs: [seq] });
  expect(await cleo.at(seq)).toMatchObject({ content: text("mine") });
  const twin = await lab.say(ben, text("twin"), { id });
  await lab.say(ben, { type: "edit", target: id, text: "own twin" });
  expect([await textAt(cleo, seq), await textAt(cleo, twin.seq)]).toEqual(["mine", "own twin"]);
  const reply = await lab.say(cleo, { type: "reply", to: by(anna, id), text: "to Anna" });
  await lab.say(cleo, { type: "reaction", target: by(ben, id), emoji: "__proto__" });
  expect((await anna.at(reply.seq))!.content).toMatchObject({ to: { author: anna.userId, id } });
  expect(Object.entries((await anna.at(twin.seq))!.reactions!)).toEqual([["__proto__", [cleo.userId]]]);
  await lab.say(anna, { type: "edit", target: id, text: "better" });
  expect(await cleo.at(seq)).toMatchObject({ content: text("better"), edited: true });
  await lab.say(anna, { type: "delete", target: id, seqs: [seq] });
  expect(await ben.at(seq)).toMatchObject({ deleted: true, content: text("") });
  expect(await textAt(cleo, twin.seq)).toBe("own twin");
});

test("a deleted message is the same on a device that has read its edit and on one to which the server has not delivered it", async () => {
  const lab = await Lab.open(3);
  const [anna, ben, cleo] = lab.devices as [LabDevice, LabDevice, LabDevice];
  const { seq, id } = await lab.say(anna, text("before"));
  const edit = await anna.seal({ type: "edit", target: id, text: "after" });
  const editAt = await lab.enter("message", edit.ciphertext, {}, [ben]);
  await cleo.read({ seq: editAt, kind: "gone", createdAt: new Date(lab.now), epoch: 0 });
  await lab.say(anna, { type: "delete", target: id, seqs: [seq, editAt] });
  expect((await ben.at(seq))!.deleted).toBe(true);
  expect(await ben.at(seq)).toEqual(await cleo.at(seq));
});

test("a message of a device that is no longer in the room at its place is shown as late and changes nothing", async () => {
  const lab = await Lab.open(3);
  const [anna, ben, cleo] = lab.devices as [LabDevice, LabDevice, LabDevice];
  const { seq, id } = await lab.say(cleo, text("before"));
  const late = await cleo.seal(text("after all"));
  const lateEdit = await cleo.seal({ type: "edit", target: id, text: "changed" });
  await lab.remove(anna, [cleo]);
  const at = await lab.enter("message", late.ciphertext, {}, [anna, ben]);
  const editAt = await lab.enter("message", lateEdit.ciphertext, {}, [anna, ben]);
  for (const device of [anna, ben]) {
    expect(await device.at(at)).toMatchObject({ from: { userId: cleo.userId }, late: true, content: text("after all") });
    expect(await device.at(editAt)).toMatchObject({ late: true, content: { type: "edit" } });
    expect(await textAt(device, seq)).toBe("before");
  }
});

test("a message of a user whom this device knows with another identity is marked, and changes nothing of that user", async () => {
  const lab = await Lab.open(3);
  const [anna, ben, cleo] = lab.devices as [LabDevice, LabDevice, LabDevice];
  const { id, seq } = await lab.say(ben, text("the true Ben"));
  anna.known.set(ben.userId, randomBytes(32));
  cleo.known.set(ben.userId, ben.of.identity.identityKey);
  const said = await lab.say(ben, text("I am Ben"));
  await lab.say(ben, { type: "edit", target: id, text: "changed" });
  expect(await anna.at(said.seq)).toMatchObject({ otherIdentity: true, content: text("I am Ben") });
  expect([await textAt(anna, seq), await textAt(cleo, seq)]).toEqual(["the true Ben", "changed"]);
  expect((await cleo.at(said.seq))!.otherIdentity).toBeUndefined();
  expect(anna.mentions.filter(([userId]) => userId === ben.userId)).toEqual([]);
});

test("a message under an identity that a followed renewal has brought counts", async () => {
  const lab = await Lab.open(3);
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  const { state } = anna.signed!;
  const former = randomBytes(32);
  const roster = (identity: Uint8Array<ArrayBuffer>) => ({
    ...state,
    roster: state.roster.map((each) => (each.user === ben.userId ? { ...each, identity } : each)),
  });
  anna.known.set(ben.userId, former);
  await lab.sign(roster(former), [anna]);
  await lab.sign(state, [anna]);
  expect(await anna.at((await lab.say(ben, text("renewed"))).seq)).toMatchObject({ content: text("renewed") });
  expect((await anna.history()).at(-1)!.otherIdentity).toBeUndefined();
});

test("a user has at most 32 different reactions to a message", async () => {
  const lab = await Lab.open(3);
  const [anna, ben, cleo] = lab.devices as [LabDevice, LabDevice, LabDevice];
  const { seq, id } = await lab.say(anna, text("hello"));
  for (let i = 0; i < 40; i++) await lab.say(ben, { type: "reaction", target: by(anna, id), emoji: `${i}` });
  await lab.say(ben, { type: "reaction", target: by(anna, id), emoji: "0", removed: true });
  await lab.say(ben, { type: "reaction", target: by(anna, id), emoji: "new" });
  const shown = Object.keys((await cleo.at(seq))!.reactions!);
  expect(shown).toHaveLength(32);
  expect(shown).toEqual(expect.arrayContaining(["1", "31", "new"]));
});

test("a generation far above the known one is ignored, because it could never be taken back", async () => {
  const lab = await Lab.open(2);
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  await lab.enter("groupReset", undefined, { generation: 2 ** 32 });
  expect([anna.state.generation, anna.warnings.map(({ kind }) => kind)]).toEqual([0, ["resetIgnored"]]);
  const { seq } = await lab.say(ben, text("it goes on"));
  expect(await textAt(anna, seq)).toBe("it goes on");
  await lab.enter("groupReset", undefined, { generation: 1 });
  expect(anna.state.generation).toBe(1);
});

test("a message of the epoch before counts while its device stays in the room", async () => {
  const lab = await Lab.open(3);
  const [anna, ben, cleo] = lab.devices as [LabDevice, LabDevice, LabDevice];
  const sealed = await ben.seal(text("crossed"));
  await lab.remove(anna, [cleo]);
  const at = await lab.enter("message", sealed.ciphertext, {}, [anna]);
  expect(await anna.at(at)).toMatchObject({ content: text("crossed") });
  expect((await anna.at(at))!.late).toBeUndefined();
});

test("a message that the server holds back until its keys are deleted is a visible place, for each device that was in its epoch", async () => {
  const lab = await Lab.open(3);
  const [anna, ben, cleo] = lab.devices as [LabDevice, LabDevice, LabDevice];
  const held = await ben.seal(text("held back"));
  for (let epoch = 0; epoch < 5; epoch++) await lab.remove(anna, []);
  cleo.state.enteredAt = { generation: 0, epoch: cleo.group.epoch - 1 };
  const at = await lab.enter("message", held.ciphertext, {}, [anna, cleo]);
  expect((await anna.at(at))?.content).toMatchObject({ type: "unreadable" });
  expect(await cleo.at(at)).toBeUndefined();
});

test("an own message that no longer counts at its place is not delivered, and its id stays free", async () => {
  const lab = await Lab.open(2);
  const [anna] = lab.devices as [LabDevice];
  const own = (signatureKey: Uint8Array) => ({
    ...{ clientMessageId: newId(), id: newId(), content: text("mine"), epoch: 1, generation: 0, seq: 9, at: lab.now },
    sealed: { sent: lab.now, signatureKey },
  });
  const good = own(anna.of.signature.publicKey);
  await anna.step((draft) => acceptOwn(draft, good, anna.applying));
  expect(await anna.at(9)).toMatchObject({ mine: true, content: text("mine") });
  const bad = { ...own(randomBytes(32)), seq: 10, epoch: 0 };
  await anna.step((draft) => acceptOwn(draft, bad, anna.applying));
  expect(anna.undelivered).toEqual([[bad.id, "late"]]);
  expect([await anna.at(10), await anna.store.get(keys.messageId(lab.room, `${anna.userId}/${bad.id}`))]).toEqual([undefined, undefined]);
});

test("without the right to send, only a leave, an own deletion and the read position count", async () => {
  const lab = await Lab.open(2);
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  const { seq, id } = await lab.say(ben, text("before"));
  await lab.sign({ ...anna.signed!.state, policy: [{ action: actions.send, role: 2 }] });
  await lab.remove(anna, []);
  const reads = anna.listen("read");
  const refused = await lab.say(ben, text("not allowed"), { read: seq });
  expect(await anna.at(refused.seq)).toMatchObject({ notAllowed: true, content: text("not allowed") });
  expect(reads).toEqual([{ userId: ben.userId, upTo: seq }]);
  await lab.say(ben, { type: "edit", target: id, text: "changed" });
  expect(await textAt(anna, seq)).toBe("before");
  const token = await signLeave({ room: lab.room, since: 1 }, signerOf(ben.group));
  await lab.say(ben, { type: "leave", token: toBase64Url(token) });
  expect(anna.state.leaves?.[ben.userId]).toEqual(token);
  await lab.say(ben, { type: "delete", target: id, seqs: [seq] });
  expect(await anna.at(seq)).toMatchObject({ deleted: true });
});

test("a right counts only when the epoch of the message and the place both give it", async () => {
  const lab = await Lab.open(3);
  const [anna, ben, cleo] = lab.devices as [LabDevice, LabDevice, LabDevice];
  const { state } = anna.signed!;
  const moderators = { ...state, roles: [...state.roles, { user: ben.userId, role: 1 as const }].toSorted((a, b) => (a.user < b.user ? -1 : 1)) };
  const { seq, id } = await lab.say(cleo, text("rude"));
  const target = { author: cleo.userId, id };
  const early = await ben.seal({ type: "moderate", target, seqs: [seq] });
  await lab.remove(anna, [], moderators);
  const refused = await lab.enter("message", early.ciphertext, {}, [anna, cleo]);
  expect([(await anna.at(refused))!.notAllowed, (await anna.at(seq))!.deleted]).toEqual([true, undefined]);
  const tooLate = await ben.seal({ type: "moderate", target, seqs: [seq] });
  await lab.say(ben, { type: "pin", target });
  expect((await anna.at(seq))!.pinnedBy).toBeUndefined();
  await lab.say(anna, { type: "pin", target });
  expect((await ben.at(seq))!.pinnedBy).toBe(anna.userId);
  await lab.remove(anna, [], state);
  await lab.enter("message", tooLate.ciphertext, {}, [anna, cleo]);
  expect((await anna.at(seq))!.deleted).toBeUndefined();
});

test("a removal by a moderator is shown with the moderator, and the author's client has the bytes deleted", async () => {
  const lab = await Lab.open(3);
  const [anna, ben, cleo] = lab.devices as [LabDevice, LabDevice, LabDevice];
  const { seq, id } = await lab.say(cleo, text("rude"));
  await cleo.step(async (draft) => {
    draft.put(keys.message(lab.room, seq), { seq, id, mine: true, at: 0, content: text("rude"), from: { userId: cleo.userId, deviceId: newId() } });
    draft.put(keys.messageId(lab.room, `${cleo.userId}/${id}`), seq);
  });
  await lab.say(anna, { type: "moderate", target: { author: cleo.userId, id }, seqs: [seq] });
  for (const device of [ben, cleo]) expect(await device.at(seq)).toMatchObject({ deleted: true, deletedBy: anna.userId, content: text("") });
  expect([ben.erased, cleo.erased]).toEqual([[], [seq]]);
});

test("a retraction of the server changes nothing", async () => {
  const lab = await Lab.open(2);
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  const { seq } = await lab.say(ben, text("stays"));
  const before = await anna.at(seq);
  await lab.enter("retraction", undefined, { targetSeq: seq });
  expect(await anna.at(seq)).toEqual(before);
});

test("a message that is sent twice is shown once, and unknown content keeps its id", async () => {
  const lab = await Lab.open(2);
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  const { id, seq } = await lab.say(ben, text("once"));
  const twice = await lab.say(ben, text("once"), { id });
  expect([(await anna.at(seq))!.id, await anna.at(twice.seq)]).toEqual([id, undefined]);
  const custom = await lab.say(ben, { type: "custom", kind: "poll", data: JSON.parse('{"__proto__":{"a":1}}') as never });
  expect(JSON.stringify((await anna.at(custom.seq))!.content)).toContain('{"__proto__":{"a":1}}');
});

test("a head that differs from the state of the message's epoch is a stateMismatch, and the same head of another user confirms the room", async () => {
  const lab = await Lab.open(3);
  const [anna, ben, cleo] = lab.devices as [LabDevice, LabDevice, LabDevice];
  const found = anna.listen("stateMismatch");
  await lab.say(ben, text("same"));
  expect(found).toEqual([]);
  const { seq } = await lab.say(ben, text("other"), { room: { number: 1, hash: toBase64Url(randomBytes(16)) } });
  await lab.say(ben, text("other"), { room: { number: 2, hash: toBase64Url(anna.signed!.head!.hash.slice(0, 16)) } });
  expect(found).toMatchObject([{ from: { userId: ben.userId }, seq }, { seq: seq + 1 }]);
  // The member by whose Welcome a device has entered cannot confirm what it has said itself.
  anna.signed = SignedRoom.decode(pack({ ...unpack<object>(anna.signed!.encode()), confirmed: false }));
  anna.state.enteredBy = ben.userId;
  await lab.say(ben, text("same"));
  expect(anna.signed.confirmed).toBe(false);
  await lab.say(cleo, text("other"), { room: { number: 2, hash: toBase64Url(randomBytes(16)) } });
  expect(anna.signed.confirmed).toBe(false);
  await lab.say(cleo, text("same"));
  expect(anna.signed.confirmed).toBe(true);
});

test("a list that a message mentions is compared once", async () => {
  const lab = await Lab.open(2);
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  const list = { number: 4, hash: toBase64Url(randomBytes(16)) };
  const { people } = anna.applying;
  Object.defineProperty(anna, "applying", { value: { ...anna.applying, people } });
  await lab.say(ben, text("a"), { list });
  await lab.say(ben, text("b"), { list });
  await lab.say(ben, text("c"), { list: { ...list, number: 5 } });
  expect(anna.mentions).toEqual([
    [ben.userId, 4],
    [ben.userId, 5],
  ]);
});
