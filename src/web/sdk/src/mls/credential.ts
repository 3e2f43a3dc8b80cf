/*
 * The owner of a leaf. A basic credential contains the user id, the device id, the identity key, and the identity's signature over the device's signature key
 * (16 + 16 + 32 + 64 bytes).
 */
import { concat, copy, idBytes, idText, utf8, type Bytes } from "../base/bytes.js";
import { sign, verify } from "./ed25519.js";

const label = utf8("SecureMessaging 1.0 DeviceCredential");

export interface DeviceIdentity {
  userId: string;
  deviceId: string;
  identityKey: Bytes;
  identitySignature: Bytes;
}

export function encodeCredential(of: DeviceIdentity): Bytes {
  return concat(idBytes(of.userId), idBytes(of.deviceId), of.identityKey, of.identitySignature);
}

export function decodeCredential(bytes: Uint8Array): DeviceIdentity | undefined {
  if (bytes.length !== 128) return undefined;
  return {
    userId: idText(bytes.subarray(0, 16)),
    deviceId: idText(bytes.subarray(16, 32)),
    identityKey: copy(bytes.subarray(32, 64)),
    identitySignature: copy(bytes.subarray(64)),
  };
}

const signedText = (userId: string, deviceId: string, signatureKey: Uint8Array) => concat(label, idBytes(userId), idBytes(deviceId), signatureKey);

/** Signs a device with the user's identity key. */
export const signDevice = (identitySeed: Uint8Array, userId: string, deviceId: string, signatureKey: Uint8Array): Promise<Bytes> =>
  sign(identitySeed, signedText(userId, deviceId, signatureKey));

/** Whether the identity has signed this device. */
export const verifyDevice = (identity: DeviceIdentity, signatureKey: Uint8Array): Promise<boolean> =>
  verify(identity.identityKey, signedText(identity.userId, identity.deviceId, signatureKey), identity.identitySignature);
