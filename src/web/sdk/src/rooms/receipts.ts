import { keys, read } from "../store/store.js";
import { pause, ticks } from "../timing.js";
import type { Context } from "./context.js";
import type { RoomCore } from "./core.js";
import { isShownHere, putRead } from "./entries.js";

/** What members tell each other about reading, in a signal. */
export interface ReadSignal { type: "read"; upTo: number; ask?: boolean }

/** Marks that follow each other within this time make one signal. */
const tellAfterMs = 1_000;
/** Answers are spread over this time, so that the members of a group do not all answer at once. */
const answerWithinMs = 3_000;
/** One answer serves all who ask within this time. */
const answerEveryMs = 15_000;
/** In a larger group nothing is asked: each question would bring that many answers. */
const mostDevices = 50;

/**
 * Who has read how far in one room. A place travels in a signal, which nothing stores, and inside the next message, edit or reaction, which reaches members who were away. It never is
 * an entry of the log by itself. @internal
 */
export class Receipts {
  private telling = false;
  private answering = false;
  private answeredAt = -Infinity;

  /** @param send Resolves with whether there was a connection to send it on. */
  constructor(private readonly context: Context, private readonly core: RoomCore, private readonly send: (signal: ReadSignal) => Promise<boolean>) {}

  /** This user has read up to here. */
  async mark(upTo: number): Promise<void> {
    if (!this.isOn || !await this.keep(this.context.session.userId, upTo))
      return;
    if (this.telling)
      return;
    this.telling = true;
    this.after(tellAfterMs, () => {
      this.telling = false;
      return this.tell(false);
    });
  }

  /** A member says how far they have read. */
  async heard(userId: string, signal: ReadSignal): Promise<void> {
    const { upTo, ask } = signal;
    const own = userId === this.context.session.userId;
    if (!Number.isSafeInteger(upTo) || upTo < 0 || !isShownHere(this.context, userId))
      return;
    // Nothing that this device has not got can have been read, whatever a member says.
    await this.keep(userId, Math.min(upTo, this.core.state.cursor ?? 0), own);
    if (ask === true && this.isOn)
      this.answer();
  }

  /**
   * After a time without a connection: tells what was read meanwhile, and asks when a message of this user, or another of this user's devices, may have been read. Returns whether there was
   * anything to send.
   */
  async catchUp(): Promise<boolean> {
    if (!this.isOn || !this.core.isReady)
      return false;
    const ask = await this.mayHaveMissed();
    const [upTo, told] = await this.places();
    return (ask || upTo > told) && this.tell(ask);
  }

  private get isOn(): boolean {
    return this.context.privacy.settings.readReceipts && !this.context.closing.aborted && !this.core.hasEnded;
  }

  private answer(): void {
    if (this.answering)
      return;
    this.answering = true;
    this.after(Math.max(Math.random() * answerWithinMs, this.answeredAt + answerEveryMs - ticks()), async () => {
      this.answering = false;
      this.answeredAt = ticks();
      const [upTo] = await this.places();
      if (upTo > 0)
        await this.tell(false, true);
    });
  }

  private async tell(ask: boolean, again = false): Promise<boolean> {
    const [upTo, told] = await this.places();
    if (!this.isOn || (!ask && !again && upTo <= told) || !await this.send({ type: "read", upTo, ...(ask ? { ask } : {}) }))
      return false;
    await this.core.exclusively(async (draft) => draft.put(keys.told(this.core.id), upTo), { relaxed: true });
    return true;
  }

  /** How far this user has read, and how far the others were told. */
  private async places(): Promise<[number, number]> {
    const { store, session } = this.context;
    return [await read<number>(store, keys.read(this.core.id, session.userId)) ?? 0, await read<number>(store, keys.told(this.core.id)) ?? 0];
  }

  /** @param told Whether the others know it already. Returns whether it is farther than what was known. */
  private async keep(userId: string, upTo: number, told = false): Promise<boolean> {
    let farther = false;
    await this.core.exclusively(async (draft) => {
      farther = await putRead(draft, userId, upTo, this.core.listener);
      if (farther && told)
        draft.put(keys.told(this.core.id), upTo);
      return farther;
    }, { relaxed: true });
    return farther;
  }

  /** Whether this user has another device, or a member has not said to have read the newest message of this user. */
  private async mayHaveMissed(): Promise<boolean> {
    const { store, session, device } = this.context;
    const leaves = this.core.group?.leaves() ?? [];
    if (leaves.length > mostDevices)
      return false;
    if (leaves.some((leaf) => leaf.userId === session.userId && leaf.deviceId !== device.id))
      return true;
    const newest = await this.core.newestOwn();
    if (newest === undefined)
      return false;
    for (const userId of new Set(leaves.map((leaf) => leaf.userId).filter((userId) => userId !== session.userId)))
      if ((await read<number>(store, keys.read(this.core.id, userId)) ?? 0) < newest)
        return true;
    return false;
  }

  /** Unless the client is closed before. */
  private after(ms: number, work: () => Promise<unknown>): void {
    const { closing } = this.context;
    void pause(ms, closing).then(() => closing.aborted ? undefined : work()).catch(this.context.failed("room", "receiptFailed", { roomId: this.core.id }));
  }
}
