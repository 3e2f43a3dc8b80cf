// The encoding of the signed objects: the presentation language of TLS (RFC 8446 section 3), with the variable-length vectors of RFC 9420 section 2.1.2.
import { createHash, createPrivateKey, createPublicKey, sign as signBytes } from "node:crypto";

export const bytes = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));
export const uint8 = (value) => Buffer.from([value]);
export const uint16 = (value) => bytes([value >> 8, value & 255]);
export const uint32 = (value) => {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value);
  return out;
};
export const uint64 = (value) => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(value));
  return out;
};
/** A vector `<V>`: its length in the shortest form, then its bytes. */
export const vector = (content) => {
  const { length } = content;
  if (length < 64) return bytes([length], content);
  if (length < 16_384) return bytes([0x40 | (length >> 8), length & 255], content);
  return bytes([0x80 | (length >>> 24), (length >> 16) & 255, (length >> 8) & 255, length & 255], content);
};
export const list = (items) => vector(bytes(...items));
export const id = (text) => Buffer.from(text.replaceAll("-", ""), "hex");
export const idText = (value) =>
  Buffer.from(value)
    .toString("hex")
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
export const zeros = (length) => Buffer.alloc(length);

export const sha256 = (content) => createHash("sha256").update(content).digest();
const label = (name) => vector(Buffer.from(`SecureMessaging 1.0 ${name}`));
export const labelled = (name, content) => bytes(label(name), vector(content));
export const hash = (name, content) => sha256(labelled(name, content));

const pkcs8 = Buffer.from("302e020100300506032b657004220420", "hex");
/** A key pair of Ed25519 (RFC 8032) from its 32-byte seed. */
export function keyPair(seed) {
  const secret = createPrivateKey({ key: bytes(pkcs8, seed), format: "der", type: "pkcs8" });
  return { seed, secret, key: createPublicKey(secret).export({ format: "der", type: "spki" }).subarray(-32) };
}
export const sign = (pair, name, content) => signBytes(null, labelled(name, content), pair.secret);
/** Without a label: the approval of a device, and what MLS labels itself. */
export const signBare = (pair, content) => signBytes(null, content, pair.secret);

const order = 2n ** 252n + 27742317777372353535851937790883648493n;
const little = (value) => BigInt(`0x${Buffer.from(new Uint8Array(value).toReversed()).toString("hex")}`);
const littleBytes = (value) => new Uint8Array(Buffer.from(value.toString(16).padStart(64, "0"), "hex")).toReversed();

/** The same signature with S + order in place of S, as some libraries accept it. */
export const withLargeS = (signature) => bytes(signature.subarray(0, 32), littleBytes(little(signature.subarray(32)) + order));

/** A signature whose R is the neutral element. Some libraries accept it; section 1 does not. */
export function signWithSmallOrder(pair, name, content) {
  const digest = createHash("sha512").update(pair.seed).digest().subarray(0, 32);
  digest[0] &= 248;
  digest[31] = (digest[31] & 127) | 64;
  const r = bytes([1], zeros(31));
  const k = little(
    createHash("sha512")
      .update(bytes(r, pair.key, labelled(name, content)))
      .digest(),
  );
  const s = (k * little(digest)) % order;
  return bytes(r, littleBytes(s));
}
