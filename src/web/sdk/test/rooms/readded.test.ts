/* A user who is removed and added again enters by the new Welcome, whatever this device was doing meanwhile. */
import { expect, test } from "vitest";
import { SecureMessagingError } from "../../src/base/errors.js";
import type { StoredWelcome } from "../../src/rooms/records.js";
import { keys } from "../../src/store/store.js";
import { anna, ben, openRoomBeforeEach, scene } from "./opening.js";

openRoomBeforeEach();

test("a Welcome is not lost when the server's answer about the room is older than it", async () => {
  const { server } = scene;
  const { members } = await scene.roomOf(anna);
  await scene.run(members.remove(ben.user.id));
  await scene.world.pass(5_000);
  expect(scene.coreOf(ben)).toBeUndefined();
  // Until the Welcome is there, and once more after it, Ben hears that he is in no such room.
  let isOld = true;
  const welcomes = server.welcomes.bind(server);
  const summary = server.summary.bind(server);
  let afterWelcome = 0;
  server.welcomes = (...about) => {
    const found = welcomes(...about);
    if (about[1] === ben.id && found.length > 0 && isOld) [isOld, afterWelcome] = [false, 1];
    return found;
  };
  server.summary = (...about) => {
    if (about[0] === ben.user.id && (isOld || afterWelcome-- > 0)) throw SecureMessagingError.of("NotFound", "Not found, or you do not have access.");
    return summary(...about);
  };
  await scene.run(members.add("ben"));
  await scene.world.pass(120_000);
  expect(isOld).toBe(false);
  await scene.run(anna.send(scene.room.id, "welcome back"));
  await scene.world.pass(5_000);
  expect(await scene.textsOf(ben)).toEqual(["welcome back"]);
});

test("a room that has ended takes no Welcome, so that the server keeps it for the room that is opened next", async () => {
  const core = scene.coreOf(ben)!;
  core.end("left");
  expect(await scene.run(core.welcomed({ roomId: core.id, generation: 0, seq: 99, message: "" }, new Uint8Array()))).toBe(false);
});

test.each([
  ["keeps a Welcome for a later place", "left", 1, true],
  ["deletes a Welcome for a place that it has read", "left", 0, false],
  ["deletes each Welcome when the person deletes the room", "deleted", 1, false],
] as const)("the end of a room %s", async (_, change, later, isThere) => {
  const core = scene.coreOf(ben)!;
  const seq = core.state.cursor! + later;
  await scene.run(core.exclusively(async (draft) => draft.setWelcome({ generation: 0, seq, epoch: 9 } as StoredWelcome)));
  core.end(change);
  await scene.run(core.ending);
  expect((await ben.disk.get(keys.welcome(core.id))) !== undefined).toBe(isThere);
});
