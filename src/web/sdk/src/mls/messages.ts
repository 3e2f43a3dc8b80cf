/* MLS messages as bytes: headers, Welcomes, KeyPackages. */
import { copy, toHex, type Bytes } from "../base/bytes.js";
import { decodeCredential, encodeCredential, type DeviceIdentity } from "./credential.js";
import type { KeyPair } from "./ed25519.js";
import { suite, suiteName } from "./suite.js";
import {
  decodeKeyPackage,
  decodeMlsMessage,
  encodeKeyPackage,
  encodeMlsMessage,
  generateKeyPackageWithKey,
  makeKeyPackageRef,
  type KeyPackage,
  type MLSMessage,
  type PrivateKeyPackage,
  type PrivateMessage,
} from "./tsMls.js";

/** The header of a PrivateMessage. It is not encrypted. */
export interface Header {
  groupId: Bytes;
  epoch: number;
  contentType: "application" | "proposal" | "commit";
}

/** An own KeyPackage with its private keys. */
export interface OwnKeyPackage {
  reference: Bytes;
  /** The MLSMessage for the server's directory. */
  message: Bytes;
  keyPackage: Bytes;
  initKey: Bytes;
  leafKey: Bytes;
  signatureKey: Bytes;
}

/** A KeyPackage is valid from this long before its creation. ts-mls compares with the clock of the device that adds it, which may be slow. */
const clocksBehindDays = 14;

const capabilities = {
  versions: ["mls10" as const],
  ciphersuites: [suiteName as typeof suiteName],
  extensions: [],
  proposals: [],
  credentials: ["basic" as const],
};

export const encodeMessage = (message: MLSMessage): Bytes => copy(encodeMlsMessage(message));

export function decodeMessage(bytes: Uint8Array): MLSMessage {
  // ts-mls keeps views of its input, so it gets its own copy.
  const decoded = decodeMlsMessage(copy(bytes), 0);
  if (!decoded || decoded[1] !== bytes.length) throw new TypeError("Not an MLSMessage.");
  return decoded[0];
}

export function decodePrivate(bytes: Uint8Array): PrivateMessage {
  const message = decodeMessage(bytes);
  if (message.wireformat !== "mls_private_message") throw new TypeError("Not a PrivateMessage.");
  return message.privateMessage;
}

/** The header of a PrivateMessage; undefined for any other message. */
export function readHeader(bytes: Uint8Array): Header | undefined {
  try {
    const { groupId, epoch, contentType } = decodePrivate(bytes);
    return { groupId: copy(groupId), epoch: Number(epoch), contentType };
  } catch {
    return undefined;
  }
}

/** The references (hex) of the KeyPackages that a Welcome is for. */
export function welcomeReferences(bytes: Uint8Array): string[] {
  const message = decodeMessage(bytes);
  if (message.wireformat !== "mls_welcome") throw new TypeError("Not a Welcome.");
  return message.welcome.secrets.map((secret) => toHex(secret.newMember));
}

/** Makes a KeyPackage that is valid for `days`. @param nowMs - The time of the server's clock, which all members share. */
export async function makeKeyPackage(identity: DeviceIdentity, signature: KeyPair, days: number, nowMs: number): Promise<OwnKeyPackage> {
  const cs = await suite();
  // In whole days (UTC): the server stores KeyPackages, and should not learn from them when the device was in use.
  const today = BigInt(Math.floor(nowMs / 86_400_000));
  const lifetime = { notBefore: (today - BigInt(clocksBehindDays)) * 86400n, notAfter: (today + BigInt(days)) * 86400n };
  const { publicPackage, privatePackage } = await generateKeyPackageWithKey(
    { credentialType: "basic", identity: encodeCredential(identity) },
    capabilities,
    lifetime,
    [],
    { signKey: signature.privateKey, publicKey: signature.publicKey },
    cs,
  );
  return {
    reference: copy(await makeKeyPackageRef(publicPackage, cs.hash)),
    message: encodeMessage({ version: "mls10", wireformat: "mls_key_package", keyPackage: publicPackage }),
    keyPackage: copy(encodeKeyPackage(publicPackage)),
    initKey: copy(privatePackage.initPrivateKey),
    leafKey: copy(privatePackage.hpkePrivateKey),
    signatureKey: copy(privatePackage.signaturePrivateKey),
  };
}

/** The owner of a KeyPackage; undefined when it cannot be decoded. `Group.addable` checks the signatures. */
export function readKeyPackage(message: Uint8Array, nowMs: number): (DeviceIdentity & { signatureKey: Bytes; expired: boolean }) | undefined {
  try {
    const { leafNode } = decodePackageMessage(message);
    const identity = leafNode.credential.credentialType === "basic" ? decodeCredential(leafNode.credential.identity) : undefined;
    const now = BigInt(Math.floor(nowMs / 1000));
    return (
      identity && {
        ...identity,
        signatureKey: copy(leafNode.signaturePublicKey),
        expired: leafNode.lifetime.notBefore > now || leafNode.lifetime.notAfter <= now,
      }
    );
  } catch {
    return undefined;
  }
}

export function decodePackageMessage(bytes: Uint8Array): KeyPackage {
  const message = decodeMessage(bytes);
  if (message.wireformat !== "mls_key_package") throw new TypeError("Not a KeyPackage.");
  return message.keyPackage;
}

export function decodeOwn(own: OwnKeyPackage): { keyPackage: KeyPackage; privateKeys: PrivateKeyPackage } {
  const decoded = decodeKeyPackage(copy(own.keyPackage), 0);
  if (!decoded) throw new TypeError("The KeyPackage cannot be read.");
  return {
    keyPackage: decoded[0],
    privateKeys: { initPrivateKey: copy(own.initKey), hpkePrivateKey: copy(own.leafKey), signaturePrivateKey: copy(own.signatureKey) },
  };
}
