import { fromBase64 } from "../base/bytes.js";
import { SecureMessagingError } from "../base/errors.js";
import { Emitter } from "../base/events.js";
import { enforced } from "../trust/enforced.js";
import { memberOf } from "../trust/state.js";
import type { TransferredRoom } from "../trust/transfer.js";
import type { CoreEvents } from "./applying.js";
import { isPlace } from "./beginning.js";
import type { RoomCore } from "./core.js";
import { begin, isFounder, makeFounding, requireFounding, type NewFounding } from "./founding.js";
import { finishLeave, within } from "./leaving.js";
import { loadRoom } from "./loadRoom.js";
import type { Outbox } from "./outbox.js";
import { Expiry } from "./expiry.js";
import { Overview } from "./overview.js";
import type { Ports } from "./ports.js";
import { GroupReconciler } from "./reconciler.js";
import { Room } from "./room.js";
import { requireName } from "./roomBase.js";
import { showRoom } from "./showRoom.js";
import { resolveUsers } from "./users.js";
import type { NamedUser } from "./wanted.js";
import { keys } from "../store/store.js";
import { Mutex } from "../base/timing.js";
import { readSettings, schemeMls10, type LogEntry, type PendingWelcome, type RoomHead, type RoomSettings, type RoomSummary } from "../net/wire.js";

/** Options of a new room. */
export interface CreateRoomOptions extends RoomSettings {
  /** The name. The server does not learn it. */
  name?: string;
  /** The id of the call: a random UUID, version 4. With it, repeated calls create one room. */
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
/** How long the deletion of an account waits for each room. */
const signOffMs = 10_000;
/** After a connect, read positions are announced and asked for in at most this many rooms. */
const readsToCatchUp = 20;

/** The rooms of this user with the scheme MLS. Rooms with another scheme are left out. */
export class Rooms {
  private readonly open = new Map<string, Open>();
  private readonly opening = new Map<string, Promise<Open | undefined>>();
  private readonly welcoming = new Mutex();
  private readonly delivered = new Map<string, number>();
  private readonly expiry: Expiry;
  /** @internal */
  readonly events = new Emitter<RoomsEvents>();

  /** @internal */
  constructor(
    private readonly ports: Ports,
    private readonly outbox: Outbox,
  ) {
    outbox.on("changed", ({ roomId }) => this.open.get(roomId)?.room.emit("pending", undefined));
    this.expiry = new Expiry(ports, (id) => this.open.get(id)?.core);
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
    if (options.name !== undefined) requireName(options.name);
    const identity = this.requireIdentity();
    const founding = await makeFounding(identity, undefined, options.id);
    const isFounded = this.open.get(founding.id)?.core.signed !== undefined;
    const users = isFounded ? [] : await resolveUsers(this.ports.people, usernames);
    return this.found({ kind: "group", founding, users, ...(options.name === undefined ? {} : { name: options.name }), ...readSettings(options) });
  }

  /** The direct room with another user. Creates it when there is none. @throws {@link SecureMessagingError} like {@link Rooms.create}. */
  async direct(username: string): Promise<Room> {
    const identity = this.requireIdentity();
    const [other] = await resolveUsers(this.ports.people, [username]);
    const pair = [identity.userId, other!.userId];
    const isOfThem = ({ core: { signed } }: Open) =>
      signed?.founding.kind === "direct" && pair.includes(signed.founding.founder) && pair.includes(signed.founding.other!);
    const known = [...this.open.values()].find(isOfThem);
    if (known?.core.signed?.head) return known.room;
    return this.found({ kind: "direct", founding: await makeFounding(identity, other!.userId, undefined), users: [other!] });
  }

  /** @internal */
  core(id: string): RoomCore | undefined {
    return this.open.get(id)?.core;
  }

  /** @internal Opens the stored rooms. Needs no connection. */
  async load(): Promise<void> {
    for (const [key] of await this.ports.store.list(keys.rooms)) await this.openRoom(key.slice(keys.rooms.length), undefined);
    await this.expiry.start();
  }

  /** @internal Reads on in each room whose log has grown: known rooms first, then new ones. */
  async compare(heads: RoomHead[]): Promise<void> {
    await this.finishLeaves();
    // The answer may be older than a Welcome. Whether the server still shows the room, its log tells.
    for (const id of [...this.open.keys()]) if (!heads.some((head) => head.roomId === id)) this.missing(id, "left");
    const unknown: RoomHead[] = [];
    for (const head of heads) {
      const known = this.open.get(head.roomId);
      if (known && !known.core.hasEnded) known.core.compare(head);
      else unknown.push(head);
    }
    for (const head of unknown) (await this.ensure(head.roomId))?.core.compare(head);
  }

  /** @internal */
  received(roomId: string, entries: LogEntry[]): void {
    const known = this.open.get(roomId);
    // A value that is no entry has no place in the log, and would stand in the way of those behind it.
    if (known) known.core.push(entries.filter((entry: LogEntry | null) => isPlace(entry?.seq)));
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
    else if (change === "deleted" || change === "left") this.missing(roomId, change);
    // A change of a later version.
    else this.resync(roomId);
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
      for (const welcome of await server.welcomes(device.id)) if (await this.takeWelcome(welcome)) await server.deleteWelcome(device.id, welcome);
    });
  }

  /** Returns whether the room has the Welcome. Otherwise the server keeps it: it deletes the Welcomes of a user who is out of the room itself. */
  private async takeWelcome(welcome: PendingWelcome): Promise<boolean> {
    const { roomId, seq } = welcome;
    // A device reads on where its Welcome stands, so a value that is no place would end its reading for ever.
    if (!isPlace(seq)) {
      const detail = `The server says that a Welcome belongs to place ${String(seq)} of the log.`;
      this.ports.reports.warn({ area: "room", kind: "welcomeRefused", roomId, retrying: true, detail });
      return false;
    }
    // The room may have just ended, or was asked for before the Welcome was there. Then it is opened once more.
    for (let attempt = 0; attempt < 2; attempt++) {
      const known = await this.ensure(roomId);
      if (known && (await known.core.welcomed(welcome, fromBase64(welcome.message)))) return true;
    }
    return false;
  }

  /** @internal Compares all groups with the devices, after a change of this user's devices. */
  reconcileAll(): void {
    for (const { reconciler } of this.open.values()) reconciler.kick(0);
  }

  /** @internal The rooms that a new device of this user learns of: those whose state this device does not only know from others. */
  forTransfer(): TransferredRoom[] {
    return [...this.open.values()].flatMap(({ core: { signed, id, state } }) =>
      signed?.head && signed.confirmed
        ? [{ room: id, founding: signed.foundingHash, generation: state.generation, number: signed.head.number, head: signed.head.hash }]
        : [],
    );
  }

  /** @internal What this device knows about a user has changed: sends of the rooms with this user may wait or go on, and groups may need other devices. */
  personChanged(userId: string, hasOtherDevices: boolean): void {
    for (const { core, reconciler, room } of this.open.values()) {
      void core.listsChanged().catch(this.ports.reports.failed("store", "listsNotCompared", { roomId: core.id }));
      if (!core.signed || !memberOf(core.signed.state, userId)) continue;
      room.compareHolds();
      if (hasOtherDevices) reconciler.kickInTurn();
    }
  }

  /** The last process may have stopped before the server knew that this user has left a room. */
  private async finishLeaves(): Promise<void> {
    for (const [key] of await this.ports.store.list(keys.leavings)) {
      const id = key.slice(keys.leavings.length);
      if (this.outbox.waiting(id).some((item) => item.content.type === "leave")) continue;
      try {
        await finishLeave(this.ports, id, this.open.get(id)?.core);
      } catch (error) {
        const retrying = (await this.ports.store.get(key)) !== undefined;
        this.ports.reports.failed("room", "leaveNotFinished", { roomId: id, retrying })(error);
      }
    }
  }

  /** @internal The account is about to be deleted. A room that fails, or does not answer in time, is reported and does not prevent that. */
  async signOff(): Promise<void> {
    const { clock, reports } = this.ports;
    await Promise.all(this.list().map((room) => within(signOffMs, room.signOff(), clock).catch(reports.failed("room", "leaveNotSigned", { roomId: room.id }))));
  }

  private requireIdentity(): { userId: string; identityKey: Uint8Array<ArrayBuffer> } {
    const { identity } = this.ports.device;
    if (!identity) throw SecureMessagingError.of("NotReady", "Another device must approve this device first.");
    return identity;
  }

  private async found(of: { kind: "group" | "direct"; founding: NewFounding; users: NamedUser[]; name?: string } & RoomSettings): Promise<Room> {
    const { kind, founding, users, name, timeToLiveSeconds } = of;
    const settings = timeToLiveSeconds === undefined ? {} : { timeToLiveSeconds };
    let opened = this.open.get(founding.id);
    // The server may have announced the room to this device before its answer came.
    if (!opened?.core.signed) {
      const identity = this.requireIdentity();
      const summary = await this.ports.server.createRoom({ kind, founding: founding.encoded, userIds: users.map((user) => user.userId), ...settings });
      // A direct room may be there already, founded by either of the two.
      const encoded = kind === "direct" ? await requireFounding(summary, [identity.userId, users[0]!.userId]) : founding.encoded;
      if (kind === "group" && summary.id !== founding.id)
        throw SecureMessagingError.of("Conflict", "The server answers with another room than the one that was asked for.");
      opened = await this.ensure(summary.id, summary);
      if (!opened) throw SecureMessagingError.of("Conflict", "The room exists with another encryption scheme.");
      if (isFounder(encoded, identity) && summary.epoch === 0 && summary.generation === 0)
        await begin(opened.core, encoded, { users, ...(name === undefined ? {} : { name }), ...settings });
    }
    await opened.reconciler.compare();
    return opened.room;
  }

  /** @internal After a time offline, announces read positions and asks for those of others. */
  async catchUpReads(): Promise<void> {
    let left = readsToCatchUp;
    for (const { room, core } of [...this.open.values()]) {
      if (left <= 0 || !this.ports.hub.isConnected || this.ports.closing.aborted) return;
      if (core.isReady && (await room.receipts.catchUp())) left--;
    }
  }

  /** The server says that this user is not in the room, or that there is no room. Nothing is deleted because of that. */
  private missing(id: string, change: "left" | "deleted"): void {
    const core = this.open.get(id)?.core;
    if (!enforced.t10) core?.end(change);
    else if (core && !core.isWithheld) this.resync(id);
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
    // Before the core is opened: a room that ends at once must find its listeners.
    const overview = await Overview.load(ports, id);
    const core = await loadRoom(ports, outbox, new Emitter<CoreEvents>(), id, summary);
    if (!core) return undefined;
    const reconciler = new GroupReconciler(ports, core, {
      fetchWelcomes: () => this.fetchWelcomes(),
      replaceKeys: () => this.events.emit("keysUseless", undefined),
    });
    const opened: Open = { core, reconciler, room: new Room(ports, outbox, core, reconciler, overview) };
    this.follow(opened);
    this.open.set(id, opened);
    if (core.state.broken || core.state.wasAway) reconciler.kick(1000);
    // The creator of the room may have stopped before the group was created.
    if (!core.group) reconciler.kick(3000 + ports.clock.random() * 3000);
    // The last process on this device may have ended between reading a change and the Commit for it.
    else if (core.state.uncompared !== undefined) reconciler.kickInTurn();
    this.events.emit("room", opened.room);
    return opened;
  }

  /** Carries what the core of a room reports to the application, and to the other parts. */
  private follow(opened: Open): void {
    const { room, core, reconciler } = opened;
    const { id, events } = core;
    const { clock, device, reports } = this.ports;
    showRoom(room, device.userId, reports);
    events.on("message", ({ seq }) => this.delivered.set(id, seq));
    events.on("expiring", ({ deadline }) => this.expiry.expect(deadline));
    events.on("devices", ({ userId }) => reconciler.refresh(userId));
    events.on("sendable", () => this.events.emit("sendable", { roomId: id }));
    events.on("reconcile", (cause) => {
      if (cause === "broken" || cause === "away") reconciler.kick(clock.random() * 1000);
      else if (cause === "messages") reconciler.kick(0);
      else if (cause === "reset") reconciler.kick((room.role === "member" ? 1500 : 100) + clock.random() * 1000);
      else reconciler.kickInTurn();
    });
    events.on("ended", (change) => {
      if (this.open.get(id) === opened) this.open.delete(id);
      room.stoppedTyping();
      room.notify();
      void this.outbox.drop(id).catch(reports.failed("outbox", "notDropped", { roomId: id }));
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
