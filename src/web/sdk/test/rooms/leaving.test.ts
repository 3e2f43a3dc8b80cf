/* Leaving a room and being removed from it, when the device cannot follow at once what becomes of it. */
import { expect, test, vi } from "vitest";
import { SecureMessagingError } from "../../src/base/errors.js";
import type { RoomLine } from "../../src/rooms/line.js";
import { keys, pack, unpack } from "../../src/store/store.js";
import type { SimDevice } from "../simulation/device.js";
import { anna, ben, openRoomBeforeEach, scene } from "./opening.js";

openRoomBeforeEach("hello");

/** The process has noted that its user leaves, and has died before the server answered. */
async function diesWhileLeaving(device: SimDevice): Promise<void> {
  const { cursor } = scene.coreOf(device)!.state;
  device.die();
  await device.disk.write(new Map([[keys.leaving(scene.room.id), pack(cursor)]]));
}

const failures = (device: SimDevice) => device.warnings.flatMap(({ kind, error }) => (kind === "leaveNotFinished" ? [error?.message] : []));

test("a user who was removed while all devices were offline reads up to the removal, and the room ends as it does online", async () => {
  ben.die();
  await scene.run((await scene.roomOf(anna)).members.remove("ben"));
  await scene.run(anna.send(scene.room.id, "without Ben"));
  await scene.run(ben.start());
  await scene.world.pass(5_000);
  expect(ben.process!.rooms.list()).toEqual([]);
  const lines = (await ben.disk.list(keys.lines(scene.room.id))).map(([, value]) => unpack<RoomLine>(value));
  expect(lines.at(-1)).toMatchObject({ kind: "removed", by: { userId: anna.user.id }, userId: ben.user.id });
  expect(await ben.disk.get(keys.group(scene.room.id))).toBeUndefined();
  expect(await ben.disk.list(keys.messages(scene.room.id))).toHaveLength(1);
});

test("a user whom the server alone removes keeps the room and reads nothing more", async () => {
  const { room, server } = scene;
  server.lie(room, "leave", ben.user.id);
  await scene.world.pass(60_000);
  expect(await scene.roomOf(ben)).toMatchObject({ isWithheld: true });
  await scene.run(anna.send(room.id, "not for Ben's client"));
  await scene.world.pass(60_000);
  expect(await scene.textsOf(ben)).toEqual(["hello"]);
  // After a restart nothing has changed.
  ben.die();
  await scene.run(ben.start());
  await scene.world.pass(60_000);
  expect(await scene.roomOf(ben)).toMatchObject({ isWithheld: true });
  expect(await ben.disk.get(keys.group(room.id))).toBeDefined();
});

test("the other devices of a user who has left end the room, too", async () => {
  const second = await scene.device("ben");
  await scene.world.pass(20_000);
  expect(scene.coreOf(second)!.group).toBeDefined();
  await scene.run((await scene.roomOf(ben)).leave());
  await scene.world.pass(10_000);
  expect(second.process!.rooms.list()).toEqual([]);
});

test("a client that connects while its user leaves does not tell the server before the others have the signature", async () => {
  const leaving = (await scene.roomOf(ben)).leave();
  ben.link!.disconnect();
  ben.link!.connect();
  await scene.run(leaving);
  await scene.world.pass(10_000);
  expect(await scene.membersOf(anna)).toEqual(["anna owner"]);
  expect(scene.coreOf(anna)!.group!.leaves()).toHaveLength(1);
});

test("a leave that the server refuses after a restart ends nothing", async () => {
  await diesWhileLeaving(anna);
  await scene.run(anna.start());
  await scene.world.pass(5_000);
  expect(await scene.roomOf(anna)).toMatchObject({ isReady: true });
  expect(failures(anna)).toEqual([expect.stringContaining("no owner")]);
  expect(await anna.disk.get(keys.leaving(scene.room.id))).toBeUndefined();
});

test("an old leave does not end a new membership", async () => {
  await diesWhileLeaving(ben);
  const annas = await scene.roomOf(anna);
  await scene.run(annas.members.remove("ben"));
  await scene.run(annas.members.add("ben"));
  await scene.run(ben.start());
  await scene.world.pass(30_000);
  expect(scene.room.members.has(ben.user.id)).toBe(true);
  expect(await scene.roomOf(ben)).toMatchObject({ isReady: true });
  expect(failures(ben)).toEqual([expect.stringContaining("added again")]);
});

test("a leave whose signature reaches the room after its device was given other keys there fails, and can be repeated", async () => {
  const { room, server, world } = scene;
  const open = await scene.roomOf(ben);
  const commit = server.commit.bind(server);
  let leaving: Promise<void> | undefined;
  // Ben's client does not learn in time that its leaf was replaced.
  server.commit = (...call) => {
    ben.link!.push = () => undefined;
    leaving ??= open.leave();
    return commit(...call);
  };
  ben.process!.upkeep.heal();
  await world.until(() => leaving !== undefined, 60_000);
  await expect(scene.run(leaving!)).rejects.toMatchObject({ code: "NotReady" });
  expect(room.log.filter(({ kind }) => kind === "message" || kind === "commit").at(-1)!.kind).toBe("message");
  expect(room.members.has(ben.user.id)).toBe(true);
  await world.pass(60_000);
  await scene.run((await scene.roomOf(ben)).leave());
  await world.pass(10_000);
  expect(room.members.has(ben.user.id)).toBe(false);
  expect(await scene.membersOf(anna)).toEqual(["anna owner"]);
  expect(scene.coreOf(anna)!.group!.leaves()).toHaveLength(1);
});

test("a leave whose signature the server rejects after a restart is not finished there", async () => {
  const { room, server, world } = scene;
  const sendBatch = vi.spyOn(server, "sendBatch").mockImplementation(() => {
    throw SecureMessagingError.unreachable();
  });
  void (await scene.roomOf(ben)).leave();
  await world.until(() => sendBatch.mock.calls.length > 0, 60_000);
  ben.die();
  sendBatch.mockImplementation((_, sends) => sends.map(() => ({ error: { code: "Forbidden", message: "Not allowed.", retryable: false } })));
  await scene.run(ben.start());
  await world.pass(5_000);
  ben.link!.disconnect();
  ben.link!.connect();
  await world.pass(60_000);
  expect(room.members.has(ben.user.id)).toBe(true);
  expect(await scene.roomOf(ben)).toMatchObject({ isReady: true });
  expect(await ben.disk.get(keys.leaving(room.id))).toBeUndefined();
});

test("a leave behind which a Commit gives the device other keys fails, and the members forget its signature", async () => {
  const { room, server, world } = scene;
  const open = await scene.roomOf(ben);
  const [commit, sendBatch] = [server.commit.bind(server), server.sendBatch.bind(server)];
  let waiting: Parameters<typeof commit> | undefined;
  // Anna's client has made the Commit before it reads the signature, and the server stores both one after the other.
  server.commit = (...call) => {
    if (waiting) return commit(...call);
    waiting = call;
    throw SecureMessagingError.unreachable();
  };
  server.sendBatch = (...call) => {
    const results = sendBatch(...call);
    commit(...waiting!);
    return results;
  };
  ben.process!.upkeep.heal();
  await world.until(() => waiting !== undefined, 60_000);
  await expect(scene.run(open.leave())).rejects.toMatchObject({ code: "NotReady" });
  expect(room.log.slice(-2).map(({ kind }) => kind)).toEqual(["message", "commit"]);
  await world.pass(30_000);
  expect(room.members.has(ben.user.id)).toBe(true);
  for (const device of [anna, ben]) {
    expect(scene.coreOf(device)!.state.leaves ?? {}).toEqual({});
    expect(await scene.roomOf(device)).toMatchObject({ isReady: true, isWithheld: false });
  }
});

test("a leave without an answer is repeated after a restart", async () => {
  await diesWhileLeaving(ben);
  await scene.run(ben.start());
  await scene.world.pass(5_000);
  expect(scene.room.members.has(ben.user.id)).toBe(false);
  expect(ben.process!.rooms.list()).toEqual([]);
});

test("a message that reaches the room after its device was given other keys there is shown once when it is sent again", async () => {
  const { room, server } = scene;
  // Ben's client does not learn in time that its leaf was replaced, and sends.
  const commit = server.commit.bind(server);
  let isSent = false;
  server.commit = (...call) => {
    ben.link!.push = () => undefined;
    if (!isSent) void ben.send(room.id, "crossed");
    isSent = true;
    return commit(...call);
  };
  ben.process!.upkeep.heal();
  await scene.world.pass(20_000);
  expect(room.log.filter(({ kind }) => kind === "message" || kind === "commit").at(-1)!.kind).toBe("message");
  await scene.world.pass(120_000);
  const [failed] = ben.process!.outbox.failed(room.id);
  expect(failed).toMatchObject({ error: { code: "NotDelivered" } });
  await scene.run(ben.process!.outbox.retry(room.id, failed!.id));
  await scene.world.pass(20_000);
  for (const device of [anna, ben]) {
    const history = await (await scene.roomOf(device)).history();
    expect(history.map(({ late }) => late)).toEqual([undefined, undefined]);
    expect(history.filter(({ content }) => content.type === "text").map(({ content }) => content)).toMatchObject([{ text: "hello" }, { text: "crossed" }]);
  }
  expect(ben.process!.outbox.failed(room.id)).toEqual([]);
  expect(ben.process!.outbox.count()).toBe(0);
});
