import { deviceListHash, decodeDeviceList, noPrevious } from "../trust/deviceList.js";
import { copy, utf8, type Bytes } from "../base/bytes.js";
import { Mutex } from "../base/timing.js";
import type { TransferredPin } from "../trust/transfer.js";
import { keys, ordinal, pack, unpack, type Changes, type Store } from "../store/store.js";
import type { KnownChain, Verified } from "./lists.js";
import type { Hold, HoldKind, TrustLine } from "./peopleTrust.js";

/** A hold with what it is about. @internal */
export interface StoredHold extends Hold {
  /** What a person's answer is valid for: a hash or an id in hex. */
  about: string;
  /** The other chain, when a person may accept it. */
  candidate?: { identity: Bytes; first?: Bytes; list?: Bytes };
}

/** What this device has seen of a user. It is never dropped because the server leaves something out. @internal */
export interface Pin {
  /** The first name under which the user was seen, or the name in the newest list. */
  username?: string;
  identity?: Bytes;
  /** The identity keys before signed renewals, in hex. */
  former?: string[];
  /** `yes`: a person has compared the keys. `again`: they were compared, and a signed renewal has replaced the identity since. */
  verified?: "yes" | "again";
  /** The hash of list number 1. */
  first?: Bytes;
  /** A list that another own device has seen. The user's chain must have it. */
  expected?: { number: number; hash: Bytes };
  /** The newest list number that the user has mentioned. */
  mentioned?: number;
  holds?: Partial<Record<HoldKind, StoredHold>>;
  /** The holds that a person has answered: `about` of each. */
  accepted?: string[];
}

/** So many lists before the newest one are kept. A group whose leaves are older needs the device itself. */
const mostEarlier = 32;

const order: HoldKind[] = ["identityChanged", "listFork", "nameChanged", "listWithheld"];

/** A change of one user's pin. @internal */
export interface PinChange {
  pin: Pin;
  /** The newest list, when it is another one. */
  newest?: Verified;
  /** The lists before it that were not known either. */
  earlier?: readonly Verified[];
  /** The same, as bytes that were verified before. */
  stored?: Bytes;
  /** Whether no list is known any more. */
  dropList?: boolean;
  lines?: TrustLine[];
  /** A name that is not this user's: it is not pinned any more. */
  wrongName?: string | undefined;
}

/** The pins, names and newest device lists of all users, in the store and in memory. @internal */
export class Pins {
  private readonly pins = new Map<string, Pin>();
  private readonly newest = new Map<string, Verified>();
  /** The lists before the newest one, the newest first. */
  private readonly earlier = new Map<string, Verified[]>();
  private readonly names = new Map<string, string>();
  private readonly turn = new Mutex();
  private nextLine = 0;

  private constructor(private readonly store: Store) {}

  static async load(store: Store): Promise<Pins> {
    const all = new Pins(store);
    for (const [key, value] of await store.list(keys.pins)) all.pins.set(key.slice(keys.pins.length), unpack<Pin>(value));
    for (const [key, value] of await store.list(keys.pinnedNames)) all.names.set(key.slice(keys.pinnedNames.length), unpack<string>(value));
    for (const [key, encoded] of await store.list(keys.deviceLists)) all.newest.set(key.slice(keys.deviceLists.length), await restore(encoded));
    for (const [key, encoded] of await store.list(keys.allEarlierLists)) {
      const userId = key.slice(keys.allEarlierLists.length, key.lastIndexOf("/"));
      all.earlier.set(userId, [await restore(encoded), ...(all.earlier.get(userId) ?? [])]);
    }
    all.nextLine = Date.now();
    return all;
  }

  users(): string[] {
    return [...this.pins.keys()];
  }

  pin(userId: string): Pin | undefined {
    return this.pins.get(userId);
  }

  list(userId: string): Verified | undefined {
    return this.newest.get(userId);
  }

  /** The verified lists that are kept, the newest first. */
  lists(userId: string): Verified[] {
    const newest = this.newest.get(userId);
    return newest ? [newest, ...(this.earlier.get(userId) ?? [])] : [];
  }

  chain(userId: string): KnownChain | undefined {
    const newest = this.newest.get(userId);
    const first = this.pins.get(userId)?.first;
    return newest && first && { newest, first };
  }

  /** The user to whom a name is pinned. */
  userOf(username: string): string | undefined {
    return this.names.get(username.toLowerCase());
  }

  /** The first of a user's holds. */
  hold(userId: string): StoredHold | undefined {
    const holds = this.pins.get(userId)?.holds;
    return order.map((kind) => holds?.[kind]).find((hold) => hold !== undefined);
  }

  /** The pins for a new own device, without the own one; those first that a person has compared. */
  forTransfer(ownId: string, most: number): TransferredPin[] {
    const all = this.users().flatMap((user): TransferredPin[] => {
      const pin = this.pins.get(user)!;
      const known = this.newest.get(user);
      if (user === ownId || !pin.identity) return [];
      const list = known ? { number: known.list.number, list: copy(known.hash) } : { number: 0, list: noPrevious };
      // A name that is too long for the format was the server's word.
      const username = pin.username !== undefined && utf8(pin.username).length <= 32 ? pin.username : "";
      return [{ user, username, identity: copy(pin.identity), ...list, verified: pin.verified === "yes" }];
    });
    return all.toSorted((a, b) => Number(b.verified) - Number(a.verified)).slice(0, most);
  }

  async lines(userId: string): Promise<TrustLine[]> {
    return (await this.store.list(keys.trustLines(userId))).map(([, value]) => unpack<TrustLine>(value));
  }

  /**
   * Changes one user's pin, in one write. `work` gets the pin as it is then, and returns undefined to change nothing. `names` are pinned to the user.
   * Returns the lines that were stored.
   */
  change(userId: string, work: (pin: Pin) => PinChange | undefined, also: { names?: string[]; changes?: Changes } = {}): Promise<TrustLine[] | undefined> {
    return this.turn.run(async () => {
      const made = work({ ...this.pins.get(userId) });
      if (!made) return undefined;
      const newest = made.newest ?? (made.stored && (await restore(made.stored)));
      const changes: Changes = new Map(also.changes);
      const wrongName = made.wrongName?.toLowerCase();
      const unpins = wrongName !== undefined && this.names.get(wrongName) === userId;
      if (unpins) changes.set(keys.pinnedName(wrongName), null);
      changes.set(keys.pin(userId), pack(made.pin));
      if (newest) changes.set(keys.deviceList(userId), newest.encoded);
      if (made.dropList) changes.set(keys.deviceList(userId), null);
      const earlier = made.newest || made.stored || made.dropList ? this.earlierAfter(userId, made) : undefined;
      if (earlier) for (const { list } of this.earlier.get(userId) ?? []) changes.set(keys.earlierList(userId, list.number), null);
      for (const { list, encoded } of earlier ?? []) changes.set(keys.earlierList(userId, list.number), encoded);
      for (const name of also.names ?? []) changes.set(keys.pinnedName(name.toLowerCase()), pack(userId));
      for (const line of made.lines ?? [])
        changes.set(keys.trustLines(userId) + ordinal((this.nextLine = Math.max(this.nextLine + 1, Date.now()))), pack(line));
      await this.store.write(changes);
      this.pins.set(userId, made.pin);
      if (earlier) this.earlier.set(userId, earlier);
      if (newest) this.newest.set(userId, newest);
      if (made.dropList) this.newest.delete(userId);
      if (unpins) this.names.delete(wrongName);
      for (const name of also.names ?? []) this.names.set(name.toLowerCase(), userId);
      return made.lines ?? [];
    });
  }

  /** Another chain, or none, makes the lists of the former one useless. */
  private earlierAfter(userId: string, { newest, earlier, stored, dropList }: PinChange): Verified[] {
    if (stored || dropList) return [];
    const known = this.earlier.get(userId) ?? [];
    const before = this.newest.get(userId);
    return newest ? [...(earlier ?? []).toReversed(), ...(before ? [before] : []), ...known].slice(0, mostEarlier) : known;
  }
}

/** A list that was verified before it was stored. */
const restore = async (encoded: Uint8Array): Promise<Verified> => ({
  list: decodeDeviceList(encoded),
  hash: await deviceListHash(encoded),
  encoded: copy(encoded),
});

/** The pin with a hold, unless a person has already answered for the same thing. @internal */
export function withHold(pin: Pin, hold: StoredHold): Pin | undefined {
  if (pin.accepted?.includes(`${hold.kind} ${hold.about}`) || pin.holds?.[hold.kind]?.about === hold.about) return undefined;
  return { ...pin, holds: { ...pin.holds, [hold.kind]: hold } };
}

/** The pin without a hold. @internal */
export function withoutHold(pin: Pin, kind: HoldKind): Pin {
  const { [kind]: _, ...holds } = pin.holds ?? {};
  return { ...pin, holds };
}
