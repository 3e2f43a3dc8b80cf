import type { TrustLine } from "../account/peopleTrust.js";
import type { SecureMessaging } from "../client/client.js";
import type { RoomHold } from "../rooms/holds.js";
import type { RoomLine } from "../rooms/line.js";
import type { Member } from "../rooms/members.js";
import { linesOf } from "../rooms/notices.js";
import type { Room } from "../rooms/room.js";
import { Overview } from "../rooms/overview.js";
import { page } from "../rooms/pages.js";
import { readsOf } from "../rooms/receipts.js";
import type { Message } from "../rooms/records.js";
import { keys, pack, unpack, type Store } from "../store/store.js";
import { Mutex } from "../base/timing.js";
import type { RoomKind, Unknown } from "../net/wire.js";
import type { Conversation, RoomMarks } from "./conversation.js";

/** A member as last known. @internal */
export type KnownMember = Pick<Member, "userId" | "username" | "role">;

/** The stored description of a room: enough to show it offline, and after it has ended. @internal */
export interface ConversationRecord {
  id: string;
  kind: RoomKind | Unknown;
  name?: string;
  members: KnownMember[];
  /** In a direct room, the other person's name. It stays after the person has left. */
  with?: string;
  /** When this device first saw the room. */
  since?: number;
}

interface Known {
  record: ConversationRecord;
  room: Room | undefined;
  overview: Overview;
  holds: RoomHold[];
  /** The order of arrival. The server's times are only exact to the minute. */
  arrival: number;
}

const recordKey = (id: string) => `conversation/${id}`;
const records = "conversation/";

/**
 * The list of conversations: the rooms, and the rooms that have ended. It is in memory and updated by events, so neither the list nor a page of history costs
 * more in a room with many thousand messages.
 * @internal
 */
export class Conversations {
  private readonly known = new Map<string, Known>();
  private readonly turn = new Mutex();
  private readonly ports: { store: Store; clock: { now: () => number }; device: { userId: string }; privacy: SecureMessaging["privacy"] };
  private arrivals = 0;

  private constructor(
    private readonly store: Store,
    private readonly client: SecureMessaging,
    private readonly changed: (roomId?: string) => void,
    private readonly linesChanged: (roomId: string) => void,
  ) {
    this.ports = { store, clock: Date, device: client, privacy: client.privacy };
  }

  /**
   * @param changed - Called when the list has changed; with a room id, when what is shown of the room has changed.
   * @param linesChanged - Called when the lines of a room have changed.
   */
  static async load(store: Store, client: SecureMessaging, changed: (roomId?: string) => void, linesChanged: (roomId: string) => void): Promise<Conversations> {
    const all = new Conversations(store, client, changed, linesChanged);
    await all.turn.run(async () => {
      for (const [, value] of await store.list(records)) {
        const record = unpack<ConversationRecord>(value);
        all.know(record, undefined, await Overview.load(all.ports, record.id));
      }
    });
    await Promise.all(client.rooms.list().map((room) => all.follow(room)));
    return all;
  }

  /** Follows a room that is new or was joined again. */
  follow(room: Room): Promise<void> {
    room.on("message", (message) => this.arrived(room, message));
    for (const event of ["changed", "expired", "read", "epoch", "withheld", "problem"] as const) room.on(event, () => this.changed(room.id));
    for (const event of ["settings", "members"] as const) room.on(event, () => this.learnInBackground(room));
    room.on("line", () => this.linesChanged(room.id));
    room.on("holds", (holds) => {
      const known = this.known.get(room.id);
      if (known) known.holds = holds;
      this.changed(room.id);
    });
    return this.turn.run(async () => {
      const known = this.known.get(room.id);
      if (known) Object.assign(known, { room, overview: room.overview });
      else {
        const name = room.name === undefined ? {} : { name: room.name };
        this.know({ id: room.id, kind: room.kind, ...name, members: [], since: Date.now() }, room, room.overview);
        await this.keep(room.id, {});
      }
      this.known.get(room.id)!.holds = room.holds();
      this.learnInBackground(room);
      this.changed();
    });
  }

  /** The room has ended. Its history stays. */
  ended(roomId: string): void {
    const known = this.known.get(roomId);
    if (known) Object.assign(known, { room: undefined, holds: [] });
    this.changed(roomId);
  }

  /** What this device knows about a user has changed, for example the name. */
  personChanged(userId: string): void {
    for (const { record, room } of this.known.values()) {
      if (!record.members.some((member) => member.userId === userId)) continue;
      if (room) this.learnInBackground(room);
      this.linesChanged(record.id);
    }
  }

  /** The rooms with a history on this device. */
  ids(): string[] {
    return [...this.known.keys()];
  }

  list(): Conversation[] {
    // The later of both times: neither a false one of the server nor a wrong clock of the author moves a new message down.
    const active = ({ overview: { last }, record }: Known) => (last ? Math.max(last.at.getTime(), last.time.getTime()) : (record.since ?? 0));
    return [...this.known.values()]
      .toSorted((a, b) => active(b) - active(a) || b.arrival - a.arrival || (a.record.id < b.record.id ? -1 : 1))
      .map((known) => this.describe(known));
  }

  members(roomId: string): KnownMember[] {
    return this.known.get(roomId)?.record.members ?? [];
  }

  /** What people see between the messages, see {@link SharedClient.lines}. */
  async lines(roomId: string): Promise<(RoomLine | TrustLine)[]> {
    const ofRoom = await linesOf(this.store, roomId);
    const members = new Set(this.members(roomId).map(({ userId }) => userId));
    const noticed = (await this.store.list(keys.allTrustLines)).map(([, value]) => unpack<TrustLine>(value));
    const ofPeople = noticed.filter((line) => members.has(line.userId) && noticedKinds.has(line.kind));
    return [...ofRoom, ...ofPeople.toSorted((a, b) => a.at - b.at)];
  }

  /** The members that have signed the room. This user has a name also before the own device list is known. */
  async membersOf(room: Room): Promise<Member[]> {
    const { userId, username } = this.client;
    return (await room.members.list()).map((member) => (member.userId === userId && member.username === "" ? { ...member, username } : member));
  }

  private learnInBackground(room: Room): void {
    this.inTurn(() => this.learn(room));
  }

  /** Stores what the members have signed, for the time after the end of the room. A device that is not in the room yet knows nothing of it. */
  private async learn(room: Room): Promise<void> {
    const known = this.known.get(room.id);
    const members = (await this.membersOf(room)).map(({ userId, username, role }) => ({ userId, username, role }));
    if (!known || known.room !== room || members.length === 0) return;
    const other = room.kind === "direct" ? members.find((member) => member.userId !== this.client.userId) : undefined;
    const about = { kind: room.kind, name: room.name, members, with: other?.username || known.record.with };
    const { kind, name, members: before, with: former } = known.record;
    // Only a real change is reported: otherwise a caller that reacts to changes would cause the next one.
    if (JSON.stringify(about) === JSON.stringify({ kind, name, members: before, with: former })) return;
    await this.keep(room.id, about);
    this.changed(room.id);
  }

  async markRead(roomId: string, seq: number): Promise<void> {
    await this.known.get(roomId)?.room?.markRead(seq);
  }

  async marks(roomId: string): Promise<RoomMarks> {
    const read = Object.fromEntries(await readsOf(this.ports, roomId));
    const others = Object.entries(read).flatMap(([userId, upTo]) => (userId === this.client.userId ? [] : [upTo]));
    return { read, ...(others.length === 0 ? {} : { delivered: Math.max(...others) }) };
  }

  history(roomId: string, options: { before?: number; limit?: number } = {}): Promise<Message[]> {
    return page(this.ports, roomId, { ...options, limit: Math.min(Math.max(1, options.limit ?? 50), 500) });
  }

  /** Deletes the history of a room that has ended. */
  async forget(roomId: string): Promise<void> {
    await this.turn.run(async () => {
      for (const prefix of [keys.messages(roomId), keys.messageIds(roomId), keys.proofs(roomId), keys.allMoved(roomId), keys.reads(roomId), keys.lines(roomId)])
        for (let some = await this.store.list(prefix, { limit: 500 }); some.length > 0; some = await this.store.list(prefix, { limit: 500 }))
          await this.store.write(new Map(some.map(([key]) => [key, null])));
      for (const { id } of this.client.parts.outbox.failed(roomId)) await this.client.parts.outbox.discard(roomId, id);
      await this.store.write(
        new Map([
          [recordKey(roomId), null],
          [keys.taken(roomId), null],
          [keys.announced(roomId), null],
          [keys.mark(roomId), null],
          [draftKey(roomId), null],
        ]),
      );
      this.known.delete(roomId);
    });
    this.changed(roomId);
  }

  private describe({ record, room, overview: { last, unread }, holds }: Known): Conversation {
    const { problem, brokenBy } = room ?? {};
    const others = record.members.filter((member) => member.userId !== this.client.userId).map((member) => member.username);
    const personId = record.kind === "direct" ? record.members.find((member) => member.userId !== this.client.userId)?.userId : undefined;
    return {
      id: record.id,
      kind: room?.kind ?? record.kind,
      ...(personId === undefined ? {} : { personId }),
      title: record.kind === "direct" ? others[0] || (record.with ?? "") : (record.name ?? others.join(", ")),
      unread: room ? unread : 0,
      memberCount: record.members.length,
      ...(room ? { role: room.role } : {}),
      ...(last ? { last } : {}),
      ...(room?.hasEarlier ? { earlier: true } : {}),
      ...(holds.length > 0 ? { holds } : {}),
      ...(room?.isWithheld ? { withheld: true } : {}),
      ...(room?.isReady && !room.isConfirmed ? { unconfirmed: true } : {}),
      ...(problem ? { problem } : {}),
      ...(brokenBy !== undefined ? { brokenBy } : {}),
      ...room?.settings,
    };
  }

  private know(record: ConversationRecord, room: Room | undefined, overview: Overview): void {
    this.known.set(record.id, { record, room, overview, holds: [], arrival: 0 });
  }

  private arrived({ id, last }: Room, message: Message): void {
    const known = this.known.get(id);
    if (known && last?.seq === message.seq) known.arrival = ++this.arrivals;
    this.changed(id);
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

/** What is noticed about a person and stands in no statement of a room. */
const noticedKinds = new Set<TrustLine["kind"]>(["identityChanged", "renamed", "listFork", "nameChanged", "listWithheld"]);

/** @internal */
export const draftKey = (roomId: string): string => `draft/${roomId}`;
