/** A small typed emitter. A listener that throws harms nobody else. */
export class Emitter<Events> {
  private readonly listeners = new Map<keyof Events, Set<(event: never) => void>>();

  /** Calls `listener` on every such event. Returns what ends that. */
  on<K extends keyof Events>(name: K, listener: (event: Events[K]) => void): () => void {
    let all = this.listeners.get(name);
    if (!all)
      this.listeners.set(name, all = new Set());
    all.add(listener as (event: never) => void);
    return () => all.delete(listener as (event: never) => void);
  }

  /** @internal Whether a listener is registered. */
  hears(name: keyof Events): boolean {
    return (this.listeners.get(name)?.size ?? 0) > 0;
  }

  /** @internal */
  emit<K extends keyof Events>(name: K, event: Events[K]): void {
    for (const listener of [...this.listeners.get(name) ?? []]) {
      try {
        (listener as (event: Events[K]) => void)(event);
      } catch (error) {
        console.error(error);
      }
    }
  }
}
