/* Ed25519 by WebCrypto, private keys as their 32-byte seeds (RFC 8032). */
import { concat, copy, equal, fromBase64, fromHex, type Bytes } from "../bytes.js";

const pkcs8Prefix = fromHex("302e020100300506032b657004220420");

export interface KeyPair {
  privateKey: Bytes;
  publicKey: Bytes;
}

const importSeed = (seed: Uint8Array, extractable: boolean) =>
  crypto.subtle.importKey("pkcs8", concat(pkcs8Prefix, seed), "Ed25519", extractable, ["sign"]);

export async function generateSigningKey(): Promise<KeyPair> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]) as CryptoKeyPair;
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

/** Whether the signature is good; a key or signature of the wrong shape is not. */
export async function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  if (publicKey.length !== 32 || signature.length !== 64 || isOfSmallOrder(publicKey))
    return false;
  try {
    const key = await crypto.subtle.importKey("raw", copy(publicKey), "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", key, copy(signature), copy(message));
  } catch {
    return false;
  }
}

/** Under such a key one signature fits many messages. */
const smallOrder = [
  "0000000000000000000000000000000000000000000000000000000000000000", "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
].map(fromHex);

function isOfSmallOrder(publicKey: Uint8Array): boolean {
  const positive = copy(publicKey);
  positive[31]! &= 0x7f;
  return smallOrder.some((point) => equal(point, positive));
}
