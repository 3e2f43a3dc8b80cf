/* The two kinds of MLS that a run can use. */
import { generateSigningKey, type KeyPair } from "../../src/mls/ed25519.js";
import { signDevice } from "../../src/mls/credential.js";
import { mls } from "../../src/rooms/mls.js";
import type { Mls } from "../../src/rooms/ports.js";
import { fakeMls } from "./fakeMls.js";
import { publicKeyOf } from "./subtle.js";
import type { World } from "./world.js";

type Bytes = Uint8Array<ArrayBuffer>;

export interface SimMls extends Mls {
  /** The message key that a message uses: of all messages that the server sees, each must have another one. Undefined when it is not known. */
  keyOf(message: Uint8Array): string | undefined;
  /** Whether a message is that of a user who leaves. */
  isLeave(message: Uint8Array): boolean;
  newKey(): Promise<KeyPair>;
  /** The identity's signature over a device's key. */
  sign(identity: KeyPair, userId: string, deviceId: string, signatureKey: Uint8Array): Promise<Bytes>;
}

export function simMls(world: World): SimMls {
  return {
    ...fakeMls(world),
    newKey: async () => {
      const privateKey = world.bytes(32);
      return { publicKey: publicKeyOf(privateKey), privateKey };
    },
    sign: (identity, userId, deviceId, signatureKey) => signDevice(identity.privateKey, userId, deviceId, signatureKey),
  };
}

export const realMls: SimMls = {
  ...mls,
  keyOf: () => undefined,
  isLeave: () => false,
  newKey: generateSigningKey,
  sign: (identity, userId, deviceId, signatureKey) => signDevice(identity.privateKey, userId, deviceId, signatureKey),
};
