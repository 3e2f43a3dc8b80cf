import { fromBase64, newId } from "./bytes.js";
import { canBeRead, requirementOf } from "./content.js";
import { SecureMessagingError } from "./errors.js";
import { devicesOf, Room } from "./room.js";
import type { Context } from "./rooms/context.js";
import { RoomCore, type CoreListener } from "./rooms/core.js";
import { Keeper } from "./rooms/keeper.js";
import { keys } from "./store/store.js";
import { Mutex } from "./timing.js";
import { schemeMls10, type PendingWelcome, type RoomHead, type RoomSummary, type UserKeys } from "./wire.js";

/** How to create a room. */
export interface CreateRoomOptions {
  /** Its name, sent to its members under encryption. */
  name?: string;
  /** Seconds after which the server purges each entry. */
  timeToLiveSeconds?: number;
  /** A random UUID of version 4, when the same room may be asked for again: it is created once. */
  id?: string;
}

interface Open { room: Room; core: RoomCore; keeper: Keeper }

const deliveredEveryMs = 5_000;
/** Rooms in which one connect tells and asks what was read. */
const readsToCatchUp = 20;

/** The rooms that this user is in. Only those whose scheme is MLS: others have keys of their own elsewhere. */
export class Rooms {
  private readonly open = new Map<string, Open>();
  private readonly opening = new Map<string, Promise<Open | undefined>>();
  private readonly welcoming = new Mutex();
  private readonly delivered = new Map<string, number>();
  /** @internal */
  onRoom: ((room: Room) => void) | undefined;
  /** @internal */
  onEnded: ((roomId: string, change: "left" | "deleted") => void) | undefined;

  /** @internal */
  constructor(private readonly context: Context) {
    const timer = setInterval(() => void this.tellDelivered().catch(context.failed("room", "deliveryNotTold")), deliveredEveryMs);
    context.closing.addEventListener("abort", () => clearInterval(timer), { once: true });
  }

  /** All rooms that this device knows. */
  list(): Room[] {
    return [...this.open.values()].map(({ room }) => room);
  }

  /** A room by its id; undefined when this user is in no such room, or the room's scheme is another. */
  async get(id: string): Promise<Room | undefined> {
    return (await this.ensure(id))?.room;
  }

  /**
   * Creates a room with others in it, and its group with all their devices. @param usernames Of the others.
   * @throws {@link SecureMessagingError} `NotFound` when one does not exist, `NoDevice` when one has no device that could read anything; `NotReady` on a device that waits
   * for approval.
   */
  async create(usernames: string[], options: CreateRoomOptions = {}): Promise<Room> {
    // What a program without types passes by mistake.
    if (!Array.isArray(usernames))
      throw SecureMessagingError.of("Invalid", "usernames must be an array of usernames.");
    if (options.name !== undefined && !canBeRead({ type: "name", name: options.name }))
      throw SecureMessagingError.of("Invalid", requirementOf("name"));
    return this.found({ kind: "group", members: usernames, id: options.id ?? newId(), ...(options.timeToLiveSeconds === undefined ? {} : { timeToLiveSeconds: options.timeToLiveSeconds }) }, options.name, options.id);
  }

  /** The one room of this user and another. @throws {@link SecureMessagingError} as {@link create}. */
  direct(username: string): Promise<Room> {
    return this.found({ kind: "direct", members: [username] }, undefined);
  }

  /** @internal */
  core(id: string): RoomCore | undefined {
    return this.open.get(id)?.core;
  }

  /** @internal Opens the rooms of this store; no server is needed for that. */
  async load(): Promise<void> {
    for (const [key] of await this.context.store.list(keys.rooms))
      await this.openRoom(key.slice(keys.rooms.length), undefined);
  }

  /** @internal Reads on in every room whose log has grown: at once in those that this device knows, then in those that it opens. */
  async compare(heads: RoomHead[]): Promise<void> {
    for (const id of [...this.open.keys()])
      // The answer may be older than a Welcome to come back. If it is not, reading the log will tell.
      if (!heads.some((head) => head.roomId === id) && !this.open.get(id)!.core.isWelcome)
        this.end(id, "left");
    const unknown: RoomHead[] = [];
    for (const head of heads) {
      const known = this.open.get(head.roomId);
      if (known && !known.core.hasEnded)
        known.core.compare(head);
      else
        unknown.push(head);
    }
    for (const head of unknown)
      (await this.ensure(head.roomId))?.core.compare(head);
  }

  /** @internal */
  received(roomId: string, entries: Parameters<RoomCore["push"]>[0]): void {
    const known = this.open.get(roomId);
    if (known)
      known.core.push(entries);
    else
      void this.ensure(roomId).then((open) => open?.core.catchUp()).catch(this.context.failed("room", "notOpened", { roomId }));
  }

  /** @internal */
  changed(roomId: string, change: string): void {
    if (change === "joined")
      void this.ensure(roomId).then((open) => open?.core.catchUp()).catch(this.context.failed("room", "notOpened", { roomId }));
    else if (change === "left" || change === "deleted")
      this.end(roomId, change);
    else
      // A change of a later version: the log says what it was.
      this.resync(roomId);
  }

  /** @internal */
  signaled(roomId: string, signal: Uint8Array): void {
    void this.open.get(roomId)?.room.receiveSignal(signal).catch(this.context.failed("room", "signalNotRead", { roomId }));
  }

  /** @internal */
  resync(roomId: string): void {
    void this.open.get(roomId)?.core.catchUp().catch(this.context.failed("room", "notCaughtUp", { roomId }));
  }

  /** @internal Takes in the Welcomes that wait for this device. */
  fetchWelcomes(): Promise<void> {
    return this.welcoming.run(async () => {
      if (!this.context.device.identity)
        return;
      const path = `v1/devices/${this.context.device.id}/welcomes`;
      for (const welcome of await this.context.session.call<PendingWelcome[]>("GET", path)) {
        const known = await this.ensure(welcome.roomId);
        if (!known || await known.core.welcomed(welcome, fromBase64(welcome.message)))
          await this.context.session.call("DELETE", `${path}/${welcome.roomId}/${welcome.seq}`);
      }
    });
  }

  /** @internal Compares all groups with their devices: this user's devices have changed here. */
  reconcileAll(): void {
    for (const { keeper } of this.open.values())
      keeper.kick(0);
  }

  private async found(request: { kind: "group" | "direct"; members: string[]; id?: string; timeToLiveSeconds?: number }, name: string | undefined, nameId?: string): Promise<Room> {
    if (!this.context.device.identity)
      throw SecureMessagingError.of("NotReady", "This device waits for approval by another.");
    if (request.id === undefined || !this.open.has(request.id))
      await this.requireReaders(request.members);
    const summary = await this.context.session.call<RoomSummary>("POST", "v1/rooms", { ...request, visible: false, scheme: schemeMls10 });
    const known = await this.ensure(summary.id, summary);
    if (!known)
      throw SecureMessagingError.of("Conflict", "The room exists with another scheme.");
    await known.keeper.change({});
    if (name !== undefined)
      await known.room.rename(name, nameId === undefined ? {} : { id: nameId, repeated: true });
    return known.room;
  }

  /** @internal After a time without a connection: what was read is told, and asked for, in so many rooms at most. */
  async catchUpReads(): Promise<void> {
    let left = readsToCatchUp;
    for (const { room, core } of [...this.open.values()]) {
      if (left <= 0 || !this.context.hub.isConnected || this.context.closing.aborted)
        return;
      if (core.isReady && await room.receipts.catchUp())
        left--;
    }
  }

  /** Refuses before anything is made: what is written for people without a device could be read by them neither now nor later. */
  private async requireReaders(usernames: string[]): Promise<void> {
    const without: string[] = [];
    for (let i = 0; i < usernames.length; i += 8)
      for (const user of await Promise.all(usernames.slice(i, i + 8).map((name) => this.keysOf(name))))
        if (user.devices.length === 0)
          without.push(user.username);
    if (without.length > 0)
      throw SecureMessagingError.of("NoDevice", `${without.join(", ")} ${without.length === 1 ? "has" : "have"} no device that can read messages yet: it takes one sign-in with an app that encrypts.`);
  }

  private async keysOf(username: string): Promise<UserKeys> {
    try {
      return await this.context.session.call<UserKeys>("GET", `v1/users/${encodeURIComponent(username)}/devices`);
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
    if (known && !known.core.hasEnded)
      return Promise.resolve(known);
    let opening = this.opening.get(id);
    if (!opening) {
      // Whoever comes back at once finds the end of the last time over, and told.
      opening = (known?.core.ending ?? Promise.resolve()).then(() => this.openRoom(id, summary)).finally(() => this.opening.delete(id));
      this.opening.set(id, opening);
    }
    return opening;
  }

  private async openRoom(id: string, summary: RoomSummary | undefined): Promise<Open | undefined> {
    const stored = await this.context.store.get(keys.room(id));
    if (!stored) {
      try {
        summary ??= await this.context.session.call<RoomSummary>("GET", `v1/rooms/${id}`);
      } catch (error) {
        if (error instanceof SecureMessagingError && error.code === "NotFound")
          return undefined;
        throw error;
      }
      if (summary.scheme !== schemeMls10)
        return undefined;
    }
    let opened: Open | undefined;
    const core = await RoomCore.open(this.context, summary, id, () => this.listener(id, () => opened!));
    if (!core)
      return undefined;
    const keeper = new Keeper(this.context, core);
    opened = { core, keeper, room: new Room(this.context, core, keeper) };
    this.open.set(id, opened);
    if (core.state.broken || core.state.wasAway)
      keeper.kick(1000);
    // A group that nobody has founded, because whoever created the room went away.
    if (!core.group)
      keeper.kick(3000 + Math.random() * 3000);
    else if (core.canBeRead === undefined)
      keeper.kick(0);
    this.onRoom?.(opened.room);
    return opened;
  }

  private listener(id: string, opened: () => Open): CoreListener {
    const room = () => opened().room;
    return {
      message: (message) => {
        this.delivered.set(id, message.seq);
        room().notify();
        room().emit("message", message);
      },
      changed: (message) => room().emit("changed", message),
      read: (userId, upTo) => room().emit("read", { userId, upTo }),
      spoke: (userId) => room().spoke(userId),
      roster: () => room().emit("members", undefined),
      settings: () => room().emit("settings", undefined),
      group: (group) => room().emit("epoch", { epoch: group?.epoch, devices: devicesOf(group) }),
      committed: (added, removed) => opened().keeper.check(added, removed),
      reconcile: (cause) => {
        if (cause === "broken" || cause === "away")
          opened().keeper.kick(Math.random() * 1000);
        else if (cause === "reset")
          opened().keeper.kick((opened().core.state.role === "member" ? 1500 : 100) + Math.random() * 1000);
        else
          opened().keeper.kickInTurn();
      },
      ended: (change) => {
        if (this.open.get(id) === opened())
          this.open.delete(id);
        room().spoke();
        room().notify();
        void this.context.outbox.drop(id).catch(this.context.failed("outbox", "notDropped", { roomId: id }));
        this.onEnded?.(id, change);
      },
    };
  }

  private async tellDelivered(): Promise<void> {
    const all = [...this.delivered];
    this.delivered.clear();
    for (const [roomId, seq] of all)
      if (this.context.hub.isConnected)
        await this.context.hub.markDelivered(roomId, seq);
  }
}
