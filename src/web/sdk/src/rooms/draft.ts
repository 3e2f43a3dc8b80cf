import { keys, pack, read, unpack, type Changes, type Store } from "../store/store.js";
import type { Mls, RoomGroup } from "./ports.js";
import type { PendingCommit, RoomState, StoredWelcome } from "./records.js";
import { SignedRoom } from "./signedRoom.js";

/**
 * The changes that some log entries make, stored in one atomic write. A crash leaves either none or all of them: no message key is used twice and no message
 * is lost. @internal
 */
export class Draft {
  readonly changes: Changes = new Map();
  /** Notifications for the application, to call after the write. */
  readonly after: (() => void)[] = [];

  constructor(
    private readonly store: Store,
    public state: RoomState,
    public group: RoomGroup | undefined,
    public pending: PendingCommit | undefined,
    public welcome: StoredWelcome | undefined,
    public signed: SignedRoom | undefined,
  ) {
    this.state = { ...state };
  }

  put(key: string, value: unknown): void {
    this.changes.set(key, pack(value));
  }

  delete(key: string): void {
    this.changes.set(key, null);
  }

  async get<T>(key: string): Promise<T | undefined> {
    const changed = this.changes.get(key);
    if (changed !== undefined) return changed === null ? undefined : unpack<T>(changed);
    return read<T>(this.store, key);
  }

  /** The values of the keys with this prefix between two others, as this draft leaves them. */
  async list(prefix: string, after: string, before: string): Promise<Uint8Array[]> {
    const found = new Map(await this.store.list(prefix, { after }));
    for (const [key, value] of this.changes)
      if (value === null) found.delete(key);
      else if (key.startsWith(prefix) && key > after) found.set(key, value);
    return [...found].filter(([key]) => key < before).map(([, value]) => value);
  }

  /** Stores the message keys of one epoch. */
  usedKeys(group: RoomGroup, epoch: number): void {
    this.group = group;
    this.changes.set(keys.ratchet(this.state.id, epoch), group.encodeRatchet(epoch));
  }

  /** Replaces the group's state, for another epoch or another group; undefined deletes it. */
  async replaceGroup(group: RoomGroup | undefined): Promise<void> {
    const id = this.state.id;
    for (const [key] of await this.store.list(keys.ratchets(id))) this.delete(key);
    for (const key of [...this.changes.keys()]) if (key.startsWith(keys.ratchets(id))) this.delete(key);
    this.group = group;
    if (!group) {
      this.delete(keys.group(id));
      return;
    }
    this.changes.set(keys.group(id), group.encodeBase());
    for (const epoch of group.epochs) this.changes.set(keys.ratchet(id, epoch), group.encodeRatchet(epoch));
  }

  setPending(pending: PendingCommit | undefined): void {
    this.pending = pending;
    if (pending) this.put(keys.pending(this.state.id), pending);
    else this.delete(keys.pending(this.state.id));
  }

  setWelcome(welcome: StoredWelcome | undefined): void {
    this.welcome = welcome;
    if (welcome) this.put(keys.welcome(this.state.id), welcome);
    else this.delete(keys.welcome(this.state.id));
  }

  setSigned(signed: SignedRoom): void {
    this.signed = signed;
    this.changes.set(keys.signed(this.state.id), signed.encode());
  }
}

/** @internal */
export async function loadSigned(store: Store, roomId: string): Promise<SignedRoom | undefined> {
  const bytes = await store.get(keys.signed(roomId));
  return bytes && SignedRoom.decode(bytes);
}

/** @internal */
export async function loadGroup(store: Store, mls: Pick<Mls, "restore">, roomId: string): Promise<RoomGroup | undefined> {
  const base = await store.get(keys.group(roomId));
  if (!base) return undefined;
  const prefix = keys.ratchets(roomId);
  return mls.restore(base, new Map((await store.list(prefix)).map(([key, value]) => [Number(key.slice(prefix.length)), value])));
}
