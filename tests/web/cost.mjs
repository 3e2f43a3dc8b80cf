// What the rules of trust cost: the CPU time of one message of 512 bytes in a group of 10, from the outbox of one device to the store of another, with the
// rules on and off in alternating rounds. Network and server are left out. Needs the built SDK: npx tsc -p src/web/sdk. Run: node tests/web/cost.mjs [messages]
// [rounds]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateSigningKey } from "../../src/web/sdk/dist/mls/ed25519.js";
import { signDevice } from "../../src/web/sdk/dist/mls/credential.js";
import { groupIdOf } from "../../src/web/sdk/dist/mls/group.js";
import { makeKeyPackage } from "../../src/web/sdk/dist/mls/messages.js";
import { Emitter } from "../../src/web/sdk/dist/base/events.js";
import { idBytes, newId, randomBytes } from "../../src/web/sdk/dist/base/bytes.js";
import { systemClock } from "../../src/web/sdk/dist/base/clock.js";
import { FileStore } from "../../src/web/sdk/dist/node.js";
import { encodeItem, viewOf } from "../../src/web/sdk/dist/rooms/contents.js";
import { Draft } from "../../src/web/sdk/dist/rooms/draft.js";
import { applyEntry } from "../../src/web/sdk/dist/rooms/entries.js";
import { mls } from "../../src/web/sdk/dist/rooms/mls.js";
import { ReadLog } from "../../src/web/sdk/dist/rooms/readLog.js";
import { SignedRoom } from "../../src/web/sdk/dist/rooms/signedRoom.js";
import { enforced } from "../../src/web/sdk/dist/trust/enforced.js";
import { encodeFounding } from "../../src/web/sdk/dist/trust/founding.js";
import { emptyState } from "../../src/web/sdk/dist/trust/state.js";

const messages = Number(process.argv[2] ?? 200);
const rounds = Number(process.argv[3] ?? 9);
const devices = 10;
const directory = mkdtempSync(join(tmpdir(), "cost-"));

async function people() {
  return Promise.all(
    Array.from({ length: devices }, async () => {
      const [key, signature] = await Promise.all([generateSigningKey(), generateSigningKey()]);
      const [userId, deviceId] = [newId(), newId()];
      const identitySignature = await signDevice(key.privateKey, userId, deviceId, signature.publicKey);
      return { signature, identity: { userId, deviceId, identityKey: key.publicKey, identitySignature } };
    }),
  );
}

/** The devices of each user, as the newest lists have them. */
const known = new Map();

/** One device of the room, with a store in a file. */
class Device {
  constructor(room, of, group, store) {
    Object.assign(this, { room, of, group, store, readLog: new ReadLog(store, room) });
    this.state = { id: room, kind: "group", scheme: "mls10", generation: 0, high: 0 };
    this.applying = {
      clock: systemClock,
      device: { userId: of.identity.userId, id: of.identity.deviceId, identity: of.identity, signature: of.signature },
      events: new Emitter(),
      mls,
      people: {
        devicesOf: (userId) => known.get(userId) ?? [],
        holdOf: () => undefined,
        isOtherIdentity: () => false,
        listOf: () => undefined,
        mention: async () => "same",
        refresh: async () => undefined,
        seeLeaves: async () => undefined,
      },
      privacy: { settings: { readReceipts: true, typing: true } },
      readLog: this.readLog,
      reports: {
        warn: (warning) => {
          throw new Error(`${warning.kind}: ${warning.detail}`);
        },
        failed: () => (error) => {
          throw error;
        },
      },
      sends: { find: () => undefined },
    };
  }

  async step(work, relaxed) {
    const draft = new Draft(this.store, this.state, this.group, undefined, undefined, this.signed);
    await work(draft);
    await this.store.write(draft.changes, { relaxed });
    Object.assign(this, { state: draft.state, group: draft.group, signed: draft.signed });
    for (const tell of draft.after) tell();
  }

  read(entry) {
    return this.step(async (draft) => {
      await this.readLog.take(draft, entry);
      if (entry.ciphertext && entry.senderId !== this.of.identity.deviceId && entry.kind === "message") await applyEntry(draft, entry, this.applying);
      draft.state.cursor = draft.state.high = entry.seq;
    }, true);
  }

  async seal(item) {
    let message;
    await this.step(async (draft) => {
      const view = await viewOf(draft, this.applying);
      const { padded } = await encodeItem(draft, item, view, this.applying);
      const result = await draft.group.encrypt(padded);
      message = result.message;
      draft.usedKeys(result.group, result.group.epoch);
    }, false);
    return message;
  }
}

/** Two devices of a group of ten, after this many entries of the log. */
async function open(entries, round) {
  const all = await people();
  for (const { identity, signature } of all) known.set(identity.userId, [{ deviceId: identity.deviceId, signatureKey: signature.publicKey }]);
  const founding = encodeFounding({ kind: "group", founder: all[0].identity.userId, identity: all[0].identity.identityKey, nonce: randomBytes(16) });
  const begun = await SignedRoom.begin(founding);
  const packages = await Promise.all(all.map((each) => makeKeyPackage(each.identity, each.signature, 28, Date.now())));
  const first = await mls.found(groupIdOf(idBytes(begun.id), 0), packages[0]);
  const made = await first.commit({ remove: [], add: packages.slice(1).map(({ message }) => message) });
  const groups = [made.before.merge(made.after), (await mls.join(made.welcome, packages[1])).group];
  const roster = all
    .map(({ identity }) => ({ user: identity.userId, identity: identity.identityKey, since: 1, list: 1 }))
    .toSorted((a, b) => (a.user < b.user ? -1 : 1));
  const signed = await begun.next(
    { generation: 0, epoch: 1 },
    { state: { ...emptyState, roster, timeToLive: 86_400 }, head: { number: 1, hash: randomBytes(32) } },
  );
  const pair = [];
  for (const i of [0, 1]) {
    const store = await FileStore.open(join(directory, `${round}-${i}`));
    const device = new Device(begun.id, all[i], groups[i], store);
    device.signed = signed;
    pair.push(device);
  }
  for (let seq = 1; seq <= entries; seq++) {
    const entry = { seq, kind: "commit", createdAt: new Date(), epoch: 0, ciphertext: randomBytes(32), senderId: "" };
    for (const device of pair) await device.step((draft) => device.readLog.take(draft, entry), true);
  }
  return pair;
}

let round = 0;
/** Milliseconds of CPU for one message. */
async function measure(entries, areOn) {
  for (const rule of Object.keys(enforced)) enforced[rule] = true;
  const [sender, receiver] = await open(entries, round++);
  for (const rule of Object.keys(enforced)) enforced[rule] = areOn;
  const text = "x".repeat(512);
  const say = async (seq) => {
    const ciphertext = await sender.seal({ id: newId(), content: { type: "text", text } });
    const entry = { seq, kind: "message", createdAt: new Date(), id: newId(), epoch: 1, ciphertext, senderId: sender.of.identity.deviceId };
    await sender.read(entry);
    await receiver.read(entry);
  };
  for (let i = 1; i <= 20; i++) await say(entries + i);
  const before = process.cpuUsage();
  for (let i = 21; i <= 20 + messages; i++) await say(entries + i);
  const { user, system } = process.cpuUsage(before);
  for (const { store } of [sender, receiver]) await store.close();
  return (user + system) / 1000 / messages;
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

for (const entries of [1, 2000]) {
  for (const areOn of [true, false]) await measure(entries, areOn);
  const [on, off] = [[], []];
  for (let i = 0; i < rounds; i++) {
    on.push(await measure(entries, true));
    off.push(await measure(entries, false));
  }
  const [with_, without] = [median(on), median(off)];
  console.log(`log of ${entries} entries: ${without.toFixed(2)} ms without the rules, ${with_.toFixed(2)} ms with them, ratio ${(with_ / without).toFixed(2)}`);
}
rmSync(directory, { recursive: true, force: true });
