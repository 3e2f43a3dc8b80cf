import type { OwnDevice } from "./device.js";
import type { DeviceNames } from "./deviceNames.js";
import { deviceCode, onlyDigits } from "./deviceRecord.js";
import { decodeDeviceQr, type WaitingDevice } from "./transfers.js";
import { equal, fromBase64 } from "../base/bytes.js";
import { isOwnEntry } from "../trust/deviceList.js";
import { SecureMessagingError } from "../base/errors.js";
import { Emitter } from "../base/events.js";
import type { Session } from "../net/session.js";
import type { KeyPackages } from "./keyPackages.js";
import type { WireDevice } from "../net/wire.js";

/** A device of this user. */
export interface DeviceInfo {
  /** The device's id. */
  id: string;
  /** Whether this client runs on it. */
  current: boolean;
  /** Whether the user's identity has signed it. Until then no device encrypts for it. */
  approved: boolean;
  /** Whether it is in the user's signed device list. Contacts believe the list, not the server. */
  listed: boolean;
  /** The day of registration, `yyyy-mm-dd` (UTC). */
  createdOn: string;
  /** The day of its last connection, `yyyy-mm-dd` (UTC). */
  seenOn: string;
  /** The code that the device shows: 6 groups of 5 digits. Compare it before you approve the device. */
  code: string;
  /** The name that a person has given to it. The server cannot read it. */
  name?: string;
}

/** This user's devices. The first device creates the user's identity. Each later one waits until a device with the identity's private key approves it. */
export class Devices {
  /** `changed`: a device was approved or revoked, so the rooms' groups may have to change. @internal */
  readonly events = new Emitter<{ changed: undefined }>();

  /** @internal */
  constructor(
    private readonly session: Session,
    private readonly device: OwnDevice,
    private readonly keyPackages: KeyPackages,
    private readonly names: DeviceNames,
  ) {}

  /** This device's id. */
  get currentId(): string {
    return this.device.id;
  }

  /** Whether this device can take part: it is the first one, or was approved. */
  get isApproved(): boolean {
    return this.device.identity !== undefined;
  }

  /** The code of this device, see {@link DeviceInfo.code}. Needs no connection. */
  currentCode(): Promise<string> {
    return this.device.code();
  }

  /** Reads all devices of the user from the server. */
  async list(): Promise<DeviceInfo[]> {
    const [devices] = await Promise.all([this.session.call<WireDevice[]>("GET", "v1/devices"), this.names.sessions()]);
    const names = await this.names.known();
    return Promise.all(
      devices.map(async (device) => ({
        id: device.id,
        ...(names.has(device.id) ? { name: names.get(device.id)! } : {}),
        current: device.id === this.device.id,
        approved: device.approved,
        listed: this.device.list.entry(device.id) !== undefined,
        createdOn: device.createdOn.slice(0, 10),
        seenOn: device.seenOn.slice(0, 10),
        code: await codeOf(device),
      })),
    );
  }

  /**
   * Approves a waiting device: adds it to the signed device list, and sends it the identity's private key, encrypted. It can then do the same as this device.
   * The new device accepts the approval only with the returned code, see {@link Devices.confirm}. A second approval returns the same code.
   * @param code - The code that the waiting device shows. The server delivers the device's keys; only this code proves that they are the device's own.
   * @returns 6 groups of 5 digits, to be typed on the new device.
   * @throws {@link SecureMessagingError} `Forbidden` when the code is wrong, `NotReady` when this device does not have the identity's private key.
   */
  async approve(deviceId: string, code: string): Promise<string> {
    const device = await this.find(deviceId);
    if (onlyDigits(code) !== onlyDigits(await codeOf(device)))
      throw SecureMessagingError.of("Forbidden", "The code is not the code of this device. An attacker may have replaced its keys.");
    const waiting = waitingOf(device);
    if (!(await isOwnEntry(this.device.userId, waiting)))
      throw SecureMessagingError.of("Invalid", "The device has not signed its keys. Sign out and in again on it.");
    return this.approveWaiting(waiting);
  }

  /**
   * The text of the QR code that this device shows while it waits for an approval: its keys and a secret. Show it only to the own device that approves, because
   * the secret replaces {@link Devices.confirm}. It is the same until the device is approved.
   * @throws {@link SecureMessagingError} `Conflict` when this device is approved.
   */
  qrText(): Promise<string> {
    return this.device.qrText();
  }

  /**
   * Approves the waiting device whose QR code was scanned. No code is typed: the QR code proves the keys of the new device, and its secret proves the identity
   * to the new device.
   * @throws {@link SecureMessagingError} `Forbidden` for a code of another account, or when the server has other keys for the device; `Invalid` for another
   * text.
   */
  async approveByQr(text: string): Promise<void> {
    const qr = await decodeDeviceQr(text);
    if (!qr) throw SecureMessagingError.of("Invalid", "This is not the QR code of a waiting device.");
    if (qr.user !== this.device.userId) throw SecureMessagingError.of("Forbidden", "The QR code is of a device of another account.");
    const device = await this.find(qr.device);
    if (!equal(fromBase64(device.signatureKey), qr.signatureKey) || !equal(fromBase64(device.linkKey), qr.linkKey))
      throw SecureMessagingError.of("Forbidden", "The server has other keys for this device. An attacker may have replaced them.");
    await this.approveWaiting(qr);
  }

  /** Whether another device has approved this one, and {@link Devices.confirm} has not been called. */
  get isOffered(): boolean {
    return this.device.isOffered;
  }

  /**
   * Accepts an approval on the new device.
   * @param code - The code that the approving device shows. The server delivers the identity; only this code proves that it is the user's.
   * @throws {@link SecureMessagingError} `Forbidden` when the code does not belong to the delivered identity, `NotReady` before an approval has arrived.
   */
  confirm(code: string): Promise<void> {
    return this.device.confirm(code);
  }

  /**
   * Revokes a device: removes it from the signed device list, ends its session, and the other members remove it from all groups.
   * @param options - `lost`: the device is lost or stolen, so another person may have the identity's private key. The user then also gets a new identity,
   * signed by the old one and by this device. Contacts see it, and marks that keys were compared become "compare again". It has no effect for this device
   * itself.
   * @param attempt - With `lost`, as in {@link Devices.replaceIdentity}.
   */
  async revoke(deviceId: string, options: { lost?: boolean } = {}, attempt?: string): Promise<void> {
    if (options.lost && deviceId !== this.device.id) {
      await this.device.replaceIdentity([deviceId], attempt);
      await this.keyPackages.topUp();
    } else {
      await this.device.revoke(deviceId);
    }
    this.events.emit("changed", undefined);
  }

  /** Replaces this device's keys. The other members replace its leaf in each group; until then the device reads with the old keys. */
  async rotate(): Promise<void> {
    await this.device.rotate();
    await this.keyPackages.topUp();
  }

  /**
   * Replaces the user's identity key. When this device has the old one, it signs the new one, and the other devices stay. Otherwise all other devices must be
   * approved again, and sends of contacts who have compared the keys wait until they have looked.
   * @param attempt - Names the call. A repeated call with the same name replaces the identity only once.
   */
  async replaceIdentity(attempt?: string): Promise<void> {
    await this.device.replaceIdentity([], attempt);
    await this.keyPackages.topUp();
  }

  /**
   * Makes this device a new one, for a person who got the error `DeviceUnknown`: the server does not know the device, or another device has revoked it. Only
   * the keys of its groups are deleted; history and what it knows about people stay. In an account without devices it begins with a new identity, otherwise it
   * waits for an approval.
   * @throws {@link SecureMessagingError} `Conflict` when the server knows this device.
   */
  async startOver(): Promise<void> {
    await this.device.startOver();
    this.events.emit("changed", undefined);
  }

  /**
   * Names a device, for this user alone: the name is encrypted for the user's devices. Its length is at most 128 bytes in UTF-8.
   * @throws {@link SecureMessagingError} `NotFound` when the device is not signed in, `Invalid`, `TooLarge`.
   */
  async setName(deviceId: string, name: string): Promise<void> {
    await this.names.set(deviceId, name);
  }

  /** The last known names of this user's devices, by device id. Needs no connection. */
  lastNames(): Promise<ReadonlyMap<string, string>> {
    return this.names.known();
  }

  /** Signs the username in the device list, after it was changed. */
  signUsername(username: string): Promise<void> {
    return this.device.rename(username);
  }

  private async find(deviceId: string): Promise<WireDevice> {
    const device = (await this.session.call<WireDevice[]>("GET", "v1/devices")).find((each) => each.id === deviceId);
    if (!device) throw SecureMessagingError.of("NotFound", "There is no device with this id.");
    return device;
  }

  private async approveWaiting(device: WaitingDevice): Promise<string> {
    const confirmation = await this.device.approve(device);
    this.events.emit("changed", undefined);
    return confirmation;
  }
}

/** A device that waits for an approval, as the server shows it. @internal */
export const waitingOf = (device: WireDevice): WaitingDevice => ({
  device: device.id,
  signatureKey: fromBase64(device.signatureKey),
  linkKey: fromBase64(device.linkKey),
  own: fromBase64(device.name ?? ""),
});

const codeOf = (device: WireDevice): Promise<string> =>
  deviceCode({ id: device.id, signatureKey: fromBase64(device.signatureKey), linkKey: fromBase64(device.linkKey) });
