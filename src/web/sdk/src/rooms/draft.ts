import { Group } from "../mls/group.js";
import { keys, pack, read, unpack, type Changes, type Store } from "../store/store.js";
import type { PendingCommit, RoomState, StoredWelcome } from "./records.js";

/**
 * What some entries of the log change, until all of it is stored in one write. A crash before that has changed nothing, one after it everything: no message key is used
 * again and no message lost. @internal
 */
export class Draft {
  readonly changes: Changes = new Map();
  /** To be told to the application once it is stored. */
  readonly after: (() => void)[] = [];

  constructor(
    private readonly store: Store, public state: RoomState, public group: Group | undefined,
    public pending: PendingCommit | undefined, public welcome: StoredWelcome | undefined,
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
    if (changed !== undefined)
      return changed === null ? undefined : unpack<T>(changed);
    return read<T>(this.store, key);
  }

  /** The message keys of one epoch have changed. */
  usedKeys(group: Group, epoch: number): void {
    this.group = group;
    this.changes.set(keys.ratchet(this.state.id, epoch), group.encodeRatchet(epoch));
  }

  /** Another state: another epoch, another group, or none. */
  async replaceGroup(group: Group | undefined): Promise<void> {
    const id = this.state.id;
    for (const [key] of await this.store.list(keys.ratchets(id)))
      this.delete(key);
    for (const key of [...this.changes.keys()])
      if (key.startsWith(keys.ratchets(id)))
        this.delete(key);
    this.group = group;
    if (!group) {
      this.delete(keys.group(id));
      return;
    }
    this.changes.set(keys.group(id), group.encodeBase());
    for (const epoch of group.epochs)
      this.changes.set(keys.ratchet(id, epoch), group.encodeRatchet(epoch));
  }

  setPending(pending: PendingCommit | undefined): void {
    this.pending = pending;
    if (pending)
      this.put(keys.pending(this.state.id), pending);
    else
      this.delete(keys.pending(this.state.id));
  }

  setWelcome(welcome: StoredWelcome | undefined): void {
    this.welcome = welcome;
    if (welcome)
      this.put(keys.welcome(this.state.id), welcome);
    else
      this.delete(keys.welcome(this.state.id));
  }
}

/** @internal */
export async function loadGroup(store: Store, roomId: string): Promise<Group | undefined> {
  const base = await store.get(keys.group(roomId));
  if (!base)
    return undefined;
  const prefix = keys.ratchets(roomId);
  return Group.restore(base, new Map((await store.list(prefix)).map(([key, value]) => [Number(key.slice(prefix.length)), value])));
}
