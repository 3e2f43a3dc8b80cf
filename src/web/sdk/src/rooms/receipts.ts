import { keys, read, unpack, type Store } from "../store/store.js";
import type { RoomCore } from "./core.js";
import { isShownHere, putRead } from "./history.js";
import { readByUser } from "./overview.js";
import type { Ports } from "./ports.js";
import type { MessageRecord } from "./records.js";

/** A signal that tells how far a member has read, and may ask the others. */
export interface ReadSignal {
  type: "read";
  upTo: number;
  ask?: boolean;
}

/** Positions within this time are announced by one signal. */
const announceAfterMs = 1_000;
/** Answers are spread over this time, so that the members do not answer at once. */
const answerWithinMs = 3_000;
/** At most one answer is sent in this time. */
const answerEveryMs = 15_000;
/** In a larger group no member asks: each question would cause this many answers. */
const mostDevices = 50;

/**
 * Read receipts of one room. A position travels in a signal, which is not stored, and inside the next message, edit or reaction, which reaches members who
 * were offline. It is never a log entry of its own. @internal
 */
export class Receipts {
  private announcing = false;
  private answering = false;
  private answeredAt = -Infinity;

  /** @param send - Resolves with whether there was a connection. */
  constructor(
    private readonly ports: Pick<Ports, "clock" | "closing" | "device" | "privacy" | "reports" | "store">,
    private readonly core: RoomCore,
    private readonly send: (signal: ReadSignal) => Promise<boolean>,
  ) {}

  /** This user has read up to this place. */
  async mark(upTo: number): Promise<void> {
    if (this.ports.closing.aborted || this.core.hasEnded) return;
    if (!this.isOn) {
      await this.keepHere(upTo);
      return;
    }
    if (!(await this.keep(this.ports.device.userId, upTo))) return;
    if (this.announcing) return;
    this.announcing = true;
    this.after(announceAfterMs, () => {
      this.announcing = false;
      return this.announce(false);
    });
  }

  /** Another device announces a read position. */
  async received(userId: string, signal: ReadSignal): Promise<void> {
    const { upTo, ask } = signal;
    const own = userId === this.ports.device.userId;
    if (!Number.isSafeInteger(upTo) || upTo < 0 || !isShownHere(this.ports, userId)) return;
    // A member cannot have read beyond this device's place in the log.
    await this.keep(userId, Math.min(upTo, this.core.state.cursor ?? 0), own);
    if (ask === true && this.isOn) this.answer();
  }

  /**
   * After a time offline: announces what was read meanwhile. Asks the others when they, or another device of this user, may have read something.
   * Returns whether a signal was sent.
   */
  async catchUp(): Promise<boolean> {
    if (!this.isOn || !this.core.isReady) return false;
    const ask = await this.mayHaveMissed();
    const [upTo, announced] = await this.places();
    return (ask || upTo > announced) && this.announce(ask);
  }

  private get isOn(): boolean {
    return this.ports.privacy.settings.readReceipts && !this.ports.closing.aborted && !this.core.hasEnded;
  }

  private answer(): void {
    if (this.answering) return;
    this.answering = true;
    const { clock } = this.ports;
    this.after(Math.max(clock.random() * answerWithinMs, this.answeredAt + answerEveryMs - clock.ticks()), async () => {
      this.answering = false;
      this.answeredAt = clock.ticks();
      const [upTo] = await this.places();
      if (upTo > 0) await this.announce(false, true);
    });
  }

  private async announce(ask: boolean, again = false): Promise<boolean> {
    const [upTo, announced] = await this.places();
    if (!this.isOn || (!ask && !again && upTo <= announced) || !(await this.send({ type: "read", upTo, ...(ask ? { ask } : {}) }))) return false;
    await this.core.exclusively(async (draft) => draft.put(keys.announced(this.core.id), upTo), { relaxed: true });
    return true;
  }

  /** How far this user has read, and how far that was announced. */
  private async places(): Promise<[number, number]> {
    const { store, device } = this.ports;
    return [(await read<number>(store, keys.read(this.core.id, device.userId))) ?? 0, (await read<number>(store, keys.announced(this.core.id))) ?? 0];
  }

  /** @param announced - Whether the others know it already. Returns whether the position is further than before. */
  private async keep(userId: string, upTo: number, announced = false): Promise<boolean> {
    let farther = false;
    await this.core.exclusively(
      async (draft) => {
        farther = await putRead(draft, userId, upTo, this.core);
        if (farther && announced) draft.put(keys.announced(this.core.id), upTo);
        return farther;
      },
      { relaxed: true },
    );
    return farther;
  }

  /** Keeps a position that others may not learn, also not later. It counts what is unread here. */
  private keepHere(upTo: number): Promise<void> {
    const { core, ports } = this;
    return core.exclusively(
      async (draft) => {
        if (upTo <= (await readByUser(ports, core.id))) return false;
        draft.put(keys.mark(core.id), upTo);
        draft.after.push(() => core.events.emit("read", { userId: ports.device.userId, upTo }));
        return true;
      },
      { relaxed: true },
    );
  }

  /** Whether this user has another device, or a member's known position lies before the newest message of this user. */
  private async mayHaveMissed(): Promise<boolean> {
    const { store, device } = this.ports;
    const leaves = this.core.group?.leaves() ?? [];
    if (leaves.length > mostDevices) return false;
    if (leaves.some((leaf) => leaf.userId === device.userId && leaf.deviceId !== device.id)) return true;
    const newest = await newestOwn(store, this.core.id);
    if (newest === undefined) return false;
    for (const userId of new Set(leaves.map((leaf) => leaf.userId).filter((id) => id !== device.userId)))
      if (((await read<number>(store, keys.read(this.core.id, userId))) ?? 0) < newest) return true;
    return false;
  }

  /** Does the work later, unless the client is closed before. */
  private after(ms: number, work: () => Promise<unknown>): void {
    const { clock, closing, reports } = this.ports;
    void clock
      .pause(ms, closing)
      .then(() => (closing.aborted ? undefined : work()))
      .catch(reports.failed("room", "receiptFailed", { roomId: this.core.id }));
  }
}

/** The place of this user's newest message, if it is one of the last 20. */
async function newestOwn(store: Store, roomId: string): Promise<number | undefined> {
  const newest = await store.list(keys.messages(roomId), { reverse: true, limit: 20 });
  return newest.map(([, value]) => unpack<MessageRecord>(value)).find((record) => record.mine)?.seq;
}

/** How far each member has read, by user id. A user who has turned read receipts off does not see those of others. @internal */
export async function readsOf(
  ports: Pick<Ports, "store" | "privacy"> & { device: Pick<Ports["device"], "userId"> },
  roomId: string,
): Promise<Map<string, number>> {
  const prefix = keys.reads(roomId);
  const all = (await ports.store.list(prefix)).map(([key, value]): [string, number] => [key.slice(prefix.length), unpack<number>(value)]);
  return new Map(all.filter(([userId]) => isShownHere(ports, userId)));
}
