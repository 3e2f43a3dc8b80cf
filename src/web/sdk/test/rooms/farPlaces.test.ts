/* A place of the log that the server only names ends the reading of a room for no longer than the server lies. */
import { expect, test } from "vitest";
import type { LogEntry, LogPage, PendingWelcome } from "../../src/net/wire.js";
import { keys, unpack } from "../../src/store/store.js";
import type { SimDevice } from "../simulation/device.js";
import { anna, ben, openRoomBeforeEach, scene } from "./opening.js";

const far = 2 ** 53 - 1;

openRoomBeforeEach("before");

/** The server answers Ben's next request for the log with a page of its choice. */
function answerOnce(lie: (page: LogPage) => Partial<LogPage>): void {
  const { server } = scene;
  const sync = server.sync.bind(server);
  server.sync = (...about) => {
    const page = sync(...about);
    if (about[0] !== ben.user.id) return page;
    server.sync = sync;
    return { ...page, ...lie(page) };
  };
}

const readAgain = () => scene.run(scene.coreOf(ben)!.catchUp());
const kinds = (device: SimDevice) => device.warnings.map(({ kind }) => kind);

/** Ben reads and writes as if nothing had happened, also in a new process. */
async function goesOn(before = ["before"]): Promise<void> {
  for (const text of ["after", "after a restart"]) {
    await scene.run(anna.send(scene.room.id, text));
    await scene.world.pass(60_000);
    await scene.run(ben.send(scene.room.id, `answer to ${text}`));
    await scene.world.pass(5_000);
    ben.die();
    await scene.run(ben.startAgain());
    await scene.world.pass(30_000);
  }
  const all = [...before, "after", "answer to after", "after a restart", "answer to after a restart"];
  expect(await scene.textsOf(ben)).toEqual(all);
  expect(await scene.textsOf(anna)).toEqual(all);
  expect(scene.coreOf(ben)!.state.cursor).toBe(scene.room.log.length);
  expect(kinds(anna)).not.toContain("transcriptMismatch");
  expect(kinds(ben)).not.toContain("transcriptMismatch");
}

test("a first place beyond the head that the server names is no page of a log", async () => {
  answerOnce(() => ({ firstSeq: far }));
  void readAgain();
  await scene.world.pass(30_000);
  expect(scene.coreOf(ben)!.state.cursor).toBe(scene.room.log.length);
  expect(kinds(ben)).toContain("logFailed");
  await goesOn();
});

test.each<[string, () => LogEntry[]]>([
  ["nothing", () => []],
  ["an entry of its own", () => [{ seq: far, kind: "devicesChanged" as const, createdAt: new Date(0), epoch: 0 }]],
  ["the bytes of a message", () => [{ ...scene.room.log.find(({ kind }) => kind === "message")!, seq: far }]],
])("after a false beginning of the log with %s there, this device reads on where it was", async (_, entries) => {
  answerOnce(() => ({ firstSeq: far, headSeq: far, entries: entries() }));
  await readAgain();
  await goesOn();
  expect(kinds(ben)).toContain("logRewound");
});

test("a message that this device has read first at such a place stands at its own place later", async () => {
  ben.die();
  await scene.run(anna.send(scene.room.id, "moved"));
  await scene.world.pass(1_000);
  const own = scene.room.log.at(-1)!;
  answerOnce(() => ({ firstSeq: far, headSeq: far, entries: [{ ...own, seq: far }] }));
  await scene.run(ben.startAgain());
  const room = await scene.roomOf(ben);
  const places: number[] = [];
  room.on("message", ({ seq, content }) => {
    if (content.type !== "text") return;
    places.push(seq);
    void room.markRead(seq);
  });
  await scene.world.pass(30_000);
  expect(places).toEqual([far, own.seq]);
  await goesOn(["before", "moved"]);
  const upTo = await ben.disk.get(keys.read(scene.room.id, ben.user.id));
  expect(unpack<number>(upTo!)).toBeLessThan(scene.room.log.length);
  expect(await ben.disk.list(keys.allMoved(scene.room.id))).toEqual([]);
});

test("a device that has read no message yet goes back to the beginning of the log", async () => {
  await scene.found(anna, ["ben"]);
  expect(scene.coreOf(ben)!.state.cursor).toBe(scene.room.log.length);
  answerOnce(() => ({ firstSeq: far, headSeq: far, entries: [] }));
  await readAgain();
  expect(scene.coreOf(ben)!.state.cursor).toBe(far - 1);
  await goesOn([]);
});

test("a beginning that a message proves is not taken back when the log gets shorter", async () => {
  ben.die();
  for (const text of ["lost", "read"]) await scene.run(anna.send(scene.room.id, text));
  await scene.world.pass(1_000);
  scene.room.firstSeq = scene.room.log.length;
  await scene.run(ben.startAgain());
  await scene.world.pass(60_000);
  const { cursor } = scene.coreOf(ben)!.state;
  expect(await scene.textsOf(ben)).toEqual(["before", "read"]);
  answerOnce(() => ({ firstSeq: 1, headSeq: 2, entries: [] }));
  await readAgain();
  expect(scene.coreOf(ben)!.state.cursor).toBe(cursor);
  expect(await scene.textsOf(ben)).toEqual(["before", "read"]);
});

/** Cleo comes into the room. */
async function addCleo(lie: (welcomes: PendingWelcome[]) => PendingWelcome[]): Promise<SimDevice> {
  const cleo = await scene.person("cleo");
  const { server } = scene;
  const welcomes = server.welcomes.bind(server);
  server.welcomes = (...about) => {
    const found = welcomes(...about);
    if (found.length === 0 || about[1] !== cleo.id) return found;
    server.welcomes = welcomes;
    return lie(found);
  };
  await scene.run((await scene.roomOf(anna)).members.add("cleo"));
  await scene.world.pass(900_000);
  return cleo;
}

test("a Welcome with a false place does not keep a device out of the room", async () => {
  const cleo = await addCleo((welcomes) => welcomes.map((each) => ({ ...each, seq: far })));
  expect(kinds(cleo)).toContain("welcomeRefused");
  expect((await scene.roomOf(cleo)).isReady).toBe(true);
  await scene.run(anna.send(scene.room.id, "hello Cleo"));
  await scene.world.pass(5_000);
  expect(await scene.textsOf(cleo)).toContain("hello Cleo");
});

test("a pushed entry with a place that the log does not have is asked for once", async () => {
  const { server } = scene;
  const sync = server.sync.bind(server);
  let asked = 0;
  server.sync = (...about) => {
    asked++;
    return sync(...about);
  };
  ben.link!.pushEntries(scene.room.id, [{ seq: far, kind: "devicesChanged", createdAt: new Date(0), epoch: 0 }]);
  await scene.world.pass(5_000);
  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThan(5);
  await goesOn();
});
