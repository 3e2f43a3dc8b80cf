import { useSyncExternalStore } from "react";
import { codeOf } from "../base/errors.js";

/** A value with listeners for its replacement. */
export class Cell<T> {
  private readonly listeners = new Set<() => void>();

  constructor(private value: T) {}

  readonly get = (): T => this.value;

  set(value: T): void {
    if (Object.is(value, this.value)) return;
    this.value = value;
    for (const listener of [...this.listeners]) listener();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  };
}

/** Renders again when the cell's value is replaced. */
export const useCell = <T>(cell: Cell<T>): T => useSyncExternalStore(cell.subscribe, cell.get);

/** Combines calls: calls during a run cause one more run, after a pause. */
export function coalesce(work: () => Promise<void>, pauseMs = 0): () => Promise<void> {
  let running: Promise<void> | undefined;
  let again = false;
  const run = async (): Promise<void> => {
    do {
      again = false;
      await work().catch((error: unknown) => {
        // The session has ended during the run, so its result is not needed.
        if (codeOf(error) !== "SignedOut") console.error(error);
      });
      if (pauseMs > 0 && again) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    } while (again);
    running = undefined;
  };
  return () => {
    if (running) again = true;
    else running = run();
    return running;
  };
}
