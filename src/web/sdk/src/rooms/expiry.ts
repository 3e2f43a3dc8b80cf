/* Deletes messages from this device when their life is over: when it starts, and then by a timer. */
import { Backoff, Wakeup } from "../base/timing.js";
import { keys, unpack, type Store } from "../store/store.js";
import type { RoomCore } from "./core.js";
import type { Draft } from "./draft.js";
import { removeRecord } from "./lifetime.js";
import type { Ports } from "./ports.js";
import type { MessageRecord } from "./records.js";

/** Deadlines in one turn. */
const chunk = 200;
/** The clock of the device may be set, so a longer wait is no use. */
const longestWaitMs = 60_000;

interface Due {
  key: string;
  at: number;
  roomId: string;
  seq: number;
}

/** All deadlines of one store. @internal */
export class Expiry {
  private readonly wakeup: Wakeup;
  private next = Infinity;

  constructor(
    private readonly ports: Pick<Ports, "clock" | "closing" | "reports" | "store">,
    private readonly coreOf: (roomId: string) => RoomCore | undefined,
  ) {
    this.wakeup = new Wakeup(ports.clock);
  }

  /** Deletes what has expired while this device did not run. Then a timer goes on. */
  async start(): Promise<void> {
    await this.deleteDue().catch(this.ports.reports.failed("store", "notExpired", { retrying: true }));
    void this.run();
  }

  /** A message was stored whose life ends at this time. */
  expect(deadline: number): void {
    if (deadline >= this.next) return;
    this.next = deadline;
    this.wakeup.notify();
  }

  private async run(): Promise<void> {
    const { clock, closing, reports } = this.ports;
    const backoff = new Backoff(longestWaitMs, clock);
    while (!closing.aborted) {
      let wait = Math.min(Math.max(0, this.next - clock.now()), longestWaitMs);
      try {
        if (wait === 0) await this.deleteDue();
        backoff.reset();
        wait = Math.min(Math.max(0, this.next - clock.now()), longestWaitMs);
      } catch (error) {
        reports.failed("store", "notExpired", { retrying: true })(error);
        wait = backoff.next();
      }
      await this.wakeup.wait(wait, closing).catch(() => {
        // The client was closed.
      });
    }
  }

  private async deleteDue(): Promise<void> {
    for (;;) {
      // A message that is stored while the store is read sets it again.
      this.next = Infinity;
      const found = (await this.ports.store.list(keys.deadlines, { limit: chunk })).map(([key]) => readDue(key));
      const now = this.ports.clock.now();
      const due = found.filter(({ at }) => at <= now);
      this.next = Math.min(this.next, found[due.length]?.at ?? Infinity);
      if (due.length === 0) return;
      const rooms = new Set(due.map(({ roomId }) => roomId));
      for (const roomId of rooms)
        await this.delete(
          roomId,
          due.filter((each) => each.roomId === roomId),
        );
    }
  }

  private async delete(roomId: string, due: Due[]): Promise<void> {
    const core = this.coreOf(roomId);
    if (!core || core.hasEnded) {
      // The history of a room that has ended.
      await this.ports.store.write(await changesFor(this.ports.store, roomId, due));
      return;
    }
    await core.exclusively(
      async (draft) => {
        const seqs = await removeAll(draft, due);
        if (seqs.length > 0) draft.after.push(() => core.events.emit("expired", { seqs }));
      },
      { relaxed: true },
    );
  }
}

async function removeAll(draft: Draft, due: Due[]): Promise<number[]> {
  const seqs: number[] = [];
  for (const { key, at, seq } of due) {
    draft.delete(key);
    const record = await draft.get<MessageRecord>(keys.message(draft.state.id, seq));
    // An edit with a shorter life has replaced the deadline.
    if (record?.deadline !== at) continue;
    removeRecord(draft, record);
    seqs.push(seq);
  }
  return seqs;
}

async function changesFor(store: Store, roomId: string, due: Due[]): Promise<Map<string, null>> {
  const changes = new Map<string, null>();
  for (const { key, seq } of due) {
    changes.set(key, null);
    const value = await store.get(keys.message(roomId, seq));
    for (const each of value ? [seq, ...(unpack<MessageRecord>(value).edits ?? [])] : []) changes.set(keys.proof(roomId, each), null);
    changes.set(keys.message(roomId, seq), null);
  }
  return changes;
}

function readDue(key: string): Due {
  const [at, roomId, seq] = key.slice(keys.deadlines.length).split("/");
  return { key, at: Number(at), roomId: roomId!, seq: Number(seq) };
}
