/*
 * The server in memory, without the network: one log per room with `seq`, one winner per epoch, Welcomes that exist only after their Commit won, KeyPackages
 * that are handed out once, idempotent sends and Commits. `link.ts` puts a network with faults before it.
 */
import { equal, toBase64 } from "../../src/base/bytes.js";
import { toBody, type SecureMessagingError } from "../../src/base/errors.js";
import { generationOf } from "../../src/mls/group.js";
import { foundingHash, roomIdOf } from "../../src/trust/founding.js";
import type {
  CommitAck,
  InvalidCommitReport,
  LogEntry,
  LogPage,
  PendingWelcome,
  Role,
  RoomHead,
  RoomSummary,
  SendAck,
  SendResult,
  UserKeys,
} from "../../src/net/wire.js";
import type { NewCommit, NewRoom, NewSend } from "../../src/rooms/ports.js";
import { Directory, keysOf, notFound, refuse, type ServerDevice } from "./directory.js";
import type { SimMls } from "./mls.js";
import type { World } from "./world.js";

interface Member {
  role: Role;
  joinedSeq: number;
}

export interface ServerRoom {
  id: string;
  kind: "group" | "direct";
  founding: Uint8Array;
  members: Map<string, Member>;
  log: LogEntry[];
  firstSeq: number;
  epoch: number;
  generation: number;
  commitSeq: number;
  groupSeq: number;
  reports: Set<string>;
  /** Who sent the entry with this id. */
  senders: Map<string, string>;
  /** What an entry contained, also after it is gone. */
  contents: Map<number, Uint8Array>;
}

interface Waiting extends PendingWelcome {
  bytes: Uint8Array;
  deviceId: string;
}

/** What the server tells the connected devices. */
export interface Notices {
  entries(room: ServerRoom, entries: LogEntry[], userIds: string[]): void;
  roomChanged(roomId: string, change: "joined" | "left" | "deleted", userId: string): void;
  welcomesWaiting(deviceId: string): void;
}

/** Application messages are accepted for this many past epochs. */
const pastEpochs = 3;

export class FakeServer {
  readonly directory = new Directory();
  readonly rooms = new Map<string, ServerRoom>();
  private welcomesWaiting: Waiting[] = [];
  /** The message that used each message key. A second one breaks the encryption. */
  private readonly keysSeen = new Map<string, Uint8Array>();
  /** What no run may do. */
  readonly violations: string[] = [];

  constructor(
    private readonly world: World,
    private readonly mls: Pick<SimMls, "keyOf" | "readHeader" | "welcomeReferences">,
    private readonly notices: Notices,
  ) {}

  // Rooms and members

  async createRoom(userId: string, request: NewRoom): Promise<RoomSummary> {
    const id = roomIdOf(await foundingHash(request.founding));
    const known =
      request.kind === "direct"
        ? [...this.rooms.values()].find(
            (room) => room.kind === "direct" && room.members.has(userId) && request.userIds.every((other) => room.members.has(other)),
          )
        : this.rooms.get(id);
    if (known) return this.summary(userId, known.id);
    const room: ServerRoom = {
      id,
      kind: request.kind,
      founding: request.founding,
      members: new Map(),
      log: [],
      firstSeq: 1,
      epoch: 0,
      generation: 0,
      commitSeq: 0,
      groupSeq: 0,
      reports: new Set(),
      senders: new Map(),
      contents: new Map(),
    };
    this.rooms.set(room.id, room);
    const entries = [
      this.join(room, userId, "owner"),
      ...request.userIds.map((other) => this.join(room, other, request.kind === "direct" ? "owner" : "member")),
    ];
    this.publish(room, entries);
    return this.summary(userId, room.id);
  }

  summary(userId: string, roomId: string): RoomSummary {
    const room = this.roomOf(userId, roomId);
    const { role } = room.members.get(userId)!;
    return {
      id: roomId,
      kind: room.kind,
      visible: false,
      createdAt: "2026-01-01T00:00:00Z",
      epoch: room.epoch,
      role,
      headSeq: room.log.length,
      firstSeq: this.firstSeqOf(room, userId),
      deliveredSeq: 0,
      unread: 0,
      scheme: "mls10",
      generation: room.generation,
      founding: toBase64(room.founding),
    };
  }

  removeMember(userId: string, roomId: string, removed: string): void {
    const room = this.roomOf(userId, roomId, userId === removed ? "member" : "admin");
    const target = room.members.get(removed);
    if (!target) throw notFound();
    if (room.members.size === 1) {
      // The room is deleted with its last member.
      room.members.delete(removed);
      this.rooms.delete(roomId);
      this.welcomesWaiting = this.welcomesWaiting.filter((each) => each.roomId !== roomId);
      this.notices.roomChanged(roomId, "deleted", removed);
      return;
    }
    const isLastOwner = [...room.members.values()].filter(({ role }) => role === "owner").length === 1 && target.role === "owner";
    if (isLastOwner) throw refuse("Conflict", "The room would have no owner.");
    this.publish(room, [this.leave(room, removed)]);
  }

  // Devices and KeyPackages

  devicesOfRoom(userId: string, roomId: string): UserKeys[] {
    return [...this.roomOf(userId, roomId).members.keys()].map((id) => keysOf(this.directory.user(id)));
  }

  /** A device of a user appears, or has other keys: the members of all rooms must know. */
  changeDevice(userId: string, device: ServerDevice): void {
    const user = this.directory.user(userId);
    user.devices = [...user.devices.filter(({ id }) => id !== device.id), device];
    this.welcomesWaiting = this.welcomesWaiting.filter(({ deviceId }) => deviceId !== device.id);
    for (const room of this.rooms.values()) if (room.members.has(userId)) this.publish(room, [this.append(room, { kind: "devicesChanged", userId })]);
  }

  rotateKeys(userId: string, deviceId: string, signatureKey: Uint8Array<ArrayBuffer>, identitySignature: Uint8Array<ArrayBuffer>): void {
    const device = this.directory.device(userId, deviceId);
    if (equal(device.signatureKey, signatureKey)) return;
    this.changeDevice(userId, { ...device, signatureKey, identitySignature, packages: new Map(), lastResort: undefined, claimed: new Set() });
  }

  // The log

  sync(userId: string, roomId: string, afterSeq: number, limit: number): LogPage {
    const { log, firstSeq, headSeq } = this.readable(userId, roomId, afterSeq);
    const from = Math.max(afterSeq, firstSeq - 1);
    return { roomId, entries: log.slice(from, Math.min(from + limit, headSeq)), headSeq, firstSeq };
  }

  heads(userId: string): RoomHead[] {
    return [...this.rooms.values()]
      .filter((room) => room.members.has(userId))
      .map((room) => ({ roomId: room.id, headSeq: room.log.length, firstSeq: this.firstSeqOf(room, userId), deliveredSeq: 0, unread: 0 }));
  }

  sendBatch(userId: string, sends: NewSend[]): SendResult[] {
    return sends.map((send) => {
      try {
        return { ack: this.send(userId, send) };
      } catch (error) {
        return { error: toBody(error as SecureMessagingError) };
      }
    });
  }

  private send(userId: string, { roomId, clientMessageId: id, ciphertext, epoch }: NewSend): SendAck {
    const room = this.roomOf(userId, roomId);
    const earlier = room.log.find((entry) => entry.id === id);
    if (earlier) return { roomId, clientMessageId: id, seq: earlier.seq, createdAt: earlier.createdAt, duplicate: true };
    const header = this.mls.readHeader(ciphertext!);
    if (!header || header.epoch !== epoch) throw refuse("Invalid", "Not an application message of this room.");
    if (generationOf(header.groupId) !== room.generation || epoch < room.epoch - pastEpochs) throw refuse("EpochTooOld", "The epoch is too old.");
    if (epoch > room.epoch) throw refuse("WrongEpoch", "The epoch is ahead.");
    this.checkKey(ciphertext!);
    const entry = this.append(room, { kind: "message", id, ciphertext: ciphertext!, epoch });
    room.senders.set(id, userId);
    this.publish(room, [entry]);
    return { roomId, clientMessageId: id, seq: entry.seq, createdAt: entry.createdAt, duplicate: false };
  }

  commit(userId: string, roomId: string, { id, epoch, commit, welcomes, roster }: NewCommit): CommitAck {
    const room = this.roomOf(userId, roomId);
    const earlier = room.log.find((entry) => entry.id === id);
    if (earlier) return { roomId, id, seq: earlier.seq, epoch: epoch + 1, duplicate: true };
    const header = this.mls.readHeader(commit);
    if (header?.contentType !== "commit" || header.epoch !== epoch) throw refuse("Invalid", "Not a Commit of this room.");
    if (generationOf(header.groupId) !== room.generation || epoch !== room.epoch) throw refuse("WrongEpoch", "The room's group is in another epoch.");
    const references = welcomes.flatMap((welcome) => this.mls.welcomeReferences(welcome));
    if (roster && room.members.get(userId)!.role === "member") throw refuse("Forbidden", "You may not do this.");
    const added = (roster?.add ?? []).map((each) => ({ id: this.directory.user(each.userId).id, role: each.role }));
    const recipients = references.map((reference) => {
      const device = this.directory.ownerOf(reference);
      const isMember = device && (room.members.has(device.userId) || added.some(({ id: userIdOf }) => userIdOf === device.userId));
      if (!device || !isMember || roster?.remove?.includes(device.userId)) throw refuse("Invalid", "A Welcome is for a KeyPackage of no member.");
      return device;
    });
    const isThere = (member: string) => (room.members.has(member) || added.some((each) => each.id === member)) && !roster?.remove?.includes(member);
    if (roster?.roles?.some((each) => !isThere(each.userId))) throw notFound();
    this.checkKey(commit);
    const before = [...room.members.keys()];
    const entry = this.append(room, { kind: "commit", id, ciphertext: commit, epoch });
    room.senders.set(id, userId);
    room.epoch++;
    room.commitSeq = entry.seq;
    room.reports.clear();
    // The members who leave receive the Commit that removes them.
    const entries = [
      entry,
      ...(roster?.remove ?? []).filter((removed) => room.members.has(removed)).map((removed) => this.leave(room, removed)),
      ...added.filter((each) => !room.members.has(each.id)).map((each) => this.join(room, each.id, each.role)),
      ...(roster?.roles ?? []).map((each) => this.setRole(room, each.userId, each.role)),
    ];
    for (const [i, device] of recipients.entries()) {
      const bytes = welcomes[0]!;
      this.welcomesWaiting.push({ deviceId: device.id, roomId, generation: room.generation, seq: entry.seq, message: toBase64(bytes), bytes });
      this.world.after(i, () => this.notices.welcomesWaiting(device.id));
    }
    this.publish(room, entries, before);
    return { roomId, id, seq: entry.seq, epoch: epoch + 1, duplicate: false };
  }

  reportInvalidCommit(userId: string, roomId: string, seq: number): InvalidCommitReport {
    const room = this.roomOf(userId, roomId);
    if (seq < room.groupSeq) return { reset: true, generation: room.generation };
    if (seq !== room.commitSeq) throw refuse("Conflict", "This is not the room's newest commit.");
    room.reports.add(userId);
    if (room.members.get(userId)!.role === "member" && room.reports.size * 2 <= room.members.size) return { reset: false, generation: room.generation };
    room.generation++;
    room.epoch = room.commitSeq = 0;
    const entry = this.append(room, { kind: "groupReset", generation: room.generation });
    room.groupSeq = entry.seq;
    this.welcomesWaiting = this.welcomesWaiting.filter((each) => each.roomId !== roomId);
    this.publish(room, [entry]);
    return { reset: true, generation: room.generation };
  }

  welcomes(userId: string, deviceId: string): PendingWelcome[] {
    return this.welcomesWaiting
      .filter((each) => each.deviceId === deviceId && this.rooms.get(each.roomId)!.members.has(userId))
      .map(({ roomId, generation, seq, message }) => ({ roomId, generation, seq, message }));
  }

  deleteWelcome(deviceId: string, roomId: string, seq: number): void {
    this.welcomesWaiting = this.welcomesWaiting.filter((each) => each.deviceId !== deviceId || each.roomId !== roomId || each.seq !== seq);
  }

  /** The entry has expired, or was retracted: its place and its id stay. */
  makeGone(room: ServerRoom, seq: number): void {
    const entry = room.log[seq - 1]!;
    if (entry.kind !== "message") return;
    const { createdAt, id, epoch } = entry;
    room.log[seq - 1] = { seq, kind: "gone", createdAt, epoch, ...(id === undefined ? {} : { id }) };
  }

  retract(userId: string, roomId: string, seq: number): SendAck {
    const room = this.roomOf(userId, roomId);
    const target = room.log[seq - 1];
    if (!target || target.kind !== "message" || room.senders.get(target.id!) !== userId) throw notFound();
    this.makeGone(room, seq);
    const entry = this.append(room, { kind: "retraction", targetSeq: seq });
    this.publish(room, [entry]);
    return { roomId, clientMessageId: target.id!, seq: entry.seq, createdAt: entry.createdAt, duplicate: false };
  }

  /** An entry that no honest client has made. */
  inject(room: ServerRoom, entry: Partial<LogEntry> & { kind: LogEntry["kind"] }): void {
    this.publish(room, [this.append(room, entry)]);
  }

  /** A user comes or goes by the server's word alone. */
  lie(room: ServerRoom, what: "join" | "leave", userId: string): void {
    this.publish(room, [what === "join" ? this.join(room, userId, "member") : this.leave(room, userId)]);
  }

  // Inside

  private roomOf(userId: string, roomId: string, least: Role = "member"): ServerRoom {
    const room = this.rooms.get(roomId);
    const member = room?.members.get(userId);
    if (!room || !member) throw notFound();
    const ranks: Role[] = ["member", "admin", "owner"];
    if (ranks.indexOf(member.role) < ranks.indexOf(least)) throw refuse("Forbidden", "You may not do this.");
    return room;
  }

  /** What a user can read of a log. A former member reads on to the entry of the own leaving, from a place of that membership. */
  private readable(userId: string, roomId: string, afterSeq: number): { log: LogEntry[]; firstSeq: number; headSeq: number } {
    const room = this.rooms.get(roomId);
    if (!room || room.members.has(userId)) {
      const { log } = this.roomOf(userId, roomId);
      return { log, firstSeq: this.firstSeqOf(room!, userId), headSeq: log.length };
    }
    const last = (kind: LogEntry["kind"], end: number) => room.log.slice(0, end).findLast((entry) => entry.kind === kind && entry.userId === userId)?.seq;
    const left = last("memberLeft", room.log.length) ?? 0;
    const joined = last("memberJoined", left);
    if (joined === undefined || joined > afterSeq) throw notFound();
    return { log: room.log, firstSeq: Math.max(room.firstSeq, joined), headSeq: left };
  }

  private firstSeqOf(room: ServerRoom, userId: string): number {
    return Math.max(room.firstSeq, room.members.get(userId)!.joinedSeq);
  }

  private append(room: ServerRoom, entry: Partial<LogEntry> & { kind: LogEntry["kind"] }): LogEntry {
    const minute = 60_000;
    const made: LogEntry = { epoch: 0, ...entry, seq: room.log.length + 1, createdAt: new Date(Math.floor(this.world.now / minute) * minute) };
    room.log.push(made);
    if (made.ciphertext) room.contents.set(made.seq, made.ciphertext);
    return made;
  }

  private join(room: ServerRoom, userId: string, role: Role): LogEntry {
    const entry = this.append(room, { kind: "memberJoined", userId, role });
    room.members.set(userId, { role, joinedSeq: entry.seq });
    this.notices.roomChanged(room.id, "joined", userId);
    return entry;
  }

  private leave(room: ServerRoom, userId: string): LogEntry {
    room.members.delete(userId);
    this.welcomesWaiting = this.welcomesWaiting.filter(
      (each) => each.roomId !== room.id || !this.directory.user(userId).devices.some(({ id }) => id === each.deviceId),
    );
    this.notices.roomChanged(room.id, "left", userId);
    return this.append(room, { kind: "memberLeft", userId });
  }

  private setRole(room: ServerRoom, userId: string, role: Role): LogEntry {
    const member = room.members.get(userId);
    if (!member) throw notFound();
    member.role = role;
    return this.append(room, { kind: "roleChanged", userId, role });
  }

  /** @param before - The members before the entries: those who leave receive the entries up to their own leaving. */
  private publish(room: ServerRoom, entries: LogEntry[], before: string[] = []): void {
    this.notices.entries(room, entries, [...room.members.keys()]);
    for (const userId of before.filter((each) => !room.members.has(each))) {
      const last = entries.findIndex((entry) => entry.kind === "memberLeft" && entry.userId === userId);
      this.notices.entries(room, entries.slice(0, last + 1), [userId]);
    }
  }

  private checkKey(message: Uint8Array): void {
    const key = this.mls.keyOf(message);
    if (key === undefined) return;
    const before = this.keysSeen.get(key);
    if (before && !equal(before, message)) this.violations.push(`the message key ${key} was used for two messages`);
    this.keysSeen.set(key, message);
  }
}
