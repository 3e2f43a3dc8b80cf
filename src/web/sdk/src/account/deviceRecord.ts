import { copy, equal, idBytes, newId, sha256, utf8, type Bytes } from "../base/bytes.js";
import type { DeviceIdentity } from "../mls/credential.js";
import { generateSigningKey, type KeyPair } from "../mls/ed25519.js";
import { hpke } from "../mls/suite.js";
import type { Session } from "../net/session.js";
import { keys, pack, read, type Changes, type Store } from "../store/store.js";
import { signListedDevice, type ListedDevice } from "../trust/deviceList.js";
import { digits } from "../trust/safety.js";

/** This device's keys as the store keeps them. */
export interface DeviceRecord {
  deviceId: string;
  signature: KeyPair;
  link: KeyPair;
  registered: boolean;
  /** The identity's private key. Only an approved device has it. */
  identitySeed?: Bytes;
  identityKey?: Bytes;
  identitySignature?: Bytes;
  /** Whether this device has founded the identity, so that list number 1 is made here. */
  founded?: boolean;
  /** The secret of the QR code that this device shows while it waits for an approval. */
  secret?: Bytes;
}

/** The calls of the server that own devices need. @internal */
export type DeviceServer = Pick<Session, "userId" | "username" | "call">;

/** The keys of this device, in the store and in memory. @internal */
export class DeviceState {
  private constructor(
    public record: DeviceRecord,
    readonly server: DeviceServer,
    readonly store: Store,
  ) {}

  static async load(server: DeviceServer, store: Store): Promise<DeviceState> {
    let record = await read<DeviceRecord>(store, keys.device);
    if (!record) {
      record = await newRecord();
      await store.write(new Map([[keys.device, pack(record)]]));
    }
    return new DeviceState(record, server, store);
  }

  get userId(): string {
    return this.server.userId;
  }

  /** The content of this device's credential; undefined until the device is approved. */
  get identity(): DeviceIdentity | undefined {
    const { deviceId, identityKey, identitySignature } = this.record;
    return identityKey && identitySignature && { userId: this.userId, deviceId, identityKey: copy(identityKey), identitySignature: copy(identitySignature) };
  }

  /** Stores and uses another record. */
  async adopt(record: DeviceRecord, changes: Changes = new Map()): Promise<void> {
    await this.store.write(new Map(changes).set(keys.device, pack(record)));
    this.record = record;
  }
}

/** The entry of a device with these keys in a list. @internal */
export const entryOf = (userId: string, { deviceId, signature, link }: DeviceRecord, since: number): Promise<ListedDevice> =>
  signListedDevice(userId, { device: deviceId, signatureKey: signature.publicKey, linkKey: link.publicKey, since }, signature.privateKey);

/** Whether a listed device has the keys of this record. @internal */
export const hasKeysOf = (listed: ListedDevice | undefined, { signature, link }: DeviceRecord): boolean =>
  !!listed && equal(listed.signatureKey, signature.publicKey) && equal(listed.linkKey, link.publicKey);

/** @internal */
export async function newRecord(): Promise<DeviceRecord> {
  return { deviceId: newId(), signature: await generateSigningKey(), link: await newLinkKey(), registered: false };
}

/** @internal */
export async function newLinkKey(): Promise<KeyPair> {
  const { kem } = hpke();
  const pair = await kem.generateKeyPair();
  return {
    privateKey: new Uint8Array(await kem.serializePrivateKey(pair.privateKey)),
    publicKey: new Uint8Array(await kem.serializePublicKey(pair.publicKey)),
  };
}

/** What a device that becomes a new one deletes: the keys of its groups. History, pins and lists stay. @internal */
export async function forgetGroups(store: Store): Promise<Changes> {
  const gone: Changes = new Map([
    [keys.stock, null],
    [keys.nextDevice, null],
    [keys.nextIdentity, null],
  ]);
  for (const prefix of [keys.keyPackages, keys.deviceActs, "group/", "ratchet/", "pending/", "welcome/"])
    for (const [key] of await store.list(prefix)) gone.set(key, null);
  return gone;
}

/**
 * The code that people compare before one of their devices approves another: SHA-256 of a label, the device id, its signature key and its link key,
 * as 6 groups of 5 digits. @internal
 */
export async function deviceCode(device: { id: string; signatureKey: Uint8Array; linkKey: Uint8Array }): Promise<string> {
  return digits(await sha256(utf8("SecureMessaging 1.0 DeviceCode"), idBytes(device.id), device.signatureKey, device.linkKey), 6);
}

/**
 * The code that the approving device shows and the new device asks for: SHA-256 of a label, the user id, the new device's id and keys, and the identity
 * key, as 6 groups of 5 digits. It differs for an identity of an attacker. @internal
 */
export async function confirmationCode(
  userId: string,
  device: { id: string; signatureKey: Uint8Array; linkKey: Uint8Array },
  identityKey: Uint8Array,
): Promise<string> {
  return digits(
    await sha256(utf8("SecureMessaging 1.0 DeviceConfirmation"), idBytes(userId), idBytes(device.id), device.signatureKey, device.linkKey, identityKey),
    6,
  );
}

/** @internal Removes everything between the digits of a code. */
export const onlyDigits = (code: string): string => code.replaceAll(/\D/g, "");
