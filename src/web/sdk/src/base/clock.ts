/** Time and chance, as a port: tests replace them, so that a run depends on nothing but its seed. */
export interface Clock {
  /** This device's time: milliseconds since 1970. People can set it. */
  now(): number;
  /** Milliseconds on a monotonic clock, for measuring waits. */
  ticks(): number;
  /** Waits, or returns early when the signal aborts. */
  pause(ms: number, signal?: AbortSignal): Promise<void>;
  /** A number from 0 to 1 that spreads waits. Nothing secret comes from it. */
  random(): number;
}

/** By how much this device's clock differs from the server's, as a sentence. */
export const clockDifference = (ownMs: number, serverMs: number): string =>
  `This device's clock is ${Math.round(Math.abs(ownMs - serverMs) / 60_000)} minutes ${ownMs > serverMs ? "ahead of" : "behind"} the server's.`;

export const systemClock: Clock = {
  now: () => Date.now(),
  ticks: () => performance.now(),
  pause: (ms, signal) =>
    new Promise((resolve) => {
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
    }),
  random: () => Math.random(),
};
