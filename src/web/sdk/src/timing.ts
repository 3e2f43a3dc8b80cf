/* Waiting: backoff, wake-ups, one-at-a-time. */

/** Waits; rejects with the signal's reason when that comes first. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  await pause(ms, signal);
  if (signal?.aborted)
    throw signal.reason;
}

/** Waits, until the signal at most. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve();
      return;
    }
    const timer = setTimeout(done, Math.max(0, ms));
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** Milliseconds by a clock that cannot be set: for waits. */
export const ticks = (): number => performance.now();

/** Full-jitter exponential backoff without an end: a random wait between zero and a ceiling that doubles from 100 ms. */
export class Backoff {
  private attempt = 0;

  constructor(private readonly longestMs = 10_000) {}

  reset(): void {
    this.attempt = 0;
  }

  /** @param atLeast What the server asked for. The jitter comes on top, so that callers do not return in step. */
  next(atLeast = 0): number {
    const ceiling = Math.min(this.longestMs, 100 * 2 ** Math.min(this.attempt++, 20));
    return Math.min(Math.max(0, atLeast), 3_600_000) + Math.random() * ceiling;
  }

  wait(atLeast: number | undefined, signal?: AbortSignal): Promise<void> {
    return sleep(this.next(atLeast ?? 0), signal);
  }

  /** The same, until the signal at most. */
  pause(atLeast: number | undefined, signal?: AbortSignal): Promise<void> {
    return pause(this.next(atLeast ?? 0), signal);
  }
}

/** Wakes one loop; any number of calls while it is busy count as one. */
export class Wakeup {
  private set = false;
  private wake: (() => void) | undefined;

  notify(): void {
    this.set = true;
    this.wake?.();
  }

  /** Waits for a call of {@link notify}, or for the time to pass. */
  async wait(atMostMs: number, signal: AbortSignal): Promise<void> {
    if (!this.set) {
      const early = new AbortController();
      const stop = () => early.abort();
      signal.addEventListener("abort", stop, { once: true });
      this.wake = stop;
      await pause(atMostMs, early.signal);
      this.wake = undefined;
      signal.removeEventListener("abort", stop);
    }
    this.set = false;
    if (signal.aborted)
      throw signal.reason;
  }
}

/** Lets one caller in at a time, in the order of their coming. */
export class Mutex {
  private last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.last.then(work, work);
    this.last = turn;
    handled(turn);
    return turn;
  }
}

/** The holder of the promise learns of its failure; until they ask, the runtime shall not take it for an unhandled one. */
export function handled(promise: Promise<unknown>): void {
  promise.catch(() => undefined);
}

/** A promise and its ends. */
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
