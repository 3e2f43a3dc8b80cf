import { newId } from "../base/bytes.js";
import type { Content } from "../content/content.js";
import type { ContentBody } from "../content/message.js";
import { fromStored, toStored, type Stored as StoredForm } from "../content/stored.js";
import { SecureMessagingError } from "../base/errors.js";
import { Emitter } from "../base/events.js";
import { keys, pack, read, unpack, type Changes } from "../store/store.js";
import { defer, handled, type Deferred } from "../base/timing.js";
import { checkContent } from "./contents.js";
import type { Draft } from "./draft.js";
import { Erasures } from "./erasures.js";
import type { Ports, RoomGroup } from "./ports.js";
import type { FailedItem, OutboxItem, OwnSend, SealedHeader } from "./records.js";

/** Options of a send. */
export interface SendOptions {
  /**
   * Seconds until all devices and the server delete the message, counted from the sending. The server deletes it after 60 s at the earliest. A shorter time of
   * the room has precedence.
   */
  timeToLiveSeconds?: number;
  /** The id of the message: a random UUID, version 4. With it, repeated calls send the message once. By default the SDK draws one. */
  id?: string;
  /** Whether an earlier call may have used the same id. Then its outcome is looked up first. */
  repeated?: boolean;
  /** @internal Places whose bytes the server must delete, noted in the write that stores the send. */
  erase?: readonly number[];
  /** @internal What the write that stores the send stores besides. */
  also?: Changes;
}

/** The result of a send. */
export interface Stored {
  /** The place of the message in the room's log. */
  seq: number;
}

/** An item with the state that only memory holds. @internal */
export interface Tracked extends OutboxItem {
  stored: Deferred<Stored>;
  /** The first write of the item, until it is done. It may fail, and it must not replace a later one: before that, the item is neither encrypted nor sent. */
  keeping?: Promise<void>;
  acked?: number;
  ackedAt?: number;
  /** Whether the log had passed that place before, and had not delivered the item there. */
  isPassed?: boolean;
  /** How many times the server has answered `Internal` to it. */
  internal?: number;
}

/** The events of the outbox. @internal */
export interface OutboxEvents {
  /** The sends of a room have changed. */
  changed: { roomId: string };
  /** A send is stored and can be sent, or one that failed to be stored no longer keeps others waiting. */
  added: { roomId: string };
  /** The server has rejected a send. */
  failed: { roomId: string; id: string; error: SecureMessagingError };
}

/** The sends of this device that the log has not delivered yet, and those that the server has rejected. {@link Dispatcher} sends them. @internal */
export class Outbox extends Emitter<OutboxEvents> {
  private readonly items: Tracked[] = [];
  private readonly failures: FailedItem[] = [];
  private next = 1;

  /** The deletions on the server that are left to do. */
  readonly erasures: Erasures;

  constructor(private readonly ports: Pick<Ports, "clock" | "closing" | "device" | "hub" | "reports" | "store">) {
    super();
    this.erasures = new Erasures(ports, ({ roomId, after }) => this.unsent(roomId).some((item) => item.id === after));
    this.on("changed", () => this.erasures.wake());
  }

  async load(): Promise<void> {
    for (const [, value] of await this.ports.store.list(keys.outboxes)) {
      const item = readItem<OutboxItem>(value);
      this.items.push({ ...item, stored: defer() });
      this.next = Math.max(this.next, item.position + 1);
    }
    for (const [, value] of await this.ports.store.list(keys.allFailures)) this.failures.push(readItem<FailedItem>(value));
    await this.erasures.load();
  }

  /** Resolves when this device has stored the item. An item with the same id that waits, was sent or was rejected is not sent again. */
  async enqueue(roomId: string, content: Content, options: SendOptions = {}): Promise<{ id: string; stored: Promise<Stored> }> {
    const { id } = options;
    if (id !== undefined && options.repeated) {
      const underWay = this.underWay(roomId, id);
      if (underWay) return underWay;
      const seq = await read<number>(this.ports.store, keys.messageId(roomId, `${this.ports.device.userId}/${id}`));
      if (seq !== undefined) return { id, stored: Promise.resolve({ seq }) };
      const failed = this.failures.find((each) => each.id === id && each.roomId === roomId);
      if (failed) {
        const stored = Promise.reject(new SecureMessagingError(failed.error));
        handled(stored);
        return { id, stored };
      }
    }
    return this.add(roomId, content, options, id ?? newId());
  }

  private underWay(roomId: string, id: string): Promise<{ id: string; stored: Promise<Stored> }> | undefined {
    const item = this.items.find((each) => each.id === id && each.roomId === roomId);
    return item && Promise.resolve(item.keeping).then(() => ({ id, stored: item.stored.promise }));
  }

  /** @param failed - The rejected item that is sent again. */
  private async add(
    roomId: string,
    content: Content,
    { timeToLiveSeconds, erase = [], also = new Map() }: Pick<SendOptions, "timeToLiveSeconds" | "erase" | "also">,
    id: string,
    failed?: FailedItem,
  ): Promise<{ id: string; stored: Promise<Stored> }> {
    // After the client was closed, another client may use its store.
    this.ports.closing.throwIfAborted();
    const twin = this.underWay(roomId, id);
    if (twin) return twin;
    const body = checkContent(id, content, timeToLiveSeconds);
    const item: OutboxItem = {
      position: this.next++,
      roomId,
      id,
      content: body,
      at: this.ports.clock.now(),
      clientMessageId: newId(),
      ...(timeToLiveSeconds === undefined ? {} : { timeToLiveSeconds }),
    };
    const changes: Changes = new Map(also).set(keys.outbox(item.position), packed(item));
    if (failed) changes.set(keys.failed(roomId, id), null);
    const erased = this.erasures.note(changes, roomId, erase, id);
    const tracked: Tracked = { ...item, stored: defer() };
    this.items.push(tracked);
    this.emit("changed", { roomId });
    try {
      // The write of the encrypted item, before it is sent, is not relaxed.
      await (tracked.keeping = this.ports.store.write(changes, { relaxed: true }));
    } catch (error) {
      // The caller learns of the failure, so the item must not be sent. Those behind it have waited for it.
      this.remove(tracked);
      this.emit("added", { roomId });
      throw error;
    }
    delete tracked.keeping;
    if (failed) {
      // Unless it was discarded meanwhile.
      if (this.failures.includes(failed)) this.failures.splice(this.failures.indexOf(failed), 1);
      this.emit("changed", { roomId });
    }
    this.erasures.add(erased);
    this.emit("added", { roomId });
    return { id: item.id, stored: tracked.stored.promise };
  }

  find(roomId: string, clientMessageId: string): OutboxItem | undefined {
    return this.items.find((item) => item.clientMessageId === clientMessageId && item.roomId === roomId);
  }

  /** The sends of a room that the log has not delivered, in order. */
  waiting(roomId: string): OutboxItem[] {
    return this.items.filter((item) => item.roomId === roomId);
  }

  /** The sends of a room that the server has not acknowledged, in order. */
  unsent(roomId: string): Tracked[] {
    return this.items.filter((item) => item.roomId === roomId && item.acked === undefined);
  }

  /** The first of the {@link unsent} sends of a room, up to one whose first write is not done: what can be encrypted and sent now. */
  ready(roomId: string): Tracked[] {
    const unsent = this.unsent(roomId);
    const end = unsent.findIndex((item) => item.keeping !== undefined);
    return end < 0 ? unsent : unsent.slice(0, end);
  }

  /** Whether the item still waits: the log has not delivered it and it was not rejected. */
  holds(item: Tracked): boolean {
    return this.items.includes(item);
  }

  /** The rooms with sends that the log has not delivered. */
  rooms(): Set<string> {
    return new Set(this.items.map((item) => item.roomId));
  }

  /** The sends of a room that the server has rejected. */
  failed(roomId: string): FailedItem[] {
    return this.failures.filter((each) => each.roomId === roomId);
  }

  /** Sends a rejected item again, with the same id. A second call has no effect. */
  async retry(roomId: string, id: string): Promise<void> {
    const failed = this.failures.find((each) => each.id === id && each.roomId === roomId);
    if (failed) await this.add(roomId, failed.content, failed, id, failed);
  }

  /** Deletes a rejected item. */
  async discard(roomId: string, id: string): Promise<void> {
    await this.ports.store.write(new Map([[keys.failed(roomId, id), null]]));
    const at = this.failures.findIndex((each) => each.id === id && each.roomId === roomId);
    if (at < 0) return;
    this.failures.splice(at, 1);
    this.emit("changed", { roomId });
  }

  /** How many sends of a room, or of all rooms, the log has not delivered. */
  count(roomId?: string): number {
    return this.items.filter((item) => roomId === undefined || item.roomId === roomId).length;
  }

  /** The log has delivered the item. */
  passed(draft: Draft, roomId: string, clientMessageId: string, seq: number): void {
    const item = this.items.find((each) => each.clientMessageId === clientMessageId && each.roomId === roomId);
    if (!item) return;
    draft.delete(keys.outbox(item.position));
    draft.after.push(() => {
      this.remove(item);
      item.stored.resolve({ seq });
    });
  }

  /**
   * This user may have been out of the room, so earlier encrypted items are encrypted again. If one was stored after all, its readers recognise it by the id
   * of its content.
   */
  encryptAnew(draft: Draft): void {
    for (const item of this.unsent(draft.state.id))
      // Skips an item that this draft has just delivered.
      if (item.ciphertext && draft.changes.get(keys.outbox(item.position)) !== null) this.unseal(draft, item);
  }

  /** Stores the encrypted bytes of an item, and what they say besides the content. */
  seal(draft: Draft, item: Tracked, ciphertext: Uint8Array, { epoch, generation }: RoomGroup, sealed: SealedHeader): void {
    const change = { ciphertext, epoch, generation, sealed };
    draft.changes.set(keys.outbox(item.position), packed({ ...item, ...change }));
    draft.after.push(() => Object.assign(item, change));
  }

  /** Removes the encrypted bytes of an item, so that it is encrypted again with another id. */
  unseal(draft: Draft, item: Tracked): void {
    const fresh = unsealed();
    draft.changes.set(keys.outbox(item.position), packed({ ...item, ...fresh }));
    draft.after.push(() => {
      // Not when it was acknowledged meanwhile: the log will deliver it with the old id.
      if (item.acked === undefined) Object.assign(item, fresh);
    });
  }

  /**
   * The log has delivered the item at a place where it does not count. The user decides whether it is sent again: then it stands after what was sent later.
   */
  undelivered(draft: Draft, own: OwnSend, why: keyof typeof undeliveredBecause): void {
    const { id: roomId } = draft.state;
    const item = this.items.find((each) => each.clientMessageId === own.clientMessageId && each.roomId === roomId);
    if (!item) return;
    const error = SecureMessagingError.of("NotDelivered", `${undeliveredBecause[why]} It can be sent again.`);
    for (const [key, value] of stays(item)) draft.changes.set(key, value);
    const failed = this.prepareFailure(draft.changes, item, error);
    draft.after.push(() => this.finishFailure(item, failed, error));
  }

  erase(draft: Draft, roomId: string, seqs: readonly number[]): void {
    const erased = this.erasures.note(draft.changes, roomId, seqs, undefined);
    draft.after.push(() => this.erasures.add(erased));
  }

  /** Rejects all sends of a room that has ended. */
  async drop(roomId: string): Promise<void> {
    const error = SecureMessagingError.of("NotFound", "The room has ended.");
    for (const item of this.items.filter((each) => each.roomId === roomId)) await this.reject(item, error, new Map());
  }

  ackedUpTo({ state, changes }: Draft, seq: number): OwnSend[] {
    return this.items
      .filter((item) => item.roomId === state.id && item.acked !== undefined && item.acked <= seq && !changes.has(keys.outbox(item.position)))
      .map((item) => ({ ...item, seq: item.acked!, at: item.ackedAt! }))
      .toSorted((a, b) => a.seq - b.seq);
  }

  /** Rejects an item for good. */
  fail(item: Tracked, error: SecureMessagingError): Promise<void> {
    return this.reject(item, error, stays(item));
  }

  private async reject(item: Tracked, error: SecureMessagingError, changes: Changes): Promise<void> {
    await Promise.allSettled([item.keeping]);
    if (!this.holds(item)) return;
    const failed = this.prepareFailure(changes, item, error);
    await this.ports.store.write(changes);
    this.finishFailure(item, failed, error);
  }

  private prepareFailure(changes: Changes, item: Tracked, { code, message, retryable }: SecureMessagingError): FailedItem | undefined {
    changes.set(keys.outbox(item.position), null);
    const { roomId, id, content, at, timeToLiveSeconds } = item;
    // What the user has written stays, although the server has rejected it.
    if (!written.has(content.type)) return undefined;
    const failed: FailedItem = { id, roomId, content, at, timeToLiveSeconds, error: { code, message, retryable } };
    changes.set(keys.failed(roomId, id), pack({ ...failed, content: toStored(content) }));
    return failed;
  }

  private finishFailure(item: Tracked, failed: FailedItem | undefined, error: SecureMessagingError): void {
    if (failed) this.failures.push(failed);
    this.remove(item);
    item.stored.reject(error);
    this.emit("failed", { roomId: item.roomId, id: item.id, error });
  }

  private remove(item: Tracked): void {
    const at = this.items.indexOf(item);
    if (at >= 0) this.items.splice(at, 1);
    this.emit("changed", { roomId: item.roomId });
  }
}

const undeliveredBecause = {
  late: "The message reached the room when this device had lost its place there, or had other keys.",
  notAllowed: "The message reached the room when this user no longer had the right to send.",
  elsewhere: "The server named a place for the message at which the room's log has something else.",
} as const;

/** What a person has written, and would miss. */
const written = new Set<string>(["text", "reply", "file", "custom"] satisfies ContentBody["type"][]);

/** A user whose token did not reach the others stays in the room, so the server must not learn of the leaving, also not from the next process. */
const stays = ({ roomId, content }: OutboxItem): Changes => new Map(content.type === "leave" ? [[keys.leaving(roomId), null]] : []);

/** What an item has before it is encrypted. Each encryption has its own id. */
const unsealed = () => ({ clientMessageId: newId(), ciphertext: undefined, epoch: undefined, generation: undefined, sealed: undefined });

/** The stored form of an item. */
function packed(item: OutboxItem): Uint8Array {
  const { position, roomId, id, content, at, clientMessageId, timeToLiveSeconds, ciphertext, epoch, generation, sealed } = item;
  return pack({ position, roomId, id, content: toStored(content), at, clientMessageId, timeToLiveSeconds, ciphertext, epoch, generation, sealed });
}

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller knows what it has stored
function readItem<Item>(value: Uint8Array): Item & { content: ContentBody } {
  const item = unpack<Item & { content: StoredForm<ContentBody> }>(value);
  return { ...item, content: fromStored<ContentBody>(item.content) };
}
