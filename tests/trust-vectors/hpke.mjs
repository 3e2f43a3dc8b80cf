// HPKE (RFC 9180) with X25519, HKDF-SHA256 and AES-128-GCM, in the modes base and PSK, with a given ephemeral key: the vectors are the same in each run.
import { createCipheriv, createHmac, createPrivateKey, createPublicKey, diffieHellman } from "node:crypto";
import { bytes, uint16, uint8, zeros } from "./codec.mjs";

const pkcs8 = Buffer.from("302e020100300506032b656e04220420", "hex");
const spki = Buffer.from("302a300506032b656e032100", "hex");
const publicOf = (raw) => createPublicKey({ key: bytes(spki, raw), format: "der", type: "spki" });

/** A key pair of X25519 (RFC 7748) from its 32 private bytes. */
export function linkPair(seed) {
  const secret = createPrivateKey({ key: bytes(pkcs8, seed), format: "der", type: "pkcs8" });
  return { seed, secret, key: createPublicKey(secret).export({ format: "der", type: "spki" }).subarray(-32) };
}

const hmac = (key, ...parts) =>
  createHmac("sha256", key)
    .update(bytes(...parts))
    .digest();
const labelledBy = (suite) => ({
  extract: (salt, label, ikm) => hmac(salt, Buffer.from("HPKE-v1"), suite, Buffer.from(label), ikm),
  // All lengths here are at most that of one block.
  expand: (key, label, info, length) => hmac(key, uint16(length), Buffer.from("HPKE-v1"), suite, Buffer.from(label), info, [1]).subarray(0, length),
});
const none = Buffer.alloc(0);

/** The encapsulated key and the ciphertext of one message without additional data. With `psk` ({ id, key }) in the mode PSK. */
export function seal({ recipient, ephemeral, info, plaintext, psk }) {
  const kem = labelledBy(bytes(Buffer.from("KEM"), uint16(0x20)));
  const shared = diffieHellman({ privateKey: ephemeral.secret, publicKey: publicOf(recipient) });
  const context = bytes(ephemeral.key, recipient);
  const secretOfKem = kem.expand(kem.extract(none, "eae_prk", shared), "shared_secret", context, 32);

  const hpke = labelledBy(bytes(Buffer.from("HPKE"), uint16(0x20), uint16(1), uint16(1)));
  const schedule = bytes(uint8(psk ? 1 : 0), hpke.extract(none, "psk_id_hash", psk?.id ?? none), hpke.extract(none, "info_hash", info));
  const secret = hpke.extract(secretOfKem, "secret", psk?.key ?? none);
  const [key, nonce] = [hpke.expand(secret, "key", schedule, 16), hpke.expand(secret, "base_nonce", schedule, 12)];
  const cipher = createCipheriv("aes-128-gcm", key, nonce).setAAD(zeros(0));
  return bytes(ephemeral.key, cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
}
