/** Web Locks for Node 20, as far as the SDK uses them: one holder, a queue, `ifAvailable`, `signal`, `steal`. */
import { vi } from "vitest";

type Work = (lock: object | null) => unknown;
interface Options {
  ifAvailable?: boolean;
  signal?: AbortSignal;
  steal?: boolean;
}

const holders = new Map<string, { lost: (error: unknown) => void }>();
const queues = new Map<string, (() => void)[]>();

async function request(name: string, options: Options | Work, work?: Work): Promise<unknown> {
  const [given, run] = typeof options === "function" ? [{} as Options, options] : [options, work!];
  const holder = holders.get(name);
  if (holder && given.ifAvailable) return run(null);
  if (holder && given.steal) {
    holders.delete(name);
    holder.lost(new DOMException("stolen", "AbortError"));
  } else if (holder) {
    await new Promise<void>((resolve, reject) => {
      const queue = queues.get(name) ?? [];
      queues.set(name, queue);
      queue.push(resolve);
      given.signal?.addEventListener(
        "abort",
        () => {
          const at = queue.indexOf(resolve);
          if (at >= 0) queue.splice(at, 1);
          reject(new DOMException("aborted", "AbortError"));
        },
        { once: true },
      );
    });
  }
  const own = { lost: (() => undefined) as (reason: unknown) => void };
  const lost = new Promise<never>((_, reject) => {
    own.lost = reject;
  });
  lost.catch(() => undefined);
  holders.set(name, own);
  try {
    return await Promise.race([Promise.resolve(run({})), lost]);
  } finally {
    if (holders.get(name) === own) {
      holders.delete(name);
      queues.get(name)?.shift()?.();
    }
  }
}

vi.stubGlobal("navigator", { locks: { request } });
