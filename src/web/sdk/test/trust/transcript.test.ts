import { expect, test } from "vitest";
import { toHex } from "../../src/base/bytes.js";
import { decodeProof, encodeProof, verifyProof } from "../../src/trust/proof.js";
import { entryHash, Transcript, type Place, type Seen } from "../../src/trust/transcript.js";
import { fromHex, fuzz, vectors } from "./vectors.js";

const file = vectors("transcript");
const founding = fromHex(file.founding);

/** What a device has read that began after `gap`. With `gone`, it read nothing at this place. */
async function readTo(seq: number, gap = 0, start = gap, changed = -1): Promise<Transcript> {
  const transcript = Transcript.start(founding, start);
  const places = new Map<number, Place>();
  for (const each of file.entries)
    places.set(each.seq, { kind: each.kind === 1 ? "message" : "commit", entry: await entryHash(fromHex(each.seq === changed ? "00" : each.message)) });
  for (let place = start + 1; place <= seq; place++) transcript.add(place, place === gap ? "gone" : (places.get(place) ?? { kind: "server" }));
  return transcript;
}

test("a device says what it has read", async () => {
  expect(file.seen).toHaveLength(8);
  for (const { seq, gap, hashes } of file.seen) {
    expect(await (await readTo(seq, gap)).seen()).toEqual({ seq, gap, hashes });
    expect(await (await readTo(seq, gap, 0)).seen()).toEqual({ seq, gap, hashes });
  }
  expect(await Transcript.start(founding, 0).seen()).toBeUndefined();
});

test("members compare all values of which they have read the places", async () => {
  const all = await readTo(1280);
  for (const seen of file.seen as Seen[]) {
    expect(await all.judge(seen, 2000)).toEqual({ verdict: "same", compared: seen.hashes.length });
    expect(await all.judge(seen, seen.seq)).toEqual({ verdict: "mismatch" });
    expect(await all.judge(seen, seen.seq + 1)).toMatchObject({ verdict: "same" });
  }
  const whole = (await all.seen())!;
  expect(await (await readTo(1280, 1100)).judge(whole, 1281)).toEqual({ verdict: "same", compared: 1 });
  expect(await (await readTo(1279)).judge(whole, 1281)).toEqual({ verdict: "same", compared: 3 });
  expect(await (await readTo(1280, 0, 0, 1024)).judge(whole, 1281)).toEqual({ verdict: "mismatch", block: 4 });
  expect(await (await readTo(1280, 0, 0, 257)).judge(whole, 1281)).toEqual({ verdict: "same", compared: 4 });
  expect(await (await readTo(300, 0, 0, 257)).judge((await (await readTo(300)).seen())!, 301)).toEqual({ verdict: "mismatch", block: 1 });
});

test("a wrong number of values, another size and a gap above the place are malformed", async () => {
  const transcript = await readTo(300);
  const seen = (await transcript.seen())!;
  const malformed: Seen[] = [
    { ...seen, hashes: seen.hashes.slice(1) },
    { ...seen, hashes: [...seen.hashes, seen.hashes[0]!] },
    { ...seen, hashes: seen.hashes.map((value) => value.slice(4)) },
    { ...seen, hashes: seen.hashes.map(() => "?") },
    { ...seen, gap: 301 },
    { ...seen, seq: 1.5 },
    { ...seen, seq: -1 },
  ];
  for (const each of malformed) expect(await transcript.judge(each, 1000)).toEqual({ verdict: "malformed" });
});

test("a transcript is kept across restarts, for 2,048 places, without holes", async () => {
  const transcript = await readTo(1280, 511);
  const restored = Transcript.restore(founding, structuredClone(transcript.store()));
  expect(await restored.seen()).toEqual(await transcript.seen());
  expect(() => restored.add(1282, { kind: "server" })).toThrow(RangeError);
  expect((await readTo(5000)).store().places).toHaveLength(2048);
});

test("a proof names the device that wrote a message of a room", async () => {
  const proof = vectors("proof");
  const [valid] = proof.valid;
  const of = { room: proof.roomId, data: fromHex(valid.data) };
  expect([proof.valid.length, proof.unknown.length, proof.invalid.length]).toEqual([1, 1, 6]);
  const result = await verifyProof(fromHex(valid.encoded), of);
  expect(result).toMatchObject({ ok: true, device: { user: valid.user, device: valid.device }, generation: 0, epoch: 3 });
  const unknown = await verifyProof(fromHex(proof.unknown[0].encoded), of);
  expect(unknown).toMatchObject({ ok: true, device: { user: proof.unknown[0].user } });
  if (result.ok && unknown.ok) expect(toHex(unknown.device.identity)).not.toBe(toHex(result.device.identity));
  for (const { rule, about, encoded } of proof.invalid) expect(await verifyProof(fromHex(encoded), of), about ?? rule).toEqual({ ok: false, rule });
  fuzz(fromHex(valid.encoded), decodeProof, encodeProof);
  const bytes = fromHex(valid.encoded);
  for (let at = 0; at < bytes.length; at += 5) {
    const damaged = bytes.slice();
    damaged[at]! ^= 4;
    expect((await verifyProof(damaged, of)).ok, `byte ${at}`).toBe(false);
  }
});
