/* Section 5 of the specification: a statement in the authenticated data of the Commit that carries it, encrypted for the members of the Commit's epoch. */
import { concat, copy, randomBytes, type Bytes } from "../base/bytes.js";
import { isVerdict } from "../base/verdict.js";
import { decode, fixed, uint16, uint64, vector } from "./codec.js";
import { attempt, refused, type Refused } from "./rules.js";

/** The label of the exporter that gives the key: with an empty context and 16 bytes. */
export const exporterLabel = "SecureMessaging 1.0 Statement";

/** The group in whose epoch the Commit is made. */
export interface SealContext {
  /** The value of the exporter in this epoch: 16 bytes. */
  key: Uint8Array;
  /** The MLS group id. */
  groupId: Uint8Array;
  epoch: number;
}

const smallest = 1024;
const most = 256 * 1024;

/** The size of a padded statement: 1,024 bytes or the next power of two above its length. */
export function paddedSize(length: number): number {
  let size = smallest;
  while (size <= length) size *= 2;
  return size;
}

/** The authenticated data with this statement. `nonce` is random; only tests set it. Throws `RangeError` for a statement above 256 KiB. */
export async function seal(statement: Uint8Array, context: SealContext, nonce: Uint8Array = randomBytes(12)): Promise<Bytes> {
  if (statement.length > most) throw new RangeError("The statement has more than 256 KiB.");
  const padded = new Uint8Array(paddedSize(statement.length));
  padded.set(statement);
  padded[statement.length] = 0x80;
  const ciphertext = await crypto.subtle.encrypt(parameters(context, nonce), await keyOf(context, "encrypt"), padded);
  return concat(uint16(1), fixed(nonce, 12), vector(new Uint8Array(ciphertext)));
}

/** The statement in authenticated data that are not empty, or the rule `length`, `sealed` or `version`. */
export async function open(sealed: Uint8Array, context: SealContext): Promise<{ ok: true; statement: Bytes } | Refused> {
  const decoded = attempt(() => decode(sealed, (reader) => ({ version: reader.uint16(), nonce: reader.take(12), ciphertext: reader.vector() })));
  if (!decoded.ok) return refused(decoded.rule);
  const { version, nonce, ciphertext } = decoded.value;
  if (ciphertext.length > 2 * most + 16) return refused("length");
  const padded = await decrypt(ciphertext, context, nonce);
  if (!padded) return refused("sealed");
  let length = padded.length - 1;
  while (length >= 0 && padded[length] === 0) length--;
  if (length < 0 || padded[length] !== 0x80 || padded.length !== paddedSize(length)) return refused("sealed");
  if (length > most) return refused("length");
  return version === 1 ? { ok: true, statement: copy(padded.subarray(0, length)) } : refused("version");
}

async function decrypt(ciphertext: Bytes, context: SealContext, nonce: Uint8Array): Promise<Uint8Array | undefined> {
  const key = await keyOf(context, "decrypt");
  try {
    return new Uint8Array(await crypto.subtle.decrypt(parameters(context, nonce), key, ciphertext));
  } catch (error) {
    if (!isVerdict(error)) throw error;
    return undefined;
  }
}

const parameters = ({ groupId, epoch }: SealContext, nonce: Uint8Array): AesGcmParams => ({
  name: "AES-GCM",
  iv: copy(nonce),
  additionalData: concat(vector(groupId), uint64(epoch)),
});

const keyOf = ({ key }: SealContext, use: KeyUsage) => crypto.subtle.importKey("raw", copy(fixed(key, 16)), "AES-GCM", false, [use]);
