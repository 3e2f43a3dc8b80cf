/* The end of section 7 of the specification: what two people compare to know that they have each other's identity keys. */
import { concat, copy, utf8, type Bytes } from "../base/bytes.js";
import { decode, fixed, fromBase64Url, id, toBase64Url, uint64, uint8 } from "./codec.js";
import { FormatError } from "./rules.js";

export interface UserIdentity {
  user: string;
  /** The identity key. */
  identity: Bytes;
}

/** The safety number of two users, in either order: 12 groups of five digits. */
export async function safetyNumber(a: UserIdentity, b: UserIdentity): Promise<string[]> {
  const both = a.user.toLowerCase() < b.user.toLowerCase() ? [a, b] : [b, a];
  const text = concat(utf8("SecureMessaging 1.0 SafetyNumber"), ...both.map((each) => concat(id(each.user), fixed(each.identity, 32))));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-512", copy(text)));
  return Array.from({ length: 12 }, (_, group) => {
    const value = digest.subarray(5 * group, 5 * group + 5).reduce((sum, byte) => sum * 256 + byte, 0);
    return String(value % 100_000).padStart(5, "0");
  });
}

/** The content of a QR code that another person scans. */
export interface ContactCode extends UserIdentity {
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
