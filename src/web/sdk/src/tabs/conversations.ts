import type { SecureMessaging } from "../client.js";
import type { Room } from "../room.js";
import { toMessage, type Message, type MessageRecord } from "../rooms/records.js";
import { keys, ordinal, pack, read, unpack, type Store } from "../store/store.js";
import { Mutex } from "../timing.js";
import type { RoomKind, Unknown, WireMember } from "../wire.js";
import type { Conversation, RoomMarks } from "./shared.js";

/** What is kept of a room beside its messages: enough to show it without a connection, and after it has ended. @internal */
export interface ConversationRecord {
  id: string;
  kind: RoomKind | Unknown;
  name?: string;
  members: WireMember[];
  /** Of a direct room: the other person's name, which stays when they are gone. */
  with?: string;
  /** When this device first saw it. */
  since?: number;
  /** How far this user has read here; the receipt follows. */
  mark: number;
  /** What went wrong and nobody has looked at. */
  problem?: "rosterMismatch" | "logRewound";
  /** When somebody looked at the room's problems; identity keys that changed before are no problem any more. */
  acknowledged?: number;
}

interface Known {
  record: ConversationRecord;
  room: Room | undefined;
  last: Message | undefined;
  unread: number;
  /** The farthest message that `unread` and `last` take into account. */
  counted: number;
  readUpTo: number;
  /** Counts arrivals: the server's times are whole minutes. */
  arrival: number;
}

const recordKey = (id: string) => `conversation/${id}`;
const records = "conversation/";
/** More unread messages than this are not counted one by one when the store is opened. */
const mostUnread = 1000;

/**
 * The list of conversations. Held in memory and kept right by events, so that neither it nor a page of history costs more in a room of many thousand messages than in one of
 * ten. @internal
 */
export class Conversations {
  private readonly known = new Map<string, Known>();
  private readonly turn = new Mutex();
  private arrivals = 0;
  /** When identity keys changed, by user. */
  private readonly changedKeys = new Map<string, number>();

  private constructor(private readonly store: Store, private readonly client: SecureMessaging, private readonly changed: (roomId?: string) => void) {}

  /** @param changed Called when the list has changed, and with a room when what is shown of it has. */
  static async load(store: Store, client: SecureMessaging, changed: (roomId?: string) => void): Promise<Conversations> {
    const all = new Conversations(store, client, changed);
    const pins = "pin/";
    for (const [key, value] of await store.list(pins)) {
      const pin = unpack<{ since: number; changed?: boolean }>(value);
      if (pin.changed)
        all.changedKeys.set(key.slice(pins.length), pin.since);
    }
    await all.turn.run(async () => {
      for (const [, value] of await store.list(records)) {
        const record = unpack<ConversationRecord>(value);
        await all.know(record, undefined);
      }
    });
    await Promise.all(client.rooms.list().map((room) => all.follow(room)));
    return all;
  }

  /** A room is there, or is there again. */
  follow(room: Room): Promise<void> {
    room.on("message", (message) => this.inTurn(async () => this.arrived(room.id, message)));
    room.on("changed", (message) => this.inTurn(async () => {
      const known = this.known.get(room.id);
      if (known?.last?.seq === message.seq)
        known.last = message;
      // What was taken back is not waiting to be read.
      if (known && message.deleted && message.seq > known.readUpTo)
        known.unread = await this.count(known);
      this.changed(room.id);
    }));
    room.on("read", ({ userId, upTo }) => this.inTurn(async () => {
      const known = this.known.get(room.id);
      if (known && userId === this.client.userId && upTo > known.readUpTo)
        await this.readTo(known, upTo);
      this.changed(room.id);
    }));
    room.on("settings", () => this.inTurn(async () => this.keep(room.id, { name: room.name })));
    room.on("members", () => this.learnInBackground(room));
    room.on("epoch", () => this.changed());
    return this.turn.run(async () => {
      const known = this.known.get(room.id);
      if (known)
        known.room = room;
      else
        await this.know({ id: room.id, kind: room.kind, ...(room.name === undefined ? {} : { name: room.name }), members: [], since: Date.now(), mark: 0 }, room, true);
      if (this.known.get(room.id)!.record.members.length === 0)
        this.learnInBackground(room);
      this.changed();
    });
  }

  /** The room is over; what was read stays. */
  ended(roomId: string): void {
    const known = this.known.get(roomId);
    if (known)
      known.room = undefined;
    this.changed(roomId);
  }

  identityChanged(userId: string): void {
    this.changedKeys.set(userId, Date.now());
    this.changed();
  }

  /** Something went wrong that stays so until somebody has looked. */
  report(roomId: string, problem: "rosterMismatch" | "logRewound"): void {
    this.inTurn(() => this.keep(roomId, { problem }));
  }

  acknowledge(roomId: string): Promise<void> {
    // A clock that was set back since must not make what was looked at new again.
    const changed = this.members(roomId).map((member) => this.changedKeys.get(member.userId) ?? 0);
    return this.turn.run(() => this.keep(roomId, { problem: undefined, acknowledged: Math.max(Date.now(), ...changed) }));
  }

  /** Whose messages are kept here. */
  ids(): string[] {
    return [...this.known.keys()];
  }

  list(): Conversation[] {
    const active = ({ last, record }: Known) => last?.at.getTime() ?? record.since ?? 0;
    return [...this.known.values()].sort((a, b) => active(b) - active(a) || b.arrival - a.arrival || (a.record.id < b.record.id ? -1 : 1)).map((known) => this.describe(known));
  }

  members(roomId: string): WireMember[] {
    return this.known.get(roomId)?.record.members ?? [];
  }

  /** Without a connection the members stay as they were last seen. */
  private learnInBackground(room: Room): void {
    void this.learnMembers(room).catch(this.client.context.failed("room", "membersNotLearned", { roomId: room.id, retrying: true }));
  }

  /** Asks the server who is in the room, and remembers it. */
  async learnMembers(room: Room): Promise<WireMember[]> {
    const members = (await room.members.list()).map(({ userId, username, role }) => ({ userId, username, role }));
    // Whoever asks when something has changed must not be told by that that something has changed.
    if (JSON.stringify(members) !== JSON.stringify(this.members(room.id))) {
      const other = room.kind === "direct" ? members.find((member) => member.userId !== this.client.userId) : undefined;
      await this.turn.run(() => this.keep(room.id, { members, ...(other ? { with: other.username } : {}) }));
      this.changed(room.id);
    }
    return members;
  }

  async markRead(roomId: string, seq: number): Promise<void> {
    await this.turn.run(async () => {
      const known = this.known.get(roomId);
      if (!known || seq <= known.record.mark)
        return;
      await this.keep(roomId, { mark: seq });
      if (seq > known.readUpTo)
        await this.readTo(known, seq);
      this.changed(roomId);
    });
    await this.known.get(roomId)?.room?.markRead(seq);
  }

  async marks(roomId: string): Promise<RoomMarks> {
    const prefix = keys.reads(roomId);
    const { readReceipts } = this.client.privacy.settings;
    const all: Record<string, number> = {};
    let delivered: number | undefined;
    for (const [key, value] of await this.store.list(prefix)) {
      const userId = key.slice(prefix.length);
      if (!readReceipts && userId !== this.client.userId)
        continue;
      all[userId] = unpack<number>(value);
      if (userId !== this.client.userId)
        delivered = Math.max(delivered ?? 0, all[userId]);
    }
    return { read: all, ...(delivered === undefined ? {} : { delivered }) };
  }

  async history(roomId: string, options: { before?: number; limit?: number } = {}): Promise<Message[]> {
    const found = await this.store.list(keys.messages(roomId), {
      reverse: true, limit: Math.min(Math.max(1, options.limit ?? 50), 500),
      ...(options.before === undefined ? {} : { after: keys.messages(roomId) + ordinal(options.before) }),
    });
    return found.map(([, value]) => toMessage(unpack<MessageRecord>(value))).reverse();
  }

  /** Takes the history of a room that is over from this browser. */
  async forget(roomId: string): Promise<void> {
    await this.turn.run(async () => {
      for (const prefix of [keys.messages(roomId), keys.messageIds(roomId), keys.reads(roomId)])
        for (let some = await this.store.list(prefix, { limit: 500 }); some.length > 0; some = await this.store.list(prefix, { limit: 500 }))
          await this.store.write(new Map(some.map(([key]) => [key, null])));
      for (const { id } of this.client.context.outbox.failed(roomId))
        await this.client.context.outbox.discard(roomId, id);
      await this.store.write(new Map([[recordKey(roomId), null], [keys.taken(roomId), null], [keys.told(roomId), null], [draftKey(roomId), null]]));
      this.known.delete(roomId);
    });
    this.changed(roomId);
  }

  private describe({ record, room, last, unread }: Known): Conversation {
    const problem = this.problemOf(record, room);
    const others = record.members.filter((member) => member.userId !== this.client.userId).map((member) => member.username);
    return {
      id: record.id, kind: record.kind, title: record.kind === "direct" ? others[0] ?? record.with ?? "" : record.name ?? others.join(", "), unread: room ? unread : 0, memberCount: record.members.length,
      ...(room ? { role: room.role } : {}), ...(last ? { last } : {}), ...(room?.hasEarlier ? { earlier: true } : {}),
      ...(problem ? { problem } : {}),
      ...(room?.timeToLiveSeconds === undefined ? {} : { timeToLiveSeconds: room.timeToLiveSeconds }),
    };
  }

  private problemOf(record: ConversationRecord, room: Room | undefined): Conversation["problem"] {
    if (room?.core.state.broken)
      return "broken";
    if (room?.core.state.out)
      return "out";
    if (record.members.some(({ userId }) => userId !== this.client.userId && (this.changedKeys.get(userId) ?? 0) > (record.acknowledged ?? 0)))
      return "identityChanged";
    return record.problem ?? (room && !room.isReady ? "joining" : room?.canBeRead === false ? "noReader" : undefined);
  }

  /** Reads what there is to know of a room's messages. */
  private async know(record: ConversationRecord, room: Room | undefined, isNew = false): Promise<void> {
    const readUpTo = Math.max(record.mark, await read<number>(this.store, keys.read(record.id, this.client.userId)) ?? 0);
    const newest = (await this.history(record.id, { limit: 10 }));
    const known: Known = { record, room, last: newest.findLast(isShown), unread: 0, counted: newest.at(-1)?.seq ?? 0, readUpTo, arrival: 0 };
    known.unread = await this.count(known);
    this.known.set(record.id, known);
    if (isNew)
      await this.keep(record.id, {});
  }

  private async count({ record: { id }, readUpTo, counted }: Known): Promise<number> {
    if (readUpTo >= counted)
      return 0;
    const found = await this.store.list(keys.messages(id), { after: keys.message(id, readUpTo), limit: mostUnread });
    return found.filter(([, value]) => isUnread(toMessage(unpack<MessageRecord>(value)))).length;
  }

  private arrived(roomId: string, message: Message): void {
    const known = this.known.get(roomId);
    if (known && message.seq > known.counted) {
      known.counted = message.seq;
      if (isShown(message)) {
        known.last = message;
        known.arrival = ++this.arrivals;
      }
      if (isUnread(message) && message.seq > known.readUpTo)
        known.unread++;
    }
    this.changed(roomId);
  }

  private async readTo(known: Known, seq: number): Promise<void> {
    known.readUpTo = seq;
    known.unread = await this.count(known);
  }

  private async keep(roomId: string, change: Partial<ConversationRecord>): Promise<void> {
    const known = this.known.get(roomId);
    if (!known)
      return;
    known.record = { ...known.record, ...change };
    await this.store.write(new Map([[recordKey(roomId), pack(known.record)]]));
    this.changed();
  }

  private inTurn(work: () => Promise<void>): void {
    void this.turn.run(work).catch(this.client.context.failed("tabs", "listNotKept"));
  }
}

/** @internal */
export const draftKey = (roomId: string): string => `draft/${roomId}`;

/** Names are part of the history, but nobody is waiting to read them. */
const isShown = ({ content }: Message): boolean => content.type !== "name";

const isUnread = (message: Message): boolean => isShown(message) && !message.mine && !message.deleted;
