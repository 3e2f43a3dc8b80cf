/* How many messages of a room are unread, and which one is the newest. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newId } from "../../src/base/bytes.js";
import { Overview } from "../../src/rooms/overview.js";
import type { MessageRecord } from "../../src/rooms/records.js";
import { toMessage } from "../../src/rooms/records.js";
import type { Room } from "../../src/rooms/room.js";
import { keys, MemoryStore, pack, type ListOptions } from "../../src/store/store.js";
import type { SimDevice } from "../simulation/device.js";
import { World } from "../simulation/world.js";
import { Scene } from "./scene.js";

const [roomId, me, ben] = [newId(), newId(), newId()];

describe("in a store", () => {
  const now = Date.UTC(2026, 0, 1);
  let store: MemoryStore;
  beforeEach(() => {
    store = new MemoryStore();
  });

  const load = () => Overview.load({ store, clock: { now: () => now }, device: { userId: me } }, roomId);
  const record = (seq: number, more: Partial<MessageRecord> = {}): MessageRecord => {
    const mine = more.mine === true;
    return { seq, id: newId(), from: { userId: mine ? me : ben, deviceId: newId() }, mine, at: now, content: { type: "text", text: "" }, ...more };
  };
  const put = (one: MessageRecord) => store.write(new Map([[keys.message(roomId, one.seq), pack(one)]]));
  const remove = (seq: number) => store.write(new Map([[keys.message(roomId, seq), null]]));

  const uncounted: [why: string, more: Partial<MessageRecord>, last: number][] = [
    ["own", { mine: true }, 2],
    ["deleted", { deleted: true }, 2],
    ["late", { late: true }, 1],
    ["not allowed", { notAllowed: true }, 1],
    ["missing", { content: { type: "missing", places: 3 } }, 1],
    ["over its life", { deadline: now }, 1],
  ];

  test.each(uncounted)("a message that is %s does not count as unread", async (_, more, last) => {
    const [first, second] = [record(1), record(2, more)];
    await put(first);
    const running = await load();
    await put(second);
    if (more.deadline === undefined) running.arrived(toMessage(second));
    for (const overview of [running, await load()]) expect([overview.unread, overview.last?.seq]).toEqual([1, last]);
  });

  test("when the newest message is removed, the one before it is the newest, or one that arrives meanwhile", async () => {
    for (let seq = 1; seq <= 30; seq++) await put(record(seq, seq > 12 ? { late: true } : {}));
    const overview = await load();
    await remove(12);
    expect(overview.removed([12])).toBe(true);
    await overview.findLast();
    expect([overview.last?.seq, overview.unread]).toEqual([11, 11]);
    await remove(11);
    overview.removed([11]);
    const finding = overview.findLast();
    await put(record(31));
    overview.arrived(toMessage(record(31)));
    await finding;
    expect([overview.last?.seq, overview.unread]).toEqual([31, 11]);
    expect(overview.removed([5])).toBe(false);
  });

  test("the opening reads few messages of a room that has many", async () => {
    for (let seq = 1; seq <= 5000; seq++) await put(record(seq));
    const list = store.list.bind(store);
    let values = 0;
    store.list = async (prefix: string, options?: ListOptions) => {
      const found = await list(prefix, options);
      values += found.length;
      return found;
    };
    await store.write(new Map([[keys.read(roomId, me), pack(4998)]]));
    expect((await load()).unread).toBe(2);
    expect(values).toBe(10);
    await store.write(new Map([[keys.read(roomId, me), pack(1)]]));
    expect((await load()).unread).toBe(1000);
    expect(values).toBeLessThan(1200);
  });

  test("what is counted in passing is what the next opening counts", async () => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));
    const world = new World(seed);
    for (let run = 0; run < 30; run++) {
      store = new MemoryStore();
      const overview = await load();
      const all: MessageRecord[] = [];
      let [seq, readUpTo] = [0, 0];
      for (let step = 0; step < 40; step++) {
        const known = all.length > 0 ? world.pick(all) : undefined;
        const dice = world.below(8);
        if (dice < 4 || !known) {
          // A place below the newest one is read when the log is read again from there.
          seq += 1 + world.below(2);
          const one = record(seq > 1 && world.chance(0.2) && !all.some((each) => each.seq === seq - 1) ? seq - 1 : seq, world.pick(uncounted.slice(0, 5))[1]);
          if (all.some((each) => each.seq === one.seq)) continue;
          all.push(world.chance(0.5) ? record(one.seq) : one);
          await put(all.at(-1)!);
          overview.arrived(toMessage(all.at(-1)!));
        } else if (dice === 4) {
          readUpTo = Math.max(readUpTo, world.below(seq + 1));
          await store.write(new Map([[keys.read(roomId, me), pack(readUpTo)]]));
          overview.read(readUpTo);
        } else if (dice === 5) {
          known.deleted = true;
          await put(known);
          overview.changed(toMessage(known));
        } else {
          all.splice(all.indexOf(known), 1);
          await remove(known.seq);
          if (overview.removed([known.seq])) await overview.findLast();
        }
        const again = await load();
        expect([overview.unread, overview.last], `SEED=${seed}`).toEqual([again.unread, again.last]);
      }
    }
  });
});

describe("in a room", () => {
  let scene: Scene;
  let anna: SimDevice;
  let phone: SimDevice;
  let cleo: SimDevice;
  let room: Room;
  beforeEach(async () => {
    scene = new Scene();
    [anna, phone, cleo] = [await scene.person("anna"), await scene.device("anna"), await scene.person("cleo")];
    await scene.found(cleo, ["anna"]);
    room = await scene.roomOf(anna);
  });
  afterEach(() => scene.end());

  const say = async (text: string, timeToLiveSeconds?: number) => {
    await scene.run(cleo.send(scene.room.id, text, timeToLiveSeconds));
    await scene.world.pass(3_000);
  };
  const shown = () => [room.unread, room.last?.content];
  const text = (value: string) => ({ type: "text", text: value });

  test("unread messages and the newest one follow messages, deletions, ends of life and the reading of the user's other device", async () => {
    const seen: unknown[] = [];
    for (const event of ["message", "changed", "expired", "read"] as const) room.on(event, () => seen.push([event, ...shown()]));
    await say("one");
    await say("two");
    await say("short", 60);
    const cleos = await scene.roomOf(cleo);
    await scene.run(cleos.delete((await scene.run(cleos.history()))[1]!));
    await scene.world.pass(3_000);
    // What this user has read on the phone is not unread here.
    const phones = await scene.roomOf(phone);
    expect([phones.unread, phones.last?.content]).toEqual([2, text("short")]);
    await scene.run(phones.markRead((await scene.run(phones.history()))[0]!));
    await scene.run(phones.send("mine"));
    await scene.world.pass(70_000);
    expect(seen).toEqual([
      ["message", 1, text("one")],
      ["message", 2, text("two")],
      ["message", 3, text("short")],
      ["changed", 2, text("short")],
      ["read", 1, text("short")],
      ["message", 1, text("mine")],
      ["expired", 0, text("mine")],
    ]);
    expect([phones.unread, phones.last?.content]).toEqual([0, text("mine")]);
  });

  test("when the life of the newest message is over, the event comes after the one before it is the newest", async () => {
    await say("one");
    await say("short", 60);
    const seen: unknown[] = [];
    room.on("expired", () => seen.push(shown()));
    await scene.world.pass(70_000);
    expect(seen).toEqual([[1, text("one")]]);
  });

  test("with read receipts off, what is read counts on this device, also after a restart, and is never announced", async () => {
    const settings = room["ports"].privacy.settings as { readReceipts: boolean };
    settings.readReceipts = false;
    const reads: unknown[] = [];
    room.on("read", (read) => reads.push(read));
    await say("one");
    await say("two");
    const { seq } = room.last!;
    await scene.run(room.markRead(seq));
    expect([room.unread, reads]).toEqual([0, [{ userId: anna.user.id, upTo: seq }]]);
    anna.die();
    await scene.run(anna.start());
    room = await scene.roomOf(anna);
    expect(shown()).toEqual([0, text("two")]);
    // The other device and the other person learn nothing, also when receipts are on again and this device writes.
    await scene.run(anna.send(scene.room.id, "three"));
    await scene.world.pass(60_000);
    expect((await scene.roomOf(phone)).unread).toBe(2);
    expect([...(await scene.run((await scene.roomOf(cleo)).reads())).keys()]).not.toContain(anna.user.id);
  });

  test("with read receipts off, the positions of others are not shown", async () => {
    await scene.run(anna.send(scene.room.id, "one"));
    await scene.world.pass(3_000);
    await scene.run((await scene.roomOf(cleo)).markRead(room.last!));
    await say("read");
    expect([...(await room.reads()).keys()]).toEqual([cleo.user.id]);
    (room["ports"].privacy.settings as { readReceipts: boolean }).readReceipts = false;
    expect([...(await room.reads()).keys()]).toEqual([]);
  });

  test("a message by its reference", async () => {
    await say("one");
    const { id, from } = room.last!;
    expect(await room.message({ author: from!.userId, id })).toEqual(room.last);
    expect(await room.message({ author: anna.user.id, id })).toBeUndefined();
  });

  test("what waits or was rejected is listed, sent again or discarded, and each change is reported", async () => {
    let changes = 0;
    room.on("pending", () => changes++);
    anna.process!.link.disconnect();
    const { id } = await scene.run(room.send("one"));
    const custom = await scene.run(room.sendCustom("poll", { yes: 1 }));
    await scene.run(room.react({ author: cleo.user.id, id: newId() }, "👍"));
    const content = { type: "custom", kind: "poll", data: { yes: 1 } };
    expect(await room.pending()).toMatchObject([
      { id, roomId: room.id, content: text("one"), state: "waiting" },
      { id: custom.id, content, state: "waiting" },
    ]);
    expect([changes, room.unsent]).toEqual([3, 3]);
    const { outbox } = anna.process!;
    for (const item of outbox.unsent(room.id).slice(0, 2)) {
      item.stored.promise.catch(() => undefined);
      await scene.run(outbox.fail(item, Object.assign(new Error("No."), { code: "Forbidden", retryable: false }) as never));
    }
    expect(await room.pending()).toMatchObject([
      { id, state: "failed", error: "Forbidden" },
      { id: custom.id, state: "failed" },
    ]);
    changes = 0;
    await scene.run(room.discard(id));
    expect([await room.pending(), changes]).toMatchObject([[{ id: custom.id, state: "failed" }], 1]);
    await scene.run(room.retry(custom.id));
    expect(await room.pending()).toMatchObject([{ id: custom.id, content, state: "waiting" }]);
    expect(changes).toBeGreaterThan(1);
    anna.process!.link.connect();
    await scene.world.pass(5_000);
    expect(await room.pending()).toEqual([]);
    expect((await scene.roomOf(cleo)).last?.content).toEqual(content);
  });

  test("a log that is shorter than before is a problem until a person acknowledges it", async () => {
    await say("one");
    const seen: unknown[] = [];
    room.on("problem", ({ problem }) => seen.push(problem));
    const kept = scene.room.log.splice(-1);
    await scene.run(room.core.catchUp());
    expect(room.problem).toBe("logRewound");
    scene.room.log.push(...kept);
    await scene.run(room.core.catchUp());
    anna.die();
    await scene.run(anna.start());
    room = await scene.roomOf(anna);
    expect(room.problem).toBe("logRewound");
    room.on("problem", ({ problem }) => seen.push(problem));
    await scene.run(room.acknowledge());
    expect(room.problem).toBeUndefined();
    expect(seen).toEqual(["logRewound", undefined]);
  });
});
