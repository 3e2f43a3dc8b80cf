import { concat, copy, equal, fromBase64, idBytes, toHex, utf8, type Bytes } from "../bytes.js";
import { verifyDevice } from "../mls/credential.js";
import type { Leaf } from "../mls/group.js";
import { keys, pack, read, type Store } from "../store/store.js";
import type { UserKeys } from "../wire.js";
import { digits } from "./device.js";

/** Somebody's identity key is another than the one this device knew. */
export interface IdentityChange {
  userId: string;
  username: string | undefined;
  /** The key from here on. */
  identityKey: Uint8Array;
  /** The key until now. */
  previousKey: Uint8Array;
}

interface Pin { key: Bytes; since: number; changed?: boolean }

/** A device that is approved and that its user's identity has signed. @internal */
export interface VerifiedDevice { userId: string; deviceId: string; signatureKey: Bytes }

/** Who is behind an id: usernames and identity keys. A key is believed when it is first seen; a change is announced. @internal */
export class People {
  private readonly names = new Map<string, string>();
  private readonly pins = new Map<string, Pin>();
  onIdentityChange: ((change: IdentityChange) => void) | undefined;

  constructor(private readonly store: Store) {}

  async nameOf(userId: string): Promise<string | undefined> {
    let name = this.names.get(userId);
    if (name === undefined) {
      name = await read<string>(this.store, keys.user(userId));
      if (name !== undefined)
        this.names.set(userId, name);
    }
    return name;
  }

  async learnName(userId: string, username: string): Promise<void> {
    if (await this.nameOf(userId) === username)
      return;
    await this.store.write(new Map([[keys.user(userId), pack(username)]]));
    this.names.set(userId, username);
  }

  async identityOf(userId: string): Promise<Bytes | undefined> {
    const pin = await this.pinOf(userId);
    return pin && copy(pin.key);
  }

  /** Compares with what is known, and remembers. */
  async see(userId: string, identityKey: Uint8Array): Promise<void> {
    const pin = await this.pinOf(userId);
    if (pin && equal(pin.key, identityKey))
      return;
    const next: Pin = { key: copy(identityKey), since: Date.now(), ...(pin ? { changed: true } : {}) };
    await this.store.write(new Map([[keys.pin(userId), pack(next)]]));
    this.pins.set(userId, next);
    if (pin)
      this.onIdentityChange?.({ userId, username: await this.nameOf(userId), identityKey: copy(identityKey), previousKey: copy(pin.key) });
  }

  async seeLeaves(leaves: Leaf[]): Promise<void> {
    for (const leaf of leaves)
      await this.see(leaf.userId, leaf.identityKey);
  }

  /** The devices of a directory's answer that their user's identity vouches for. */
  async verify(users: UserKeys[]): Promise<VerifiedDevice[]> {
    const all: VerifiedDevice[] = [];
    for (const user of users) {
      await this.learnName(user.userId, user.username);
      if (user.identityKey === undefined)
        continue;
      const identityKey = fromBase64(user.identityKey);
      const good: VerifiedDevice[] = [];
      for (const device of user.devices) {
        const signatureKey = fromBase64(device.signatureKey);
        const identity = { userId: user.userId, deviceId: device.deviceId, identityKey, identitySignature: fromBase64(device.identitySignature) };
        if (await verifyDevice(identity, signatureKey))
          good.push({ userId: user.userId, deviceId: device.deviceId, signatureKey });
      }
      if (good.length > 0)
        await this.see(user.userId, identityKey);
      all.push(...good);
    }
    return all;
  }

  private async pinOf(userId: string): Promise<Pin | undefined> {
    let pin = this.pins.get(userId);
    if (!pin) {
      pin = await read<Pin>(this.store, keys.pin(userId));
      if (pin)
        this.pins.set(userId, pin);
    }
    return pin;
  }
}

/**
 * What two people compare to know that no one stands between them: SHA-512 over a label and, the smaller user id first, both user ids and identity keys, as 12 groups of
 * 5 digits. The same for both.
 */
export async function safetyNumber(a: { userId: string; identityKey: Uint8Array }, b: { userId: string; identityKey: Uint8Array }): Promise<string> {
  const parts = [a, b].map((one) => concat(idBytes(one.userId), one.identityKey)).sort((x, y) => toHex(x) < toHex(y) ? -1 : 1);
  return digits(new Uint8Array(await crypto.subtle.digest("SHA-512", concat(utf8("SecureMessaging 1.0 SafetyNumber"), ...parts))), 12);
}
