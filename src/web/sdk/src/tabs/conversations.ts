import type { SecureMessaging } from "../client/client.js";
import type { Room } from "../rooms/room.js";
import { page } from "../rooms/pages.js";
import { toMessage, type Message, type MessageRecord } from "../rooms/records.js";
import { keys, pack, read, unpack, type Store } from "../store/store.js";
import { Mutex } from "../base/timing.js";
import type { RoomKind, Unknown, WireMember } from "../net/wire.js";
import type { Conversation, RoomMarks } from "./sharedClient.js";

/** The stored description of a room: enough to show it offline, and after it has ended. @internal */
export interface ConversationRecord {
  id: string;
  kind: RoomKind | Unknown;
  name?: string;
  members: WireMember[];
  /** In a direct room, the other person's name. It stays after the person has left. */
  with?: string;
  /** When this device first saw the room. */
  since?: number;
  /** How far this user has read on this device. */
  mark: number;
  /** A problem that the user has not acknowledged. */
  problem?: "rosterMismatch" | "logRewound";
  /** When the user acknowledged the room's problems. Earlier changes of identity keys are no problem any more. */
  acknowledged?: number;
}

interface Known {
  record: ConversationRecord;
  room: Room | undefined;
  last: Message | undefined;
  unread: number;
  /** The last message that `unread` and `last` include. */
  counted: number;
  readUpTo: number;
  /** The order of arrival. The server's times are only exact to the minute. */
  arrival: number;
}

const recordKey = (id: string) => `conversation/${id}`;
const records = "conversation/";
/** The maximal number of unread messages to count when the store is opened. */
const mostUnread = 1000;

/**
 * The list of conversations, in memory and updated by events: neither the list nor a page of history costs more in a room with many thousand messages.
 * @internal
 */
export class Conversations {
  private readonly known = new Map<string, Known>();
  private readonly turn = new Mutex();
  private arrivals = 0;
  /** When identity keys have changed, by user id. */
  private readonly changedKeys = new Map<string, number>();

  private constructor(
    private readonly store: Store,
    private readonly client: SecureMessaging,
    private readonly changed: (roomId?: string) => void,
  ) {}

  /** @param changed - Called when the list has changed; with a room id, when what is shown of the room has changed. */
  static async load(store: Store, client: SecureMessaging, changed: (roomId?: string) => void): Promise<Conversations> {
    const all = new Conversations(store, client, changed);
    for (const [key, value] of await store.list(keys.pins)) {
      const { changedAt } = unpack<{ changedAt?: number }>(value);
      if (changedAt !== undefined) all.changedKeys.set(key.slice(keys.pins.length), changedAt);
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

  /** Follows a room that is new or was joined again. */
  follow(room: Room): Promise<void> {
    room.on("message", (message) => this.inTurn(async () => this.arrived(room.id, message)));
    room.on("changed", (message) =>
      this.inTurn(async () => {
        const known = this.known.get(room.id);
        if (known?.last?.seq === message.seq) known.last = message;
        // A deleted message does not count as unread.
        if (known && message.deleted && message.seq > known.readUpTo) known.unread = await this.count(known);
        this.changed(room.id);
      }),
    );
    room.on("expired", () =>
      this.inTurn(async () => {
        const known = this.known.get(room.id);
        if (known) await this.describeNewest(known);
        this.changed(room.id);
      }),
    );
    room.on("read", ({ userId, upTo }) =>
      this.inTurn(async () => {
        const known = this.known.get(room.id);
        if (known && userId === this.client.userId && upTo > known.readUpTo) await this.readTo(known, upTo);
        this.changed(room.id);
      }),
    );
    room.on("settings", () => this.inTurn(async () => this.keep(room.id, { name: room.name })));
    room.on("members", () => this.learnInBackground(room));
    room.on("epoch", () => this.changed());
    return this.turn.run(async () => {
      const known = this.known.get(room.id);
      if (known) known.room = room;
      else
        await this.know(
          { id: room.id, kind: room.kind, ...(room.name === undefined ? {} : { name: room.name }), members: [], since: Date.now(), mark: 0 },
          room,
          true,
        );
      if (this.known.get(room.id)!.record.members.length === 0) this.learnInBackground(room);
      this.changed();
    });
  }

  /** The room has ended. Its history stays. */
  ended(roomId: string): void {
    const known = this.known.get(roomId);
    if (known) known.room = undefined;
    this.changed(roomId);
  }

  identityChanged(userId: string): void {
    this.changedKeys.set(userId, Date.now());
    this.changed();
  }

  /** Stores a problem until the user acknowledges it. */
  report(roomId: string, problem: "rosterMismatch" | "logRewound"): void {
    this.inTurn(() => this.keep(roomId, { problem }));
  }

  acknowledge(roomId: string): Promise<void> {
    // If the clock was set back, an acknowledged problem must not appear again.
    const changed = this.members(roomId).map((member) => this.changedKeys.get(member.userId) ?? 0);
    return this.turn.run(() => this.keep(roomId, { problem: undefined, acknowledged: Math.max(Date.now(), ...changed) }));
  }

  /** The rooms with a history on this device. */
  ids(): string[] {
    return [...this.known.keys()];
  }

  list(): Conversation[] {
    const active = ({ last, record }: Known) => last?.at.getTime() ?? record.since ?? 0;
    return [...this.known.values()]
      .toSorted((a, b) => active(b) - active(a) || b.arrival - a.arrival || (a.record.id < b.record.id ? -1 : 1))
      .map((known) => this.describe(known));
  }

  members(roomId: string): WireMember[] {
    return this.known.get(roomId)?.record.members ?? [];
  }

  /** Without a connection the last known members stay. */
  private learnInBackground(room: Room): void {
    void this.learnMembers(room).catch(this.client.reports.failed("room", "membersNotLearned", { roomId: room.id, retrying: true }));
  }

  /** Reads the members from the server and stores them. */
  async learnMembers(room: Room): Promise<WireMember[]> {
    const members = (await room.members.list()).map(({ userId, username, role }) => ({ userId, username, role }));
    // Only a real change is reported: otherwise a caller that reacts to changes would cause the next one.
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
      if (!known || seq <= known.record.mark) return;
      await this.keep(roomId, { mark: seq });
      if (seq > known.readUpTo) await this.readTo(known, seq);
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
      if (!readReceipts && userId !== this.client.userId) continue;
      all[userId] = unpack<number>(value);
      if (userId !== this.client.userId) delivered = Math.max(delivered ?? 0, all[userId]);
    }
    return { read: all, ...(delivered === undefined ? {} : { delivered }) };
  }

  history(roomId: string, options: { before?: number; limit?: number } = {}): Promise<Message[]> {
    return page({ store: this.store, clock: Date }, roomId, { ...options, limit: Math.min(Math.max(1, options.limit ?? 50), 500) });
  }

  /** Deletes the history of a room that has ended. */
  async forget(roomId: string): Promise<void> {
    await this.turn.run(async () => {
      for (const prefix of [keys.messages(roomId), keys.messageIds(roomId), keys.proofs(roomId), keys.reads(roomId)])
        for (let some = await this.store.list(prefix, { limit: 500 }); some.length > 0; some = await this.store.list(prefix, { limit: 500 }))
          await this.store.write(new Map(some.map(([key]) => [key, null])));
      for (const { id } of this.client.parts.outbox.failed(roomId)) await this.client.parts.outbox.discard(roomId, id);
      await this.store.write(
        new Map([
          [recordKey(roomId), null],
          [keys.taken(roomId), null],
          [keys.announced(roomId), null],
          [draftKey(roomId), null],
        ]),
      );
      this.known.delete(roomId);
    });
    this.changed(roomId);
  }

  private describe({ record, room, last, unread }: Known): Conversation {
    const problem = this.problemOf(record, room);
    const others = record.members.filter((member) => member.userId !== this.client.userId).map((member) => member.username);
    const personId = record.kind === "direct" ? record.members.find((member) => member.userId !== this.client.userId)?.userId : undefined;
    return {
      id: record.id,
      kind: record.kind,
      ...(personId === undefined ? {} : { personId }),
      title: record.kind === "direct" ? (others[0] ?? record.with ?? "") : (record.name ?? others.join(", ")),
      unread: room ? unread : 0,
      memberCount: record.members.length,
      ...(room ? { role: room.role } : {}),
      ...(last ? { last } : {}),
      ...(room?.hasEarlier ? { earlier: true } : {}),
      ...(problem ? { problem } : {}),
      ...room?.settings,
    };
  }

  private problemOf(record: ConversationRecord, room: Room | undefined): Conversation["problem"] {
    if (room?.core.state.broken) return "broken";
    if (room?.core.state.out) return "out";
    if (record.members.some(({ userId }) => userId !== this.client.userId && (this.changedKeys.get(userId) ?? 0) > (record.acknowledged ?? 0)))
      return "identityChanged";
    return record.problem ?? (room && !room.isReady ? "joining" : room?.canBeRead === false ? "noReader" : undefined);
  }

  /** Reads the description of a room's messages. */
  private async know(record: ConversationRecord, room: Room | undefined, isNew = false): Promise<void> {
    const readUpTo = Math.max(record.mark, (await read<number>(this.store, keys.read(record.id, this.client.userId))) ?? 0);
    const known: Known = { record, room, last: undefined, unread: 0, counted: 0, readUpTo, arrival: 0 };
    await this.describeNewest(known);
    this.known.set(record.id, known);
    if (isNew) await this.keep(record.id, {});
  }

  private async describeNewest(known: Known): Promise<void> {
    const newest = await this.history(known.record.id, { limit: 10 });
    known.last = newest.findLast(isShown);
    known.counted = Math.max(known.counted, newest.at(-1)?.seq ?? 0);
    known.unread = await this.count(known);
  }

  private async count({ record: { id }, readUpTo, counted }: Known): Promise<number> {
    if (readUpTo >= counted) return 0;
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
      if (isUnread(message) && message.seq > known.readUpTo) known.unread++;
    }
    this.changed(roomId);
  }

  private async readTo(known: Known, seq: number): Promise<void> {
    known.readUpTo = seq;
    known.unread = await this.count(known);
  }

  private async keep(roomId: string, change: Partial<ConversationRecord>): Promise<void> {
    const known = this.known.get(roomId);
    if (!known) return;
    known.record = { ...known.record, ...change };
    await this.store.write(new Map([[recordKey(roomId), pack(known.record)]]));
    this.changed();
  }

  private inTurn(work: () => Promise<void>): void {
    void this.turn.run(work).catch(this.client.reports.failed("tabs", "listNotKept"));
  }
}

/** @internal */
export const draftKey = (roomId: string): string => `draft/${roomId}`;

/** A place that was never read is part of the history, but does not count as a message to read. */
const isShown = ({ content }: Message): boolean => content.type !== "missing";

const isUnread = (message: Message): boolean => isShown(message) && !message.mine && !message.deleted;
