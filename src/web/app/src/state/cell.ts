import { useSyncExternalStore } from "react";
import { codeOf } from "../errors.js";

/** A value that tells when it is replaced. */
export class Cell<T> {
  private readonly listeners = new Set<() => void>();

  constructor(private value: T) {}

  readonly get = (): T => this.value;

  set(value: T): void {
    if (Object.is(value, this.value))
      return;
    this.value = value;
    for (const listener of [...this.listeners])
      listener();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  };
}

/** Renders again whenever the cell's value is replaced. */
export const useCell = <T>(cell: Cell<T>): T => useSyncExternalStore(cell.subscribe, cell.get);

/** Runs `work` once for many calls: what is asked for while it runs makes it run once more, after a pause. */
export function coalesce(work: () => Promise<void>, pauseMs = 0): () => Promise<void> {
  let running: Promise<void> | undefined;
  let again = false;
  const run = async (): Promise<void> => {
    do {
      again = false;
      await work().catch((error: unknown) => {
        // The session ended while it ran: its answer is not needed any more.
        if (codeOf(error) !== "SignedOut")
          console.error(error);
      });
      if (pauseMs > 0 && again)
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
    } while (again);
    running = undefined;
  };
  return () => {
    if (running)
      again = true;
    else
      running = run();
    return running!;
  };
}
