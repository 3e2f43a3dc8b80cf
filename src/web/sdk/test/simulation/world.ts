/* Virtual time and seeded chance. One world is one run: nothing in it waits for real time, so the same seed gives the same run. */
import type { Clock } from "../../src/base/clock.js";

interface Timer {
  at: number;
  order: number;
  run: () => void;
}

/** After this many steps a run counts as stuck. */
const mostSteps = 60_000;

export class World {
  steps = 0;
  /** Waits until all promises that can go on have gone on. */
  static settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  private readonly queue: Timer[] = [];
  private order = 0;
  private state: number;

  /** @param now - The time at the beginning. */
  constructor(
    readonly seed: number,
    public now = Date.UTC(2026, 0, 1),
  ) {
    this.state = seed >>> 0;
  }

  /** A number from 0 to 1 (mulberry32). */
  readonly random = (): number => {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  /** A whole number from 0 to below `end`. */
  below(end: number): number {
    return Math.floor(this.random() * end);
  }

  pick<T>(all: readonly T[]): T {
    return all[this.below(all.length)]!;
  }

  bytes(length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) bytes[i] = this.below(256);
    return bytes;
  }

  /** A UUID, version 4. */
  uuid(): ReturnType<typeof crypto.randomUUID> {
    const hex = Array.from({ length: 32 }, () => this.below(16).toString(16)).join("");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
  }

  /** Runs `run` after this many milliseconds of virtual time. */
  after(ms: number, run: () => void): void {
    const timer = { at: this.now + Math.max(0, ms), order: this.order++, run };
    let i = this.queue.push(timer) - 1;
    for (let up = (i - 1) >> 1; i > 0 && isBefore(timer, this.queue[up]!); i = up, up = (i - 1) >> 1) this.queue[i] = this.queue[up]!;
    this.queue[i] = timer;
  }

  /** Lets time pass until the condition holds. Returns whether it does. */
  async until(condition: () => boolean, mostMs: number): Promise<boolean> {
    const end = this.now + mostMs;
    for (;;) {
      await World.settle();
      if (condition()) return true;
      const next = this.queue[0];
      if (!next || next.at > end) {
        this.now = end;
        return false;
      }
      if (++this.steps > mostSteps) throw new Error(`The run does not end: ${mostSteps} steps.`);
      this.pop();
      this.now = Math.max(this.now, next.at);
      next.run();
    }
  }

  /** Lets this much time pass. */
  async pass(ms: number): Promise<void> {
    await this.until(() => false, ms);
  }

  private pop(): void {
    const last = this.queue.pop()!;
    const { length } = this.queue;
    if (length === 0) return;
    let i = 0;
    for (;;) {
      let down = 2 * i + 1;
      if (down >= length) break;
      if (down + 1 < length && isBefore(this.queue[down + 1]!, this.queue[down]!)) down++;
      if (!isBefore(this.queue[down]!, last)) break;
      this.queue[i] = this.queue[down]!;
      i = down;
    }
    this.queue[i] = last;
  }
}

const isBefore = (a: Timer, b: Timer): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

/** A clock of one process. When the process has died, its waits never end. */
export function clockOf(world: World, isAlive: () => boolean, aheadMs = 0): Clock {
  return {
    now: () => world.now + aheadMs,
    ticks: () => world.now,
    random: world.random,
    pause: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) {
          resolve();
          return;
        }
        const done = () => {
          signal?.removeEventListener("abort", done);
          if (isAlive()) resolve();
        };
        world.after(ms, done);
        signal?.addEventListener("abort", done, { once: true });
      }),
  };
}
