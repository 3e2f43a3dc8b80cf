/* MLS messages as bytes: headers, Welcomes, KeyPackages. Belongs to `group.ts`. */
import type { KeyPackage, MLSMessage, PrivateKeyPackage, PrivateMessage } from "ts-mls";
import { decodeKeyPackage, encodeKeyPackage, generateKeyPackageWithKey, makeKeyPackageRef } from "ts-mls/keyPackage.js";
import { decodeMlsMessage, encodeMlsMessage } from "ts-mls/message.js";
import { copy, toHex, type Bytes } from "../bytes.js";
import { decodeCredential, encodeCredential, type DeviceIdentity } from "./credential.js";
import type { KeyPair } from "./ed25519.js";
import { suite, suiteName } from "./suite.js";

/** The header of a PrivateMessage, which anyone can read. */
export interface Header {
  groupId: Bytes;
  epoch: number;
  contentType: "application" | "proposal" | "commit";
}

/** A KeyPackage of one's own with its private parts. */
export interface OwnKeyPackage {
  reference: Bytes;
  /** MLSMessage, for the directory. */
  message: Bytes;
  keyPackage: Bytes;
  initKey: Bytes;
  leafKey: Bytes;
  signatureKey: Bytes;
}

/** A KeyPackage begins to live so much before it is made: ts-mls compares with the clock of the device that adds it, which may be behind. */
const clocksBehindDays = 14;

const capabilities = { versions: ["mls10" as const], ciphersuites: [suiteName as typeof suiteName], extensions: [], proposals: [], credentials: ["basic" as const] };

export const encodeMessage = (message: MLSMessage): Bytes => copy(encodeMlsMessage(message));

export function decodeMessage(bytes: Uint8Array): MLSMessage {
  // ts-mls keeps views of what it decodes, so it gets a copy of its own.
  const decoded = decodeMlsMessage(copy(bytes), 0);
  if (!decoded || decoded[1] !== bytes.length)
    throw new TypeError("Not an MLSMessage.");
  return decoded[0];
}

export function decodePrivate(bytes: Uint8Array): PrivateMessage {
  const message = decodeMessage(bytes);
  if (message.wireformat !== "mls_private_message")
    throw new TypeError("Not a PrivateMessage.");
  return message.privateMessage;
}

/** Reads the header of a PrivateMessage; undefined when it is none. */
export function readHeader(bytes: Uint8Array): Header | undefined {
  try {
    const { groupId, epoch, contentType } = decodePrivate(bytes);
    return { groupId: copy(groupId), epoch: Number(epoch), contentType };
  } catch {
    return undefined;
  }
}

/** References (hex) of the KeyPackages that a Welcome is for. */
export function welcomeReferences(bytes: Uint8Array): string[] {
  const message = decodeMessage(bytes);
  if (message.wireformat !== "mls_welcome")
    throw new TypeError("Not a Welcome.");
  return message.welcome.secrets.map((secret) => toHex(secret.newMember));
}

/** Makes a KeyPackage that lives `days`. @param nowMs The time by the server's clock, which is the one that all members have in common. */
export async function makeKeyPackage(identity: DeviceIdentity, signature: KeyPair, days: number, nowMs: number): Promise<OwnKeyPackage> {
  const cs = await suite();
  const now = BigInt(Math.floor(nowMs / 1000));
  const lifetime = { notBefore: now - BigInt(clocksBehindDays) * 86400n, notAfter: now + BigInt(days) * 86400n };
  const { publicPackage, privatePackage } = await generateKeyPackageWithKey(
    { credentialType: "basic", identity: encodeCredential(identity) }, capabilities, lifetime, [],
    { signKey: signature.privateKey, publicKey: signature.publicKey }, cs);
  return {
    reference: copy(await makeKeyPackageRef(publicPackage, cs.hash)),
    message: encodeMessage({ version: "mls10", wireformat: "mls_key_package", keyPackage: publicPackage }),
    keyPackage: copy(encodeKeyPackage(publicPackage)),
    initKey: copy(privatePackage.initPrivateKey), leafKey: copy(privatePackage.hpkePrivateKey), signatureKey: copy(privatePackage.signaturePrivateKey),
  };
}

/** Whose KeyPackage it is; undefined when it cannot be read. Its signatures are checked when it is added. */
export function readKeyPackage(message: Uint8Array, nowMs: number): (DeviceIdentity & { signatureKey: Bytes; expired: boolean }) | undefined {
  try {
    const { leafNode } = decodePackageMessage(message);
    const identity = leafNode.credential.credentialType === "basic" ? decodeCredential(leafNode.credential.identity) : undefined;
    const now = BigInt(Math.floor(nowMs / 1000));
    return identity && {
      ...identity, signatureKey: copy(leafNode.signaturePublicKey),
      expired: leafNode.lifetime.notBefore > now || leafNode.lifetime.notAfter <= now,
    };
  } catch {
    return undefined;
  }
}

export function decodePackageMessage(bytes: Uint8Array): KeyPackage {
  const message = decodeMessage(bytes);
  if (message.wireformat !== "mls_key_package")
    throw new TypeError("Not a KeyPackage.");
  return message.keyPackage;
}

export function decodeOwn(own: OwnKeyPackage): { keyPackage: KeyPackage; privateKeys: PrivateKeyPackage } {
  const decoded = decodeKeyPackage(copy(own.keyPackage), 0);
  if (!decoded)
    throw new TypeError("The KeyPackage cannot be read.");
  return {
    keyPackage: decoded[0],
    privateKeys: { initPrivateKey: copy(own.initKey), hpkePrivateKey: copy(own.leafKey), signaturePrivateKey: copy(own.signatureKey) },
  };
}
