/* The structure `Device` of the specification: a device of a user with its keys, as authors of signed objects and leaves of a group have it. */
import { concat, equal, type Bytes } from "../base/bytes.js";
import { verifyDevice, type DeviceIdentity } from "../mls/credential.js";
import { fixed, id, type Reader } from "./codec.js";

export interface Device {
  user: string;
  device: string;
  /** The identity key of the user. */
  identity: Bytes;
  /** The signature of the identity over the device (64 bytes). */
  approval: Bytes;
  signatureKey: Bytes;
}

/** A device with the private key (the seed of Ed25519) of its signature key. */
export interface Signer {
  device: Device;
  seed: Uint8Array;
}

/** The device of a leaf, from its decoded credential and its signature key. */
export const deviceOf = (credential: DeviceIdentity, signatureKey: Bytes): Device => ({
  user: credential.userId,
  device: credential.deviceId,
  identity: credential.identityKey,
  approval: credential.identitySignature,
  signatureKey,
});

export const encodeDevice = (of: Device): Bytes =>
  concat(id(of.user), id(of.device), fixed(of.identity, 32), fixed(of.approval, 64), fixed(of.signatureKey, 32));

export const readDevice = (reader: Reader): Device => ({
  user: reader.id(),
  device: reader.id(),
  identity: reader.key(),
  approval: reader.signature(),
  signatureKey: reader.key(),
});

/** Whether the identity has approved the device with this signature key. */
export const isApproved = (of: Device): Promise<boolean> =>
  verifyDevice({ userId: of.user, deviceId: of.device, identityKey: of.identity, identitySignature: of.approval }, of.signatureKey);

/** Whether all fields are the same. */
export const isSame = (a: Device, b: Device): boolean => equal(encodeDevice(a), encodeDevice(b));

/** Whether both are the same device with the same signature key. The identity may differ. */
export const hasSameKey = (a: Pick<Device, "user" | "device" | "signatureKey">, b: Pick<Device, "user" | "device" | "signatureKey">): boolean =>
  a.user === b.user && a.device === b.device && equal(a.signatureKey, b.signatureKey);
