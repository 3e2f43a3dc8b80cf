import { useCallback, useEffect, useRef, useState } from "react";

/** What an asynchronous question has answered so far. */
export interface Loaded<T> {
  value?: T;
  error?: unknown;
  /** Asks again; what was answered before stays until the new answer is there. */
  reload(): Promise<void>;
  /** Puts a value in, as the answer to be expected. */
  set(value: T): void;
}

/** Asks when the component appears and whenever `key` is another. */
export function useLoad<T>(ask: () => Promise<T>, key: unknown = undefined): Loaded<T> {
  const [state, setState] = useState<{ key: unknown; value?: T; error?: unknown }>({ key });
  const latest = useRef(ask);
  latest.current = ask;
  const turn = useRef(0);
  const reload = useCallback(async () => {
    const mine = ++turn.current;
    try {
      const value = await latest.current();
      if (mine === turn.current)
        setState({ key, value });
    } catch (error) {
      console.warn("What this screen has asked for did not come:", error);
      if (mine === turn.current)
        setState((before) => ({ ...before, key, error }));
    }
  }, [key]);
  useEffect(() => {
    void reload();
    return () => {
      turn.current++;
    };
  }, [reload]);
  const set = useCallback((value: T) => setState({ key, value }), [key]);
  return { ...(Object.is(state.key, key) ? { value: state.value, error: state.error } : {}), reload, set };
}
