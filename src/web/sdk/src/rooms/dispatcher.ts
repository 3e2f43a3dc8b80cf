import { readErrorBody, SecureMessagingError, toBody, type ErrorBody } from "../base/errors.js";
import { keys } from "../store/store.js";
import { Backoff } from "../base/timing.js";
import { FailureReporter } from "../base/warnings.js";
import { messagesPerEpoch } from "../mls/group.js";
import { limits, type SendAck } from "../net/wire.js";
import { isPlace } from "./beginning.js";
import { encodeItem, signatureKeyOf, viewOf } from "./contents.js";
import type { RoomCore } from "./core.js";
import { canCommit, canFollow } from "./following.js";
import type { Outbox, Tracked } from "./outbox.js";
import type { Ports } from "./ports.js";
import type { SealedHeader } from "./records.js";

/** Half of the server's limit, so that a batch of large messages is stored in parts. */
const itemsPerBatch = limits.batchSends / 2;
/** After this many answers `Internal` to the same item, the item fails and the user decides. */
const mostInternal = 8;

/**
 * Sends the items of the {@link Outbox} to the server.
 *
 * - An item is encrypted for one epoch, stored, and sent with the same bytes and the same id until the server accepts or rejects it. So the server stores
 *   it once.
 * - When the server says that the epoch is over, and the log up to its head does not contain the item, it is encrypted again with another id.
 * - The items of a room are sent in order, and those of an older epoch before those of a newer one. @internal
 */
export class Dispatcher {
  private readonly pumps = new Map<string, Promise<void>>();
  private readonly again = new Set<string>();
  /** Whether the server has sent the heads of the logs on this connection. Before that, this device may have an outdated view of a room. */
  private isOpen = false;

  /** @param coreOf - The open room with this id. */
  constructor(
    private readonly ports: Pick<Ports, "clock" | "closing" | "device" | "hub" | "people" | "privacy" | "reports">,
    private readonly outbox: Outbox,
    private readonly coreOf: (roomId: string) => RoomCore | undefined,
  ) {
    outbox.on("added", ({ roomId }) => this.wake(roomId));
  }

  /** Looks for items that can be sent. */
  wake(roomId: string): void {
    if (this.pumps.has(roomId)) {
      this.again.add(roomId);
      return;
    }
    if (this.outbox.ready(roomId).length === 0) return;
    this.pumps.set(
      roomId,
      this.pump(roomId).finally(() => {
        this.pumps.delete(roomId);
        if (this.again.delete(roomId) && !this.ports.closing.aborted) this.wake(roomId);
      }),
    );
  }

  /** The server has sent the heads of the logs. */
  open(): void {
    this.isOpen = true;
    this.outbox.erasures.open();
    for (const roomId of this.outbox.rooms()) this.wake(roomId);
  }

  /** The connection is lost, or is a new one whose heads are not known. */
  close(): void {
    this.isOpen = false;
    this.outbox.erasures.close();
  }

  private async pump(roomId: string): Promise<void> {
    const { clock, closing, reports } = this.ports;
    const backoff = new Backoff(undefined, clock);
    const reporter = new FailureReporter(reports.failed("outbox", "outboxFailed", { roomId, retrying: true }));
    let atOnce = itemsPerBatch;
    while (!closing.aborted) {
      this.again.delete(roomId);
      const core = this.coreOf(roomId);
      if (!this.isOpen || !core?.isReady) return;
      if (!core.canBeRead) {
        this.sayUnread(core);
        return;
      }
      this.saidUnread.delete(roomId);
      let wait: number | undefined;
      try {
        const batch = await this.prepare(core, atOnce);
        if (batch.length === 0) return;
        const error = await this.trySend(core, batch);
        if (error === "batchRefused") {
          // Single items show which one the server rejects.
          atOnce = 1;
          continue;
        }
        if (!error) {
          reporter.recovered();
          backoff.reset();
          continue;
        }
        if (error.code === "Internal") {
          // A single item may be the cause.
          atOnce = 1;
          if (await this.givesUp(core, batch[0]!, new SecureMessagingError(error))) continue;
        }
        reporter.report(new SecureMessagingError(error));
        wait = error.retryAfterMs;
      } catch (error) {
        if (error instanceof SecureMessagingError && error.code === "SignedOut") return;
        if (error instanceof SecureMessagingError) wait = error.retryAfterMs;
        if (this.isOpen && core.isReady) reporter.report(error);
      }
      await backoff.pause(wait, closing);
    }
  }

  /** An item that the server always answers with `Internal` would block all items behind it. Returns whether it was dealt with. */
  private async givesUp(core: RoomCore, item: Tracked, error: SecureMessagingError): Promise<boolean> {
    item.internal = (item.internal ?? 0) + 1;
    if (item.internal < mostInternal || !this.outbox.holds(item)) return false;
    // The server answers other calls, and the log does not contain the item.
    await core.catchUp();
    if (this.outbox.holds(item)) await this.outbox.fail(item, error);
    return true;
  }

  private readonly saidUnread = new Set<string>();

  /** Reports once that no other member can read what waits. */
  private sayUnread(core: RoomCore): void {
    if (core.canBeRead === undefined || this.saidUnread.has(core.id)) return;
    this.outbox.erasures.release(core.id);
    this.saidUnread.add(core.id);
    this.ports.reports.warn({
      area: "outbox",
      kind: "noReader",
      roomId: core.id,
      retrying: true,
      detail: "No other member of the room has a device that can read messages. Sends wait for such a device.",
    });
  }

  /** Sends a batch and handles the rejection of the whole batch. */
  private async trySend(core: RoomCore, batch: Tracked[]): Promise<ErrorBody | "batchRefused" | undefined> {
    try {
      return await this.send(core, batch);
    } catch (error) {
      if (error instanceof SecureMessagingError && error.code === "Internal") return toBody(error);
      if (!(error instanceof SecureMessagingError) || error.retryable || error.code === "Unauthenticated" || error.code === "SignedOut") throw error;
      if (batch.length > 1) return "batchRefused";
      return this.refused(core, batch[0]!, error);
    }
  }

  /**
   * The items that may be sent now, in order. While sends into the room are held, only a leave and own deletions are. Those that they overtake are encrypted
   * again later: receivers have deleted their message keys then.
   */
  private async sendable(core: RoomCore): Promise<Tracked[]> {
    if (!core.isHeld) return this.outbox.ready(core.id);
    if (!this.outbox.ready(core.id).some(isFree)) return [];
    if (this.outbox.ready(core.id).some(isOvertaken)) {
      // One of them may have been stored without an answer. The log shows it.
      await core.catchUp();
      await core.exclusively(async (draft) => {
        if (core.hasEnded) return false;
        const overtaken = this.outbox.ready(core.id).filter(isOvertaken);
        for (const item of overtaken) this.outbox.unseal(draft, item);
        return overtaken.length > 0;
      });
    }
    return this.outbox.ready(core.id).filter(isFree);
  }

  /** The next items, encrypted for one epoch and stored. */
  private async prepare(core: RoomCore, atMost: number): Promise<Tracked[]> {
    const waiting = (await this.sendable(core)).slice(0, atMost);
    const first = waiting[0];
    if (!first) return [];
    if (!first.ciphertext) {
      const last = waiting.findIndex((item) => item.ciphertext);
      const fresh = last < 0 ? waiting : waiting.slice(0, last);
      await core.exclusively(async (draft) => {
        let group = draft.group;
        if (!group || !canFollow(draft) || draft.state.wasAway) return false;
        // A Commit that was applied meanwhile can have added a device that holds the sends.
        if (core.isHeld && !fresh.every(isFree)) return false;
        let bytes = 0;
        // The read position reaches members who were offline inside the message.
        const { privacy, device } = this.ports;
        const read = privacy.settings.readReceipts ? await draft.get<number>(keys.read(core.id, device.userId)) : undefined;
        const signatureKey = signatureKeyOf(group) ?? device.signature.publicKey;
        const view = { ...(await viewOf(draft, { ...this.ports, readLog: core.readLog })), ...(read === undefined ? {} : { read }), signatureKey };
        const sealed: [Tracked, Uint8Array, SealedHeader][] = [];
        const most = canCommit(draft) ? messagesPerEpoch.most : messagesPerEpoch.alone;
        for (const item of fresh) {
          if (group.encrypted >= most) break;
          const { padded, sealed: header } = await encodeItem(draft, item, view, this.ports);
          if (sealed.length > 0 && (bytes += padded.length + 512) > limits.batchBytes / 2) break;
          const result: Awaited<ReturnType<typeof group.encrypt>> = await group.encrypt(padded);
          group = result.group;
          sealed.push([item, result.message, header]);
        }
        if (group.encrypted >= messagesPerEpoch.soon) draft.after.push(() => core.events.emit("reconcile", "messages"));
        if (sealed.length === 0) return true;
        draft.usedKeys(group, group.epoch);
        for (const [item, ciphertext, header] of sealed) this.outbox.seal(draft, item, ciphertext, group, header);
        if (read !== undefined) draft.put(keys.announced(core.id), read);
        return true;
      });
    }
    const ready = waiting.findIndex((item) => !item.ciphertext || item.epoch !== first.epoch || item.generation !== first.generation);
    return ready < 0 ? waiting : waiting.slice(0, ready);
  }

  /** Sends a batch. Returns the error that the remaining items must wait for. */
  private async send(core: RoomCore, batch: Tracked[]): Promise<ErrorBody | undefined> {
    // The state may have changed since the batch was prepared.
    if (!this.isOpen || !core.isReady || batch.some((item) => !item.ciphertext)) throw SecureMessagingError.unreachable();
    const results = await this.ports.hub.sendBatch(
      batch.map((item) => ({
        roomId: item.roomId,
        clientMessageId: item.clientMessageId,
        ciphertext: item.ciphertext,
        timeToLiveSeconds: serverLife(item.sealed?.ttl, core.signed?.state.timeToLive),
        epoch: item.epoch,
      })),
    );
    if (!Array.isArray(results) || results.length !== batch.length) throw SecureMessagingError.unreachable();
    for (const [i, item] of batch.entries()) {
      const { ack, error } = results[i]!;
      if (ack) {
        if (ack.clientMessageId !== item.clientMessageId || !isStored(ack)) throw SecureMessagingError.unreachable();
        await this.acked(core, item, ack.seq, ack.createdAt.getTime());
        continue;
      }
      const body = readErrorBody(error);
      if (!body || body.retryable || body.code === "Unauthenticated")
        return body ?? { code: "Internal", message: "The server's answer to a send is not valid.", retryable: true };
      const wait = await this.refused(core, item, new SecureMessagingError(body));
      // The items behind it have the same epoch and must not overtake it.
      if (isAboutEpoch(body)) return wait;
    }
    return undefined;
  }

  private async acked(core: RoomCore, item: Tracked, seq: number, at: number): Promise<void> {
    item.acked = seq;
    item.ackedAt = at;
    item.isPassed = (core.state.cursor ?? -1) >= seq;
    // Where the token with which a user leaves stands in the log, this device may have other keys. So only the log can say that it counts.
    if (item.content.type === "leave") void core.catchUp();
    else item.stored.resolve({ seq });
    this.outbox.erasures.wake();
    // An earlier attempt was stored, at a place that the log has passed.
    if (core.isReady && item.isPassed) await core.keepOwn(() => (this.outbox.holds(item) ? { ...item, seq, at } : undefined));
  }

  /**
   * Handles a definite rejection. When it is about the epoch: looks whether an earlier attempt was stored, and if not, encrypts the item again. Returns the
   * error that the next attempt must wait for: when the server rejects the epoch of its own log, each one would be rejected at once.
   */
  private async refused(core: RoomCore, item: Tracked, error: SecureMessagingError): Promise<ErrorBody | undefined> {
    if (error.retryable) throw error;
    const { epoch, generation } = item;
    if ((!isAboutEpoch(error) && generation === core.state.generation) || core.hasEnded) {
      await this.outbox.fail(item, error);
      return undefined;
    }
    await core.catchUp();
    if (this.outbox.holds(item))
      await core.exclusively(async (draft) => {
        // At the end of the room, its items are rejected.
        if (core.hasEnded || !this.outbox.holds(item)) return false;
        this.outbox.unseal(draft, item);
        return true;
      });
    return isAboutEpoch(error) && core.group?.epoch === epoch
      ? { code: "Unavailable", message: "The server rejects the epoch that its own log has reached.", retryable: true }
      : undefined;
  }
}

/** Whether an acknowledgement names a place of a log and a time. */
const isStored = ({ seq, createdAt }: SendAck): boolean => isPlace(seq) && seq > 0 && createdAt instanceof Date && !Number.isNaN(createdAt.getTime());

/** How long the server shall keep the bytes. Without a value, it keeps them for the room's time to live. */
function serverLife(ttl: number | undefined, ofRoom: number | undefined): number | null {
  if (ttl === undefined || (ofRoom !== undefined && ttl >= ofRoom)) return null;
  return Math.min(Math.max(limits.leastTimeToLive, ttl), limits.mostTimeToLive);
}

/** Whether a hold does not stop the item. */
const isFree = ({ content }: Tracked): boolean => content.type === "leave" || content.type === "delete";

const isOvertaken = (item: Tracked): boolean => item.ciphertext !== undefined && !isFree(item);

const isAboutEpoch = ({ code }: Pick<ErrorBody, "code">): boolean => code === "EpochTooOld" || code === "WrongEpoch";
