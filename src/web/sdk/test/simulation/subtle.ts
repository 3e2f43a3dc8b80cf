/*
 * WebCrypto without threads: the virtual clock of a run must not go on while a value is computed, or the same seed would not give the same run. Hashes and
 * AES-GCM are the real ones. Signatures are hashes over the public key: they bind key and text like the real ones, and anyone could forge them.
 */
import { createCipheriv, createDecipheriv, createHash } from "node:crypto";
import { vi } from "vitest";

type Bytes = Uint8Array<ArrayBuffer>;

const hash = (name: string, ...parts: Uint8Array[]): Bytes => {
  const all = createHash(name);
  for (const part of parts) all.update(part);
  return new Uint8Array(all.digest());
};

/** The public key of a seed. The last bits are 0, so that it is a number below the prime of the curve. */
export function publicKeyOf(seed: Uint8Array): Bytes {
  const key = hash("sha256", new TextEncoder().encode("public"), seed);
  key[31]! &= 0x3f;
  return key;
}

function signatureOf(publicKey: Uint8Array, text: Uint8Array): Bytes {
  const signature = hash("sha512", publicKey, text);
  // R and S have the form that a strict verifier wants.
  signature[31]! &= 0x3f;
  signature[63] = 0;
  return signature;
}

/** A key that was imported. */
interface Key {
  raw: Uint8Array;
}

const rawOf = (key: CryptoKey): Uint8Array => (key as unknown as Key).raw;
const bufferOf = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;
const viewOf = (data: BufferSource): Uint8Array =>
  data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

function gcm(algorithm: unknown, key: CryptoKey, data: BufferSource, isOpening: boolean): ArrayBuffer {
  const { iv, additionalData } = algorithm as AesGcmParams;
  const bytes = viewOf(data);
  const [secret, nonce] = [rawOf(key), viewOf(iv)];
  if (!isOpening) {
    const cipher = createCipheriv("aes-128-gcm", secret, nonce);
    if (additionalData) cipher.setAAD(viewOf(additionalData));
    return bufferOf(Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()]));
  }
  const cipher = createDecipheriv("aes-128-gcm", secret, nonce);
  if (additionalData) cipher.setAAD(viewOf(additionalData));
  cipher.setAuthTag(bytes.subarray(-16));
  return bufferOf(Buffer.concat([cipher.update(bytes.subarray(0, -16)), cipher.final()]));
}

/** Replaces what the SDK uses of WebCrypto until the result is called. */
export function cryptoAtOnce(): () => void {
  const { subtle } = crypto;
  const attempt = <T>(work: () => T): Promise<T> => new Promise((resolve) => resolve(work()));
  const spies = [
    vi.spyOn(subtle, "digest").mockImplementation((name, data) => attempt(() => bufferOf(hash((name as string).replace("-", ""), viewOf(data))))),
    vi.spyOn(subtle, "importKey").mockImplementation(((format: string, data: Uint8Array) =>
      // The seed stands at the end of a PKCS #8 structure.
      attempt(() => ({ raw: new Uint8Array(format === "pkcs8" ? data.subarray(-32) : data) }))) as never),
    vi.spyOn(subtle, "sign").mockImplementation((_, key, data) => attempt(() => bufferOf(signatureOf(publicKeyOf(rawOf(key)), viewOf(data))))),
    vi
      .spyOn(subtle, "verify")
      .mockImplementation((_, key, signature, data) => attempt(() => Buffer.from(signatureOf(rawOf(key), viewOf(data))).equals(viewOf(signature)))),
    vi.spyOn(subtle, "encrypt").mockImplementation((algorithm, key, data) => attempt(() => gcm(algorithm, key, data, false))),
    vi.spyOn(subtle, "decrypt").mockImplementation((algorithm, key, data) => attempt(() => gcm(algorithm, key, data, true))),
  ];
  return () => {
    for (const spy of spies) spy.mockRestore();
  };
}
