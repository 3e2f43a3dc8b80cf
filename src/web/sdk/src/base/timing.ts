/* Waiting: backoff, wake-ups, mutual exclusion. */
import { systemClock, type Clock } from "./clock.js";

/** Waits. Rejects with the signal's reason when the signal aborts first. */
export async function sleep(ms: number, signal?: AbortSignal, clock: Clock = systemClock): Promise<void> {
  await clock.pause(ms, signal);
  if (signal?.aborted) throw signal.reason;
}

/** Milliseconds on this platform's monotonic clock, for measuring waits. */
export const ticks = (): number => systemClock.ticks();

/** Waits by this platform's clock, or returns early when the signal aborts. */
export const pause = (ms: number, signal?: AbortSignal): Promise<void> => systemClock.pause(ms, signal);

/** Full-jitter exponential backoff without an end: a random wait between 0 and a ceiling that doubles from 100 ms. */
export class Backoff {
  private attempt = 0;

  constructor(
    private readonly longestMs = 10_000,
    private readonly clock: Clock = systemClock,
  ) {}

  reset(): void {
    this.attempt = 0;
  }

  /** @param atLeast - Milliseconds that the server asked for. The jitter is added to them, so that callers do not return at the same time. */
  next(atLeast = 0): number {
    const ceiling = Math.min(this.longestMs, 100 * 2 ** Math.min(this.attempt++, 20));
    return Math.min(Math.max(0, atLeast), 3_600_000) + this.clock.random() * ceiling;
  }

  wait(atLeast: number | undefined, signal?: AbortSignal): Promise<void> {
    return sleep(this.next(atLeast ?? 0), signal, this.clock);
  }

  /** The same, but returns early when the signal aborts. */
  pause(atLeast: number | undefined, signal?: AbortSignal): Promise<void> {
    return this.clock.pause(this.next(atLeast ?? 0), signal);
  }
}

/** Wakes one loop. Several calls while the loop is busy count as one. */
export class Wakeup {
  private set = false;
  private wake: (() => void) | undefined;

  constructor(private readonly clock: Clock = systemClock) {}

  notify(): void {
    this.set = true;
    this.wake?.();
  }

  /** Waits for a call of {@link notify}, at most this many milliseconds. */
  async wait(atMostMs: number, signal: AbortSignal): Promise<void> {
    if (!this.set) {
      const early = new AbortController();
      // A reason of its own saves the exception with its stack.
      const stop = () => early.abort(true);
      signal.addEventListener("abort", stop, { once: true });
      this.wake = stop;
      await this.clock.pause(atMostMs, early.signal);
      this.wake = undefined;
      signal.removeEventListener("abort", stop);
    }
    this.set = false;
    if (signal.aborted) throw signal.reason;
  }
}

/** Runs one piece of work at a time, in the order of the calls. */
export class Mutex {
  private last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.last.then(work, work);
    this.last = turn;
    handled(turn);
    return turn;
  }
}

/** Keeps the runtime from reporting an unhandled rejection. The holder of the promise still receives the failure. */
export function handled(promise: Promise<unknown>): void {
  promise.catch(() => undefined);
}

/** A promise that is settled from outside. */
export interface Deferred<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(reason: unknown): void;
}

export function defer<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  handled(promise);
  return { promise, resolve, reject };
}
