import { digits } from "./account/device.js";
import { fromUtf8, sha256, utf8 } from "./bytes.js";
import type { Content } from "./content.js";
import { SecureMessagingError } from "./errors.js";
import { Emitter } from "./events.js";
import type { Group } from "./mls/group.js";
import { openSignal, sealSignal } from "./mls/signals.js";
import type { Context } from "./rooms/context.js";
import type { RoomCore } from "./rooms/core.js";
import type { Keeper } from "./rooms/keeper.js";
import type { SendOptions, Stored } from "./rooms/outbox.js";
import { Receipts, type ReadSignal } from "./rooms/receipts.js";
import { toMessage, type Message, type MessageRecord, type Sender } from "./rooms/records.js";
import { keys, ordinal, read, unpack, pack } from "./store/store.js";
import { defer, ticks } from "./timing.js";
import { readRole, type Role, type RoomKind, type Unknown, type WireMember } from "./wire.js";

/** What a room tells. */
export interface RoomEvents {
  /** A message came in, one's own included; in order, each once. Edits, deletions and reactions are no messages of their own: they are `changed`. */
  message: Message;
  /** An earlier message was edited, deleted or reacted to. */
  changed: Message;
  /** Somebody types, on some device. Ephemeral: one every few seconds while it lasts. */
  typing: { userId: string; deviceId: string };
  /** A person who was typing has written, or is no longer here. The event does not come when a person just stops: let `typing` end by itself after some 5 seconds. */
  typingEnded: { userId: string };
  /** An application's own signal, see {@link Room.signal}. */
  signal: { userId: string; deviceId: string; data: unknown };
  /** Somebody has read everything up to a place in the log. */
  read: { userId: string; upTo: number };
  /** People came, left, or have another role. */
  members: undefined;
  /** The room's name or time to live changed. */
  settings: undefined;
  /** The group is in another epoch, with these devices in it; without an epoch this device is no longer in the group. */
  epoch: { epoch: number | undefined; devices: Sender[] };
}

/** A member of a room. */
export interface Member { userId: string; username: string; role: Role | Unknown }

/** A send that stands in this device's outbox. */
export interface Sent {
  /** Names the message; other messages refer to it by this. */
  id: string;
  /** When the server has stored it; rejects with a {@link SecureMessagingError} when it refuses for good. Nobody need wait: it goes on after a restart, too. */
  stored: Promise<Stored>;
}

const typingEveryMs = 3_000;
/** Typing that was told longer ago than this is over for all members. */
const typingLastsMs = 15_000;

/** One room. Everything in it is encrypted and decrypted on this device. */
export class Room extends Emitter<RoomEvents> {
  private arrived = defer<void>();
  private typedAt = -Infinity;
  private readonly typists = new Map<string, number>();
  /** @internal */
  readonly receipts: Receipts;

  /** @internal */
  constructor(private readonly context: Context, /** @internal */ readonly core: RoomCore, private readonly keeper: Keeper) {
    super();
    this.receipts = new Receipts(context, core, (signal) => this.sendSignal(signal));
  }

  /** The room's id. */
  get id(): string {
    return this.core.id;
  }

  /** A group of any number of people, or a direct room of two. */
  get kind(): RoomKind | Unknown {
    return this.core.state.kind;
  }

  /** Its name, which the server does not know. */
  get name(): string | undefined {
    return this.core.state.name;
  }

  /** Seconds after which the server purges each entry; undefined when it keeps them. */
  get timeToLiveSeconds(): number | undefined {
    return this.core.state.timeToLiveSeconds;
  }

  /** This user's role. */
  get role(): Role | Unknown {
    return this.core.state.role;
  }

  /** Whether this device is in the room's group, so that it can read and write. A new one must first be let in by a device that is. */
  get isReady(): boolean {
    return this.core.isReady;
  }

  /** Whether the log holds messages from before this device was let in: it cannot read them. */
  get hasEarlier(): boolean {
    return this.core.state.earlier === true;
  }

  /**
   * Whether another member can read what is sent now: false while no other member has a device in the group, undefined until that is known. Sends wait for it in the outbox.
   * Ask again at the events `epoch` and `members`. In a direct room whose other person is gone it stays false; in a group of one's own it is true.
   */
  get canBeRead(): boolean | undefined {
    return this.core.canBeRead;
  }

  /** The MLS epoch, when the device is in the group. */
  get epoch(): number | undefined {
    return this.core.group?.epoch;
  }

  /** Waits until {@link isReady}. @throws {@link SecureMessagingError} `NotReady` after so many milliseconds. */
  async whenReady(timeoutMs = 60_000): Promise<void> {
    const until = ticks() + timeoutMs;
    while (!this.isReady) {
      if (ticks() > until || this.core.hasEnded)
        throw SecureMessagingError.of("NotReady", "This device has not been let into the room's group.");
      const turn = defer<void>();
      const off = this.on("epoch", () => turn.resolve());
      const timer = setTimeout(() => turn.resolve(), Math.min(500, timeoutMs));
      await turn.promise;
      clearTimeout(timer);
      off();
    }
  }

  /** Sends a text. Resolves once it stands in this device's outbox, from where it is sent whatever happens. @throws `TooLarge` past some 32,000 bytes. */
  send(text: string, options?: SendOptions): Promise<Sent> {
    return this.post({ type: "text", text }, options);
  }

  /** Answers a message. */
  reply(to: Message | string, text: string, options?: SendOptions): Promise<Sent> {
    return this.post({ type: "reply", to: idOf(to), text }, options);
  }

  /** Gives a message of one's own another text. */
  edit(target: Message | string, text: string, options?: SendOptions): Promise<Sent> {
    return this.post({ type: "edit", target: idOf(target), text }, options);
  }

  /** Reacts to a message, or takes the reaction back. */
  react(target: Message | string, emoji: string, options: { remove?: boolean } & SendOptions = {}): Promise<Sent> {
    return this.post({ type: "reaction", target: idOf(target), emoji, ...(options.remove ? { removed: true } : {}) }, options);
  }

  /** Takes a message of one's own back: tells the others' devices under encryption, and has the server purge the envelope. */
  async delete(target: Message, options?: SendOptions): Promise<Sent> {
    const sent = await this.post({ type: "delete", target: target.id }, options);
    // The server's part is a courtesy; it may have purged it already.
    void sent.stored.then(() => this.context.hub.retract(this.id, target.seq)).catch(this.context.failed("room", "notRetracted", { roomId: this.id }));
    return sent;
  }

  /** Names the room. */
  async rename(name: string, options?: SendOptions): Promise<Sent> {
    return this.post({ type: "name", name }, options);
  }

  /** Sends an application's own content: anything that JSON can hold. */
  sendCustom(kind: string, data: unknown, options?: SendOptions): Promise<Sent> {
    return this.post({ type: "custom", kind, data }, options);
  }

  /**
   * Tells the others that everything up to here has been read, unless {@link Privacy} says not to. Members who are connected learn it from a signal, one for many calls; the others from
   * inside the next message, edit or reaction, or when they ask after connecting. It is no entry of the log.
   */
  async markRead(upTo: Message | number): Promise<void> {
    await this.receipts.mark(typeof upTo === "number" ? upTo : upTo.seq);
  }

  /** Tells the members who are connected that this user types here, unless {@link Privacy} says not to; at most one signal every three seconds goes out. */
  async typing(): Promise<void> {
    if (!this.context.privacy.settings.typing || ticks() - this.typedAt < typingEveryMs)
      return;
    this.typedAt = ticks();
    await this.sendSignal({ type: "typing" });
  }

  /** Sends up to some 800 bytes of JSON to those who are connected now, at most once, stored nowhere. */
  async signal(data: unknown): Promise<void> {
    await this.sendSignal({ type: "custom", data });
  }

  /**
   * Messages in the order of the log, each once: what is there already, then what comes, until the client is closed or the loop is left. One's own are among them; edits,
   * deletions and reactions are not, they change the message that they are about and come as the event `changed`.
   * By default it goes on where the last loop on this device stopped; the place moves when the next message is asked for.
   * @param options.after Begin after this place of the log instead, and do not remember.
   */
  async *messages(options: { after?: number; signal?: AbortSignal } = {}): AsyncGenerator<Message, void, undefined> {
    const remember = options.after === undefined;
    let last = options.after ?? await read<number>(this.context.store, keys.taken(this.id)) ?? 0;
    const stop = () => this.arrived.resolve();
    options.signal?.addEventListener("abort", stop, { once: true });
    this.context.closing.addEventListener("abort", stop, { once: true });
    try {
      while (!this.context.closing.aborted && !options.signal?.aborted) {
        const arrived = this.arrived.promise;
        const found = await this.context.store.list(keys.messages(this.id), { after: keys.message(this.id, last), limit: 100 });
        for (const [, value] of found) {
          const message = toMessage(unpack<MessageRecord>(value));
          yield message;
          last = message.seq;
          if (remember)
            await this.context.store.write(new Map([[keys.taken(this.id), pack(last)]]));
          if (this.context.closing.aborted || options.signal?.aborted)
            return;
        }
        if (found.length === 0)
          await arrived;
      }
    } finally {
      options.signal?.removeEventListener("abort", stop);
      this.context.closing.removeEventListener("abort", stop);
    }
  }

  /** Messages before a place in the log, newest last: for scrolling back. */
  async history(options: { before?: number; limit?: number } = {}): Promise<Message[]> {
    const found = await this.context.store.list(keys.messages(this.id), {
      reverse: true, limit: options.limit ?? 50, ...(options.before === undefined ? {} : { after: keys.messages(this.id) + ordinal(options.before) }),
    });
    return found.map(([, value]) => toMessage(unpack<MessageRecord>(value))).reverse();
  }

  /** How far each member has read, by user id. */
  async reads(): Promise<Map<string, number>> {
    const prefix = keys.reads(this.id);
    return new Map((await this.context.store.list(prefix)).map(([key, value]) => [key.slice(prefix.length), unpack<number>(value)]));
  }

  /** The people of the room. */
  readonly members = {
    /** Everybody, with their roles. */
    list: async (): Promise<Member[]> => {
      const members = (await this.context.session.call<WireMember[]>("GET", `v1/rooms/${this.id}/members`)).map((member) => ({ ...member, role: readRole(member.role) }));
      for (const member of members)
        await this.context.people.learnName(member.userId, member.username);
      return members;
    },
    /** Adds somebody, with all their devices: they read what comes from now on, and nothing from before. Needs the role admin. */
    add: (username: string, role: Role = "member"): Promise<void> => this.keeper.change({ add: [{ username, role }] }),
    /** Removes somebody, with all their devices, by user id or username: what comes from now on is encrypted under keys that they cannot have. Needs the role admin. */
    remove: async (who: string): Promise<void> => {
      const member = (await this.members.list()).find((each) => each.userId === who || each.username === who.toLowerCase());
      if (!member)
        throw SecureMessagingError.of("NotFound", "There is no member with this username or user id.");
      if (member.userId === this.context.session.userId)
        return this.leave();
      return this.keeper.change({ remove: [member.userId] });
    },
    /** Gives a role. Needs the role owner. */
    setRole: async (userId: string, role: Role): Promise<void> => {
      await this.context.session.call("PATCH", `v1/rooms/${this.id}/members/${userId}`, { role });
    },
  };

  /** Sets the time after which the server purges each entry from now on, in seconds; undefined: it keeps them. Needs the role admin. */
  async setTimeToLive(seconds: number | undefined): Promise<void> {
    await this.context.session.call("PATCH", `v1/rooms/${this.id}`, { timeToLiveSeconds: seconds ?? null });
    await this.core.catchUp();
  }

  /** Takes the room and its log from everybody. Needs the role owner. What devices have read stays on them. */
  async destroy(): Promise<void> {
    await this.context.session.call("DELETE", `v1/rooms/${this.id}`);
    this.core.end("deleted");
  }

  /** Leaves the room. What this device has read stays on it. */
  async leave(): Promise<void> {
    await this.context.session.call("DELETE", `v1/rooms/${this.id}/members/${this.context.session.userId}`);
    this.core.end("left");
  }

  /** How many sends of this room have not come back in its log. */
  get unsent(): number {
    return this.context.outbox.count(this.id);
  }

  /** Compares the group's leaves with the members' devices now, and commits what is missing. Happens by itself. */
  reconcile(): Promise<void> {
    return this.keeper.change({});
  }

  /** Devices in the group, as MLS has authenticated them. */
  devices(): Sender[] {
    return devicesOf(this.core.group);
  }

  /** A code that is the same on all devices in the same epoch of the group, and on no others: SHA-256 of the epoch authenticator, as 6 groups of 5 digits. */
  async code(): Promise<string | undefined> {
    const group = this.core.group;
    return group && digits(await sha256(utf8("SecureMessaging 1.0 RoomCode"), group.id, group.epochAuthenticator), 6);
  }

  /** @internal A member has written or left and types no longer; without a name, all of them. */
  spoke(userId?: string): void {
    for (const typist of userId === undefined ? [...this.typists.keys()] : [userId]) {
      const since = this.typists.get(typist);
      if (this.typists.delete(typist) && Date.now() - since! < typingLastsMs)
        this.emit("typingEnded", { userId: typist });
    }
  }

  /** @internal */
  notify(): void {
    this.arrived.resolve();
    this.arrived = defer();
  }

  /** @internal */
  async receiveSignal(signal: Uint8Array): Promise<void> {
    const group = this.core.group;
    const opened = group && await openSignal(group, signal);
    if (!opened || opened.sender.deviceId === this.context.device.id)
      return;
    const { userId, deviceId } = opened.sender;
    const value = readSignal(opened.content);
    switch (value?.type) {
      case "typing":
        if (!this.context.privacy.settings.typing)
          return;
        this.typists.set(userId, Date.now());
        this.emit("typing", { userId, deviceId });
        break;
      case "read":
        await this.receipts.heard(userId, value as unknown as ReadSignal);
        break;
      case "custom":
        this.emit("signal", { userId, deviceId, data: value.data });
        break;
    }
  }

  private post(content: Content, options?: SendOptions): Promise<Sent> {
    if (this.core.hasEnded)
      return Promise.reject(SecureMessagingError.of("NotFound", "The room is over."));
    return this.context.outbox.enqueue(this.id, content, options);
  }

  /** Returns whether it went out: without a connection it does not, and nothing is lost by that. */
  private async sendSignal(value: unknown): Promise<boolean> {
    const group = this.core.group;
    if (!group || !this.isReady || !this.context.hub.isConnected)
      return false;
    try {
      await this.context.hub.signal(this.id, await sealSignal(group, utf8(JSON.stringify(value))));
      return true;
    } catch (error) {
      this.context.failed("room", "signalNotSent", { roomId: this.id })(error);
      return false;
    }
  }
}

/** Undefined for what a client wrote that does something else: nothing is lost by leaving it. */
function readSignal(content: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(fromUtf8(content));
    return typeof value === "object" && value !== null ? value as Record<string, unknown> : undefined;
  } catch {
    return undefined;
  }
}

const idOf = (message: Message | string): string => typeof message === "string" ? message : message.id;

/** @internal */
export const devicesOf = (group: Group | undefined): Sender[] => (group?.leaves() ?? []).map(({ userId, deviceId }) => ({ userId, deviceId }));
