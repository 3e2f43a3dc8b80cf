import { expect, test } from "vitest";
import { newId } from "../src/base/bytes.js";
import { systemClock } from "../src/base/clock.js";
import { Emitter } from "../src/base/events.js";
import type { LogEntry, RoomSummary } from "../src/net/wire.js";
import type { Session } from "../src/net/session.js";
import type { Applying, CoreEvents } from "../src/rooms/applying.js";
import type { RoomCore } from "../src/rooms/core.js";
import { Draft } from "../src/rooms/draft.js";
import { applyEntry } from "../src/rooms/entries.js";
import { begin, makeFounding } from "../src/rooms/founding.js";
import { loadRoom } from "../src/rooms/loadRoom.js";
import { Outbox } from "../src/rooms/outbox.js";
import type { Overview } from "../src/rooms/overview.js";
import type { Ports } from "../src/rooms/ports.js";
import type { GroupReconciler } from "../src/rooms/reconciler.js";
import { Room } from "../src/rooms/room.js";
import { Rooms } from "../src/rooms/rooms.js";
import { serverOf } from "../src/rooms/server.js";
import { changesFor, type Wanted } from "../src/rooms/wanted.js";
import { MemoryStore } from "../src/store/store.js";
import { emptyState } from "../src/trust/state.js";
import { someSettings } from "./someSettings.js";

const identity = { userId: newId(), identityKey: new Uint8Array(32) };
const cleared = Object.fromEntries(Object.keys(someSettings).map((name) => [name, null])) as { timeToLiveSeconds: null };

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
    device: { identity, userId: identity.userId },
    closing: AbortSignal.abort(),
    reports: { failed: () => () => undefined },
  };
  return { ports: ports as unknown as Ports, calls };
}

async function opened(ports: Ports, summary: Partial<RoomSummary>): Promise<RoomCore> {
  const { id, encoded } = await makeFounding(identity, undefined, undefined);
  const about = { id, kind: "group", scheme: "mls10", generation: 0, ...summary } as RoomSummary;
  const core = (await loadRoom(ports, new Outbox(ports), new Emitter<CoreEvents>(), id, about))!;
  await begin(core, encoded, { users: [] });
  return core;
}

test("the settings that the server gives, in the room and in its log, are not those of the room", async () => {
  const { ports } = offline();
  const core = await opened(ports, someSettings);
  const room = new Room(ports, new Outbox(ports), core, undefined as unknown as GroupReconciler, {} as Overview);
  expect(room.settings).toStrictEqual({});
  const draft = new Draft(ports.store, core.state, undefined, undefined, undefined, core.signed);
  const entry = { seq: 1, kind: "settingsChanged", createdAt: new Date(), epoch: 0, settings: someSettings } as LogEntry;
  await applyEntry(draft, entry, { events: new Emitter<CoreEvents>() } as Applying);
  expect(draft.signed?.state).toStrictEqual(emptyState);
});

test("each setting of a new room is sent to the server, with the room's founding", async () => {
  const { ports, calls } = offline();
  await expect(new Rooms(ports, new Outbox(ports)).create([], someSettings)).rejects.toThrow("no server");
  expect(calls).toMatchObject([["POST", "v1/rooms", { founding: expect.any(String) as string, userIds: [], ...someSettings }]]);
});

test("a change signs each setting, and tells the server", async () => {
  const room = new Room(
    {} as Ports,
    {} as Outbox,
    {} as RoomCore,
    { change: async (wanted: Wanted) => void asked.push(wanted) } as GroupReconciler,
    {} as Overview,
  );
  const asked: Wanted[] = [];
  for (const change of [someSettings, cleared, {}]) await room.changeSettings(change);
  const [set, unset, none] = asked;
  expect(changesFor(set!, emptyState)).toMatchObject({ changes: [{ type: 6 }], roster: { settings: someSettings } });
  expect(changesFor(unset!, { ...emptyState, timeToLive: 60 })).toMatchObject({ changes: [{ type: 7 }], roster: { settings: cleared } });
  expect(changesFor(none!, { ...emptyState, timeToLive: 60 })).toStrictEqual({ changes: [], roster: {} });
});
