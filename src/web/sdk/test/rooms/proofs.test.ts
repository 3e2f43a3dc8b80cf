import { expect, test } from "vitest";
import { proofsOf } from "../../src/rooms/proofs.js";
import { read, keys } from "../../src/store/store.js";
import type { MessageRecord } from "../../src/rooms/records.js";
import { verifyProof } from "../../src/trust/proof.js";
import { Lab, type LabDevice } from "./lab.js";

const text = (value: string) => ({ type: "text", text: value }) as const;

async function proofsAt(device: LabDevice, seq: number) {
  const { room } = device.lab;
  const record = await read<MessageRecord>(device.store, keys.message(room, seq));
  return record ? proofsOf(device.store, room, record) : [];
}

test("each received message and edit has a proof that a third person can check", async () => {
  const lab = await Lab.open(2);
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  const { seq, id } = await lab.say(ben, text("promised"));
  await lab.say(ben, { type: "edit", target: id, text: "promised again" });
  const proofs = await proofsAt(anna, seq);
  expect(proofs.map(({ content }) => new TextDecoder().decode(content)).map((json) => /"text":"([^"]*)"/.exec(json)?.[1])).toEqual([
    "promised",
    "promised again",
  ]);
  for (const { proof, content } of proofs) {
    const { userId: user, deviceId: device } = ben.of.identity;
    expect(await verifyProof(proof, { room: lab.room, data: content })).toMatchObject({ ok: true, device: { user, device }, epoch: 1 });
    const changed = content.slice();
    changed[20]! ^= 1;
    expect(await verifyProof(proof, { room: lab.room, data: changed })).toMatchObject({ ok: false, rule: "data" });
  }
});

test("of the edits of another user's message, the newest 32 are remembered, with their proofs", async () => {
  const lab = await Lab.open(2);
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  const { seq, id } = await lab.say(ben, { type: "text", text: "0" });
  for (let i = 1; i <= 40; i++) await lab.say(ben, { type: "edit", target: id, text: String(i) });
  expect(await anna.at(seq)).toMatchObject({ content: { text: "40" }, edited: true });
  expect((await anna.records())[0]!.edits).toHaveLength(32);
  // That of the message, and those of the edits.
  expect(await anna.store.list(keys.proofs(lab.room))).toHaveLength(33);
});

test("a message without a proof is an own one, a deleted one, or one that does not count", async () => {
  const lab = await Lab.open(3);
  const [anna, ben, cleo] = lab.devices as [LabDevice, LabDevice, LabDevice];
  const { seq, id } = await lab.say(ben, text("deleted"));
  const twice = await lab.say(ben, text("twice"), { id });
  const edit = await lab.say(cleo, { type: "edit", target: id, text: "forged" });
  expect([(await proofsAt(anna, seq)).length, (await proofsAt(anna, twice.seq)).length]).toEqual([1, 0]);
  expect(await anna.store.get(keys.proof(lab.room, edit.seq))).toBeUndefined();
  await lab.say(ben, { type: "delete", target: id, seqs: [seq] });
  expect(await anna.store.list(keys.proofs(lab.room))).toEqual([]);
});

test("a proof needs less than 600 bytes beside the padded content", async () => {
  const lab = await Lab.open(10);
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  const { seq } = await lab.say(ben, text("x".repeat(512)));
  const [proof] = await proofsAt(anna, seq);
  expect(proof!.proof.length - proof!.content.length).toBeLessThan(600);
});
