/** Devices without a server, for tests of the MLS layer. Real ts-mls on all sides. */
import { idBytes, newId } from "../src/base/bytes.js";
import { signDevice, type DeviceIdentity } from "../src/mls/credential.js";
import { generateSigningKey, type KeyPair } from "../src/mls/ed25519.js";
import { Group, groupIdOf } from "../src/mls/group.js";
import { makeKeyPackage, type OwnKeyPackage } from "../src/mls/messages.js";

export interface TestDevice {
  identity: DeviceIdentity;
  signature: KeyPair;
}

export interface TestUser {
  userId: string;
  key: KeyPair;
}

export async function newUser(): Promise<TestUser> {
  return { userId: newId(), key: await generateSigningKey() };
}

export async function newDevice(user: TestUser, deviceId = newId()): Promise<TestDevice> {
  const signature = await generateSigningKey();
  return {
    signature,
    identity: {
      userId: user.userId,
      deviceId,
      identityKey: user.key.publicKey,
      identitySignature: await signDevice(user.key.privateKey, user.userId, deviceId, signature.publicKey),
    },
  };
}

export const packageOf = (device: TestDevice): Promise<OwnKeyPackage> => makeKeyPackage(device.identity, device.signature, 28, Date.now());

export async function foundBy(device: TestDevice, generation = 0): Promise<Group> {
  return Group.found(groupIdOf(idBytes(newId()), generation), await packageOf(device));
}

export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The group after encoding and decoding, as the store keeps it. */
export function stored(group: Group): Group {
  return Group.restore(group.encodeBase(), new Map(group.epochs.map((epoch) => [epoch, group.encodeRatchet(epoch)])));
}
