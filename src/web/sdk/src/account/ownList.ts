import { equal, type Bytes } from "../base/bytes.js";
import { SecureMessagingError } from "../base/errors.js";
import {
  checkDeviceList,
  encodeDeviceList,
  listedDevice,
  noPrevious,
  signDeviceList,
  type DeviceList,
  type ListedDevice,
  type ListSeeds,
} from "../trust/deviceList.js";
import type { Directory } from "./directory.js";
import { fetchLists, type Verified } from "./lists.js";
import type { TrustBook } from "./trustBook.js";

const attempts = 8;

/** The next own list, as far as it is not given by the one before. @internal */
export interface NextList {
  reason: number;
  devices: readonly ListedDevice[];
  /** The signing device. */
  signer: string;
  identity: Bytes;
  username?: string;
  seeds: ListSeeds;
}

/** The signed list of this user's devices. @internal */
export class OwnList {
  constructor(
    private readonly book: TrustBook,
    private readonly directory: Directory,
    private readonly user: { readonly userId: string; readonly username: string },
  ) {}

  /** The newest list that this device has verified or made. */
  get newest(): Verified | undefined {
    return this.book.pins.list(this.user.userId);
  }

  /** The entry of a device in the newest list. */
  entry(deviceId: string): ListedDevice | undefined {
    return this.newest && listedDevice(this.newest.list, deviceId);
  }

  /** Fetches the lists that other devices have made. */
  refresh(): Promise<void> {
    return this.book.update(this.user.userId);
  }

  /** All lists of the server, from number 1, verified. */
  async whole(): Promise<Verified[]> {
    const found = await fetchLists(this.directory, this.user.userId, undefined);
    if (found.kind === "newer") return found.lists;
    throw SecureMessagingError.of("Forbidden", "The server has no valid device list of this account. An attacker may have replaced it.");
  }

  /**
   * Publishes the next list, against changes of other devices: each attempt begins with the newest list. `build` returns undefined when nothing has to change,
   * for example because an earlier attempt without an answer was stored. Returns the newest list.
   */
  async publish(build: (before: DeviceList | undefined) => Promise<NextList | undefined>): Promise<Verified | undefined> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      await this.refresh();
      const hold = this.book.holdOf(this.user.userId);
      if (hold?.kind === "listFork" || hold?.kind === "identityChanged")
        throw SecureMessagingError.of("Conflict", `The device list of this account cannot be changed: ${hold.detail}`);
      const before = this.newest;
      const next = await build(before?.list);
      if (!next) return before;
      const made = await this.make(before, next);
      try {
        await this.directory.publish(made.encoded);
      } catch (error) {
        if (error instanceof SecureMessagingError && error.code === "Conflict") continue;
        throw error;
      }
      await this.book.adopt(this.user.userId, [made]);
      return made;
    }
    throw SecureMessagingError.of("Conflict", "The server has another device list each time, or withholds the newest one.");
  }

  /** Begins with another identity, which nothing before has signed. */
  async begin(identity: Bytes): Promise<void> {
    const known = this.newest;
    if (known && !equal(known.list.identity, identity)) await this.book.trustOwn(identity, []);
    else if (!known) await this.book.trustOwn(identity, undefined);
  }

  private async make(before: Verified | undefined, { seeds, username, ...next }: NextList): Promise<Verified> {
    const { userId: user, username: ownName } = this.user;
    const content = {
      ...next,
      user,
      username: username ?? before?.list.username ?? ownName,
      number: (before?.list.number ?? 0) + 1,
      previous: before?.hash ?? noPrevious,
    };
    const encoded = encodeDeviceList(await signDeviceList(content, seeds));
    const checked = await checkDeviceList(encoded, user, before);
    if (!checked.ok) throw SecureMessagingError.of("Invalid", `The device list would break the rule "${checked.rule}".`);
    return { list: checked.list, hash: checked.hash, encoded };
  }
}
