/* The end of section 7 of the specification: what two people compare to know that they have each other's identity keys. */
import { concat, toHex, utf8, type Bytes } from "../base/bytes.js";
import { compareBytes, decode, fixed, fromBase64Url, id, toBase64Url, uint64, uint8 } from "./codec.js";
import { FormatError } from "./rules.js";

/**
 * The code that two people compare to detect an attacker between them: SHA-512 of a label, both user ids and both identity keys, the smaller user id
 * first, as 12 groups of 5 digits. It is equal for both.
 */
export async function safetyNumber(a: { userId: string; identityKey: Uint8Array }, b: { userId: string; identityKey: Uint8Array }): Promise<string> {
  const both = [a, b].map(({ userId, identityKey }) => concat(id(userId), fixed(identityKey, 32))).toSorted(compareBytes);
  const text = concat(utf8("SecureMessaging 1.0 SafetyNumber"), ...both);
  return digits(new Uint8Array(await crypto.subtle.digest("SHA-512", text)), 12);
}

/** A hash for people to compare. Each group is 5 bytes of the hash, big-endian, modulo 100,000. */
export const digits = (hash: Uint8Array, groups: number): string =>
  Array.from({ length: groups }, (_, group) => {
    const value = Number.parseInt(toHex(hash.subarray(5 * group, 5 * group + 5)), 16);
    return String(value % 100_000).padStart(5, "0");
  }).join(" ");

/** The content of a QR code that another person scans. */
export interface ContactCode {
  user: string;
  /** The identity key. */
  identity: Bytes;
  /** The number and hash of the user's newest device list. */
  number: number;
  list: Bytes;
}

/** The text of the QR code. */
export const encodeContactCode = (of: ContactCode): string =>
  toBase64Url(concat(uint8(1), id(of.user), fixed(of.identity, 32), uint64(of.number), fixed(of.list, 32)));

/** Throws `FormatError`: `length`, `version` or `number`. */
export function decodeContactCode(text: string): ContactCode {
  const bytes = fromBase64Url(text);
  if (!bytes) throw new FormatError("length");
  const { version, ...code } = decode(bytes, (reader) => ({
    version: reader.uint8(),
    user: reader.id(),
    identity: reader.key(),
    number: reader.uint64(),
    list: reader.hash(),
  }));
  if (version !== 1) throw new FormatError("version");
  return code;
}
