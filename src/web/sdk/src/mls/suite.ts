/*
 * MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519 (0x0001) with WebCrypto and @hpke/core. The implementation in ts-mls imports packages for many other suites,
 * which a bundler would then require.
 */
import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import { copy, randomBytes } from "../base/bytes.js";
import { generateSigningKey, sign, verify } from "./ed25519.js";
import { makeGenericHpke, makeHashImpl, makeKdfImpl, type CiphersuiteImpl } from "./tsMls.js";

export const suiteName = "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519";

const aead = {
  async encrypt(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Promise<Uint8Array> {
    return new Uint8Array(await crypto.subtle.encrypt(parameters(nonce, aad), await aesKey(key, "encrypt"), copy(plaintext)));
  },
  async decrypt(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, ciphertext: Uint8Array): Promise<Uint8Array> {
    return new Uint8Array(await crypto.subtle.decrypt(parameters(nonce, aad), await aesKey(key, "decrypt"), copy(ciphertext)));
  },
};

const parameters = (nonce: Uint8Array, aad: Uint8Array): AesGcmParams => ({ name: "AES-GCM", iv: copy(nonce), additionalData: copy(aad) });

const aesKey = (key: Uint8Array, use: KeyUsage) => crypto.subtle.importKey("raw", copy(key), "AES-GCM", false, [use]);

/** HPKE (RFC 9180) with the algorithms of the suite. */
export const hpke = (): CipherSuite => new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes128Gcm() });

let made: Promise<CiphersuiteImpl> | undefined;

export function suite(): Promise<CiphersuiteImpl> {
  return (made ??= make());
}

async function make(): Promise<CiphersuiteImpl> {
  return {
    name: suiteName,
    hash: makeHashImpl(crypto.subtle, "SHA-256"),
    kdf: makeKdfImpl(new HkdfSha256()),
    hpke: await makeGenericHpke({ kem: "DHKEM-X25519-HKDF-SHA256", kdf: "HKDF-SHA256", aead: "AES128GCM" }, aead, hpke()),
    signature: {
      sign,
      verify,
      async keygen() {
        const { privateKey, publicKey } = await generateSigningKey();
        return { signKey: privateKey, publicKey };
      },
    },
    rng: { randomBytes },
  };
}
