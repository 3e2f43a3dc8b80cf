/*
 * Signals (typing, read positions) arrive at most once, so they must not use message keys. Their key is exported from the epoch's secret. Format: 1 byte
 * version, 8 bytes epoch, 12 bytes nonce, then AES-GCM of: 4 bytes leaf index, 64 bytes signature of the sender's leaf (all members have the key), padded
 * content. A signal of another epoch is dropped.
 */
import { concat, copy, randomBytes, uint32, uint64, utf8, type Bytes } from "../base/bytes.js";
import { isVerdict } from "../base/verdict.js";
import { pad, unpad } from "../content/padding.js";
import { sign, verify } from "../mls/ed25519.js";
import type { Leaf, RoomGroup } from "./ports.js";

const label = "SecureMessaging 1.0 Signal";
const sizes = [64, 192, 448, 896] as const;

const keyOf = async (group: RoomGroup, use: KeyUsage) =>
  crypto.subtle.importKey("raw", await group.export(label, new Uint8Array(), 32), "AES-GCM", false, [use]);

const signedText = (group: RoomGroup, header: Uint8Array, leaf: number, content: Uint8Array) => concat(utf8(label), group.id, header, uint32(leaf), content);

export async function sealSignal(group: RoomGroup, content: Uint8Array): Promise<Bytes> {
  const header = concat(new Uint8Array([1]), uint64(group.epoch), randomBytes(12));
  const padded = pad(content, sizes);
  const signature = await sign(group.ownSignatureSeed(), signedText(group, header, group.ownLeafIndex, padded));
  const sealed = await crypto.subtle.encrypt(
    { name: "AES-GCM", iv: header.subarray(9), additionalData: concat(group.id, header) },
    await keyOf(group, "encrypt"),
    concat(uint32(group.ownLeafIndex), signature, padded),
  );
  return concat(header, new Uint8Array(sealed));
}

/** Undefined when the signal cannot be decrypted or is not signed by a member. Throws when the platform fails. */
export async function openSignal(group: RoomGroup, signal: Uint8Array): Promise<{ sender: Leaf; content: Uint8Array } | undefined> {
  const header = copy(signal.subarray(0, 21));
  if (signal.length < 21 + 16 + 68 || header[0] !== 1 || new DataView(header.buffer).getBigUint64(1) !== BigInt(group.epoch)) return undefined;
  const plain = await decrypt(group, header, copy(signal.subarray(21)));
  if (!plain) return undefined;
  const index = new DataView(plain.buffer).getUint32(0);
  const sender = group.leaves().find((leaf) => leaf.index === index);
  const padded = plain.subarray(68);
  if (!sender || !(await verify(sender.signatureKey, signedText(group, header, index, padded), plain.subarray(4, 68)))) return undefined;
  const content = unpad(padded);
  return content && { sender, content };
}

async function decrypt(group: RoomGroup, header: Bytes, sealed: Bytes): Promise<Bytes | undefined> {
  const key = await keyOf(group, "decrypt");
  try {
    return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv: header.subarray(9), additionalData: concat(group.id, header) }, key, sealed));
  } catch (error) {
    if (!isVerdict(error)) throw error;
    return undefined;
  }
}
