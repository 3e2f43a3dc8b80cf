/* A server that contradicts what it has said before, or that names places, times and users without end, loses nothing unseen and keeps no device busy. */
import { expect, test } from "vitest";
import { SecureMessagingError } from "../../src/base/errors.js";
import type { LogEntry, LogPage, SendAck } from "../../src/net/wire.js";
import type { SimDevice } from "../simulation/device.js";
import { anna, ben, openRoomBeforeEach, scene } from "./opening.js";

openRoomBeforeEach("before");

const kinds = (device: SimDevice) => device.warnings.map(({ kind }) => kind);
const contentsOf = async (device: SimDevice) =>
  (await (await scene.roomOf(device)).history()).map(({ seq, content }) => [seq, content.type === "text" ? content.text : content.type]);

/** The server shows this device other pages of the log. Returns how many it has asked for. */
function lieTo(device: SimDevice, lie: (page: LogPage) => Partial<LogPage>): () => number {
  const { server } = scene;
  const sync = server.sync.bind(server);
  let asked = 0;
  server.sync = (...about) => {
    const page = sync(...about);
    if (about[0] !== device.user.id) return page;
    asked++;
    return { ...page, ...lie(page) };
  };
  return () => asked;
}

test("a message that the server replaces between the first reading and the one after the Welcome is a visible place and a problem", async () => {
  const { room, server } = scene;
  const cleo = await scene.person("cleo");
  const welcomes = server.welcomes.bind(server);
  server.welcomes = (...about) => (about[1] === cleo.id ? [] : welcomes(...about));
  await scene.run((await scene.roomOf(anna)).members.add("cleo"));
  await scene.world.pass(3_000);
  for (const text of ["one", "two"]) await scene.run(anna.send(room.id, text));
  await scene.world.pass(3_000);
  // Cleo has read the places of both, and waits for the Welcome.
  expect(scene.coreOf(cleo)!.state.cursor).toBe(room.log.length);
  const { seq, createdAt } = room.log.at(-2)!;
  const instead: LogEntry = { seq, kind: "devicesChanged", createdAt, epoch: 0, userId: anna.user.id };
  lieTo(cleo, ({ entries }) => ({ entries: entries.map((entry) => (entry.seq === seq ? instead : entry)) }));
  server.welcomes = welcomes;
  await scene.run(cleo.process!.rooms.fetchWelcomes());
  await scene.world.pass(3_000);
  await scene.run(anna.send(room.id, "three"));
  await scene.world.pass(3_000);
  expect(await contentsOf(cleo)).toEqual([
    [seq, "missing"],
    [seq + 1, "two"],
    [seq + 2, "three"],
  ]);
  expect(kinds(cleo)).toContain("logRewound");
  expect((await scene.roomOf(cleo)).problem).toBe("logRewound");
});

test.each<[string, (page: LogPage) => Partial<LogPage>, number | undefined]>([
  [
    "whose entries do not follow",
    ({ headSeq }) => ({ headSeq: headSeq + 9, entries: [{ seq: headSeq + 5, kind: "gone", createdAt: new Date(0), epoch: 0 }] }),
    undefined,
  ],
  ["without the entries before a pushed one", ({ headSeq }) => ({ headSeq: headSeq + 9, entries: [] }), 3],
])("a page of the log %s is reported, and asked for again with longer and longer waits", async (_, lie, pushed) => {
  const { room, world } = scene;
  const asked = lieTo(ben, lie);
  if (pushed === undefined) void scene.coreOf(ben)!.catchUp();
  else ben.link!.pushEntries(room.id, [{ seq: room.log.length + pushed, kind: "gone", createdAt: new Date(0), epoch: 0 }]);
  await world.pass(60_000);
  expect(asked()).toBeGreaterThan(2);
  expect(asked()).toBeLessThan(60);
  expect(kinds(ben)).toContain("logFailed");
});

test("a beginning that comes and goes with each page is read with longer and longer waits", async () => {
  const { log } = scene.room;
  const far = log.length + 50;
  let isFar = false;
  const entries = (first: number): LogEntry[] => [{ ...log[0]!, seq: first, kind: "gone" }];
  const asked = lieTo(ben, () => {
    isFar = !isFar;
    return isFar ? { firstSeq: far, headSeq: far + 9, entries: entries(far) } : { firstSeq: 1, headSeq: log.length, entries: entries(1) };
  });
  void scene.coreOf(ben)!.catchUp();
  await scene.world.pass(60_000);
  expect(asked()).toBeGreaterThan(2);
  expect(asked()).toBeLessThan(60);
});

test("an entry that is pushed into a room that the server does not show is asked for once", async () => {
  const { room, server, world } = scene;
  const before = server.sync.bind(server);
  const asked = lieTo(ben, () => {
    throw SecureMessagingError.of("NotFound", "Not found, or you do not have access.");
  });
  ben.link!.pushEntries(room.id, [{ ...room.log.at(-1)!, seq: room.log.length + 2 }]);
  await world.pass(5_000);
  expect(asked()).toBe(1);
  expect(scene.coreOf(ben)!.isWithheld).toBe(true);
  server.sync = before;
  await scene.run(anna.send(room.id, "after"));
  await world.pass(60_000);
  expect(await scene.textsOf(ben)).toEqual(["before", "after"]);
});

test("pushed values that are no entries do not end the reading of a room", async () => {
  const { room, world } = scene;
  ben.link!.pushEntries(room.id, [null, {}, { seq: Number.NaN }, { seq: -1 }] as unknown as LogEntry[]);
  await world.pass(1_000);
  await scene.run(anna.send(room.id, "after"));
  await world.pass(5_000);
  expect(await scene.textsOf(ben)).toEqual(["before", "after"]);
  expect(kinds(ben)).toEqual([]);
});

/** The server says that it has stored the next message of Ben, and does not store it. */
function acknowledge(ack: Partial<SendAck>): void {
  const { server } = scene;
  const sendBatch = server.sendBatch.bind(server);
  server.sendBatch = (userId, sends) => {
    if (userId !== ben.user.id) return sendBatch(userId, sends);
    server.sendBatch = sendBatch;
    return sends.map(({ roomId, clientMessageId }) => ({ ack: { roomId, clientMessageId, seq: 1, createdAt: new Date(0), duplicate: false, ...ack } }));
  };
}

test.each<[string, Partial<SendAck>]>([
  ["0", { seq: 0 }],
  ["-5", { seq: -5 }],
  ["a half", { seq: 3.5 }],
  ["none", { seq: Number.NaN }],
  ["no time", { createdAt: new Date(Number.NaN) }],
])("an acknowledgement that names %s is no answer, and the message is sent again", async (_, ack) => {
  acknowledge(ack);
  await scene.run(ben.send(scene.room.id, "sent"));
  await scene.world.pass(30_000);
  expect(await scene.textsOf(anna)).toEqual(["before", "sent"]);
  expect(await contentsOf(ben)).toEqual(await contentsOf(anna));
});

test("an acknowledgement for a place whose message is gone hides neither that place nor that the own message was not stored", async () => {
  const { room, server } = scene;
  ben.die();
  await scene.run(anna.send(room.id, "lost"));
  await scene.world.pass(1_000);
  const { seq } = room.log.at(-1)!;
  server.makeGone(room, seq);
  await scene.run(ben.startAgain());
  await scene.world.pass(10_000);
  const before = await contentsOf(ben);
  expect(before).toContainEqual([seq, "missing"]);
  acknowledge({ seq });
  await scene.run(ben.send(room.id, "not stored"));
  await scene.world.pass(30_000);
  expect(await contentsOf(ben)).toEqual(before);
  expect(await (await scene.roomOf(ben)).pending()).toMatchObject([{ content: { text: "not stored" }, state: "failed", error: "NotDelivered" }]);
});

test("any number of users whom only the server lists is shown in few lines, and does not keep the device busy", async () => {
  const { server, world } = scene;
  const devicesOfRoom = server.devicesOfRoom.bind(server);
  let round = 0;
  server.devicesOfRoom = (...about) => {
    round++;
    const userId = (i: number) => `${String(i).padStart(8, "0")}-0000-4000-8000-${String(round >> 3).padStart(12, "0")}`;
    return [...devicesOfRoom(...about), ...Array.from({ length: 5_000 }, (_, i) => ({ userId: userId(i), username: "", devices: [] }))];
  };
  const before = performance.now();
  for (let minute = 0; minute < 40; minute++) {
    await scene.run((await scene.roomOf(ben)).reconcile());
    await world.pass(30_000);
  }
  const lines = (await scene.linesOf(ben)).filter((kind) => kind === "rosterMismatch");
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.length).toBeLessThanOrEqual(64);
  // Compared one by one with each other, they take minutes.
  expect(performance.now() - before).toBeLessThan(20_000);
}, 60_000);

test.each(["7", null, 3.5, Number.NaN])("a Welcome whose place is %s is not used, and the room is read on", async (place) => {
  const { room, server } = scene;
  const cleo = await scene.person("cleo");
  const welcomes = server.welcomes.bind(server);
  server.welcomes = (...about) => welcomes(...about).map((each) => (about[1] === cleo.id ? { ...each, seq: place as number } : each));
  await scene.run((await scene.roomOf(anna)).members.add("cleo"));
  await scene.world.pass(30_000);
  expect(kinds(cleo)).toContain("welcomeRefused");
  server.welcomes = welcomes;
  await scene.run(cleo.process!.rooms.fetchWelcomes());
  await scene.run(anna.send(room.id, "hello"));
  await scene.world.pass(10_000);
  expect(scene.coreOf(cleo)!.state.cursor).toBe(room.log.length);
  expect(await scene.textsOf(cleo)).toContain("hello");
});
