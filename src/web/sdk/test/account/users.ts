/** Users who sign device lists, and a server that stores lists, names and identities. Everything in memory. */
import { equal, newId, toBase64, type Bytes } from "../../src/base/bytes.js";
import { SecureMessagingError } from "../../src/base/errors.js";
import { signDevice } from "../../src/mls/credential.js";
import { generateSigningKey, type KeyPair } from "../../src/mls/ed25519.js";
import type { Directory } from "../../src/account/directory.js";
import type { UserKeys } from "../../src/net/wire.js";
import {
  deviceListHash,
  encodeDeviceList,
  noPrevious,
  reasons,
  signDeviceList,
  signListedDevice,
  type DeviceList,
  type ListedDevice,
} from "../../src/trust/deviceList.js";

interface OwnKeys {
  signature: KeyPair;
  listed: ListedDevice;
}

/** A user of an honest client. Each method makes the next list. */
export class ListUser {
  readonly userId = newId();
  readonly devices = new Map<string, OwnKeys>();
  lists: Bytes[] = [];
  private list: DeviceList | undefined;

  private constructor(
    public username: string,
    public identity: KeyPair,
  ) {}

  static async create(username: string): Promise<ListUser> {
    const user = new ListUser(username, await generateSigningKey());
    await user.begin();
    return user;
  }

  /** Number 1, with one new device. */
  async begin(): Promise<void> {
    this.lists = [];
    this.list = undefined;
    this.devices.clear();
    const device = await this.newDevice(1);
    await this.next(reasons.first, device);
  }

  /** All devices are lost: a new identity and a new chain, which nothing of the old one has signed. */
  async loseAll(): Promise<void> {
    this.identity = await generateSigningKey();
    await this.begin();
  }

  async add(): Promise<string> {
    const device = await this.newDevice(this.list!.number + 1);
    await this.next(reasons.added);
    return device;
  }

  async revoke(device: string): Promise<void> {
    this.devices.delete(device);
    await this.next(reasons.revoked);
  }

  async renew(): Promise<void> {
    const before = this.identity;
    this.identity = await generateSigningKey();
    await this.next(reasons.lost, undefined, before);
  }

  async rename(username: string): Promise<void> {
    this.username = username;
    await this.next(reasons.name);
  }

  /** The same user twice: a copy that can make rival lists. */
  clone(): ListUser {
    const other = new ListUser(this.username, this.identity);
    Object.assign(other, { userId: this.userId, list: this.list, lists: [...this.lists] });
    for (const [id, own] of this.devices) other.devices.set(id, own);
    return other;
  }

  async keys(): Promise<UserKeys> {
    return {
      userId: this.userId,
      username: this.username,
      identityKey: toBase64(this.identity.publicKey),
      devices: await Promise.all(
        [...this.devices].map(async ([deviceId, { signature }]) => ({
          deviceId,
          signatureKey: toBase64(signature.publicKey),
          identitySignature: toBase64(await signDevice(this.identity.privateKey, this.userId, deviceId, signature.publicKey)),
        })),
      ),
    };
  }

  private async newDevice(since: number): Promise<string> {
    const device = newId();
    const [signature, link] = [await generateSigningKey(), await generateSigningKey()];
    const entry = { device, signatureKey: signature.publicKey, linkKey: link.publicKey, since };
    this.devices.set(device, { signature, listed: await signListedDevice(this.userId, entry, signature.privateKey) });
    return device;
  }

  private async next(reason: number, signer = [...this.devices.keys()][0]!, before?: KeyPair): Promise<void> {
    this.list = await signDeviceList(
      {
        user: this.userId,
        username: this.username,
        number: (this.list?.number ?? 0) + 1,
        previous: this.list ? await deviceListHash(this.lists.at(-1)!) : noPrevious,
        identity: this.identity.publicKey,
        devices: [...this.devices.values()].map((each) => each.listed),
        reason,
        signer,
      },
      {
        identity: this.identity.privateKey,
        device: this.devices.get(signer)!.signature.privateKey,
        ...(before ? { identityBefore: before.privateKey } : {}),
      },
    );
    this.lists.push(encodeDeviceList(this.list));
  }
}

/** The server's directory, as an attacker may change it. */
export class TestDirectory implements Directory {
  readonly names = new Map<string, ListUser>();
  readonly chains = new Map<string, Bytes[]>();
  calls = 0;
  isDown = false;

  /** Shows the present lists of a user. */
  show(...users: ListUser[]): void {
    for (const user of users) {
      this.names.set(user.username, user);
      this.chains.set(user.userId, [...user.lists]);
    }
  }

  async user(username: string): Promise<UserKeys> {
    this.answer();
    const user = this.names.get(username);
    if (!user) throw SecureMessagingError.of("NotFound", "No such user.");
    return { ...(await user.keys()), username };
  }

  async lists(userId: string, after: number): Promise<{ newest: number; lists: Bytes[] }> {
    this.answer();
    const all = this.chains.get(userId) ?? [];
    // Pages of two lists.
    return { newest: all.length, lists: all.slice(after, after + 2) };
  }

  async publish(list: Uint8Array): Promise<void> {
    this.answer();
    throw SecureMessagingError.of("Invalid", `No list is published here (${list.length} bytes).`);
  }

  private answer(): void {
    this.calls++;
    if (this.isDown) throw SecureMessagingError.unreachable();
  }
}

export const isSame = (a: Uint8Array | undefined, b: Uint8Array): boolean => a !== undefined && equal(a, b);
