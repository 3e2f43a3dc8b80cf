import { newId } from "../bytes.js";
import { decodeContent, encodeContent, pad, type Content } from "../content.js";
import { readErrorBody, SecureMessagingError, type ErrorBody } from "../errors.js";
import { keys, pack, read, unpack, type Store } from "../store/store.js";
import { Backoff, defer, type Deferred } from "../timing.js";
import { limits } from "../wire.js";
import type { Context } from "./context.js";
import type { RoomCore } from "./core.js";
import type { Draft } from "./draft.js";
import { canFollow, type OwnSend } from "./entries.js";

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

interface Tracked extends OutboxItem { stored: Deferred<Stored>; acked?: number; ackedAt?: number }

const itemsPerBatch = 32;

/**
 * Sends that have not come back in the log. An item is encrypted for one epoch, stored, and then sent with the same bytes and the same id until the server says yes or no:
 * so it is stored once. When the server says that its epoch is over, and the log up to its head does not hold it, it is encrypted anew under another id. A room's
 * items are sent in order, and those of an older epoch before any of a newer. @internal
 */
export class Outbox {
  private readonly items: Tracked[] = [];
  private readonly failures: FailedItem[] = [];
  private readonly pumps = new Map<string, Promise<void>>();
  private readonly again = new Set<string>();
  private next = 1;
  /** Whether the server has said on this connection how far the logs are. Before that a room may be another one than this device takes it for. */
  private isOpen = false;
  /** What waits in a room is another. */
  onChanged: ((roomId: string) => void) | undefined;
  /** A send that the server has refused for good. */
  onFailed: ((failure: { roomId: string; id: string; error: SecureMessagingError }) => void) | undefined;
  context!: Context;

  constructor(private readonly store: Store, private readonly coreOf: (roomId: string) => RoomCore | undefined) {}

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
        stored.catch(() => undefined);
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
    if (!("content" in read))
      throw SecureMessagingError.of("Invalid", `Nobody could read this content: ${read.reason}.`);
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
    this.wake(roomId);
    return { id: item.id, stored: tracked.stored.promise };
  }

  find(roomId: string, clientMessageId: string): OutboxItem | undefined {
    return this.items.find((item) => item.clientMessageId === clientMessageId && item.roomId === roomId);
  }

  /** Sends of a room that have not come back, in their order. */
  waiting(roomId: string): OutboxItem[] {
    return this.items.filter((item) => item.roomId === roomId);
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

  /** There may be something to send, or a way to. */
  wake(roomId: string): void {
    if (this.pumps.has(roomId)) {
      this.again.add(roomId);
      return;
    }
    if (!this.items.some((item) => item.roomId === roomId && item.acked === undefined))
      return;
    this.pumps.set(roomId, this.pump(roomId).finally(() => {
      this.pumps.delete(roomId);
      if (this.again.delete(roomId) && !this.context.closing.aborted)
        this.wake(roomId);
    }));
  }

  /** The server has said how far the logs are. */
  open(): void {
    this.isOpen = true;
    for (const roomId of new Set(this.items.map((item) => item.roomId)))
      this.wake(roomId);
  }

  /** There is no connection. */
  close(): void {
    this.isOpen = false;
  }

  /** This user may have been out of the room: whatever was encrypted before that is encrypted again. Should it have got through, its readers know it by its content's id. */
  encryptAnew(draft: Draft): void {
    for (const item of this.items)
      if (item.roomId === draft.state.id && item.acked === undefined && item.ciphertext && draft.changes.get(keys.outbox(item.position)) !== null)
        this.unseal(draft, item);
  }

  private unseal(draft: Draft, item: Tracked): void {
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

  private async pump(roomId: string): Promise<void> {
    const { closing } = this.context;
    const backoff = new Backoff();
    let atOnce = itemsPerBatch;
    while (!closing.aborted) {
      this.again.delete(roomId);
      const core = this.coreOf(roomId);
      if (!this.isOpen || !core?.isReady)
        return;
      let wait: number | undefined;
      try {
        const batch = await this.prepare(core, atOnce);
        if (batch.length === 0)
          return;
        const error = await this.trySend(core, batch);
        if (error === "batchRefused") {
          // Find out which item is to blame.
          atOnce = 1;
          continue;
        }
        if (!error) {
          backoff.reset();
          continue;
        }
        wait = error.retryAfterMs;
      } catch (error) {
        if (error instanceof SecureMessagingError && error.code === "SignedOut")
          return;
        if (error instanceof SecureMessagingError)
          wait = error.retryAfterMs;
        else if (!closing.aborted)
          this.context.warn({ kind: "outboxFailed", roomId, detail: error instanceof Error ? error.stack ?? error.message : String(error) });
      }
      await backoff.wait(wait, closing).catch(() => undefined);
    }
  }

  /** Sends a batch, and settles what a definite no to the whole of it means. */
  private async trySend(core: RoomCore, batch: Tracked[]): Promise<ErrorBody | "batchRefused" | undefined> {
    try {
      return await this.send(core, batch);
    } catch (error) {
      if (!(error instanceof SecureMessagingError) || error.retryable || error.code === "Unauthenticated" || error.code === "SignedOut")
        throw error;
      if (batch.length > 1)
        return "batchRefused";
      await this.refused(core, batch[0]!, error);
      return undefined;
    }
  }

  /** The next items, encrypted and stored, all for one epoch. */
  private async prepare(core: RoomCore, atMost: number): Promise<Tracked[]> {
    const waiting = this.items.filter((item) => item.roomId === core.id && item.acked === undefined).slice(0, atMost);
    const first = waiting[0];
    if (!first)
      return [];
    if (!first.ciphertext) {
      const last = waiting.findIndex((item) => item.ciphertext);
      const fresh = last < 0 ? waiting : waiting.slice(0, last);
      await core.exclusively(async (draft) => {
        let group = draft.group;
        if (!group || !canFollow(draft) || draft.state.wasAway)
          return false;
        let bytes = 0;
        const sealed: [Tracked, Uint8Array][] = [];
        for (const item of fresh) {
          const padded = pad(encodeContent(item));
          if (sealed.length > 0 && (bytes += padded.length + 512) > limits.batchBytes / 2)
            break;
          const result: { group: typeof group; message: Uint8Array } = await group.encrypt(padded);
          group = result.group;
          sealed.push([item, result.message]);
        }
        const { epoch, generation } = group;
        draft.usedKeys(group, epoch);
        for (const [item, ciphertext] of sealed)
          draft.put(keys.outbox(item.position), bare({ ...item, ciphertext, epoch, generation }));
        draft.after.push(() => {
          for (const [item, ciphertext] of sealed)
            Object.assign(item, { ciphertext, epoch, generation });
        });
        return true;
      });
    }
    const ready = waiting.findIndex((item) => !item.ciphertext || item.epoch !== first.epoch || item.generation !== first.generation);
    return ready < 0 ? waiting : waiting.slice(0, ready);
  }

  /** Sends a batch. Returns the error that the rest must wait for, if there is one. */
  private async send(core: RoomCore, batch: Tracked[]): Promise<ErrorBody | undefined> {
    // Things may have changed since it was prepared.
    if (!this.isOpen || !core.isReady || batch.some((item) => !item.ciphertext))
      throw SecureMessagingError.unreachable();
    const results = await this.context.hub.sendBatch(batch.map((item) => ({
      roomId: item.roomId, clientMessageId: item.clientMessageId, ciphertext: item.ciphertext, timeToLiveSeconds: item.timeToLiveSeconds ?? null, epoch: item.epoch,
    })));
    if (!Array.isArray(results) || results.length !== batch.length)
      throw SecureMessagingError.unreachable();
    for (const [i, item] of batch.entries()) {
      const { ack, error } = results[i]!;
      if (ack) {
        if (ack.clientMessageId !== item.clientMessageId)
          throw SecureMessagingError.unreachable();
        await this.acked(core, item, ack.seq, ack.createdAt.getTime());
        continue;
      }
      const body = readErrorBody(error);
      if (!body || body.retryable || body.code === "Unauthenticated")
        return body ?? { code: "Internal", message: "", retryable: true };
      const { epoch } = item;
      await this.refused(core, item, new SecureMessagingError(body));
      // What comes after it was encrypted for the same epoch; it must not overtake. A server that does not want the epoch that its own log has come to is asked with pauses.
      if (body.code === "EpochTooOld" || body.code === "WrongEpoch")
        return core.group?.epoch === epoch ? { code: "Unavailable", message: "", retryable: true } : undefined;
    }
    return undefined;
  }

  private async acked(core: RoomCore, item: Tracked, seq: number, at: number): Promise<void> {
    item.acked = seq;
    item.ackedAt = at;
    item.stored.resolve({ seq });
    // Stored by an earlier attempt, at a place that the log has gone past.
    if (core.isReady && (core.state.cursor ?? -1) >= seq)
      await core.keepOwn(() => this.items.includes(item) ? { ...item, seq, at } : undefined);
  }

  /** Sends that are stored at a place up to this one and have not come back, oldest first. */
  ackedUpTo(roomId: string, seq: number): OwnSend[] {
    return this.items.filter((item) => item.roomId === roomId && item.acked !== undefined && item.acked <= seq)
      .map((item) => ({ ...item, seq: item.acked!, at: item.ackedAt! })).sort((a, b) => a.seq - b.seq);
  }

  /** The server's no is definite. One that is about the epoch means: look whether an earlier attempt got through, and if not, encrypt again. */
  private async refused(core: RoomCore, item: Tracked, error: unknown): Promise<void> {
    if (!(error instanceof SecureMessagingError) || error.retryable)
      throw error;
    const aboutEpoch = error.code === "EpochTooOld" || error.code === "WrongEpoch" || item.generation !== core.state.generation;
    if (!aboutEpoch || core.hasEnded) {
      await this.fail(item, error);
      return;
    }
    await core.catchUp();
    if (!this.items.includes(item))
      return;
    await core.exclusively(async (draft) => {
      if (!this.items.includes(item))
        return false;
      this.unseal(draft, item);
      return true;
    });
  }

  private async fail(item: Tracked, error: SecureMessagingError): Promise<void> {
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
