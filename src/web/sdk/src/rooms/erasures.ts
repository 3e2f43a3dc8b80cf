/*
 * Deletions on the server: rule T8. A deletion is noted in the write that stores the message with it, and repeated, also after restarts, until the server has
 * confirmed that the bytes are gone.
 */
import { SecureMessagingError } from "../base/errors.js";
import { Backoff } from "../base/timing.js";
import { FailureReporter } from "../base/warnings.js";
import { keys, pack, unpack, type Changes } from "../store/store.js";
import type { Ports } from "./ports.js";

/** The bytes at a place that the server must delete. */
export interface Erasure {
  roomId: string;
  seq: number;
  /** The message with the deletion. It goes first, so that members do not see a place without an explanation. */
  after?: string;
}

/** @internal */
export class Erasures {
  private items: Erasure[] = [];
  private running: Promise<void> | undefined;
  private isOpen = false;
  private readonly released = new Set<string>();

  /** @param waits - Whether the message with the deletion is not at the server yet. */
  constructor(
    private readonly ports: Pick<Ports, "clock" | "closing" | "hub" | "reports" | "store">,
    private readonly waits: (erasure: Erasure) => boolean,
  ) {}

  async load(): Promise<void> {
    this.items = (await this.ports.store.list(keys.deletions)).map(([, value]) => unpack<Erasure>(value));
  }

  /** Adds erasures to a write. {@link add} follows when it is done. */
  note(changes: Changes, roomId: string, seqs: readonly number[], after: string | undefined): Erasure[] {
    const noted = [...new Set(seqs)].map((seq) => ({ roomId, seq, ...(after === undefined ? {} : { after }) }));
    for (const each of noted) changes.set(keys.deletion(roomId, each.seq), pack(each));
    return noted;
  }

  add(noted: Erasure[]): void {
    this.items.push(...noted.filter((each) => !this.items.some(({ roomId, seq }) => roomId === each.roomId && seq === each.seq)));
    if (noted.length > 0) this.wake();
  }

  /** How many places the server has not confirmed. */
  get count(): number {
    return this.items.length;
  }

  /** The connection is there. */
  open(): void {
    this.isOpen = true;
    this.wake();
  }

  close(): void {
    this.isOpen = false;
  }

  /** No member can read a message of this room, so its deletions do not wait for one. */
  release(roomId: string): void {
    this.released.add(roomId);
    this.wake();
  }

  /** Carries out what can be done now. */
  wake(): void {
    if (!this.isOpen || !this.next()) return;
    this.running ??= this.run().finally(() => {
      this.running = undefined;
    });
  }

  private next(): Erasure | undefined {
    return this.items.find((each) => this.released.has(each.roomId) || !this.waits(each));
  }

  private async run(): Promise<void> {
    const { clock, closing, reports } = this.ports;
    const backoff = new Backoff(undefined, clock);
    const reporter = new FailureReporter(reports.failed("outbox", "notErased", { retrying: true }));
    for (let next = this.next(); next && this.isOpen && !closing.aborted; next = this.next()) {
      let wait: number | undefined;
      try {
        await this.erase(next);
        reporter.recovered();
        backoff.reset();
        continue;
      } catch (error) {
        if (error instanceof SecureMessagingError && error.code === "SignedOut") return;
        if (error instanceof SecureMessagingError) wait = error.retryAfterMs;
        reporter.report(error);
      }
      // One that fails does not keep the others waiting.
      this.items.push(...this.items.splice(this.items.indexOf(next), 1));
      await backoff.pause(wait, closing);
    }
  }

  private async erase(erasure: Erasure): Promise<void> {
    const { hub, reports } = this.ports;
    const { roomId, seq } = erasure;
    try {
      await hub.retract(roomId, seq);
    } catch (error) {
      if (!(error instanceof SecureMessagingError) || error.retryable || error.code === "Unauthenticated" || error.code === "SignedOut") throw error;
      // The server no longer knows whose entry it was when its bytes have been gone for a while.
      if (!(await this.isGone(roomId, seq))) reports.failed("outbox", "erasureRefused", { roomId })(error);
    }
    await this.done(erasure);
  }

  private async isGone(roomId: string, seq: number): Promise<boolean> {
    try {
      const { entries, firstSeq } = await this.ports.hub.sync(roomId, seq - 1, 1);
      return firstSeq > seq || entries.some((entry) => entry.seq === seq && entry.kind === "gone");
    } catch (error) {
      if (error instanceof SecureMessagingError && !error.retryable) return false;
      throw error;
    }
  }

  private async done(erasure: Erasure): Promise<void> {
    await this.ports.store.write(new Map([[keys.deletion(erasure.roomId, erasure.seq), null]]));
    this.items.splice(this.items.indexOf(erasure), 1);
  }
}
