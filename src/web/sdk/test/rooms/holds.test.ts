/* Why a device sends nothing into a room, by what it alone knows. */
import { expect, test } from "vitest";
import { encodePart } from "../../src/trust/state.js";
import { holdsOf, type RoomHold } from "../../src/rooms/holds.js";
import type { RoomGroup } from "../../src/rooms/ports.js";
import { anna, ben, openRoomBeforeEach, scene } from "./opening.js";

openRoomBeforeEach();

test("without holds, sends go on", async () => {
  for (const device of [anna, ben]) expect((await scene.roomOf(device)).holds()).toEqual([]);
  await scene.run(ben.send(scene.room.id, "hello"));
  await scene.world.pass(3_000);
  expect(await scene.textsOf(anna)).toEqual(["hello"]);
});

test("a newcomer fetches the lists of the members at once, and does not wait for its turn", async () => {
  const cleo = await scene.person("cleo");
  await scene.run((await scene.roomOf(anna)).members.add("cleo"));
  await scene.world.until(() => scene.coreOf(cleo)?.isReady === true, 5_000);
  await scene.world.pass(100);
  expect((await scene.roomOf(cleo)).holds()).toEqual([]);
});

test("a leaf that its user's newest list does not have holds the sends, until a member replaces it", async () => {
  const room = await scene.roomOf(anna);
  const shown: RoomHold[][] = [];
  room.on("holds", (holds) => shown.push(holds));
  ben.process!.upkeep.heal();
  await scene.world.pass(60_000);
  expect(shown[0]).toMatchObject([{ kind: "unlistedDevice", userId: ben.user.id, deviceId: ben.id }]);
  expect(shown.at(-1)).toEqual([]);
  expect(room.holds()).toEqual([]);
  expect(await scene.linesOf(anna)).toContain("deviceReplaced");
});

test("a leaf of another user that no list has holds the sends, also when its device has the id of this device", async () => {
  const { signed, group, state } = scene.coreOf(anna)!;
  const own = { userId: anna.user.id, deviceId: anna.id };
  const of = { signed, state, welcome: undefined, people: anna.people!, own };
  expect(holdsOf({ ...of, group })).toEqual([]);
  const leaves = group!.leaves().map((leaf) => (leaf.userId === ben.user.id ? { ...leaf, deviceId: anna.id, signatureKey: new Uint8Array(32) } : leaf));
  const ghost = { leaves: () => leaves } as unknown as RoomGroup;
  expect(holdsOf({ ...of, group: ghost })).toMatchObject([{ kind: "unlistedDevice", userId: ben.user.id, deviceId: anna.id }]);
});

test("a list that the server withholds holds the sends, and a person can answer", async () => {
  const book = anna.people!;
  const { lists } = scene.server.directory.user(ben.user.id);
  await scene.run(book.mention(ben.user.id, { number: lists.length + 1, hash: new Uint8Array(16) }));
  await scene.run(book.refresh([ben.user.id]));
  const room = await scene.roomOf(anna);
  expect(room.holds()).toMatchObject([{ kind: "listWithheld", userId: ben.user.id }]);
  await scene.run(anna.send(scene.room.id, "waits"));
  await scene.world.pass(10_000);
  expect(await scene.textsOf(ben)).toEqual([]);
  await scene.run(room.answerHold("listWithheld"));
  await scene.world.pass(10_000);
  expect(room.holds()).toEqual([]);
  expect(await scene.textsOf(ben)).toEqual(["waits"]);
});

test("a hold that begins while a send waits for its turn stops the send, too", async () => {
  const core = scene.coreOf(anna)!;
  let end!: () => void;
  const ended = new Promise<void>((resolve) => (end = resolve));
  const earlier = core.exclusively(async () => {
    await ended;
    return false;
  });
  void anna.send(scene.room.id, "waits");
  await scene.world.pass(1_000);
  const { lists } = scene.server.directory.user(ben.user.id);
  await scene.run(anna.people!.mention(ben.user.id, { number: lists.length + 1, hash: new Uint8Array(16) }));
  await scene.run(anna.people!.refresh([ben.user.id]));
  expect(core.isHeld).toBe(true);
  end();
  await scene.run(earlier);
  await scene.world.pass(10_000);
  expect(await scene.textsOf(ben)).toEqual([]);
  await scene.run((await scene.roomOf(anna)).answerHold("listWithheld"));
  await scene.world.pass(10_000);
  expect(await scene.textsOf(ben)).toEqual(["waits"]);
});

test("a part of a later version that must be known holds the sends, and has no answer", async () => {
  const critical = { type: 0x8001, value: new Uint8Array([1]) };
  await scene.run(scene.changeAs(anna, [{ type: 6, value: encodePart(critical) }]));
  const room = await scene.roomOf(ben);
  expect(room.holds()).toMatchObject([{ kind: "updateRequired" }]);
  await scene.run(room.answerHold("updateRequired"));
  expect(room.holds()).toMatchObject([{ kind: "updateRequired" }]);
});
