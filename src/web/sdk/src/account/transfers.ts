/* What an approving device gives a new one, and how the new one accepts it: the end of section 7 of the specification. */
import { concat, equal, type Bytes } from "../base/bytes.js";
import { SecureMessagingError } from "../base/errors.js";
import { publicKeyOf } from "../mls/ed25519.js";
import { decode, fixed, fromBase64Url, id, toBase64Url, uint8 } from "../trust/codec.js";
import { isOwnEntry, listedDevice } from "../trust/deviceList.js";
import { attempt } from "../trust/rules.js";
import { checkTransfer, decodeTransfer, openTransfer, sealTransfer, signTransfer, type Transfer, type TransferredRoom } from "../trust/transfer.js";
import { entryOf, type DeviceRecord } from "./deviceRecord.js";
import type { Verified } from "./lists.js";
import type { OwnList } from "./ownList.js";
import type { TrustBook } from "./trustBook.js";

const mostPins = 2500;
const mostRooms = 1500;

/** A device that waits for an approval, with its own signature over its keys. @internal */
export interface WaitingDevice {
  device: string;
  signatureKey: Bytes;
  linkKey: Bytes;
  own: Bytes;
  /** The secret of its QR code. */
  secret?: Bytes;
}

/** The content of the QR code of a waiting device. @internal */
export interface DeviceQr extends WaitingDevice {
  user: string;
  secret: Bytes;
}

/** The text of the QR code that a waiting device shows. @internal */
export async function encodeDeviceQr(userId: string, record: DeviceRecord, secret: Bytes): Promise<string> {
  const { own } = await entryOf(userId, record, 1);
  const { deviceId, signature, link } = record;
  return toBase64Url(concat(uint8(1), id(userId), id(deviceId), fixed(signature.publicKey, 32), fixed(link.publicKey, 32), fixed(own, 64), fixed(secret, 32)));
}

/** Undefined for another text, and for keys that the device has not signed. @internal */
export async function decodeDeviceQr(text: string): Promise<DeviceQr | undefined> {
  const bytes = fromBase64Url(text.trim());
  const read = attempt(() =>
    decode(bytes ?? new Uint8Array(0), (reader) => ({
      version: reader.uint8(),
      user: reader.id(),
      device: reader.id(),
      signatureKey: reader.key(),
      linkKey: reader.key(),
      own: reader.signature(),
      secret: reader.key(),
    })),
  );
  if (!read.ok || read.value.version !== 1 || !(await isOwnEntry(read.value.user, read.value))) return undefined;
  const { version: _version, ...qr } = read.value;
  return qr;
}

/** Seals what this device knows for another own device, which must be in the list. @internal */
export async function sealFor(
  to: WaitingDevice,
  own: { record: DeviceRecord; userId: string; list: Verified; book: TrustBook; rooms: TransferredRoom[] },
): Promise<Bytes> {
  const { record, userId, list, book, rooms } = own;
  const encoded = await signTransfer(
    {
      identitySeed: record.identitySeed!,
      number: list.list.number,
      list: list.hash,
      rooms: rooms.slice(0, mostRooms),
      pins: book.pins.forTransfer(userId, mostPins),
    },
    { device: { device: record.deviceId }, seed: record.signature.privateKey },
  );
  return sealTransfer(encoded, { user: userId, device: to.device, signatureKey: to.signatureKey, linkKey: to.linkKey }, to.secret);
}

/** A transfer that this device could decrypt. @internal */
export interface Opened {
  encoded: Bytes;
  /** Whether the device that has scanned this device's QR code has made it. */
  scanned: boolean;
  /** The identity key to which the seed in it belongs. */
  identity: Bytes;
}

/** Decrypts a transfer for this device; undefined when it is not one. @internal */
export async function open(sealed: Bytes, userId: string, { deviceId, signature, link, secret }: DeviceRecord): Promise<Opened | undefined> {
  const to = { user: userId, device: deviceId, signatureKey: signature.publicKey };
  const scanned = secret && (await openTransfer(sealed, to, link.privateKey, secret));
  const encoded = scanned ?? (await openTransfer(sealed, to, link.privateKey));
  if (!encoded) return undefined;
  const decoded = attempt(() => decodeTransfer(encoded));
  if (!decoded.ok) return undefined;
  return { encoded, scanned: scanned !== undefined, identity: await publicKeyOf(decoded.value.identitySeed) };
}

/**
 * Checks a transfer against the account's chain of lists, whose newest list must have this device with its keys. `known` is the list that this device has
 * accepted before. Returns the chain and the transfer. @internal
 */
export async function accept(
  opened: Opened,
  identity: Bytes,
  of: { userId: string; record: DeviceRecord; list: OwnList; known: Verified | undefined },
): Promise<{ transfer: Transfer; lists: Verified[] }> {
  const { userId, record, list, known } = of;
  const lists = await list.whole();
  const decoded = decodeTransfer(opened.encoded);
  const at = lists[decoded.number - 1];
  const to = { user: userId, device: record.deviceId, signatureKey: record.signature.publicKey };
  const checked = at ? await checkTransfer(opened.encoded, { to, identity, list: at }) : undefined;
  const newest = lists.at(-1)!.list;
  const entry = listedDevice(newest, record.deviceId);
  const continues = !known || (lists.length >= known.list.number && equal(lists[known.list.number - 1]!.hash, known.hash));
  if (!checked?.ok || !continues || !entry || !equal(entry.signatureKey, record.signature.publicKey) || !equal(newest.identity, identity))
    throw SecureMessagingError.of(
      "Forbidden",
      `The approval does not fit the account's device list (${checked && !checked.ok ? checked.rule : "list"}). An attacker may have replaced it.`,
    );
  return { transfer: checked.transfer, lists };
}
