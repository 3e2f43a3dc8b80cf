import { expect, test } from "vitest";
import { systemClock } from "../src/base/clock.js";
import { Emitter } from "../src/base/events.js";
import type { LogEntry, RoomSummary } from "../src/net/wire.js";
import type { Session } from "../src/net/session.js";
import type { Applying, CoreEvents } from "../src/rooms/applying.js";
import { RoomCore } from "../src/rooms/core.js";
import { Draft } from "../src/rooms/draft.js";
import { applyEntry } from "../src/rooms/entries.js";
import { Outbox } from "../src/rooms/outbox.js";
import type { Ports } from "../src/rooms/ports.js";
import type { GroupReconciler } from "../src/rooms/reconciler.js";
import { Room } from "../src/rooms/room.js";
import { Rooms } from "../src/rooms/rooms.js";
import { serverOf } from "../src/rooms/server.js";
import { MemoryStore } from "../src/store/store.js";
import { someSettings } from "./someSettings.js";

const id = "00000000-0000-4000-8000-000000000001";
const none = Object.fromEntries(Object.keys(someSettings).map((name) => [name, undefined]));
const cleared = Object.fromEntries(Object.keys(someSettings).map((name) => [name, null]));

/** What rooms need without a connection. The calls to the server are recorded, and fail. */
function offline(): { ports: Ports; calls: unknown[][] } {
  const calls: unknown[][] = [];
  const call = async (...request: unknown[]): Promise<never> => {
    calls.push(request);
    throw new Error("no server");
  };
  const ports = {
    store: new MemoryStore(),
    clock: systemClock,
    server: serverOf({ call } as unknown as Session),
    device: { identity: {} },
    closing: AbortSignal.abort(),
    reports: { failed: () => () => undefined },
  };
  return { ports: ports as unknown as Ports, calls };
}

const openCore = (ports: Ports, summary?: RoomSummary) => RoomCore.open(ports, new Outbox(ports), new Emitter<CoreEvents>(), id, summary);
const roomOf = (ports: Ports, core: RoomCore) => new Room(ports, new Outbox(ports), core, undefined as unknown as GroupReconciler);

async function opened(ports: Ports): Promise<{ core: RoomCore; room: Room }> {
  const summary = { id, kind: "group", scheme: "mls10", role: "owner", generation: 0, ...someSettings } as RoomSummary;
  const core = (await openCore(ports, summary))!;
  return { core, room: roomOf(ports, core) };
}

test("a new room has each setting of the server, also after a restart", async () => {
  const { ports } = offline();
  expect((await opened(ports)).room.settings).toStrictEqual(someSettings);
  const core = (await openCore(ports))!;
  expect(roomOf(ports, core).settings).toStrictEqual(someSettings);
});

test("an entry of the log sets and clears each setting", async () => {
  const { core } = await opened(offline().ports);
  const draft = new Draft(new MemoryStore(), core.state, undefined, undefined, undefined, undefined);
  for (const [seq, settings] of [{}, someSettings, none, someSettings, cleared].entries()) {
    const entry = { seq: seq + 1, kind: "settingsChanged", createdAt: new Date(), epoch: 0, settings } as LogEntry;
    await applyEntry(draft, entry, { events: new Emitter<CoreEvents>() } as Applying);
    expect(draft.state).toMatchObject(settings === someSettings ? someSettings : none);
  }
});

test("each setting of a new room, and each change, is sent to the server", async () => {
  const { ports, calls } = offline();
  await expect(new Rooms(ports, new Outbox(ports)).create([], { id, ...someSettings })).rejects.toThrow("no server");
  const { room } = await opened(ports);
  for (const change of [someSettings, cleared]) await expect(room.changeSettings(change)).rejects.toThrow("no server");
  expect(calls).toMatchObject([
    ["POST", "v1/rooms", someSettings],
    ["PATCH", `v1/rooms/${id}`, someSettings],
    ["PATCH", `v1/rooms/${id}`, cleared],
  ]);
});
