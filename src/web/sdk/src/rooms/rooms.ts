import { fromBase64, newId } from "../base/bytes.js";
import { canBeRead, requirementOf } from "../content/content.js";
import { SecureMessagingError } from "../base/errors.js";
import { Emitter } from "../base/events.js";
import type { CoreEvents } from "./applying.js";
import { RoomCore } from "./core.js";
import type { Outbox } from "./outbox.js";
import type { NewRoom, Ports } from "./ports.js";
import { GroupReconciler } from "./reconciler.js";
import { devicesOf, Room } from "./room.js";
import { keys } from "../store/store.js";
import { Mutex } from "../base/timing.js";
import { readSettings, schemeMls10, type RoomHead, type RoomSettings, type RoomSummary, type UserKeys } from "../net/wire.js";

/** Options of a new room. */
export interface CreateRoomOptions extends RoomSettings {
  /** The name, sent to the members in an encrypted message. */
  name?: string;
  /** The room id: a random UUID, version 4. With it, repeated calls create one room. */
  id?: string;
}

/** The events of the rooms. @internal */
export interface RoomsEvents {
  /** A room was opened. */
  room: Room;
  /** This user has left a room, was removed from it, or the room was deleted. */
  ended: { roomId: string; change: "left" | "deleted" };
  /** Sends of a room that had to wait may now be possible. */
  sendable: { roomId: string };
  /** This device can no longer follow a group, and needs new keys. */
  keysUseless: undefined;
}

interface Open {
  room: Room;
  core: RoomCore;
  reconciler: GroupReconciler;
}

const deliveredEveryMs = 5_000;
/** After a connect, read positions are announced and asked for in at most this many rooms. */
const readsToCatchUp = 20;

/** The rooms of this user with the scheme MLS. Rooms with another scheme are left out. */
export class Rooms {
  private readonly open = new Map<string, Open>();
  private readonly opening = new Map<string, Promise<Open | undefined>>();
  private readonly welcoming = new Mutex();
  private readonly delivered = new Map<string, number>();
  /** @internal */
  readonly events = new Emitter<RoomsEvents>();

  /** @internal */
  constructor(
    private readonly ports: Ports,
    private readonly outbox: Outbox,
  ) {
    void this.reportDeliveries();
  }

  /** All rooms that this device knows. */
  list(): Room[] {
    return [...this.open.values()].map(({ room }) => room);
  }

  /** A room by its id; undefined when this user is not in it, or it has another scheme. */
  async get(id: string): Promise<Room | undefined> {
    return (await this.ensure(id))?.room;
  }

  /**
   * Creates a group room, and its MLS group with the devices of all members.
   * @param usernames - The other members.
   * @throws {@link SecureMessagingError} `NotFound` when a user does not exist, `NoDevice` when one has no device that can read messages, `NotReady` while
   * this device waits for approval.
   */
  async create(usernames: string[], options: CreateRoomOptions = {}): Promise<Room> {
    // Without types, a program may pass a string by mistake.
    if (!Array.isArray(usernames)) throw SecureMessagingError.of("Invalid", "usernames must be an array of usernames.");
    if (options.name !== undefined && !canBeRead({ type: "name", name: options.name })) throw SecureMessagingError.of("Invalid", requirementOf("name"));
    return this.found(
      {
        kind: "group",
        members: usernames,
        id: options.id ?? newId(),
        ...readSettings(options),
      },
      options.name,
      options.id,
    );
  }

  /** The direct room with another user. Creates it when there is none. @throws {@link SecureMessagingError} like {@link Rooms.create}. */
  direct(username: string): Promise<Room> {
    return this.found({ kind: "direct", members: [username] }, undefined);
  }

  /** @internal */
  core(id: string): RoomCore | undefined {
    return this.open.get(id)?.core;
  }

  /** @internal Opens the stored rooms. Needs no connection. */
  async load(): Promise<void> {
    for (const [key] of await this.ports.store.list(keys.rooms)) await this.openRoom(key.slice(keys.rooms.length), undefined);
  }

  /** @internal Reads on in each room whose log has grown: known rooms first, then new ones. */
  async compare(heads: RoomHead[]): Promise<void> {
    for (const id of [...this.open.keys()])
      // The answer may be older than a Welcome. If the user has really left, reading the log shows it.
      if (!heads.some((head) => head.roomId === id) && !this.open.get(id)!.core.isWelcome) this.end(id, "left");
    const unknown: RoomHead[] = [];
    for (const head of heads) {
      const known = this.open.get(head.roomId);
      if (known && !known.core.hasEnded) known.core.compare(head);
      else unknown.push(head);
    }
    for (const head of unknown) (await this.ensure(head.roomId))?.core.compare(head);
  }

  /** @internal */
  received(roomId: string, entries: Parameters<RoomCore["push"]>[0]): void {
    const known = this.open.get(roomId);
    if (known) known.core.push(entries);
    else
      void this.ensure(roomId)
        .then((open) => open?.core.catchUp())
        .catch(this.ports.reports.failed("room", "notOpened", { roomId }));
  }

  /** @internal */
  changed(roomId: string, change: string): void {
    if (change === "joined")
      void this.ensure(roomId)
        .then((open) => open?.core.catchUp())
        .catch(this.ports.reports.failed("room", "notOpened", { roomId }));
    else if (change === "deleted" || (change === "left" && !this.open.get(roomId)?.core.isWelcome)) this.end(roomId, change);
    else
      // A change of a later version, or a Welcome is there: this user may have been added again since. The log shows it.
      this.resync(roomId);
  }

  /** @internal */
  signaled(roomId: string, signal: Uint8Array): void {
    void this.open
      .get(roomId)
      ?.room.receiveSignal(signal)
      .catch(this.ports.reports.failed("room", "signalNotRead", { roomId }));
  }

  /** @internal */
  resync(roomId: string): void {
    void this.open
      .get(roomId)
      ?.core.catchUp()
      .catch(this.ports.reports.failed("room", "notCaughtUp", { roomId }));
  }

  /** @internal Processes the Welcomes that wait for this device. */
  fetchWelcomes(): Promise<void> {
    return this.welcoming.run(async () => {
      const { device, server } = this.ports;
      if (!device.identity) return;
      for (const welcome of await server.welcomes(device.id)) {
        const known = await this.ensure(welcome.roomId);
        if (!known || (await known.core.welcomed(welcome, fromBase64(welcome.message)))) await server.deleteWelcome(device.id, welcome);
      }
    });
  }

  /** @internal Compares all groups with the devices, after a change of this user's devices. */
  reconcileAll(): void {
    for (const { reconciler } of this.open.values()) reconciler.kick(0);
  }

  private async found(request: NewRoom, name: string | undefined, nameId?: string): Promise<Room> {
    if (!this.ports.device.identity) throw SecureMessagingError.of("NotReady", "Another device must approve this device first.");
    if (request.id === undefined || !this.open.has(request.id)) await this.requireReaders(request.members);
    const summary = await this.ports.server.createRoom(request);
    const known = await this.ensure(summary.id, summary);
    if (!known) throw SecureMessagingError.of("Conflict", "The room exists with another encryption scheme.");
    await known.reconciler.change({});
    if (name !== undefined) await known.room.rename(name, nameId === undefined ? {} : { id: nameId, repeated: true });
    return known.room;
  }

  /** @internal After a time offline, announces read positions and asks for those of others. */
  async catchUpReads(): Promise<void> {
    let left = readsToCatchUp;
    for (const { room, core } of [...this.open.values()]) {
      if (left <= 0 || !this.ports.hub.isConnected || this.ports.closing.aborted) return;
      if (core.isReady && (await room.receipts.catchUp())) left--;
    }
  }

  /** Rejects the call before anything is created: a person without a device could never read the messages. */
  private async requireReaders(usernames: string[]): Promise<void> {
    const without: string[] = [];
    for (let i = 0; i < usernames.length; i += 8)
      for (const user of await Promise.all(usernames.slice(i, i + 8).map((name) => this.keysOf(name))))
        if (user.devices.length === 0) without.push(user.username);
    if (without.length > 0)
      throw SecureMessagingError.of(
        "NoDevice",
        `${without.join(", ")} ${without.length === 1 ? "has" : "have"} no device that can read messages. ` +
          "They must sign in once with an app that supports encryption.",
      );
  }

  private async keysOf(username: string): Promise<UserKeys> {
    try {
      return await this.ports.server.devicesOfUser(username);
    } catch (error) {
      if (error instanceof SecureMessagingError && error.code === "NotFound")
        throw SecureMessagingError.of("NotFound", `There is no account with the username ${JSON.stringify(username) ?? "undefined"}.`, error);
      throw error;
    }
  }

  private end(id: string, change: "left" | "deleted"): void {
    this.open.get(id)?.core.end(change);
  }

  private ensure(id: string, summary?: RoomSummary): Promise<Open | undefined> {
    const known = this.open.get(id);
    if (known && !known.core.hasEnded) return Promise.resolve(known);
    let opening = this.opening.get(id);
    if (!opening) {
      // If the user comes back at once, the former membership must end first.
      opening = (known?.core.ending ?? Promise.resolve()).then(() => this.openRoom(id, summary)).finally(() => this.opening.delete(id));
      this.opening.set(id, opening);
    }
    return opening;
  }

  private async openRoom(id: string, summary: RoomSummary | undefined): Promise<Open | undefined> {
    const stored = await this.ports.store.get(keys.room(id));
    if (!stored) {
      try {
        summary ??= await this.ports.server.room(id);
      } catch (error) {
        if (error instanceof SecureMessagingError && error.code === "NotFound") return undefined;
        throw error;
      }
      if (summary.scheme !== schemeMls10) return undefined;
    }
    const { ports, outbox } = this;
    const core = await RoomCore.open(ports, outbox, new Emitter<CoreEvents>(), id, summary);
    if (!core) return undefined;
    const reconciler = new GroupReconciler(ports, outbox, core, {
      fetchWelcomes: () => this.fetchWelcomes(),
      replaceKeys: () => this.events.emit("keysUseless", undefined),
    });
    const opened: Open = { core, reconciler, room: new Room(ports, outbox, core, reconciler) };
    this.follow(opened);
    this.open.set(id, opened);
    if (core.state.broken || core.state.wasAway) reconciler.kick(1000);
    // The creator of the room may have stopped before the group was created.
    if (!core.group) reconciler.kick(3000 + ports.clock.random() * 3000);
    else if (core.canBeRead === undefined) reconciler.kick(0);
    // The last process on this device may have ended between reading a change and the Commit for it.
    else if (core.state.uncompared !== undefined) reconciler.kickInTurn();
    this.events.emit("room", opened.room);
    return opened;
  }

  /** Carries what the core of a room reports to the application and to the other parts. */
  private follow(opened: Open): void {
    const { room, core, reconciler } = opened;
    const { id, events } = core;
    const { clock } = this.ports;
    events.on("message", (message) => {
      this.delivered.set(id, message.seq);
      room.notify();
      room.emit("message", message);
    });
    events.on("changed", (message) => room.emit("changed", message));
    events.on("read", (read) => room.emit("read", read));
    events.on("stoppedTyping", ({ userId }) => room.stoppedTyping(userId));
    events.on("roster", () => room.emit("members", undefined));
    events.on("settings", () => room.emit("settings", undefined));
    events.on("group", ({ group }) => room.emit("epoch", { epoch: group?.epoch, devices: devicesOf(group) }));
    events.on("committed", ({ added, removed }) => reconciler.check(added, removed));
    events.on("directory", ({ change, userId }) => reconciler.forgive(change, userId));
    events.on("sendable", () => this.events.emit("sendable", { roomId: id }));
    events.on("reconcile", (cause) => {
      if (cause === "broken" || cause === "away") reconciler.kick(clock.random() * 1000);
      else if (cause === "reset") reconciler.kick((core.state.role === "member" ? 1500 : 100) + clock.random() * 1000);
      else reconciler.kickInTurn();
    });
    events.on("ended", (change) => {
      if (this.open.get(id) === opened) this.open.delete(id);
      room.stoppedTyping();
      room.notify();
      void this.outbox.drop(id).catch(this.ports.reports.failed("outbox", "notDropped", { roomId: id }));
      this.events.emit("ended", { roomId: id, change });
    });
  }

  private async reportDeliveries(): Promise<void> {
    const { clock, closing, hub, privacy, reports } = this.ports;
    for (;;) {
      await clock.pause(deliveredEveryMs, closing);
      if (closing.aborted) return;
      const all = privacy.settings.deliveryCursor ? [...this.delivered] : [];
      this.delivered.clear();
      try {
        for (const [roomId, seq] of all) if (hub.isConnected) await hub.markDelivered(roomId, seq);
      } catch (error) {
        reports.failed("room", "deliveryNotReported")(error);
      }
    }
  }
}
