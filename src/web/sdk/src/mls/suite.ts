/*
 * MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519 (0x0001) with WebCrypto and @hpke/core. The implementation in ts-mls imports packages for many other suites,
 * which a bundler would then require.
 */
import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import { copy, equal, randomBytes } from "../base/bytes.js";
import { reasonOf } from "../base/errors.js";
import { PlatformFault } from "../base/verdict.js";
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

/**
 * Throws `PlatformFault` when HPKE does not work on this platform now. The library wraps every error and drops its cause, so after a failed decryption only
 * this tells whether the platform or the input was at fault.
 */
export async function requireHpke(): Promise<void> {
  const plaintext = randomBytes(16);
  let opened: Uint8Array;
  try {
    const cs = hpke();
    const { publicKey, privateKey } = await cs.kem.generateKeyPair();
    const { enc, ct } = await cs.seal({ recipientPublicKey: publicKey }, plaintext);
    opened = new Uint8Array(await cs.open({ recipientKey: privateKey, enc }, ct));
  } catch (error) {
    throw new PlatformFault(`This platform cannot decrypt with HPKE: ${reasonOf(error)}.`, { cause: error });
  }
  if (!equal(opened, plaintext)) throw new PlatformFault("This platform does not decrypt with HPKE what it has encrypted.");
}

let made: Promise<CiphersuiteImpl> | undefined;

export function suite(): Promise<CiphersuiteImpl> {
  return (made ??= make());
}

async function make(): Promise<CiphersuiteImpl> {
  return {
    name: suiteName,
    hash: makeHashImpl(crypto.subtle, "SHA-256"),
    kdf: makeKdfImpl(new HkdfSha256()),
    hpke: {
      ...(await makeGenericHpke({ kem: "DHKEM-X25519-HKDF-SHA256", kdf: "HKDF-SHA256", aead: "AES128GCM" }, aead, hpke())),
      // That of ts-mls hides whether the ciphertext or the platform was at fault.
      decryptAead: (key, nonce, aad, ciphertext) => aead.decrypt(key, nonce, aad ?? new Uint8Array(), ciphertext),
    },
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
