/* Section 7 of the specification: the signed list of all devices of a user. */
import { concat, equal, toHex, utf8, type Bytes } from "../base/bytes.js";
import { decode, fixed, hash, id, optional, signLabelled, uint16, uint64, uint8, vector, verifyLabelled, type Reader } from "./codec.js";
import { attempt, FormatError, refused, type Refused, type RuleName } from "./rules.js";

export interface ListedDevice {
  device: string;
  signatureKey: Bytes;
  /** The X25519 key to which others encrypt for the device. */
  linkKey: Bytes;
  /** The number of the list that added the device. */
  since: number;
  /** The signature of the device's own key over its entry. */
  own: Bytes;
}

/** Why a list differs from the one before. */
export const reasons = { first: 1, added: 2, revoked: 3, lost: 4, newKeys: 5, name: 6 } as const;

/** The fields of a list that its signatures cover. */
export interface DeviceListContent {
  user: string;
  /** The name of the user at that time: at most 32 bytes. */
  username: string;
  /** 1 for the first list, then 1 more each. */
  number: number;
  /** The hash of the list before; 32 zeros for the first. */
  previous: Bytes;
  identity: Bytes;
  /** Sorted by device. */
  devices: readonly ListedDevice[];
  /** One of {@link reasons}. A decoded list can have another number. */
  reason: number;
  /** The device that signs the list. */
  signer: string;
}

export interface DeviceList extends DeviceListContent {
  byIdentity: Bytes;
  byDevice: Bytes;
  /** Only of a list with another identity than before. */
  byIdentityBefore?: Bytes;
}

/** An accepted list with its hash. */
export interface KnownList {
  list: DeviceList;
  hash: Bytes;
}

export const noPrevious: Bytes = new Uint8Array(32);
const mostDevices = 64;
const mostBytes = 16 * 1024;
const mostOfUsername = 32;

const ownContent = (user: string, of: Omit<ListedDevice, "own" | "since">) =>
  concat(id(user), id(of.device), fixed(of.signatureKey, 32), fixed(of.linkKey, 32));

/** The entry of a device in a list, signed by its own key. `seed` belongs to its signature key. */
export async function signListedDevice(user: string, of: Omit<ListedDevice, "own">, seed: Uint8Array): Promise<ListedDevice> {
  return { ...of, own: await signLabelled(seed, "Device", ownContent(user, of)) };
}

/** Whether a device's own key has signed its entry (rule `own`). */
export const isOwnEntry = (user: string, of: Omit<ListedDevice, "since">): Promise<boolean> =>
  verifyLabelled(of.signatureKey, "Device", ownContent(user, of), of.own);

const encodeListed = (of: ListedDevice) => concat(id(of.device), of.signatureKey, of.linkKey, uint64(of.since), fixed(of.own, 64));

const readListed = (reader: Reader): ListedDevice => ({
  device: reader.id(),
  signatureKey: reader.key(),
  linkKey: reader.key(),
  since: reader.uint64(),
  own: reader.signature(),
});

const encodeContent = (of: DeviceListContent) =>
  concat(
    uint16(1),
    id(of.user),
    vector(utf8(of.username)),
    uint64(of.number),
    fixed(of.previous, 32),
    fixed(of.identity, 32),
    vector(...of.devices.map(encodeListed)),
    uint8(of.reason),
    id(of.signer),
  );

export const encodeDeviceList = (list: DeviceList): Bytes =>
  concat(encodeContent(list), fixed(list.byIdentity, 64), fixed(list.byDevice, 64), optional(list.byIdentityBefore && fixed(list.byIdentityBefore, 64)));

export const deviceListHash = (encoded: Uint8Array): Promise<Bytes> => hash("DeviceList", encoded);

/** The seeds that sign a list: of the identity, of the signer's key in the list before, and of the identity before a renewal. */
export interface ListSeeds {
  identity: Uint8Array;
  device: Uint8Array;
  identityBefore?: Uint8Array;
}

/** Signs a list. The devices may be in any order. */
export async function signDeviceList(content: DeviceListContent, seeds: ListSeeds): Promise<DeviceList> {
  const list = { ...content, devices: content.devices.toSorted((a, b) => (a.device < b.device ? -1 : 1)) };
  const sign = (seed: Uint8Array) => signLabelled(seed, "DeviceList", encodeContent(list));
  const [byIdentity, byDevice, byIdentityBefore] = await Promise.all([
    sign(seeds.identity),
    sign(seeds.device),
    seeds.identityBefore ? sign(seeds.identityBefore) : undefined,
  ]);
  return { ...list, byIdentity, byDevice, ...(byIdentityBefore ? { byIdentityBefore } : {}) };
}

/** Throws `FormatError`: `length`, `version` or `number`. Nothing else is checked. */
export function decodeDeviceList(encoded: Uint8Array): DeviceList {
  if (encoded.length > mostBytes) throw new FormatError("length", true);
  const { version, list } = decode(encoded, readDeviceList);
  if (list.devices.length < 1 || list.devices.length > mostDevices) throw new FormatError("length");
  if (version !== 1) throw new FormatError("version");
  return list;
}

function readDeviceList(reader: Reader): { version: number; list: DeviceList } {
  const version = reader.uint16();
  const user = reader.id();
  const username = reader.text();
  if (utf8(username).length > mostOfUsername) throw new FormatError("length", true);
  const list: DeviceList = {
    user,
    username,
    number: reader.uint64(),
    previous: reader.hash(),
    identity: reader.key(),
    devices: ascending(reader.list(readListed)),
    reason: reader.uint8(),
    signer: reader.id(),
    byIdentity: reader.signature(),
    byDevice: reader.signature(),
  };
  const byIdentityBefore = reader.optional((each) => each.signature());
  if (byIdentityBefore) list.byIdentityBefore = byIdentityBefore;
  return { version, list };
}

function ascending(devices: ListedDevice[]): ListedDevice[] {
  if (devices.some((each, i) => i > 0 && devices[i - 1]!.device >= each.device)) throw new FormatError("length");
  return devices;
}

/** Whether all keys differ and each device has signed its entry (rule `own`). */
async function areOwn(list: DeviceList): Promise<boolean> {
  const keys = list.devices.flatMap((each) => [toHex(each.signatureKey), toHex(each.linkKey)]);
  if (new Set(keys).size !== keys.length) return false;
  const valid = await Promise.all(list.devices.map((each) => isOwnEntry(list.user, each)));
  return valid.every(Boolean);
}

const isSignedBy = (list: DeviceList, key: Uint8Array, signature: Uint8Array) => verifyLabelled(key, "DeviceList", encodeContent(list), signature);

export const listedDevice = (list: DeviceListContent, device: string): ListedDevice | undefined => list.devices.find((each) => each.device === device);

/**
 * The username in a list, for people; undefined for one that no account can have. Other letters can look like the name of another user, and some are not
 * visible.
 */
export const nameIn = ({ username }: DeviceListContent): string | undefined => (/^[a-z0-9._-]{1,32}$/i.test(username) ? username : undefined);

/** Whether a leaf's device is in the list with its signature key. */
export function lists(list: DeviceListContent, leaf: { device: string; signatureKey: Uint8Array }): boolean {
  const listed = listedDevice(list, leaf.device);
  return !!listed && equal(listed.signatureKey, leaf.signatureKey);
}

/** What differs between two lists of one user, for people: ids of devices. */
export interface ListDifference {
  added: string[];
  removed: string[];
  /** The devices with another signature or link key. */
  newKeys: string[];
  /** Whether the identity key is another one. */
  identity: boolean;
  /** Whether the username is another one. */
  username: boolean;
}

/** What differs between two lists of one user, which need not follow each other. Without `before`, all devices are added. */
export function describe(before: DeviceListContent | undefined, after: DeviceListContent): ListDifference {
  const ids = (list: DeviceListContent | undefined) => list?.devices.map((each) => each.device) ?? [];
  const stays = ids(before).filter((device) => ids(after).includes(device));
  return {
    added: ids(after).filter((device) => !stays.includes(device)),
    removed: ids(before).filter((device) => !stays.includes(device)),
    newKeys: stays.filter((device) => {
      const [a, b] = [listedDevice(before!, device)!, listedDevice(after, device)!];
      return !equal(a.signatureKey, b.signatureKey) || !equal(a.linkKey, b.linkKey);
    }),
    identity: !!before && !equal(before.identity, after.identity),
    username: !!before && before.username !== after.username,
  };
}

/**
 * Checks a list against the one that the client accepted before; without one, it must be the user's first. A client starts at number 1 and checks each list in
 * turn.
 */
export async function checkDeviceList(encoded: Uint8Array, user: string, before?: KnownList): Promise<({ ok: true } & KnownList) | Refused> {
  const decoded = attempt(() => decodeDeviceList(encoded));
  if (!decoded.ok) return refused(decoded.rule);
  const { value: list } = decoded;
  const rule = (await areOwn(list)) ? await ruleAgainst(list, user, before) : "own";
  return rule ? refused(rule) : { ok: true, list, hash: await deviceListHash(encoded) };
}

async function ruleAgainst(list: DeviceList, user: string, before: KnownList | undefined): Promise<RuleName | undefined> {
  if (list.user !== user || (before && before.list.user !== user)) return "user";
  if (list.number !== (before ? before.list.number + 1 : 1)) return "number";
  if (!equal(list.previous, before?.hash ?? noPrevious)) return "previous";
  if (!(await identityFollows(list, before?.list))) return "identity";
  if (list.devices.some((each) => each.since !== ((before && listedDevice(before.list, each.device)?.since) ?? list.number))) return "since";
  if (!isReason(list, before?.list)) return "reason";
  const signer = listedDevice(before?.list ?? list, list.signer);
  if (!signer || !listedDevice(list, list.signer)) return "signer";
  const valid = await Promise.all([isSignedBy(list, list.identity, list.byIdentity), isSignedBy(list, signer.signatureKey, list.byDevice)]);
  return valid.every(Boolean) ? undefined : "signature";
}

async function identityFollows(list: DeviceList, before: DeviceList | undefined): Promise<boolean> {
  const renews = !!before && list.reason === reasons.lost;
  if (!renews) return !list.byIdentityBefore && (!before || equal(list.identity, before.identity));
  return !equal(list.identity, before.identity) && !!list.byIdentityBefore && isSignedBy(list, before.identity, list.byIdentityBefore);
}

function isReason(list: DeviceList, before: DeviceList | undefined): boolean {
  if (!before) return list.reason === reasons.first && list.devices.length === 1;
  const { added, removed, newKeys, username } = describe(before, list);
  const differs = { added: added.length, removed: removed.length, newKeys: newKeys.length, username: username ? 1 : 0 };
  const onlyIf = (allowed: Partial<typeof differs>) => Object.entries(differs).every(([each, count]) => count === 0 || each in allowed);
  switch (list.reason) {
    case reasons.added:
      return differs.added > 0 && onlyIf({ added: 1 });
    case reasons.revoked:
      return differs.removed > 0 && onlyIf({ removed: 1 });
    case reasons.lost:
      return onlyIf({ removed: 1 });
    case reasons.newKeys:
      return differs.newKeys === 1 && onlyIf({ newKeys: 1 });
    case reasons.name:
      return differs.username === 1 && onlyIf({ username: 1 });
    default:
      return false;
  }
}

/** What a list inside a statement is compared with. */
export interface ListContext {
  /** The identity key that the room's state has for the user. */
  identity: Uint8Array;
  /** The leaves of the group before the Commit (in a reset: of the group before). Without them, the signer is not checked. */
  leaves?: readonly { user: string; device: string; signatureKey: Bytes }[];
}

/**
 * Whether a list may be in a statement, without the list before it: as renewal (change 4), or as announcement (change 8). The number and the author of the
 * statement are not checked here.
 */
export async function isValidInStatement(list: DeviceList, renewal: boolean, context: ListContext): Promise<boolean> {
  const isKnownReason = list.reason >= reasons.first && list.reason <= reasons.name;
  if (!isKnownReason || (list.reason === reasons.lost) !== renewal || !!list.byIdentityBefore !== renewal) return false;
  if (equal(list.identity, context.identity) === renewal || !listedDevice(list, list.signer) || !(await areOwn(list))) return false;
  const signer = context.leaves?.find((leaf) => leaf.user === list.user && leaf.device === list.signer);
  if (context.leaves && !signer) return false;
  const valid = await Promise.all([
    isSignedBy(list, list.identity, list.byIdentity),
    !signer || isSignedBy(list, signer.signatureKey, list.byDevice),
    !list.byIdentityBefore || isSignedBy(list, context.identity, list.byIdentityBefore),
  ]);
  return valid.every(Boolean);
}
