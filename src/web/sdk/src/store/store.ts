import { decode, encode } from "@msgpack/msgpack";
import { copy } from "../bytes.js";

/** What one atomic write changes: a value to set, or null to delete. */
export type Changes = Map<string, Uint8Array | null>;

/**
 * Where a client keeps what must outlive it: tokens, keys, MLS states, plaintext history, outbox, cursors. An ordered map of bytes.
 * Whoever implements it keeps three promises: a `write` takes effect as a whole or not at all, it is durable when it resolves, and values are
 * encrypted at rest. One client at a time uses a store: two would use the same keys twice.
 */
export interface Store {
  /** The value of a key. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** Keys that begin with `prefix`, in order of their code units, from after `after`; the last ones first when `reverse`. */
  list(prefix: string, options?: ListOptions): Promise<[key: string, value: Uint8Array][]>;
  /** Applies all changes, or none. */
  write(changes: Changes, options?: WriteOptions): Promise<void>;
  /** Lets another client have it. */
  close(): Promise<void>;
}

/** How to write. */
export interface WriteOptions {
  /**
   * A power cut may undo the write, the end of the process may not; and it is never undone while a later one, relaxed or not, is kept. For what the log or the user can bring
   * again. A store may leave this unheard.
   */
  relaxed?: boolean;
}

/** How to read a range of keys. */
export interface ListOptions {
  /** Only keys after this one; with `reverse`, before it. */
  after?: string;
  /** At most so many. */
  limit?: number;
  /** From the end. */
  reverse?: boolean;
}

/** A store that is gone with the process. For tests, and for clients that shall leave no trace. */
export class MemoryStore implements Store {
  /** @internal */
  protected readonly values = new Map<string, Uint8Array>();
  private sorted: string[] | undefined;

  async get(key: string): Promise<Uint8Array | undefined> {
    return this.values.get(key);
  }

  async list(prefix: string, options: ListOptions = {}): Promise<[string, Uint8Array][]> {
    const keys = this.sorted ??= [...this.values.keys()].sort();
    const found: [string, Uint8Array][] = [];
    const limit = options.limit ?? Infinity;
    if (options.reverse) {
      let i = lowerBound(keys, options.after ?? `${prefix}\uffff`) - 1;
      for (; i >= 0 && found.length < limit && keys[i]!.startsWith(prefix); i--)
        found.push([keys[i]!, this.values.get(keys[i]!)!]);
      return found;
    }
    let i = lowerBound(keys, options.after === undefined ? prefix : `${options.after}\0`);
    for (; i < keys.length && found.length < limit && keys[i]!.startsWith(prefix); i++)
      found.push([keys[i]!, this.values.get(keys[i]!)!]);
    return found;
  }

  async write(changes: Changes): Promise<void> {
    this.apply(changes);
  }

  async close(): Promise<void> {
    // Nothing to let go of.
  }

  /** @internal */
  protected apply(changes: Changes): void {
    for (const [key, value] of changes) {
      if (value === null) {
        if (this.values.delete(key) && this.sorted) {
          const at = lowerBound(this.sorted, key);
          if (this.sorted[at] === key)
            this.sorted.splice(at, 1);
        }
      } else {
        if (!this.values.has(key) && this.sorted)
          this.sorted.splice(lowerBound(this.sorted, key), 0, key);
        this.values.set(key, copy(value));
      }
    }
  }
}

function lowerBound(keys: string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]! < key)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/** @internal How values are written. */
export const pack = (value: unknown): Uint8Array => encode(value, { ignoreUndefined: true });

/** @internal */
export const unpack = <T>(bytes: Uint8Array): T => decode(bytes) as T;

/** @internal */
export async function read<T>(store: Store, key: string): Promise<T | undefined> {
  const bytes = await store.get(key);
  return bytes && unpack<T>(bytes);
}

/** @internal A number as part of a key, so that keys order as numbers do. */
export const ordinal = (value: number): string => value.toString().padStart(16, "0");

/** @internal */
export const keys = {
  session: "session",
  /** The name that a sign-up has been asked for, until its answer is here. */
  signUp: "sign-up",
  device: "device",
  nextDevice: "device/next",
  privacy: "privacy",
  attempt: (id: string) => `attempt/${id}`,
  keyPackage: (ref: string) => `kp/${ref}`,
  keyPackages: "kp/",
  stock: "stock",
  pin: (userId: string) => `pin/${userId}`,
  user: (userId: string) => `user/${userId}`,
  room: (id: string) => `room/${id}`,
  rooms: "room/",
  group: (id: string) => `group/${id}`,
  ratchet: (id: string, epoch: number) => `ratchet/${id}/${ordinal(epoch)}`,
  ratchets: (id: string) => `ratchet/${id}/`,
  pending: (id: string) => `pending/${id}`,
  welcome: (id: string) => `welcome/${id}`,
  message: (id: string, seq: number) => `msg/${id}/${ordinal(seq)}`,
  messages: (id: string) => `msg/${id}/`,
  messageId: (id: string, contentId: string) => `mid/${id}/${contentId}`,
  messageIds: (id: string) => `mid/${id}/`,
  read: (id: string, userId: string) => `read/${id}/${userId}`,
  reads: (id: string) => `read/${id}/`,
  /** How far the others were told that this user has read. */
  told: (id: string) => `told/${id}`,
  taken: (id: string) => `taken/${id}`,
  outbox: (position: number) => `out/${ordinal(position)}`,
  outboxes: "out/",
  failed: (id: string, contentId: string) => `failed/${id}/${contentId}`,
  allFailures: "failed/",
  failures: (id: string) => `failed/${id}/`,
} as const;
