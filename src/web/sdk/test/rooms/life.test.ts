import { afterEach, expect, test } from "vitest";
import { Expiry } from "../../src/rooms/expiry.js";
import type { RoomCore } from "../../src/rooms/core.js";
import { page } from "../../src/rooms/pages.js";
import { keys } from "../../src/store/store.js";
import { World, clockOf } from "../simulation/world.js";
import { Lab, type LabDevice } from "./lab.js";

const text = (value: string) => ({ type: "text", text: value }) as const;
const second = 1000;
const hour = 3600 * second;
let closing = new AbortController();
afterEach(() => {
  closing.abort();
  closing = new AbortController();
});

/** The timer of a device whose clock is the lab's. */
async function timer(lab: Lab, device: LabDevice, world = new World(1, lab.now)): Promise<World> {
  const clock = clockOf(world, () => true);
  const core = {
    hasEnded: false,
    events: device.events,
    exclusively: (work: Parameters<LabDevice["step"]>[0]) => device.step(work),
  } as unknown as RoomCore;
  const { reports } = device.applying;
  const expiry = new Expiry({ clock, closing: closing.signal, reports, store: device.store }, (id) => (id === lab.room ? core : undefined));
  device.events.on("expiring", ({ deadline }) => expiry.expect(deadline));
  await expiry.start();
  return world;
}

test("a message lives for the shorter time of its own and of the room's state, from the earlier of sending and arrival", async () => {
  const lab = await Lab.open(2, () => ({ timeToLive: 3600 }));
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  const at = async (header: object) => (await anna.at((await lab.say(ben, text("x"), header)).seq))!.expires!.getTime() - lab.now;
  expect(await at({})).toBe(hour);
  expect(await at({ ttl: 60 })).toBe(60 * second);
  expect(await at({ ttl: 86_400 })).toBe(hour);
  expect(await at({ sent: lab.now - 600 * second })).toBe(3000 * second);
  // A clock that is ahead does not prolong it, and a message that arrives after its life is shown for a moment.
  expect(await at({ sent: lab.now + 600 * second })).toBe(hour);
  expect(await at({ sent: lab.now - 5 * hour })).toBe(10 * second);
});

test("a message shows the time that its author has signed, and none that is later than its arrival", async () => {
  const lab = await Lab.open(2);
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  const timeAt = async (seq: number) => (await anna.at(seq))!.time.getTime() - lab.now;
  const isOf = async (sent: number, createdAt: number) => {
    const { ciphertext } = await ben.seal(text("x"), { sent: lab.now + sent });
    return timeAt(await lab.enter("message", ciphertext, { createdAt: new Date(lab.now + createdAt) }, [anna]));
  };
  expect(await isOf(-5 * second, -24 * hour)).toBe(-5 * second);
  expect(await isOf(-5 * second, 24 * hour)).toBe(-5 * second);
  expect(await isOf(-24 * hour, 0)).toBe(-24 * hour);
  expect(await isOf(24 * hour, 24 * hour)).toBe(0);
  // A message that cannot be read says nothing.
  const unread = { createdAt: new Date(lab.now - 2 * hour) };
  expect(await timeAt(await lab.enter("message", new Uint8Array(99), unread, [anna]))).toBe(-2 * hour);
  // It stays what it was when the message arrived.
  const { seq, id } = await lab.say(ben, text("x"), { sent: lab.now + hour });
  lab.now += 3 * hour;
  await lab.say(ben, { type: "edit", target: id, text: "y" });
  expect(await timeAt(seq)).toBe(-3 * hour);
});

test("what the server says about the time to live changes nothing", async () => {
  const lab = await Lab.open(2, () => ({ timeToLive: 60 }));
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  await lab.enter("settingsChanged", undefined, { settings: { timeToLiveSeconds: 9_999_999 } });
  const { seq } = await lab.say(ben, text("x"));
  expect((await anna.at(seq))!.expires!.getTime()).toBe(lab.now + 60 * second);
});

test("an edit lives no longer than its message, and the message no longer than its edit", async () => {
  const lab = await Lab.open(2);
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  const { seq, id } = await lab.say(ben, text("x"), { ttl: 600 });
  await lab.say(ben, { type: "edit", target: id, text: "y" }, { ttl: 86_400 });
  expect((await anna.at(seq))!.expires!.getTime()).toBe(lab.now + 600 * second);
  await lab.say(ben, { type: "edit", target: id, text: "z" }, { ttl: 60 });
  expect((await anna.at(seq))!.expires!.getTime()).toBe(lab.now + 60 * second);
  expect(await anna.store.list(keys.deadlines)).toHaveLength(1);
});

test("the timer deletes a message with its proofs when its life is over, and reports it", async () => {
  const lab = await Lab.open(2);
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  const world = await timer(lab, anna);
  const expired = anna.listen("expired");
  const long = await lab.say(ben, text("long"), { ttl: 120 });
  const short = await lab.say(ben, text("short"), { ttl: 30 });
  await lab.say(ben, { type: "edit", target: short.id, text: "edited" });
  const stays = await lab.say(ben, text("stays"));
  expect(await anna.store.list(keys.proofs(lab.room))).toHaveLength(4);
  await world.pass(29 * second);
  expect(expired).toEqual([]);
  await world.pass(2 * second);
  expect(expired).toEqual([{ seqs: [short.seq] }]);
  await world.pass(90 * second);
  expect(expired).toEqual([{ seqs: [short.seq] }, { seqs: [long.seq] }]);
  expect((await anna.history()).map(({ seq }) => seq)).toEqual([stays.seq]);
  const left = (await anna.store.list("")).filter(([, value]) => /long|short|edited/.test(new TextDecoder().decode(value)));
  expect(left).toEqual([]);
  expect(await anna.store.list(keys.deadlines)).toEqual([]);
});

test("what has expired while the device did not run is deleted at its start, also in a room that has ended", async () => {
  const lab = await Lab.open(2);
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  await lab.say(ben, text("old"), { ttl: 30 });
  const expiry = new Expiry(
    { clock: { ...lab.clock, now: () => lab.now + hour }, closing: AbortSignal.abort(), reports: anna.applying.reports, store: anna.store },
    () => undefined,
  );
  await expiry.start();
  expect([await anna.history(), await anna.store.list(keys.proofs(lab.room)), await anna.store.list(keys.deadlines)]).toEqual([[], [], []]);
});

test("400 expired messages between two live ones leave pages that are full and in order", async () => {
  const lab = await Lab.open(2);
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  const first = await lab.say(ben, text("first"));
  for (let i = 0; i < 400; i++) await lab.say(ben, text(`${i}`), { ttl: 30 });
  const last = await lab.say(ben, text("last"));
  const ports = (now: number) => ({ store: anna.store, clock: { now: () => now } });
  const seqs = async (now: number, options: object) => (await page(ports(now), lab.room, options)).map(({ seq }) => seq);
  expect(await seqs(lab.now, { limit: 3 })).toEqual([last.seq - 2, last.seq - 1, last.seq]);
  // Before the timer has deleted them, and after it.
  expect(await seqs(lab.now + hour, { limit: 2 })).toEqual([first.seq, last.seq]);
  await timer(lab, anna, new World(1, lab.now + hour));
  expect(await seqs(lab.now + hour, { limit: 2 })).toEqual([first.seq, last.seq]);
  expect(await seqs(lab.now + hour, { before: last.seq, limit: 2 })).toEqual([first.seq]);
}, 60_000);

test("a message that was sent just now does not explain a place that was never read", async () => {
  const lab = await Lab.open(2, () => ({ timeToLive: 60 }));
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  const seq = await lab.enter("gone", undefined, {}, [anna]);
  await ben.step((draft) => ben.readLog.take(draft, { seq, kind: "gone", createdAt: new Date(0), epoch: 0 }));
  await lab.say(ben, text("new"));
  expect((await anna.at(seq))!.content).toEqual({ type: "missing", places: 1 });
  // With a message that was sent a minute ago, the places before it have expired.
  const later = await lab.enter("gone", undefined, {}, [anna]);
  await ben.step((draft) => ben.readLog.take(draft, { seq: later, kind: "gone", createdAt: new Date(0), epoch: 0 }));
  const changed = anna.listen("changed");
  await lab.say(ben, text("old"), { sent: lab.now - 60 * second });
  expect(changed).toMatchObject([{ seq: later, content: { type: "missing", expired: true } }]);
});

test("400 places that were never read are one entry of a page, and stay for the life of the room's messages whatever a member says", async () => {
  const lab = await Lab.open(2, () => ({ timeToLive: 60 }));
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  const first = await lab.say(ben, text("first"), {});
  for (let i = 0; i < 400; i++) await lab.enter("gone", undefined, {}, [anna]);
  const shown = () => page({ store: anna.store, clock: lab.clock }, lab.room, { limit: 5 });
  expect(await shown()).toMatchObject([{ seq: first.seq }, { seq: first.seq + 1, content: { type: "missing", places: 400 } }]);
  const at = lab.now;
  lab.now += 30 * second;
  await ben.step((draft) => ben.readLog.take(draft, { seq: lab.log.length + 5, kind: "gone", createdAt: new Date(0), epoch: 0 }));
  const { ciphertext } = await ben.seal(text("old"), { sent: lab.now - hour });
  await lab.enter("message", ciphertext, {}, [anna]);
  // The message says that it was sent long ago, so those before it have expired, if it tells the truth.
  lab.now = at + 59 * second;
  expect((await shown()).map(({ content }) => content)).toMatchObject([{ text: "first" }, { type: "missing", places: 400, expired: true }]);
  lab.now = at + 60 * second;
  expect(await shown()).toEqual([]);
}, 60_000);
