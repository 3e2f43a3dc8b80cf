/* Ed25519 with WebCrypto. Private keys are 32-byte seeds (RFC 8032). */
import { concat, copy, equal, fromBase64, fromHex, type Bytes } from "../base/bytes.js";
import { isVerdict } from "../base/verdict.js";

const pkcs8Prefix = fromHex("302e020100300506032b657004220420");

export interface KeyPair {
  privateKey: Bytes;
  publicKey: Bytes;
}

const importSeed = (seed: Uint8Array, extractable: boolean) => crypto.subtle.importKey("pkcs8", concat(pkcs8Prefix, seed), "Ed25519", extractable, ["sign"]);

export async function generateSigningKey(): Promise<KeyPair> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const [privateKey, publicKey] = await Promise.all([crypto.subtle.exportKey("pkcs8", pair.privateKey), crypto.subtle.exportKey("raw", pair.publicKey)]);
  return { privateKey: copy(new Uint8Array(privateKey).subarray(-32)), publicKey: new Uint8Array(publicKey) };
}

export async function publicKeyOf(seed: Uint8Array): Promise<Bytes> {
  const jwk = await crypto.subtle.exportKey("jwk", await importSeed(seed, true));
  return fromBase64(jwk.x!.replaceAll("-", "+").replaceAll("_", "/"));
}

export async function sign(seed: Uint8Array, message: Uint8Array): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.sign("Ed25519", await importSeed(seed, false), copy(message)));
}

/**
 * Whether the signature is valid. A key or signature of the wrong length is not. Libraries differ in what else they accept, so this function also refuses a key
 * or an R that is not canonical or has small order, and an S that is not below the order of the group. Throws when the
 * platform fails.
 */
export async function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  if (!isStrictPoint(publicKey) || !isStrictPoint(signature.subarray(0, 32)) || !isBelow(signature.subarray(32), order)) return false;
  try {
    const key = await crypto.subtle.importKey("raw", copy(publicKey), "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", key, copy(signature), copy(message));
  } catch (error) {
    if (!isVerdict(error)) throw error;
    return false;
  }
}

/* Little-endian numbers of 32 bytes: the order of the group, and the prime of the field. */
const order = fromHex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
const prime = fromHex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");

/** The y coordinates of the points whose order divides 8. One signature with such a key is valid for many messages. */
const smallOrder = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
].map(fromHex);

function isBelow(value: Uint8Array, limit: Uint8Array): boolean {
  for (let i = 31; i >= 0; i--) if (value[i] !== limit[i]) return value[i]! < limit[i]!;
  return false;
}

/* The two points with x = 0 have a second encoding with the sign bit. Both have small order. */
function isStrictPoint(point: Uint8Array): boolean {
  const y = copy(point);
  y[31]! &= 0x7f;
  return isBelow(y, prime) && !smallOrder.some((each) => equal(each, y));
}
