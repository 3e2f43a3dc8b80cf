import { expect, test } from "vitest";
import { newId, randomBytes } from "../../src/base/bytes.js";
import type { LogEntry } from "../../src/net/wire.js";
import { acceptAcked } from "../../src/rooms/history.js";
import { forgetMissing, keepMissing } from "../../src/rooms/missing.js";
import { linesOf } from "../../src/rooms/notices.js";
import { ReadLog } from "../../src/rooms/readLog.js";
import { keys } from "../../src/store/store.js";
import { Lab, type LabDevice } from "./lab.js";

const text = (value: string) => ({ type: "text", text: value }) as const;

async function trio() {
  const lab = await Lab.open(3);
  const [anna, ben, cleo] = lab.devices as [LabDevice, LabDevice, LabDevice];
  return { lab, anna, ben, cleo, alarms: lab.devices.map((device) => device.listen("transcriptMismatch")) };
}

test("members who have read the same log raise no alarm, over expiry, retractions and a new process", async () => {
  const { lab, anna, ben, cleo, alarms } = await trio();
  for (let i = 0; i < 300; i++) {
    await lab.enter(i % 7 === 0 ? "retraction" : "message", i % 7 === 0 ? undefined : randomBytes(40), { targetSeq: 1 });
    if (i % 50 === 0) for (const device of lab.devices) device.restart();
  }
  // Cleo reads one entry only after the server has deleted its bytes.
  const seq = await lab.enter("message", randomBytes(40), {}, [anna, ben]);
  await cleo.read({ ...lab.log[seq - 1]!, kind: "gone", ciphertext: undefined } as unknown as LogEntry);
  for (const device of [anna, ben, cleo]) {
    const said = await device.seal(text("seen?"));
    expect(said.content.seen).toMatchObject({ seq: lab.log.length, gap: device === cleo ? seq : 0 });
    await lab.say(device, text("what have you read?"));
  }
  expect(alarms).toEqual([[], [], []]);
});

test.each(["changed", "reordered", "dropped"] as const)("a log that is %s for one member is an alarm at the next message, with both devices", async (how) => {
  const { lab, anna, ben, cleo, alarms } = await trio();
  const [one, two] = [randomBytes(40), randomBytes(50)];
  const entry = (seq: number, ciphertext: Uint8Array): LogEntry => ({ seq, kind: "message", createdAt: new Date(lab.now), id: newId(), epoch: 0, ciphertext });
  for (const device of [anna, ben]) for (const each of [entry(2, one), entry(3, two)]) await device.read(each);
  const others = {
    changed: [entry(2, randomBytes(40)), entry(3, two)],
    reordered: [entry(2, two), entry(3, one)],
    dropped: [entry(2, two), entry(3, randomBytes(9))],
  };
  for (const each of others[how]) await cleo.read(each);
  lab.log.push(entry(2, one), entry(3, two));
  const { seq } = await lab.say(ben, text("later"));
  expect(alarms[0]).toEqual([]);
  expect(alarms[2]).toEqual([
    {
      from: { userId: ben.userId, deviceId: ben.of.identity.deviceId },
      device: { userId: cleo.userId, deviceId: cleo.of.identity.deviceId },
      seq,
      between: [1, 3],
    },
  ]);
  // Each message shows it again; people see it once.
  await lab.say(ben, text("and later"));
  expect(alarms[2]).toHaveLength(1);
  expect(cleo.warnings.map(({ kind }) => kind)).toEqual(["transcriptMismatch"]);
  const by = { userId: ben.userId, deviceId: ben.of.identity.deviceId };
  expect(await linesOf(cleo.store, lab.room)).toMatchObject([{ kind: "transcriptMismatch", seq, by }]);
});

test("a member whose device has the id of another member's device hides no alarm about that one", async () => {
  const lab = await Lab.open(3, undefined, [newId(), ...Array<string>(2).fill(newId())]);
  const [anna, ben, mallory] = lab.devices as [LabDevice, LabDevice, LabDevice];
  const alarms = anna.listen("transcriptMismatch");
  const entry = (seq: number, ciphertext = randomBytes(9)): LogEntry => ({ seq, kind: "message", createdAt: new Date(lab.now), epoch: 0, ciphertext });
  for (let seq = 2; seq < 300; seq++) {
    const same = entry(seq);
    lab.log.push(same);
    for (const device of lab.devices) await device.read(device === ben && seq === 100 ? entry(seq) : same);
  }
  // What Mallory has read of the complete block is what Anna has read.
  await lab.say(mallory, text("same"));
  expect(alarms).toEqual([]);
  await lab.say(ben, text("other"));
  expect(alarms).toMatchObject([{ from: { userId: ben.userId }, between: [1, 255] }]);
});

test("a mismatch with one device does not hide one with another user's device of the same id", async () => {
  const lab = await Lab.open(3, undefined, [newId(), ...Array<string>(2).fill(newId())]);
  const [anna, ben, mallory] = lab.devices as [LabDevice, LabDevice, LabDevice];
  const [logs, states] = [anna.listen("transcriptMismatch"), anna.listen("stateMismatch")];
  for (const device of [mallory, ben]) {
    await lab.say(device, text("ahead"), { seen: { ...(await device.seal(text("x"))).content.seen!, seq: lab.log.length + 1 } });
    await lab.say(device, text("other"), { room: { number: 1, hash: "A".repeat(22) } });
  }
  for (const found of [logs, states]) expect(found.map(({ from }) => from.userId)).toEqual([mallory.userId, ben.userId]);
});

test("a message that says that it was read before it was sent is an alarm", async () => {
  const { lab, ben, alarms } = await trio();
  const { content } = await ben.seal(text("x"));
  await lab.say(ben, text("ahead"), { seen: { ...content.seen!, seq: lab.log.length + 1 } });
  expect(alarms[0]).toHaveLength(1);
});

test("a device that begins later compares what it has read itself", async () => {
  const { lab, anna, ben, alarms } = await trio();
  await lab.enter("message", randomBytes(30));
  // The log of this device begins at place 3.
  const late = new ReadLog(ben.store, "another room");
  ben.readLog = late;
  delete ben.state.transcript;
  await lab.enter("message", randomBytes(30));
  const { content } = await ben.seal(text("x"));
  expect(content.seen).toMatchObject({ seq: 3, gap: 2 });
  await lab.say(ben, text("from place 3"));
  await lab.say(anna, text("from place 0"));
  expect(alarms).toEqual([[], [], []]);
});

test("what was read is kept in small values, for 2,048 places", async () => {
  const { lab, anna } = await trio();
  for (let seq = 2; seq <= 2400; seq++) {
    const entry: LogEntry = {
      seq,
      kind: seq % 3 ? "message" : "retraction",
      createdAt: new Date(lab.now),
      epoch: 0,
      ...(seq % 3 ? { ciphertext: randomBytes(9) } : {}),
    };
    await anna.step((draft) => anna.readLog.take(draft, entry));
    if (seq === 1000) anna.restart();
  }
  const stored = await anna.store.list(keys.allReadPlaces(lab.room));
  expect(stored.length).toBeGreaterThanOrEqual(2048 / 16);
  expect(stored.length).toBeLessThanOrEqual(2048 / 16 + 2);
  expect(Math.max(...stored.map(([, value]) => value.length))).toBeLessThanOrEqual(16 * 33);
  const before = (await anna.seal(text("x"))).content.seen;
  anna.restart();
  expect((await anna.seal(text("x"))).content.seen).toEqual(before);
  expect(before!.hashes).toHaveLength(4);
});

test("what a failed write has added is forgotten", async () => {
  const { lab, anna } = await trio();
  const before = (await anna.seal(text("x"))).content.seen;
  const entry: LogEntry = { seq: 2, kind: "message", createdAt: new Date(lab.now), epoch: 0, ciphertext: randomBytes(9) };
  await expect(
    anna.step(async (draft) => {
      await anna.readLog.take(draft, entry);
      throw new Error("The disk is full.");
    }),
  ).rejects.toThrow("full");
  anna.readLog.forget();
  expect((await anna.seal(text("x"))).content.seen).toEqual(before);
  await anna.read(entry);
  expect((await anna.seal(text("x"))).content.seen!.seq).toBe(2);
});

test("a place that was never read is shown until a deletion of its author names it", async () => {
  const { lab, anna, ben } = await trio();
  const { id, ciphertext } = await ben.seal(text("gone"));
  const seq = await lab.enter("message", ciphertext, {}, [lab.devices[2]!]);
  for (const device of [anna, ben]) await device.read({ ...lab.log[seq - 1]!, kind: "gone", ciphertext: undefined } as unknown as LogEntry);
  expect(await anna.at(seq)).toMatchObject({ content: { type: "missing", places: 1 } });
  const expired = anna.listen("expired");
  await lab.say(ben, { type: "delete", target: id, seqs: [seq] });
  expect(await anna.at(seq)).toBeUndefined();
  expect(expired).toEqual([{ seqs: [seq] }]);
});

test("the server takes no own message away: one that it has emptied before this device read it stands at its place", async () => {
  const { lab, anna, ben } = await trio();
  const { seq } = await lab.say(ben, text("hello"));
  const sent = await ownSend(anna, "mine");
  anna.waiting.push({ ...sent, position: 1, roomId: lab.room });
  await anna.read({ seq: seq + 1, kind: "gone", createdAt: new Date(lab.now), epoch: 0, id: sent.clientMessageId });
  expect(await anna.at(seq + 1)).toMatchObject({ id: sent.id, mine: true, content: { type: "text", text: "mine" } });
});

test("an own send does not take the place of anything that this device has read there", async () => {
  const { lab, anna, ben } = await trio();
  const own = await ownSend(anna, "mine");
  const acked = (seq: number) => anna.step((draft) => acceptAcked(draft, { ...own, seq, at: lab.now }, anna.applying));
  const { seq } = await lab.say(ben, text("I owe you 100"));
  const joined = await lab.enter("memberJoined", undefined, { userId: newId() });
  const edit = await lab.say(ben, { type: "reaction", target: { author: ben.userId, id: newId() }, emoji: "+" });
  for (const place of [1, seq, joined, edit.seq]) await acked(place);
  expect(anna.undelivered).toEqual(Array.from({ length: 4 }, () => [own.id, "elsewhere"]));
  expect((await anna.history()).map(({ content }) => content)).toEqual([text("I owe you 100")]);
  // At its true place, and at one that this device has not read.
  const there = await lab.enter("message", own.ciphertext, {}, []);
  await anna.step((draft) => anna.readLog.take(draft, lab.log[there - 1]!));
  await acked(there);
  expect(await anna.at(there)).toMatchObject({ mine: true, content: text("mine") });
  const other = await ownSend(anna, "other");
  await anna.step((draft) => acceptAcked(draft, { ...other, seq: there + 5, at: lab.now }, anna.applying));
  expect(await anna.at(there + 5)).toMatchObject({ mine: true, content: text("other") });
});

/** A message that this device has encrypted and sent. */
async function ownSend(device: LabDevice, value: string) {
  const { id, ciphertext } = await device.seal(text(value));
  const { epoch, generation } = device.group;
  const sealed = { sent: device.lab.now, signatureKey: device.of.signature.publicKey };
  return { id, clientMessageId: newId(), content: text(value), ciphertext, epoch, generation, sealed };
}

test("places that this device could not have read, because it was out of the room, are not shown", async () => {
  const { anna } = await trio();
  await anna.step(async (draft) => keepMissing(draft, 5, 3, 0, anna.applying));
  expect(await anna.at(5)).toMatchObject({ content: { type: "missing", places: 3 } });
  await anna.step((draft) => forgetMissing(draft, 9, anna.applying));
  expect(await anna.history()).toEqual([]);
});
