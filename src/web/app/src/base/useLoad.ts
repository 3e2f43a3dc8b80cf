import { useCallback, useEffect, useRef, useState } from "react";

/** The latest result of an asynchronous read. */
export interface Loaded<T> {
  value?: T;
  error?: unknown;
  /** Reads again. The former value stays until the new one is there. */
  reload: () => Promise<void>;
  /** Sets a value without a read, for an expected result. */
  set: (value: T) => void;
}

/** Reads when the component appears, and when `key` changes. */
export function useLoad<T>(ask: () => Promise<T>, key?: unknown): Loaded<T> {
  const [state, setState] = useState<{ key: unknown; value?: T; error?: unknown }>({ key });
  const latest = useRef(ask);
  latest.current = ask;
  const turn = useRef(0);
  const reload = useCallback(async () => {
    const mine = ++turn.current;
    try {
      const value = await latest.current();
      if (mine === turn.current) setState({ key, value });
    } catch (error) {
      console.warn("The data of this screen could not be read:", error);
      if (mine === turn.current) setState((before) => ({ ...before, key, error }));
    }
  }, [key]);
  useEffect(() => {
    void reload();
    return () => {
      // oxlint-disable-next-line react-hooks/exhaustive-deps -- a counter, not an element: its latest value is needed
      turn.current++;
    };
  }, [reload]);
  const set = useCallback((value: T) => setState({ key, value }), [key]);
  return { ...(Object.is(state.key, key) ? { value: state.value, error: state.error } : {}), reload, set };
}
