import { decode, encode } from "@msgpack/msgpack";
import { copy } from "../base/bytes.js";

/** The changes of one atomic write: a value to set, or null to delete. */
export type Changes = Map<string, Uint8Array | null>;

/**
 * Where a client keeps what must survive a restart: tokens, keys, MLS states, decrypted history, outbox, cursors. An ordered map of bytes.
 *
 * An implementation must guarantee that a `write` takes effect completely or not at all, that it is durable when it resolves, and that values are encrypted
 * at rest. Only one client at a time may use a store: two would use the same keys twice.
 */
export interface Store {
  /** The value of a key. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** The entries whose keys begin with `prefix`, ordered by UTF-16 code units. */
  list(prefix: string, options?: ListOptions): Promise<[key: string, value: Uint8Array][]>;
  /** Applies all changes, or none. */
  write(changes: Changes, options?: WriteOptions): Promise<void>;
  /** Closes the store, so that another client can open it. */
  close(): Promise<void>;
}

/** Options of a write. */
export interface WriteOptions {
  /**
   * A power failure may undo the write; the end of the process may not. The store never undoes it while it keeps a later write, relaxed or not.
   * For values that the log or the user can produce again. A store may ignore this.
   */
  relaxed?: boolean;
}

/** Selects a range of keys. */
export interface ListOptions {
  /** Only keys after this one. With `reverse`: only keys before it. */
  after?: string;
  /** The maximal number of entries. */
  limit?: number;
  /** Whether the last entries come first. */
  reverse?: boolean;
}

/** A store in memory, for tests and for clients that must leave no trace. */
export class MemoryStore implements Store {
  /** @internal */
  protected readonly values = new Map<string, Uint8Array>();
  private sorted: string[] | undefined;

  /** The value of a key. */
  async get(key: string): Promise<Uint8Array | undefined> {
    return this.values.get(key);
  }

  /** The entries whose keys begin with `prefix`, ordered by UTF-16 code units. */
  async list(prefix: string, options: ListOptions = {}): Promise<[string, Uint8Array][]> {
    const keys = (this.sorted ??= [...this.values.keys()].toSorted());
    const found: [string, Uint8Array][] = [];
    const limit = options.limit ?? Infinity;
    if (options.reverse) {
      let i = lowerBound(keys, options.after ?? `${prefix}\uffff`) - 1;
      for (; i >= 0 && found.length < limit && keys[i]!.startsWith(prefix); i--) found.push([keys[i]!, this.values.get(keys[i]!)!]);
      return found;
    }
    let i = lowerBound(keys, options.after === undefined ? prefix : `${options.after}\0`);
    for (; i < keys.length && found.length < limit && keys[i]!.startsWith(prefix); i++) found.push([keys[i]!, this.values.get(keys[i]!)!]);
    return found;
  }

  /** Applies all changes, or none. */
  async write(changes: Changes): Promise<void> {
    this.apply(changes);
  }

  /** Closes the store, so that another client can open it. */
  async close(): Promise<void> {
    // Memory needs no closing.
  }

  /** @internal */
  protected apply(changes: Changes): void {
    for (const [key, value] of changes) {
      if (value === null) {
        if (this.values.delete(key) && this.sorted) {
          const at = lowerBound(this.sorted, key);
          if (this.sorted[at] === key) this.sorted.splice(at, 1);
        }
      } else {
        if (!this.values.has(key) && this.sorted) this.sorted.splice(lowerBound(this.sorted, key), 0, key);
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
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** @internal Encodes a value. */
export const pack = (value: unknown): Uint8Array => encode(value, { ignoreUndefined: true });

/** @internal */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller knows what it has stored
export const unpack = <T>(bytes: Uint8Array): T => decode(bytes) as T;

/** @internal */
export async function read<T>(store: Store, key: string): Promise<T | undefined> {
  const bytes = await store.get(key);
  return bytes && unpack<T>(bytes);
}

/** @internal A number as part of a key: such keys order as numbers do. */
export const ordinal = (value: number): string => value.toString().padStart(16, "0");

/** @internal */
export const keys = {
  session: "session",
  /** The username of a sign-up that has no answer yet. */
  signUp: "sign-up",
  device: "device",
  nextDevice: "device/next",
  /** Whether a person wants this device to found the user's identity when the account has no device: at the sign-up, or by `devices.startOver`. */
  mayFound: "device/founds",
  /** A new identity of the user that the server may not have yet. */
  nextIdentity: "device/identity",
  /** An approval or revocation of another device that may not be complete. */
  deviceAct: (deviceId: string) => `device/act/${deviceId}`,
  deviceActs: "device/act/",
  /** What the approving device knew of a room. */
  transferredRoom: (roomId: string) => `transferred/${roomId}`,
  privacy: "privacy",
  /** The name of this device. */
  ownName: "names/own",
  /** The last known name of another own device. */
  deviceName: (deviceId: string) => `names/device/${deviceId}`,
  deviceNames: "names/device/",
  attempt: (id: string) => `attempt/${id}`,
  keyPackage: (ref: string) => `kp/${ref}`,
  keyPackages: "kp/",
  stock: "stock",
  pin: (userId: string) => `pin/${userId}`,
  pins: "pin/",
  /** The user to whom a username is pinned. */
  pinnedName: (username: string) => `name/${username}`,
  pinnedNames: "name/",
  /** The newest verified device list of a user. */
  deviceList: (userId: string) => `list/${userId}`,
  deviceLists: "list/",
  /** The verified lists of a user before the newest one, for statements that name them. */
  earlierList: (userId: string, number: number) => `lists/${userId}/${ordinal(number)}`,
  earlierLists: (userId: string) => `lists/${userId}/`,
  allEarlierLists: "lists/",
  /** What was noticed about a user's keys. */
  allTrustLines: "trust/",
  trustLines: (userId: string) => `trust/${userId}/`,
  room: (id: string) => `room/${id}`,
  rooms: "room/",
  /** The places of a room's log that this device has read, some in each value. */
  readPlaces: (id: string, chunk: number) => `places/${id}/${ordinal(chunk)}`,
  allReadPlaces: (id: string) => `places/${id}/`,
  /** What proves to a third person who wrote the message at this place. */
  proof: (id: string, seq: number) => `proof/${id}/${ordinal(seq)}`,
  proofs: (id: string) => `proof/${id}/`,
  /** The life of the message at this place ends at this time: milliseconds since 1970. */
  deadline: (at: number, id: string, seq: number) => `dies/${ordinal(at)}/${id}/${ordinal(seq)}`,
  deadlines: "dies/",
  /** Bytes that the server must delete. */
  deletion: (id: string, seq: number) => `erase/${id}/${ordinal(seq)}`,
  deletions: "erase/",
  /** What the members have signed about a room. */
  signed: (id: string) => `signed/${id}`,
  /** What people see of the changes of a room. */
  line: (id: string, seq: number, index: number) => `line/${id}/${ordinal(seq)}/${ordinal(index)}`,
  lines: (id: string) => `line/${id}/`,
  /** This user has left the room at this place, and the server may not know it yet. */
  leaving: (id: string) => `leaving/${id}`,
  leavings: "leaving/",
  group: (id: string) => `group/${id}`,
  ratchet: (id: string, epoch: number) => `ratchet/${id}/${ordinal(epoch)}`,
  ratchets: (id: string) => `ratchet/${id}/`,
  pending: (id: string) => `pending/${id}`,
  welcome: (id: string) => `welcome/${id}`,
  /** Messages that wait for their place in the log, by the hash of their bytes. */
  moved: (id: string, hash: string) => `moved/${id}/${hash}`,
  allMoved: (id: string) => `moved/${id}/`,
  message: (id: string, seq: number) => `msg/${id}/${ordinal(seq)}`,
  messages: (id: string) => `msg/${id}/`,
  messageId: (id: string, contentId: string) => `mid/${id}/${contentId}`,
  messageIds: (id: string) => `mid/${id}/`,
  /** The place of a message that came too late to count. Its author may send it again. */
  lateId: (id: string, contentId: string) => `mid/${id}/${contentId}/late`,
  read: (id: string, userId: string) => `read/${id}/${userId}`,
  reads: (id: string) => `read/${id}/`,
  /** How far this user has read, while others may not learn it. */
  mark: (id: string) => `mark/${id}`,
  /** How far this user's reading was announced to the others. */
  announced: (id: string) => `told/${id}`,
  taken: (id: string) => `taken/${id}`,
  outbox: (position: number) => `out/${ordinal(position)}`,
  outboxes: "out/",
  failed: (id: string, contentId: string) => `failed/${id}/${contentId}`,
  allFailures: "failed/",
  failures: (id: string) => `failed/${id}/`,
} as const;
