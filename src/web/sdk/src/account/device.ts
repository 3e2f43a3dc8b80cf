import { concat, copy, equal, fromBase64, idBytes, newId, sha256, toBase64, toHex, utf8, type Bytes } from "../bytes.js";
import { SecureMessagingError } from "../errors.js";
import { signDevice, verifyDevice, type DeviceIdentity } from "../mls/credential.js";
import { generateSigningKey, publicKeyOf, type KeyPair } from "../mls/ed25519.js";
import { hpke } from "../mls/suite.js";
import type { Session } from "../net/session.js";
import { keys, pack, read, type Changes, type Store } from "../store/store.js";
import { Mutex } from "../timing.js";
import type { WireDevice } from "../wire.js";

/** This device's keys, as they are stored. */
export interface DeviceRecord {
  deviceId: string;
  signature: KeyPair;
  link: KeyPair;
  registered: boolean;
  /** The identity's private key; only once this device has been approved, or is the first. */
  identitySeed?: Bytes;
  identityKey?: Bytes;
  identitySignature?: Bytes;
}

/** This device: its registration, its approval, its keys' rotation. @internal */
export class OwnDevice {
  private readonly turn = new Mutex();
  /** The device can take part in groups from now on. */
  onApproved: (() => void) | undefined;
  /** There is an approval to confirm. */
  onOffer: (() => void) | undefined;
  /** Something of the device's own could not be used. */
  onTrouble: ((kind: string, error: unknown) => void) | undefined;
  private offer: DeviceRecord | undefined;

  private constructor(private record: DeviceRecord, private readonly session: Session, private readonly store: Store) {}

  static async load(session: Session, store: Store): Promise<OwnDevice> {
    let record = await read<DeviceRecord>(store, keys.device);
    if (!record) {
      record = await newRecord();
      await store.write(new Map([[keys.device, pack(record)]]));
    }
    return new OwnDevice(record, session, store);
  }

  get id(): string {
    return this.record.deviceId;
  }

  get signature(): KeyPair {
    return this.record.signature;
  }

  get identityKey(): Bytes | undefined {
    return this.record.identityKey && copy(this.record.identityKey);
  }

  get identitySeed(): Bytes | undefined {
    return this.record.identitySeed;
  }

  /** What stands in this device's credential; undefined while it waits for approval. */
  get identity(): DeviceIdentity | undefined {
    const { deviceId, identityKey, identitySignature } = this.record;
    return identityKey && identitySignature && { userId: this.session.userId, deviceId, identityKey: copy(identityKey), identitySignature: copy(identitySignature) };
  }

  code(): Promise<string> {
    return deviceCode({ id: this.id, signatureKey: this.record.signature.publicKey, linkKey: this.record.link.publicKey });
  }

  /** Whether an approval waits for {@link confirm}. */
  get isOffered(): boolean {
    return this.offer !== undefined;
  }

  /** Takes over the identity that an approval has brought, when the code is the one that the approving device computed over it. */
  confirm(code: string): Promise<void> {
    return this.turn.run(async () => {
      const { offer } = this;
      if (!offer) {
        if (this.identity)
          return;
        throw SecureMessagingError.of("NotReady", "No device has approved this one.");
      }
      const expected = await confirmationCode(this.session.userId, { id: offer.deviceId, signatureKey: offer.signature.publicKey, linkKey: offer.link.publicKey }, offer.identityKey!);
      if (onlyDigits(code) !== onlyDigits(expected))
        throw SecureMessagingError.of("Forbidden", "The code is not the approving device's. Somebody may be in between.");
      this.offer = undefined;
      await this.adopt(offer);
      this.onApproved?.();
    });
  }

  /** Brings the server and this record into line: registers, takes over the session, takes note of an approval. */
  reconcile(): Promise<void> {
    return this.turn.run(async () => {
      const devices = await this.session.call<WireDevice[]>("GET", "v1/devices");
      const own = devices.find((device) => device.id === this.id);
      if (own)
        await this.takeNote(own);
      else if (this.record.registered)
        await this.startOver(devices);
      else
        await this.register(devices.length === 0);
    });
  }

  /** Starts anew with other keys: the way back for a device whose groups cannot be followed any more. */
  rotate(): Promise<void> {
    return this.turn.run(async () => {
      const next = await this.withNewKeys(this.record);
      // Both are kept until the server has answered: the answer may be lost.
      await this.store.write(new Map([[keys.nextDevice, pack(next)]]));
      await this.finishRotation(next);
    });
  }

  /** The calling device goes on under a new identity; all others of the user wait for approval. */
  replaceIdentity(attempt?: string): Promise<void> {
    return this.turn.run(async () => {
      const made = attempt === undefined ? undefined : await read<Bytes>(this.store, keys.attempt(attempt));
      if (made) {
        const own = (await this.session.call<WireDevice[]>("GET", "v1/devices")).find((device) => device.id === this.id);
        if (own)
          await this.takeNote(own);
        if (this.record.identityKey && equal(this.record.identityKey, made))
          return;
      }
      const identity = await generateSigningKey();
      const next: DeviceRecord = {
        ...this.record, identitySeed: identity.privateKey, identityKey: identity.publicKey,
        identitySignature: await signDevice(identity.privateKey, this.session.userId, this.id, this.record.signature.publicKey),
      };
      await this.store.write(new Map([
        [`${keys.device}/identity`, pack(next)], ...(attempt === undefined ? [] : [[keys.attempt(attempt), pack(next.identityKey)] as [string, Uint8Array]]),
      ]));
      await this.session.call("PUT", "v1/me/identity", {
        deviceId: this.id, identityKey: toBase64(next.identityKey!), identitySignature: toBase64(next.identitySignature!),
      });
      await this.beginAs(next);
    });
  }

  /** Signs a waiting device and hands it the identity's private key, sealed to its link key. Returns what that device asks for before it believes it. */
  async approve(device: WireDevice): Promise<string> {
    const seed = this.record.identitySeed;
    if (!seed)
      throw SecureMessagingError.of("NotReady", "This device does not hold the identity's private key.");
    const [signatureKey, linkKey] = [fromBase64(device.signatureKey), fromBase64(device.linkKey)];
    const suite = hpke();
    const { enc, ct } = await suite.seal(
      { recipientPublicKey: await suite.kem.deserializePublicKey(linkKey), info: this.transferInfo(device.id, signatureKey) }, copy(seed));
    await this.session.call("PUT", `v1/devices/${device.id}/approval`, {
      identitySignature: toBase64(await signDevice(seed, this.session.userId, device.id, signatureKey)),
      sealedIdentity: toBase64(concat(new Uint8Array(enc), new Uint8Array(ct))),
    });
    return confirmationCode(this.session.userId, { id: device.id, signatureKey, linkKey }, await publicKeyOf(seed));
  }

  private async register(first: boolean): Promise<void> {
    if (first && !this.record.identitySeed) {
      const identity = await generateSigningKey();
      const identitySignature = await signDevice(identity.privateKey, this.session.userId, this.id, this.record.signature.publicKey);
      await this.adopt({ ...this.record, identitySeed: identity.privateKey, identityKey: identity.publicKey, identitySignature });
    }
    const { identityKey, identitySignature } = this.record;
    try {
      const registered = await this.session.call<WireDevice>("POST", "v1/devices", {
        id: this.id, signatureKey: toBase64(this.record.signature.publicKey), linkKey: toBase64(this.record.link.publicKey), scheme: "mls10",
        ...(identityKey && identitySignature ? { identityKey: toBase64(identityKey), identitySignature: toBase64(identitySignature) } : {}),
      });
      await this.adopt({ ...this.record, registered: true });
      await this.takeNote(registered);
    } catch (error) {
      if (error instanceof SecureMessagingError && error.code === "TooLarge")
        throw SecureMessagingError.of("TooManyDevices", error.message, error);
      if (!(error instanceof SecureMessagingError) || (error.code !== "Conflict" && error.code !== "Invalid") || !identityKey)
        throw error;
      // Another device was first after all, with its own identity: this one waits.
      await this.adopt({ ...await newRecord(), deviceId: this.id });
      await this.register(false);
    }
  }

  /** The device was revoked and the session signed in again: a new one, with nothing of the old. */
  private async startOver(devices: WireDevice[]): Promise<void> {
    await this.adopt(await newRecord(), await forgetGroups(this.store));
    await this.register(devices.length === 0);
  }

  private async takeNote(own: WireDevice): Promise<void> {
    if (!own.current)
      await this.session.call("PUT", `v1/devices/${this.id}/session`);
    const next = await read<DeviceRecord>(this.store, keys.nextDevice);
    if (next) {
      // Another device has given the user another identity since: the signature of the old one is worth nothing, and this device waits for approval.
      const outdated = next.identityKey !== undefined && own.identityKey !== toBase64(next.identityKey);
      await this.finishRotation(outdated ? { ...next, identitySignature: undefined } : next);
      return;
    }
    const replaced = await read<DeviceRecord>(this.store, `${keys.device}/identity`);
    if (replaced) {
      if (own.identityKey === toBase64(replaced.identityKey!)) {
        await this.beginAs(replaced);
        return;
      }
      await this.adopt(this.record, new Map([[`${keys.device}/identity`, null]]));
    }
    if (!own.approved && own.identityKey && this.identity && own.identityKey !== toBase64(this.record.identityKey!)) {
      // Another device goes on under a new identity, and this one waits. Its own identity's key is kept: only an approval replaces it.
      await this.adopt({ ...this.record, identitySignature: undefined });
      return;
    }
    if (!own.approved)
      this.offer = undefined;
    if (!own.approved || !own.identityKey || !own.identitySignature || this.record.registered && this.identity && equal(this.record.identityKey!, fromBase64(own.identityKey)))
      return;
    const record: DeviceRecord = { ...this.record, registered: true, identityKey: fromBase64(own.identityKey), identitySignature: fromBase64(own.identitySignature) };
    if (!await verifyDevice({ userId: this.session.userId, deviceId: this.id, identityKey: record.identityKey!, identitySignature: record.identitySignature! }, record.signature.publicKey))
      throw SecureMessagingError.of("Invalid", "The server's approval of this device is not signed by the identity that it names.");
    if (own.sealedIdentity)
      record.identitySeed = await this.unseal(fromBase64(own.sealedIdentity), record.identityKey!);
    // The server may have made up an identity of its own: only one that was confirmed before, or is confirmed now, is believed.
    if (!this.record.identityKey || !equal(this.record.identityKey, record.identityKey!)) {
      const isNews = !this.offer || !equal(this.offer.identityKey!, record.identityKey!);
      this.offer = record;
      if (isNews)
        this.onOffer?.();
      return;
    }
    await this.adopt(record);
    this.onApproved?.();
  }

  private async unseal(sealed: Bytes, identityKey: Bytes): Promise<Bytes | undefined> {
    try {
      const suite = hpke();
      const recipientKey = await suite.kem.deserializePrivateKey(copy(this.record.link.privateKey));
      const seed = new Uint8Array(await suite.open(
        { recipientKey, enc: copy(sealed.subarray(0, 32)), info: this.transferInfo(this.id, this.record.signature.publicKey) }, copy(sealed.subarray(32))));
      return equal(await publicKeyOf(seed), identityKey) ? seed : undefined;
    } catch (error) {
      // It takes part all the same; it only cannot approve others.
      this.onTrouble?.("identityNotUnsealed", error);
      return undefined;
    }
  }

  private async withNewKeys(record: DeviceRecord): Promise<DeviceRecord> {
    const signature = await generateSigningKey();
    return {
      ...record, signature, link: await newLinkKey(),
      identitySignature: record.identitySeed && await signDevice(record.identitySeed, this.session.userId, this.id, signature.publicKey),
    };
  }

  /** The server has the new identity. The device's leaves still show the old one; with other keys they are replaced. */
  private async beginAs(record: DeviceRecord): Promise<void> {
    const next = await this.withNewKeys(record);
    await this.adopt(record, new Map([[`${keys.device}/identity`, null], [keys.nextDevice, pack(next)]]));
    await this.finishRotation(next);
  }

  private async finishRotation(next: DeviceRecord): Promise<void> {
    const approved = next.identitySignature !== undefined;
    await this.session.call("PUT", `v1/devices/${this.id}/keys`, {
      signatureKey: toBase64(next.signature.publicKey), linkKey: toBase64(next.link.publicKey),
      ...(approved ? { identitySignature: toBase64(next.identitySignature!) } : {}),
    });
    const gone: Changes = new Map([[keys.nextDevice, null], [keys.stock, null]]);
    for (const [key] of await this.store.list(keys.keyPackages))
      gone.set(key, null);
    await this.adopt(next, gone);
    if (approved)
      this.onApproved?.();
  }

  private async adopt(record: DeviceRecord, changes: Changes = new Map()): Promise<void> {
    this.offer = undefined;
    await this.store.write(new Map(changes).set(keys.device, pack(record)));
    this.record = record;
  }

  private transferInfo(deviceId: string, signatureKey: Uint8Array): Bytes {
    return concat(utf8("SecureMessaging 1.0 IdentityTransfer"), idBytes(this.session.userId), idBytes(deviceId), signatureKey);
  }
}

async function newRecord(): Promise<DeviceRecord> {
  return { deviceId: newId(), signature: await generateSigningKey(), link: await newLinkKey(), registered: false };
}

async function newLinkKey(): Promise<KeyPair> {
  const { kem } = hpke();
  const pair = await kem.generateKeyPair();
  return { privateKey: new Uint8Array(await kem.serializePrivateKey(pair.privateKey)), publicKey: new Uint8Array(await kem.serializePublicKey(pair.publicKey)) };
}

async function forgetGroups(store: Store): Promise<Changes> {
  const gone: Changes = new Map([[keys.stock, null], [keys.nextDevice, null]]);
  for (const prefix of [keys.keyPackages, "group/", "ratchet/", "pending/", "welcome/"])
    for (const [key] of await store.list(prefix))
      gone.set(key, null);
  return gone;
}

/**
 * The code that people compare before one of their devices approves another: SHA-256 over a label, the device's id, signature key and link key, as 6 groups of 5 digits.
 * @internal
 */
export async function deviceCode(device: { id: string; signatureKey: Uint8Array; linkKey: Uint8Array }): Promise<string> {
  return digits(await sha256(utf8("SecureMessaging 1.0 DeviceCode"), idBytes(device.id), device.signatureKey, device.linkKey), 6);
}

/**
 * The code that the approving device shows and the new one asks for: SHA-256 over a label, the user, the new device's id and keys, and the identity key, as 6 groups of
 * 5 digits. An identity that somebody else has made has another.
 * @internal
 */
export async function confirmationCode(userId: string, device: { id: string; signatureKey: Uint8Array; linkKey: Uint8Array }, identityKey: Uint8Array): Promise<string> {
  return digits(
    await sha256(utf8("SecureMessaging 1.0 DeviceConfirmation"), idBytes(userId), idBytes(device.id), device.signatureKey, device.linkKey, identityKey), 6);
}

/** @internal A code without what people put between its digits. */
export const onlyDigits = (code: string): string => code.replaceAll(/\D/g, "");

/** @internal Each group is 5 bytes of the hash, big-endian, modulo 100,000. */
export function digits(hash: Uint8Array, groups: number): string {
  const all: string[] = [];
  for (let i = 0; i < groups; i++) {
    const value = Number.parseInt(toHex(hash.subarray(5 * i, 5 * i + 5)), 16);
    all.push(String(value % 100_000).padStart(5, "0"));
  }
  return all.join(" ");
}
