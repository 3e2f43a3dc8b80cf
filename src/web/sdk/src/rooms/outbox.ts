import { newId } from "../bytes.js";
import { decodeContent, encodeContent, pad, requirementOf, type Content } from "../content.js";
import { SecureMessagingError, type ErrorBody } from "../errors.js";
import type { Group } from "../mls/group.js";
import { keys, pack, read, unpack, type Store } from "../store/store.js";
import { defer, handled, type Deferred } from "../timing.js";
import type { Context } from "./context.js";
import type { Draft } from "./draft.js";
import type { OwnSend } from "./entries.js";

/** A send from when the application asked for it until the log has brought it back. @internal */
export interface OutboxItem {
  position: number;
  roomId: string;
  /** The content's id, which stays. */
  id: string;
  content: Content;
  /** When it was asked for, by this device's clock. */
  at?: number;
  /** The envelope's id: one for each encryption. */
  clientMessageId: string;
  timeToLiveSeconds?: number;
  /** Once encrypted, always the same bytes for the same id. */
  ciphertext?: Uint8Array;
  epoch?: number;
  generation?: number;
}

/** A send that the server has refused for good, kept until somebody decides what becomes of it. @internal */
export interface FailedItem { id: string; roomId: string; content: Content; at?: number; timeToLiveSeconds?: number; error: ErrorBody }

/** How to send. */
export interface SendOptions {
  /** Seconds after which the server purges the message, at least 60; the room's own time to live counts when it is shorter. */
  timeToLiveSeconds?: number;
  /** A UUID of version 4 that names the message, when the same send may be asked for again: it is sent once. Drawn at random when there is none. */
  id?: string;
  /** Whether that may be a second time: then it is looked up what became of the first. */
  repeated?: boolean;
}

/** What became of a send. */
export interface Stored {
  /** The message's place in the room's log. */
  seq: number;
}

/** An item in memory, with what only memory knows. @internal */
export interface Tracked extends OutboxItem {
  stored: Deferred<Stored>;
  acked?: number;
  ackedAt?: number;
  /** How often the server has answered it with an error of its own. */
  internal?: number;
}

/** Sends that have not come back in the log, and those that the server has refused, as this device keeps them. {@link Dispatcher} brings them to the server. @internal */
export class Outbox {
  private readonly items: Tracked[] = [];
  private readonly failures: FailedItem[] = [];
  private next = 1;
  /** What waits in a room is another. */
  onChanged: ((roomId: string) => void) | undefined;
  /** A send that the server has refused for good. */
  onFailed: ((failure: { roomId: string; id: string; error: SecureMessagingError }) => void) | undefined;
  context!: Context;

  constructor(private readonly store: Store) {}

  async load(): Promise<void> {
    for (const [, value] of await this.store.list(keys.outboxes)) {
      const item = unpack<OutboxItem>(value);
      this.items.push({ ...item, stored: defer() });
      this.next = Math.max(this.next, item.position + 1);
    }
    for (const [, value] of await this.store.list(keys.allFailures))
      this.failures.push(unpack<FailedItem>(value));
  }

  /** Resolves when the item is stored on this device. What is under way, sent or refused by the name that the options give is not sent once more. */
  async enqueue(roomId: string, content: Content, options: SendOptions = {}): Promise<{ id: string; stored: Promise<Stored> }> {
    const { id } = options;
    if (id !== undefined && options.repeated) {
      const underWay = this.underWay(roomId, id);
      if (underWay)
        return underWay;
      const seq = await read<number>(this.store, keys.messageId(roomId, `${this.context.session.userId}/${id}`));
      if (seq !== undefined)
        return { id, stored: Promise.resolve({ seq }) };
      const failed = this.failures.find((each) => each.id === id && each.roomId === roomId);
      if (failed) {
        const stored = Promise.reject(new SecureMessagingError(failed.error));
        handled(stored);
        return { id, stored };
      }
    }
    return this.add(roomId, content, options.timeToLiveSeconds, id ?? newId());
  }

  private underWay(roomId: string, id: string): { id: string; stored: Promise<Stored> } | undefined {
    const item = this.items.find((each) => each.id === id && each.roomId === roomId);
    return item && { id, stored: item.stored.promise };
  }

  /** @param failed What it was until now. */
  private async add(roomId: string, content: Content, timeToLiveSeconds: number | undefined, id: string, failed?: FailedItem): Promise<{ id: string; stored: Promise<Stored> }> {
    // A client that is closed sends nothing any more, and another one may use its store.
    this.context.closing.throwIfAborted();
    const twin = this.underWay(roomId, id);
    if (twin)
      return twin;
    const item: OutboxItem = {
      position: this.next++, roomId, id, content, at: Date.now(), clientMessageId: newId(),
      ...(timeToLiveSeconds === undefined ? {} : { timeToLiveSeconds }),
    };
    let padded: Uint8Array;
    try {
      padded = pad(encodeContent(item));
    } catch (error) {
      throw SecureMessagingError.of("TooLarge", error instanceof Error ? error.message : "The content is too large.", error);
    }
    const read = decodeContent(padded);
    if (!("content" in read) || read.content.type === "unsupported")
      throw SecureMessagingError.of("Invalid", requirementOf(item.content.type));
    const stored = pack(item);
    const tracked: Tracked = { ...item, stored: defer() };
    this.items.push(tracked);
    this.onChanged?.(roomId);
    try {
      // What is encrypted of it is stored for good before it is sent.
      await this.store.write(new Map([[keys.outbox(item.position), stored], ...(failed ? [[keys.failed(roomId, id), null] as [string, null]] : [])]), { relaxed: true });
    } catch (error) {
      // Whoever asked is told that it failed, so it must not be sent after all.
      this.remove(tracked);
      throw error;
    }
    if (failed)
      this.failures.splice(this.failures.indexOf(failed), 1);
    this.context.dispatcher.wake(roomId);
    return { id: item.id, stored: tracked.stored.promise };
  }

  find(roomId: string, clientMessageId: string): OutboxItem | undefined {
    return this.items.find((item) => item.clientMessageId === clientMessageId && item.roomId === roomId);
  }

  /** Sends of a room that have not come back, in their order. */
  waiting(roomId: string): OutboxItem[] {
    return this.items.filter((item) => item.roomId === roomId);
  }

  /** Those of them that the server has not said yes to. */
  unsent(roomId: string): Tracked[] {
    return this.items.filter((item) => item.roomId === roomId && item.acked === undefined);
  }

  /** Whether the log has not brought it back, and nobody has refused it. */
  holds(item: Tracked): boolean {
    return this.items.includes(item);
  }

  /** Rooms with sends that have not come back. */
  rooms(): Set<string> {
    return new Set(this.items.map((item) => item.roomId));
  }

  /** Sends of a room that the server has refused for good. */
  failed(roomId: string): FailedItem[] {
    return this.failures.filter((each) => each.roomId === roomId);
  }

  /** Sends anew what was refused, under its old name. Whoever asks twice has it sent once. */
  async retry(roomId: string, id: string): Promise<void> {
    const failed = this.failures.find((each) => each.id === id && each.roomId === roomId);
    if (failed)
      await this.add(roomId, failed.content, failed.timeToLiveSeconds, id, failed);
  }

  /** Forgets what was refused. */
  async discard(roomId: string, id: string): Promise<void> {
    await this.store.write(new Map([[keys.failed(roomId, id), null]]));
    const at = this.failures.findIndex((each) => each.id === id && each.roomId === roomId);
    if (at >= 0)
      this.failures.splice(at, 1);
  }

  /** How many sends of a room, or of all, have not come back. */
  count(roomId?: string): number {
    return this.items.filter((item) => roomId === undefined || item.roomId === roomId).length;
  }

  /** The log has brought it back. */
  passed(draft: Draft, roomId: string, clientMessageId: string, seq: number): void {
    const item = this.items.find((each) => each.clientMessageId === clientMessageId && each.roomId === roomId);
    if (!item)
      return;
    draft.delete(keys.outbox(item.position));
    draft.after.push(() => {
      this.remove(item);
      item.stored.resolve({ seq });
    });
  }

  /** This user may have been out of the room: whatever was encrypted before that is encrypted again. Should it have got through, its readers know it by its content's id. */
  encryptAnew(draft: Draft): void {
    for (const item of this.unsent(draft.state.id))
      // Unless this same draft has just brought it back.
      if (item.ciphertext && draft.changes.get(keys.outbox(item.position)) !== null)
        this.unseal(draft, item);
  }

  /** It is encrypted, and keeps these bytes. */
  seal(draft: Draft, item: Tracked, ciphertext: Uint8Array, { epoch, generation }: Group): void {
    draft.put(keys.outbox(item.position), bare({ ...item, ciphertext, epoch, generation }));
    draft.after.push(() => Object.assign(item, { ciphertext, epoch, generation }));
  }

  /** It will be encrypted again, under another id. */
  unseal(draft: Draft, item: Tracked): void {
    const fresh = bare({ ...item, clientMessageId: newId(), ciphertext: undefined, epoch: undefined, generation: undefined });
    draft.put(keys.outbox(item.position), fresh);
    draft.after.push(() => {
      // Unless its ack has come meanwhile: then the log brings it back under the old name.
      if (item.acked === undefined)
        Object.assign(item, { clientMessageId: fresh.clientMessageId, ciphertext: undefined, epoch: undefined, generation: undefined });
    });
  }

  /** The room is over: its sends are refused. */
  async drop(roomId: string): Promise<void> {
    const error = SecureMessagingError.of("NotFound", "The room is over.");
    for (const item of this.items.filter((each) => each.roomId === roomId))
      await this.fail(item, error);
  }

  /** Sends that are stored at a place up to this one and have not come back, oldest first. */
  ackedUpTo(roomId: string, seq: number): OwnSend[] {
    return this.items.filter((item) => item.roomId === roomId && item.acked !== undefined && item.acked <= seq)
      .map((item) => ({ ...item, seq: item.acked!, at: item.ackedAt! })).sort((a, b) => a.seq - b.seq);
  }

  /** The server has refused it for good, or it has no room any more. */
  async fail(item: Tracked, error: SecureMessagingError): Promise<void> {
    const changes = new Map<string, Uint8Array | null>([[keys.outbox(item.position), null]]);
    const { roomId, id, content, at, timeToLiveSeconds } = item;
    let failed: FailedItem | undefined;
    // What somebody has written is not lost because the server did not want it.
    if (content.type === "text" || content.type === "reply" || content.type === "custom") {
      const { code, message, retryable } = error;
      failed = { id, roomId, content, at, timeToLiveSeconds, error: { code, message, retryable } };
      changes.set(keys.failed(roomId, id), pack(failed));
    }
    await this.store.write(changes);
    if (failed)
      this.failures.push(failed);
    this.remove(item);
    item.stored.reject(error);
    this.onFailed?.({ roomId: item.roomId, id: item.id, error });
  }

  private remove(item: Tracked): void {
    const at = this.items.indexOf(item);
    if (at >= 0)
      this.items.splice(at, 1);
    this.onChanged?.(item.roomId);
  }
}

/** Without what only memory knows. */
function bare(item: OutboxItem): OutboxItem {
  const { position, roomId, id, content, at, clientMessageId, timeToLiveSeconds, ciphertext, epoch, generation } = item;
  return { position, roomId, id, content, at, clientMessageId, timeToLiveSeconds, ciphertext, epoch, generation };
}
