/* What the server leaves out of an answer deletes nothing. */
import { expect, test } from "vitest";
import { keys, pack, unpack } from "../../src/store/store.js";
import type { SimDevice } from "../simulation/device.js";
import { World } from "../simulation/world.js";
import { anna, ben, openRoomBeforeEach, scene } from "./opening.js";

openRoomBeforeEach("hello");

const stored = async (device: SimDevice) => [keys.group(scene.room.id), keys.signed(scene.room.id)].map((key) => device.disk.get(key));

test("a room missing in the heads is read all the same", async () => {
  const core = scene.coreOf(ben);
  scene.server.heads = () => [];
  await scene.world.pass(60_000);
  expect(scene.coreOf(ben)).toBe(core);
  expect(core!.isWithheld).toBe(false);
});

test("a room that the server does not show any more is kept, its sends wait, and it goes on when the server shows it again", async () => {
  const { room, server } = scene;
  const room1 = await scene.roomOf(ben);
  const seen: boolean[] = [];
  room1.on("withheld", ({ isWithheld }) => seen.push(isWithheld));
  server.rooms.delete(room.id);
  await scene.world.pass(60_000);
  expect(room1).toMatchObject({ isWithheld: true, isReady: false });
  expect(room1.holds()).toMatchObject([{ kind: "withheld" }]);
  expect(await scene.linesOf(ben)).toContain("withheld");
  expect(await scene.textsOf(ben)).toEqual(["hello"]);
  for (const value of await Promise.all(await stored(ben))) expect(value).toBeDefined();
  void ben.send(room.id, "waits");
  await scene.world.pass(10_000);
  expect(room1.unsent).toBe(1);
  // The same after a restart.
  ben.die();
  await scene.run(ben.start());
  await scene.world.pass(40_000);
  const room2 = await scene.roomOf(ben);
  expect(room2.isWithheld).toBe(true);
  const holds: number[] = [];
  room2.on("holds", (now) => holds.push(now.length));
  server.rooms.set(room.id, room);
  await scene.world.pass(60_000);
  expect((await scene.roomOf(ben)).isWithheld).toBe(false);
  // Also the end of a hold from before the restart is reported.
  expect(holds.at(-1)).toBe(0);
  expect(await scene.textsOf(anna)).toEqual(["hello", "waits"]);
  expect(seen).toEqual([true]);
});

test("a person forgets a withheld room, and no other one", async () => {
  const room = await scene.roomOf(ben);
  await expect(scene.run(room.forget())).rejects.toMatchObject({ code: "Conflict" });
  scene.server.rooms.delete(scene.room.id);
  await scene.world.pass(60_000);
  await scene.run(room.forget());
  expect(ben.process!.rooms.list()).toEqual([]);
  expect(await ben.disk.get(keys.group(scene.room.id))).toBeUndefined();
  expect((await ben.disk.list(keys.messages(scene.room.id))).length).toBe(1);
});

test("a user who was removed and added again unseen enters when a person agrees", async () => {
  ben.die();
  const annas = await scene.roomOf(anna);
  await scene.run(annas.members.remove("ben"));
  await scene.run(annas.members.add("ben"));
  await scene.world.pass(3_000);
  ben.agrees = false;
  await scene.run(ben.start());
  await scene.world.pass(30_000);
  const room = await scene.roomOf(ben);
  expect(room.holds().map(({ kind }) => kind)).toContain("reentryHeld");
  expect(scene.coreOf(ben)!.signed!.head!.number).toBe(1);
  await scene.run(room.agreeToEnter());
  await scene.world.pass(3_000);
  expect(scene.coreOf(ben)!.signed!.head!.number).toBe(3);
  expect(room).toMatchObject({ isReady: true, isConfirmed: false });
});

test("a user who has followed the removal enters again without a question", async () => {
  const annas = await scene.roomOf(anna);
  await scene.run(annas.members.remove("ben"));
  await scene.world.pass(3_000);
  expect(ben.process!.rooms.list()).toEqual([]);
  await scene.run(annas.members.add("ben"));
  await scene.world.pass(10_000);
  const room = await scene.roomOf(ben);
  expect(room.isReady).toBe(true);
  expect(room.holds()).toEqual([]);
});

test("a device that has followed the removal of its user and stopped before it ended the room ends it at the next start", async () => {
  const key = keys.room(scene.room.id);
  const state = unpack<object>((await ben.disk.get(key))!);
  await scene.run((await scene.roomOf(anna)).members.remove("ben"));
  await scene.world.pass(5_000);
  expect(ben.process!.rooms.list()).toEqual([]);
  ben.die();
  await ben.disk.write(new Map([[key, pack({ ...state, out: true })]]));
  // The end is stored before the history is read: nothing may come between it and its listeners.
  const list = ben.disk.list.bind(ben.disk);
  ben.disk.list = async (...range) => {
    if (range[0] === keys.messages(scene.room.id)) await World.settle();
    return list(...range);
  };
  Object.assign(ben, { isSlow: false });
  await scene.run(ben.start());
  await scene.world.pass(5_000);
  expect(ben.process!.rooms.list()).toEqual([]);
  expect(await ben.disk.get(key)).toBeUndefined();
  expect(await ben.disk.list(keys.messages(scene.room.id))).toHaveLength(1);
});

test("a message that this device cannot read, because the server has dropped a Commit, is a visible place when it is in the group again", async () => {
  const { room } = scene;
  ben.die();
  const { length } = room.log;
  await scene.run((await scene.roomOf(anna)).rename("another name"));
  const commit = room.log[length]!;
  expect(commit.kind).toBe("commit");
  const { createdAt, epoch } = commit;
  room.log[length] = { seq: commit.seq, kind: "gone", createdAt, epoch };
  await scene.run(anna.send(scene.room.id, "unread 1"));
  await scene.run(anna.send(scene.room.id, "unread 2"));
  await scene.run(ben.startAgain());
  await scene.world.pass(120_000);
  await scene.run(anna.send(scene.room.id, "read again"));
  await scene.world.pass(3_000);
  expect(await scene.textsOf(ben)).toEqual(["hello", "read again"]);
  const missing = (await (await scene.roomOf(ben)).history()).filter(({ content }) => content.type === "missing");
  expect(missing.map(({ content }) => (content as { places: number }).places)).toEqual([2]);
});

test("a device that was offline for 30 days, while the server purged all that it has missed, is added again and shows the gap", async () => {
  const { room, world } = scene;
  ben.die();
  for (const name of ["another name", "a third name"]) await scene.run((await scene.roomOf(anna)).rename(name));
  await scene.run(anna.send(room.id, "unread"));
  await world.pass(1_000);
  anna.die();
  await world.pass(30 * 86_400_000);
  room.firstSeq = room.log.length + 1;
  await scene.run(anna.startAgain());
  await scene.run(ben.startAgain());
  await world.pass(120_000);
  await scene.run(anna.send(room.id, "read again"));
  await world.pass(3_000);
  expect(await scene.textsOf(ben)).toEqual(["hello", "read again"]);
  const missing = (await (await scene.roomOf(ben)).history()).filter(({ content }) => content.type === "missing");
  expect(missing).toHaveLength(1);
  expect((await scene.roomOf(ben)).name).toBe("a third name");
  for (const device of [anna, ben]) {
    expect((await scene.roomOf(device)).holds()).toEqual([]);
    expect(await scene.linesOf(device)).not.toContain("transcriptMismatch");
  }
});

test("a person who starts the client again still sees that two devices have read different logs", async () => {
  // This device has read another entry than the others.
  anna.die();
  const chunks = await anna.disk.list(keys.allReadPlaces(scene.room.id));
  const [key, value] = chunks.at(-1)!;
  const other = value.slice();
  other[other.length - 1]! ^= 1;
  await anna.disk.write(new Map([[key, other]]));
  await scene.run(anna.start());
  await scene.run(ben.send(scene.room.id, "and now"));
  await scene.world.pass(5_000);
  expect(anna.warnings.map(({ kind }) => kind)).toContain("transcriptMismatch");
  anna.die();
  anna.warnings.length = 0;
  await scene.run(anna.start());
  await scene.world.pass(40_000);
  expect((await scene.linesOf(anna)).filter((kind) => kind === "transcriptMismatch")).toHaveLength(1);
  expect(anna.warnings.map(({ kind }) => kind)).not.toContain("transcriptMismatch");
});
