/* Waiting: backoff, wake-ups, one-at-a-time. */

export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const timer = setTimeout(done, Math.max(0, ms));
    function done() {
      signal?.removeEventListener("abort", stop);
      resolve();
    }
    function stop() {
      clearTimeout(timer);
      reject(signal!.reason as Error);
    }
    signal?.addEventListener("abort", stop, { once: true });
  });
}

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
      await sleep(atMostMs, early.signal).catch(() => undefined);
      this.wake = undefined;
      signal.removeEventListener("abort", stop);
    }
    this.set = false;
    signal.throwIfAborted();
  }
}

/** Lets one caller in at a time, in the order of their coming. */
export class Mutex {
  private last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.last.then(work, work);
    this.last = turn.catch(() => undefined);
    return turn;
  }
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
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
