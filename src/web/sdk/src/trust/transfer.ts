/* Section 7 of the specification: what the device that approves a new one gives it, encrypted to the link key of the new device. */
import { concat, copy, equal, utf8, type Bytes } from "../base/bytes.js";
import { publicKeyOf } from "../mls/ed25519.js";
import { hpke, requireHpke } from "../mls/suite.js";
import { boolean, decode, fixed, id, signLabelled, uint16, uint32, uint64, vector, verifyLabelled, type Reader } from "./codec.js";
import type { Signer } from "./device.js";
import { listedDevice, type KnownList } from "./deviceList.js";
import { attempt, FormatError, refused, type Refused } from "./rules.js";

/** A room that the user is in. */
export interface TransferredRoom {
  room: string;
  /** The whole hash of the founding. */
  founding: Bytes;
  /** The newest one that the approving device has seen: a Welcome into an older group leads nowhere. */
  generation: number;
  /** The number and hash of the newest statement. */
  number: number;
  head: Bytes;
}

/** What the approving device has seen of another user. */
export interface TransferredPin {
  user: string;
  username: string;
  identity: Bytes;
  /** The number and hash of the user's newest device list. */
  number: number;
  list: Bytes;
  /** Whether a person compared the keys. */
  verified: boolean;
}

export interface TransferContent {
  /** The private key of the user's identity. */
  identitySeed: Bytes;
  /** The number and hash of the user's own device list that has both devices. */
  number: number;
  list: Bytes;
  rooms: readonly TransferredRoom[];
  pins: readonly TransferredPin[];
}

export interface Transfer extends TransferContent {
  /** The approving device. */
  from: string;
  signature: Bytes;
}

/** The device that receives a transfer. */
export interface Recipient {
  user: string;
  device: string;
  signatureKey: Uint8Array;
}

const mostOfUsername = 32;

const encodeContent = (of: TransferContent & { from: string }) =>
  concat(
    uint16(1),
    fixed(of.identitySeed, 32),
    uint64(of.number),
    fixed(of.list, 32),
    vector(...of.rooms.map((each) => concat(id(each.room), fixed(each.founding, 32), uint32(each.generation), uint64(each.number), fixed(each.head, 32)))),
    vector(...of.pins.map(encodePin)),
    id(of.from),
  );

const encodePin = (of: TransferredPin) =>
  concat(id(of.user), vector(utf8(of.username)), fixed(of.identity, 32), uint64(of.number), fixed(of.list, 32), boolean(of.verified));

export const encodeTransfer = (of: Transfer): Bytes => concat(encodeContent(of), fixed(of.signature, 64));

/** The encoded transfer, signed by the approving device. */
export async function signTransfer(content: TransferContent, from: { device: Pick<Signer["device"], "device">; seed: Uint8Array }): Promise<Bytes> {
  const signed = encodeContent({ ...content, from: from.device.device });
  return concat(signed, await signLabelled(from.seed, "Transfer", signed));
}

/** Throws `FormatError`: `length`, `version` or `number`. */
export function decodeTransfer(encoded: Uint8Array): Transfer {
  const { version, ...transfer } = decode(encoded, (reader) => ({
    version: reader.uint16(),
    identitySeed: reader.key(),
    number: reader.uint64(),
    list: reader.hash(),
    rooms: reader.list(readRoom),
    pins: reader.list(readPin),
    from: reader.id(),
    signature: reader.signature(),
  }));
  if (version !== 1) throw new FormatError("version");
  return transfer;
}

const readRoom = (reader: Reader): TransferredRoom => ({
  room: reader.id(),
  founding: reader.hash(),
  generation: reader.uint32(),
  number: reader.uint64(),
  head: reader.hash(),
});

function readPin(reader: Reader): TransferredPin {
  const user = reader.id();
  const username = reader.text();
  if (utf8(username).length > mostOfUsername) throw new FormatError("length", true);
  return { user, username, identity: reader.key(), number: reader.uint64(), list: reader.hash(), verified: reader.boolean() };
}

const infoFor = (of: Recipient) => concat(vector(utf8("SecureMessaging 1.0 Transfer")), id(of.user), id(of.device), fixed(of.signatureKey, 32));

/** The pre-shared key of HPKE: the secret of the QR code that the new device shows. */
const pskOf = (secret: Uint8Array | undefined) => secret && { psk: { id: utf8("SecureMessaging 1.0 Transfer"), key: fixedSecret(secret) } };

const fixedSecret = (secret: Uint8Array): Bytes => copy(fixed(secret, 32));

/** Encrypts an encoded transfer with HPKE; with `secret` in the mode PSK. Throws for a link key that is not a key of X25519. */
export async function sealTransfer(encoded: Uint8Array, to: Recipient & { linkKey: Uint8Array }, secret?: Uint8Array): Promise<Bytes> {
  const suite = hpke();
  const recipientPublicKey = await suite.kem.deserializePublicKey(copy(to.linkKey));
  const { enc, ct } = await suite.seal({ recipientPublicKey, info: infoFor(to), ...pskOf(secret) }, copy(encoded));
  return concat(new Uint8Array(enc), new Uint8Array(ct));
}

/**
 * Decrypts a transfer with the private link key; undefined for bytes that are not for this device. With `secret`, only a device that knows the secret can have
 * encrypted it. Throws when the platform fails.
 */
export async function openTransfer(sealed: Uint8Array, to: Recipient, linkPrivateKey: Uint8Array, secret?: Uint8Array): Promise<Bytes | undefined> {
  if (sealed.length < 32) return undefined;
  const suite = hpke();
  const recipientKey = await suite.kem.deserializePrivateKey(copy(linkPrivateKey));
  try {
    const opened = await suite.open({ recipientKey, enc: copy(sealed.subarray(0, 32)), info: infoFor(to), ...pskOf(secret) }, copy(sealed.subarray(32)));
    return new Uint8Array(opened);
  } catch {
    await requireHpke();
    return undefined;
  }
}

/**
 * Checks a decrypted transfer on the new device. `identity` is the key that the person confirmed; `list` is an accepted list of the own user that has the new
 * device. The rules: `identity` for another seed or list, `number` for another list than the transfer names, `device` when the list has not both devices.
 */
export async function checkTransfer(
  encoded: Uint8Array,
  of: { to: Recipient; identity: Uint8Array; list: KnownList },
): Promise<{ ok: true; transfer: Transfer } | Refused> {
  const decoded = attempt(() => decodeTransfer(encoded));
  if (!decoded.ok) return refused(decoded.rule);
  const { value: transfer } = decoded;
  const { list, hash } = of.list;
  const isOwn = list.user === of.to.user && equal(list.identity, of.identity);
  if (!isOwn || !equal(await publicKeyOf(transfer.identitySeed), of.identity)) return refused("identity");
  if (transfer.number !== list.number || !equal(transfer.list, hash)) return refused("number");
  const from = listedDevice(list, transfer.from);
  const to = listedDevice(list, of.to.device);
  if (!from || !to || from === to || !equal(to.signatureKey, of.to.signatureKey)) return refused("device");
  const valid = await verifyLabelled(from.signatureKey, "Transfer", encodeContent(transfer), transfer.signature);
  return valid ? { ok: true, transfer } : refused("signature");
}
