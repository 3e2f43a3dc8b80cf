import type { Emitter } from "../base/events.js";
import type { HubEvents } from "../net/hub.js";
import type { LogEntry } from "../net/wire.js";
import { Dispatcher } from "../rooms/dispatcher.js";
import { Outbox } from "../rooms/outbox.js";
import type { Hub, Ports } from "../rooms/ports.js";
import { Rooms } from "../rooms/rooms.js";
import { Upkeep, type Keeping } from "./upkeep.js";

/** The parts of a client that work on rooms. @internal */
export interface RoomParts {
  outbox: Outbox;
  rooms: Rooms;
  dispatcher: Dispatcher;
  upkeep: Upkeep;
}

/** Puts together the parts that work on rooms, and carries the events between them and the hub. @internal */
export function wireRooms(ports: Ports & { hub: Hub & Emitter<HubEvents> }, keeping: Keeping): RoomParts {
  const { hub, device } = ports;
  const outbox = new Outbox(ports);
  const rooms = new Rooms(ports, outbox);
  const dispatcher = new Dispatcher(ports, outbox, (roomId) => rooms.core(roomId));
  const upkeep = new Upkeep(ports, keeping, dispatcher, rooms);
  rooms.events.on("sendable", ({ roomId }) => dispatcher.wake(roomId));
  rooms.events.on("keysUseless", () => upkeep.heal());
  hub.on("received", ({ roomId, entries }) => {
    rooms.received(roomId, entries);
    if (entries.some((entry: LogEntry | null) => entry?.kind === "devicesChanged" && entry.userId === device.userId)) upkeep.refreshDevice();
  });
  hub.on("signaled", ({ roomId, signal }) => rooms.signaled(roomId, signal));
  hub.on("roomChanged", ({ roomId, change }) => rooms.changed(roomId, change));
  hub.on("resync", ({ roomId }) => rooms.resync(roomId));
  hub.on("keyPackagesLow", ({ deviceId }) => {
    if (deviceId === device.id) upkeep.inBackground(() => keeping.keyPackages.topUp());
  });
  hub.on("welcomesWaiting", ({ deviceId }) => {
    if (deviceId === device.id) upkeep.inBackground(() => rooms.fetchWelcomes());
  });
  hub.on("connected", () => {
    // When this connection replaces another one, the heads are not known for it yet.
    dispatcher.close();
    upkeep.connected();
  });
  hub.on("lost", () => {
    upkeep.lost();
    dispatcher.close();
  });
  return { outbox, rooms, dispatcher, upkeep };
}
