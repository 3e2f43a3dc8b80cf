import { SecureMessagingError } from "../base/errors.js";
import type { Changes, ListOptions, Store, WriteOptions } from "../store/store.js";

/** The shared store for one client. After the client is closed, its late writes are rejected, and the store stays open for the next client. @internal */
export class SharedStore implements Store {
  private over = false;

  constructor(private readonly store: Store) {}

  async get(key: string): Promise<Uint8Array | undefined> {
    return this.store.get(key);
  }

  async list(prefix: string, options?: ListOptions): Promise<[key: string, value: Uint8Array][]> {
    return this.store.list(prefix, options);
  }

  async write(changes: Changes, options?: WriteOptions): Promise<void> {
    if (this.over) throw SecureMessagingError.of("Unavailable", "The client is closed.");
    return this.store.write(changes, options);
  }

  async close(): Promise<void> {
    this.over = true;
  }
}
