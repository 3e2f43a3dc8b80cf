import { fromUtf8, sha256, utf8 } from "../base/bytes.js";
import type { Content, Reference } from "../content/content.js";
import { SecureMessagingError } from "../base/errors.js";
import type { RoomCore } from "./core.js";
import type { Overview } from "./overview.js";
import { messageOf, page, pages } from "./pages.js";
import { pendingOf, type PendingSend } from "./pending.js";
import { proofsOf, type MessageProof } from "./proofs.js";
import { isOfOther } from "./reading.js";
import type { GroupReconciler } from "./reconciler.js";
import type { Outbox, SendOptions, Stored } from "./outbox.js";
import type { RoomGroup } from "./ports.js";
import { Receipts, readsOf, type ReadSignal } from "./receipts.js";
import type { Message, MessageRecord, Sender } from "./records.js";
import { RoomBase, type RoomPorts } from "./roomBase.js";
import { keys, read, type Changes } from "../store/store.js";
import { digits } from "../trust/safety.js";
import { defer } from "../base/timing.js";

export type { RoomEvents } from "./roomBase.js";

/** A send that this device's outbox has stored. */
export interface Sent {
  /** The id of the message. Other messages refer to it. */
  id: string;
  /**
   * Resolves when the server has stored the message; rejects with a {@link SecureMessagingError} when the server rejects it. There is no need to wait: the
   * outbox continues after a restart.
   */
  stored: Promise<Stored>;
}

/** As many places a deletion can name. The server deletes the bytes of all of them. */
const mostPlaces = 16;
const typingEveryMs = 3_000;
/** Members end a typing state after this time. */
const typingLastsMs = 15_000;

/** A room. This device encrypts and decrypts everything in it. */
export class Room extends RoomBase {
  private arrived = defer<void>();
  private typedAt = -Infinity;
  private readonly typists = new Map<string, number>();
  /** @internal */
  readonly receipts: Receipts;

  /** @internal */
  constructor(
    ports: RoomPorts,
    private readonly outbox: Outbox,
    core: RoomCore,
    reconciler: GroupReconciler,
    /** @internal */ readonly overview: Overview,
  ) {
    super(ports, core, reconciler);
    this.receipts = new Receipts(ports, core, (signal) => this.sendSignal(signal));
  }

  /**
   * Whether this device is in the room's MLS group and the server shows the room, so that it can read and write. Another device must add a new device first.
   * Sends may wait all the same, see {@link RoomBase.holds} and {@link Room.canBeRead}.
   */
  get isReady(): boolean {
    return this.core.isReady;
  }

  /** Whether the log contains messages from before this device was added. It cannot read them. */
  get hasEarlier(): boolean {
    return this.core.state.earlier === true;
  }

  /**
   * Whether another member can read what is sent now; undefined until that is known. While it is false, sends wait in the outbox. Read it again after the
   * events `epoch` and `members`. In a direct room it stays false after the other person has left. In a group without other people it is true.
   */
  get canBeRead(): boolean | undefined {
    return this.core.canBeRead;
  }

  /** The epoch of the MLS group: a number that each Commit raises (RFC 9420 section 2). Undefined while this device is not in the group. */
  get epoch(): number | undefined {
    return this.core.group?.epoch;
  }

  /** Waits until {@link Room.isReady}. @throws {@link SecureMessagingError} `NotReady` after this many milliseconds, or when the room has ended. */
  async whenReady(timeoutMs = 60_000): Promise<void> {
    const { clock } = this.ports;
    const until = clock.ticks() + timeoutMs;
    while (!this.isReady) {
      if (clock.ticks() > until || this.core.hasEnded) throw SecureMessagingError.of("NotReady", "This device is not yet in the room's MLS group.");
      const turn = new AbortController();
      const off = this.on("epoch", () => turn.abort());
      await clock.pause(Math.min(500, timeoutMs), turn.signal);
      off();
    }
  }

  /**
   * Sends a text. Resolves when this device's outbox has stored it; the outbox then sends it, also after a restart. @throws `TooLarge` above about 32,000
   * bytes.
   */
  send(text: string, options?: SendOptions): Promise<Sent> {
    return this.post({ type: "text", text }, options);
  }

  /** Answers a message. Resolves and throws like {@link Room.send}. */
  async reply(to: Message | Reference, text: string, options?: SendOptions): Promise<Sent> {
    return this.post({ type: "reply", to: referenceTo(to), text }, options);
  }

  /** Replaces the text of an own message. The edit lives no longer than the message. Resolves and throws like {@link Room.send}. */
  edit(target: Message | string, text: string, options?: SendOptions): Promise<Sent> {
    return this.post({ type: "edit", target: typeof target === "string" ? target : target.id, text }, options);
  }

  /** Adds a reaction to a message, or removes it. Resolves like {@link Room.send}. */
  async react(target: Message | Reference, emoji: string, options: { remove?: boolean } & SendOptions = {}): Promise<Sent> {
    return this.post({ type: "reaction", target: referenceTo(target), emoji, ...(options.remove ? { removed: true } : {}) }, options);
  }

  /** Pins a message for all members, or unpins it. Counts only when the state of the room allows it to this user. Resolves like {@link Room.send}. */
  async pin(target: Message | Reference, options: { remove?: boolean } & SendOptions = {}): Promise<Sent> {
    return this.post({ type: "pin", target: referenceTo(target), ...(options.remove ? { removed: true } : {}) }, options);
  }

  /**
   * Deletes an own message: tells the other devices in an encrypted message, and lets the server delete the bytes. Both are stored on this device and repeated
   * until they are done, also after a restart. Resolves like {@link Room.send}.
   */
  async delete(target: Message, options?: SendOptions): Promise<Sent> {
    const seqs = await this.placesOf(target);
    return this.post({ type: "delete", target: target.id, seqs: seqs.slice(0, mostPlaces) }, { ...options, erase: seqs });
  }

  /**
   * Removes a message of another user on all devices. Counts only when the state of the room allows it to this user; all members see who did it. The client of
   * the author lets the server delete the bytes. Resolves like {@link Room.send}.
   */
  async moderate(target: Message, options?: SendOptions): Promise<Sent> {
    const seqs = await this.placesOf(target);
    return this.post({ type: "moderate", target: referenceTo(target), seqs: seqs.slice(0, mostPlaces) }, options);
  }

  /**
   * What proves to a third person that the devices of a message and of its edits have written them, oldest first. It does not prove when. Empty for
   * messages that this device has sent, and for those that were deleted.
   */
  async proofOf(message: Message): Promise<MessageProof[]> {
    const record = await this.recordOf(message);
    return record ? proofsOf(this.ports.store, this.id, record) : [];
  }

  /** Sends content that the application defines: any JSON value. Resolves and throws like {@link Room.send}. */
  sendCustom(kind: string, data: unknown, options?: SendOptions): Promise<Sent> {
    return this.post({ type: "custom", kind, data }, options);
  }

  /**
   * Notes how far this user has read, see {@link Room.unread}, and tells the others unless {@link Privacy} turns that off. Members who are connected get a
   * signal (one for several calls). The others learn it from the next send of any kind, or when they ask after connecting. It is not a log entry.
   */
  async markRead(upTo: Message | number): Promise<void> {
    await this.receipts.mark(typeof upTo === "number" ? upTo : upTo.seq);
  }

  /** Tells the connected members that this user is typing, unless {@link Privacy} turns that off. Sends at most one signal in 3 s. */
  async typing(): Promise<void> {
    const { clock, privacy } = this.ports;
    if (!privacy.settings.typing || clock.ticks() - this.typedAt < typingEveryMs) return;
    this.typedAt = clock.ticks();
    await this.sendUnheld({ type: "typing" });
  }

  /** Sends up to about 800 bytes of JSON to the connected members. It arrives at most once and is not stored. While sends wait, it is not sent. */
  async signal(data: unknown): Promise<void> {
    await this.sendUnheld({ type: "custom", data });
  }

  /**
   * Iterates over the messages in the order of the log, each once: the stored ones first, then new ones, until the client is closed or the loop ends. Own
   * messages are included. Edits, deletions and reactions change earlier messages and cause the event `changed`.
   *
   * By default it continues where the last loop on this device stopped. The place moves when the next message is requested.
   * With `options.after` it begins after that place of the log and does not store its place. `options.signal` ends the loop.
   */
  async *messages(options: { after?: number; signal?: AbortSignal } = {}): AsyncGenerator<Message, void, undefined> {
    const stop = () => this.arrived.resolve();
    options.signal?.addEventListener("abort", stop, { once: true });
    this.ports.closing.addEventListener("abort", stop, { once: true });
    const isOver = () => this.ports.closing.aborted || options.signal?.aborted === true;
    try {
      yield* pages(this.ports, this.id, options.after, () => this.arrived.promise, isOver);
    } finally {
      options.signal?.removeEventListener("abort", stop);
      this.ports.closing.removeEventListener("abort", stop);
    }
  }

  /** The messages before a place in the log, oldest first. At most 50 by default. Places in a row that were never read count as one. */
  history(options: { before?: number; limit?: number } = {}): Promise<Message[]> {
    return page(this.ports, this.id, options);
  }

  /** A message by its author and id; undefined when this device does not have it. */
  message(target: Reference): Promise<Message | undefined> {
    return messageOf(this.ports.store, this.id, target);
  }

  /** The newest message. Messages that change nothing, and places that were never read, are left out. */
  get last(): Message | undefined {
    return this.overview.last;
  }

  /**
   * How many messages of others this user has not read, see {@link Room.markRead}. Those that were deleted or change nothing are not counted, and after the
   * opening only those among the newest 1,000 messages are.
   */
  get unread(): number {
    return this.overview.unread;
  }

  /**
   * How far each member has read, by user id, as far as this device has learned it. With read receipts off ({@link Privacy}), it has no other users, and of
   * this user only what other devices know: a place that was noted since is on this device alone, see {@link Room.unread}.
   */
  reads(): Promise<Map<string, number>> {
    return readsOf(this.ports, this.id);
  }

  /** The messages of this device that are not in the log yet, oldest first. The event `pending` reports each change. */
  async pending(): Promise<PendingSend[]> {
    return pendingOf(this.outbox, this.id);
  }

  /** Sends a failed message again, with the same id. */
  retry(sendId: string): Promise<void> {
    return this.outbox.retry(this.id, sendId);
  }

  /** Deletes a failed message. */
  discard(sendId: string): Promise<void> {
    return this.outbox.discard(this.id, sendId);
  }

  /** How many sends of this room the log has not delivered yet. */
  get unsent(): number {
    return this.outbox.count(this.id);
  }

  /** Compares the group's leaves with the members' devices now, and commits the difference. The SDK does it by itself when something changes. */
  reconcile(): Promise<void> {
    return this.reconciler.compare();
  }

  /** The devices in the group, as MLS has authenticated them. */
  devices(): Sender[] {
    return devicesOf(this.core.group);
  }

  /**
   * A code that is equal on all devices in the same epoch and differs otherwise: SHA-256 over a label, the group's id and the epoch authenticator (RFC 9420
   * section 8.7), as 6 groups of 5 digits. Undefined while this device is not in the group.
   */
  async code(): Promise<string | undefined> {
    const group = this.core.group;
    return group && digits(await sha256(utf8("SecureMessaging 1.0 RoomCode"), group.id, group.epochAuthenticator), 6);
  }

  /** @internal A member no longer types; without an id, no member does. */
  stoppedTyping(userId?: string): void {
    for (const typist of userId === undefined ? [...this.typists.keys()] : [userId]) {
      const since = this.typists.get(typist);
      if (this.typists.delete(typist) && this.ports.clock.now() - since! < typingLastsMs) this.emit("typingEnded", { userId: typist });
    }
  }

  /** @internal */
  notify(): void {
    this.arrived.resolve();
    this.arrived = defer();
  }

  /** @internal */
  async receiveSignal(signal: Uint8Array): Promise<void> {
    const { clock, device, mls, people, privacy } = this.ports;
    const group = this.core.group;
    const opened = group && (await mls.openSignal(group, signal));
    if (!opened || opened.sender.deviceId === device.id || isOfOther(this.core, opened.sender, people)) return;
    const { userId, deviceId } = opened.sender;
    const value = readSignal(opened.content);
    switch (value?.type) {
      case "typing":
        if (!privacy.settings.typing) return;
        this.typists.set(userId, clock.now());
        this.emit("typing", { userId, deviceId });
        break;
      case "read":
        await this.receipts.received(userId, value as unknown as ReadSignal);
        break;
      case "custom":
        this.emit("signal", { userId, deviceId, data: value.data });
        break;
    }
  }

  private recordOf({ seq }: Message): Promise<MessageRecord | undefined> {
    return read<MessageRecord>(this.ports.store, keys.message(this.id, seq));
  }

  /** The places of a message and of its edits. */
  private async placesOf(message: Message): Promise<number[]> {
    return [message.seq, ...((await this.recordOf(message))?.edits ?? [])];
  }

  /** @internal */
  protected async sendLeave(token: string, also?: Changes): Promise<void> {
    const { stored } = await this.post({ type: "leave", token }, also ? { also } : {});
    await stored;
  }

  private post(content: Content, options?: SendOptions): Promise<Sent> {
    if (this.core.hasEnded) return Promise.reject(SecureMessagingError.of("NotFound", "The room has ended."));
    return this.outbox.enqueue(this.id, content, options);
  }

  /** Returns whether it was sent. Without a connection it is dropped. */
  /** A hold stops what this user says, also what is not stored. How far the user has read is no secret from members. */
  private async sendUnheld(value: unknown): Promise<void> {
    if (!this.core.isHeld) await this.sendSignal(value);
  }

  private async sendSignal(value: unknown): Promise<boolean> {
    const group = this.core.group;
    const { hub, mls, reports } = this.ports;
    if (!group || !this.isReady || !hub.isConnected) return false;
    try {
      await hub.signal(this.id, await mls.sealSignal(group, utf8(JSON.stringify(value))));
      return true;
    } catch (error) {
      reports.failed("room", "signalNotSent", { roomId: this.id })(error);
      return false;
    }
  }
}

/** Undefined for a signal that this version does not know. It is ignored. */
function readSignal(content: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(fromUtf8(content));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function referenceTo(target: Message | Reference): Reference {
  if ("author" in target) return { author: target.author, id: target.id };
  if (!target.from) throw SecureMessagingError.of("Invalid", "The message has no author, so nothing can refer to it.");
  return { author: target.from.userId, id: target.id };
}

/** @internal */
export const devicesOf = (group: RoomGroup | undefined): Sender[] => (group?.leaves() ?? []).map(({ userId, deviceId }) => ({ userId, deviceId }));
