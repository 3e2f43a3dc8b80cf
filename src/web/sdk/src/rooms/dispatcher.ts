import { encodeContent, pad } from "../content.js";
import { readErrorBody, SecureMessagingError, toBody, type ErrorBody } from "../errors.js";
import { keys } from "../store/store.js";
import { Backoff } from "../timing.js";
import { Trouble } from "../warnings.js";
import { limits } from "../wire.js";
import type { Context } from "./context.js";
import type { RoomCore } from "./core.js";
import { canFollow } from "./entries.js";
import type { Tracked } from "./outbox.js";

const itemsPerBatch = 32;
/** So often the server may answer one item with an error of its own before it is given up; then a person decides. */
const mostInternal = 8;

/**
 * Brings what waits in the {@link Outbox} to the server. An item is encrypted for one epoch, stored, and then sent with the same bytes and the same id until the server says yes or no:
 * so it is stored once. When the server says that its epoch is over, and the log up to its head does not hold it, it is encrypted anew under another id. A room's
 * items are sent in order, and those of an older epoch before any of a newer. @internal
 */
export class Dispatcher {
  private readonly pumps = new Map<string, Promise<void>>();
  private readonly again = new Set<string>();
  /** Whether the server has said on this connection how far the logs are. Before that a room may be another one than this device takes it for. */
  private isOpen = false;
  context!: Context;

  constructor(private readonly coreOf: (roomId: string) => RoomCore | undefined) {}

  /** There may be something to send, or a way to. */
  wake(roomId: string): void {
    if (this.pumps.has(roomId)) {
      this.again.add(roomId);
      return;
    }
    if (this.context.outbox.unsent(roomId).length === 0)
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
    for (const roomId of this.context.outbox.rooms())
      this.wake(roomId);
  }

  /** There is no connection, or none of which that is known. */
  close(): void {
    this.isOpen = false;
  }

  private async pump(roomId: string): Promise<void> {
    const { closing } = this.context;
    const backoff = new Backoff();
    const trouble = new Trouble(this.context.failed("outbox", "outboxFailed", { roomId, retrying: true }));
    let atOnce = itemsPerBatch;
    while (!closing.aborted) {
      this.again.delete(roomId);
      const core = this.coreOf(roomId);
      if (!this.isOpen || !core?.isReady)
        return;
      if (!core.canBeRead) {
        this.sayUnread(core);
        return;
      }
      this.saidUnread.delete(roomId);
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
          trouble.over();
          backoff.reset();
          continue;
        }
        if (error.code === "Internal") {
          // Perhaps one of them alone is to blame.
          atOnce = 1;
          if (await this.givesUp(core, batch[0]!, new SecureMessagingError(error)))
            continue;
        }
        trouble.met(new SecureMessagingError(error));
        wait = error.retryAfterMs;
      } catch (error) {
        if (error instanceof SecureMessagingError && error.code === "SignedOut")
          return;
        if (error instanceof SecureMessagingError)
          wait = error.retryAfterMs;
        if (this.isOpen && core.isReady)
          trouble.met(error);
      }
      await backoff.pause(wait, closing);
    }
  }

  /** An item that the server answers with an error of its own, time and again, while it answers other calls, would hold up everything behind it. */
  private async givesUp(core: RoomCore, item: Tracked, error: SecureMessagingError): Promise<boolean> {
    item.internal = (item.internal ?? 0) + 1;
    if (item.internal < mostInternal || !this.context.outbox.holds(item))
      return false;
    // Other calls are answered, and the log does not hold it.
    await core.catchUp();
    if (this.context.outbox.holds(item))
      await this.context.outbox.fail(item, error);
    return true;
  }

  private readonly saidUnread = new Set<string>();

  /** Sent once, until another member can read: no member could read what waits. */
  private sayUnread(core: RoomCore): void {
    if (core.canBeRead === undefined || this.saidUnread.has(core.id))
      return;
    this.saidUnread.add(core.id);
    this.context.warn({ area: "outbox", kind: "nobodyCanRead", roomId: core.id, retrying: true, detail: "No other member of the room has a device that can read. What is sent waits for one." });
  }

  /** Sends a batch, and settles what a definite no to the whole of it means. */
  private async trySend(core: RoomCore, batch: Tracked[]): Promise<ErrorBody | "batchRefused" | undefined> {
    try {
      return await this.send(core, batch);
    } catch (error) {
      if (error instanceof SecureMessagingError && error.code === "Internal")
        return toBody(error);
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
    const waiting = this.context.outbox.unsent(core.id).slice(0, atMost);
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
        // Members who were away learn from it how far this user has read.
        const { privacy, session } = this.context;
        const read = privacy.settings.readReceipts ? await draft.get<number>(keys.read(core.id, session.userId)) : undefined;
        const sealed: [Tracked, Uint8Array][] = [];
        for (const item of fresh) {
          const padded = pad(encodeContent({ ...item, ...(read === undefined ? {} : { read }) }));
          if (sealed.length > 0 && (bytes += padded.length + 512) > limits.batchBytes / 2)
            break;
          const result: { group: typeof group; message: Uint8Array } = await group.encrypt(padded);
          group = result.group;
          sealed.push([item, result.message]);
        }
        draft.usedKeys(group, group.epoch);
        for (const [item, ciphertext] of sealed)
          this.context.outbox.seal(draft, item, ciphertext, group);
        if (read !== undefined)
          draft.put(keys.told(core.id), read);
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
        return body ?? { code: "Internal", message: "The server's answer to a send cannot be read.", retryable: true };
      const { epoch } = item;
      await this.refused(core, item, new SecureMessagingError(body));
      // What comes after it was encrypted for the same epoch; it must not overtake. A server that does not want the epoch that its own log has come to is asked with pauses.
      if (body.code === "EpochTooOld" || body.code === "WrongEpoch")
        return core.group?.epoch === epoch ? { code: "Unavailable", message: "The server wants another epoch than the one that its own log has come to.", retryable: true } : undefined;
    }
    return undefined;
  }

  private async acked(core: RoomCore, item: Tracked, seq: number, at: number): Promise<void> {
    item.acked = seq;
    item.ackedAt = at;
    item.stored.resolve({ seq });
    // Stored by an earlier attempt, at a place that the log has gone past.
    if (core.isReady && (core.state.cursor ?? -1) >= seq)
      await core.keepOwn(() => this.context.outbox.holds(item) ? { ...item, seq, at } : undefined);
  }

  /** The server's no is definite. One that is about the epoch means: look whether an earlier attempt got through, and if not, encrypt again. */
  private async refused(core: RoomCore, item: Tracked, error: unknown): Promise<void> {
    if (!(error instanceof SecureMessagingError) || error.retryable)
      throw error;
    const aboutEpoch = error.code === "EpochTooOld" || error.code === "WrongEpoch" || item.generation !== core.state.generation;
    if (!aboutEpoch || core.hasEnded) {
      await this.context.outbox.fail(item, error);
      return;
    }
    await core.catchUp();
    if (!this.context.outbox.holds(item))
      return;
    await core.exclusively(async (draft) => {
      if (!this.context.outbox.holds(item))
        return false;
      this.context.outbox.unseal(draft, item);
      return true;
    });
  }
}
