/* Section 4 of the specification: the bytes of statements, of their changes, and of the signed objects inside them. change.ts has their effect. */
import { concat, type Bytes } from "../base/bytes.js";
import { decode, fixed, hash, id, signLabelled, uint16, uint32, uint64, uint8, vector, verifyLabelled, type Reader } from "./codec.js";
import { encodeDevice, isApproved, readDevice, type Device, type Signer } from "./device.js";
import { decodeDeviceList, type DeviceList } from "./deviceList.js";
import { attempt, FormatError } from "./rules.js";
import * as states from "./state.js";

/** A change as a statement contains it. */
export interface RawChange {
  type: number;
  value: Bytes;
}

export type Change =
  | { kind: "add"; user: string; identity: Bytes; role: states.Role; list: number }
  | { kind: "remove"; user: string }
  | { kind: "leave"; token: Leave }
  | { kind: "renew"; list: DeviceList }
  | { kind: "role"; user: string; role: states.Role }
  | { kind: "set"; part: states.Part }
  | { kind: "unset"; part: number }
  | { kind: "devices"; list: DeviceList }
  | { kind: "invite"; terms: states.InvitationTerms }
  | { kind: "uninvite"; invitation: Bytes }
  | { kind: "admit"; acceptance: Acceptance };

/** The numbers of the changes. */
export const changeTypes = { add: 1, remove: 2, leave: 3, renew: 4, role: 5, set: 6, unset: 7, devices: 8, invite: 9, uninvite: 10, admit: 11 } as const;

/** The changes for {@link signStatement}. A leave, a list and an acceptance are given as their bytes. */
export const changes = {
  add: (user: string, identity: Uint8Array, role: states.Role, list: number): RawChange => raw("add", id(user), fixed(identity, 32), uint8(role), uint64(list)),
  remove: (user: string): RawChange => raw("remove", id(user)),
  leave: (token: Uint8Array): RawChange => raw("leave", token),
  renew: (list: Uint8Array): RawChange => raw("renew", list),
  role: (user: string, role: states.Role): RawChange => raw("role", id(user), uint8(role)),
  /** Replaces a part; see `partsOf` in state.ts for its encoding. */
  set: (part: states.Part): RawChange => raw("set", states.encodePart(part)),
  unset: (part: number): RawChange => raw("unset", uint16(part)),
  devices: (list: Uint8Array): RawChange => raw("devices", list),
  invite: (terms: states.InvitationTerms): RawChange => raw("invite", fixed(terms.invitation, 32), states.encodeTerms(terms)),
  uninvite: (invitation: Uint8Array): RawChange => raw("uninvite", fixed(invitation, 32)),
  admit: (acceptance: Uint8Array): RawChange => raw("admit", acceptance),
};

const raw = (kind: keyof typeof changeTypes, ...parts: Uint8Array[]): RawChange => ({ type: changeTypes[kind], value: concat(...parts) });

/** Throws `FormatError`, with the rule `change` for a change of a later version. */
export function decodeChange({ type, value }: RawChange): Change {
  switch (type) {
    case changeTypes.add:
      return decode(value, (reader) => ({ kind: "add", user: reader.id(), identity: reader.key(), role: states.readRole(reader), list: reader.uint64() }));
    case changeTypes.remove:
      return { kind: "remove", user: decode(value, (reader) => reader.id()) };
    case changeTypes.leave:
      return { kind: "leave", token: decodeLeave(value) };
    case changeTypes.renew:
      return { kind: "renew", list: decodeDeviceList(value) };
    case changeTypes.role:
      return decode(value, (reader) => ({ kind: "role", user: reader.id(), role: states.readRole(reader) }));
    case changeTypes.set:
      return { kind: "set", part: decode(value, states.readPart) };
    case changeTypes.unset:
      return { kind: "unset", part: decode(value, (reader) => reader.uint16()) };
    case changeTypes.devices:
      return { kind: "devices", list: decodeDeviceList(value) };
    case changeTypes.invite:
      return { kind: "invite", terms: decode(value, (reader) => states.readTerms(reader, reader.key())) };
    case changeTypes.uninvite:
      return { kind: "uninvite", invitation: decode(value, (reader) => reader.key()) };
    case changeTypes.admit:
      return { kind: "admit", acceptance: decodeAcceptance(value) };
    default:
      throw new FormatError("change");
  }
}

/** The fields of a statement that its author signs. */
export interface StatementContent {
  room: string;
  /** The generation and epoch of the Commit that carries the statement. */
  generation: number;
  epoch: number;
  number: number;
  /** The hash of the statement before; of the founding for number 1. */
  previous: Bytes;
  /** The hash of the state before. */
  before: Bytes;
  /** The hash of the state after. */
  state: Bytes;
  changes: readonly RawChange[];
}

export interface Statement extends StatementContent {
  author: Device;
  signature: Bytes;
}

const most = { bytes: 256 * 1024, changes: 2048, renewAndDevices: 16, leave: 16, admit: 64 };

const encodeContent = (of: StatementContent & { author: Device }) =>
  concat(
    uint16(1),
    id(of.room),
    uint32(of.generation),
    uint64(of.epoch),
    uint64(of.number),
    fixed(of.previous, 32),
    fixed(of.before, 32),
    fixed(of.state, 32),
    vector(...of.changes.map(states.encodePart)),
    encodeDevice(of.author),
  );

export const encodeStatement = (of: Statement): Bytes => concat(encodeContent(of), fixed(of.signature, 64));
export const statementHash = (encoded: Uint8Array): Promise<Bytes> => hash("Statement", encoded);

/** The encoded statement of this author. */
export async function signStatement(content: StatementContent, by: Signer): Promise<Bytes> {
  const signed = encodeContent({ ...content, author: by.device });
  return concat(signed, await signLabelled(by.seed, "Statement", signed));
}

/** Throws `FormatError`: `length` (also for the limits of the changes), `version` or `number`. Values of changes are not judged. */
export function decodeStatement(encoded: Uint8Array): Statement {
  if (encoded.length > most.bytes) throw new FormatError("length", true);
  const { version, statement } = decode(encoded, (reader) => ({ version: reader.uint16(), statement: readStatement(reader) }));
  checkLimits(statement.changes);
  if (version !== 1) throw new FormatError("version");
  if (statement.changes.some((change) => limitOf(change) === "number")) throw new FormatError("number", true);
  return statement;
}

const readStatement = (reader: Reader): Statement => ({
  room: reader.id(),
  generation: reader.uint32(),
  epoch: reader.uint64(),
  number: reader.uint64(),
  previous: reader.hash(),
  before: reader.hash(),
  state: reader.hash(),
  changes: reader.list(states.readPart),
  author: readDevice(reader),
  signature: reader.signature(),
});

function checkLimits(all: readonly RawChange[]): void {
  const count = (...types: number[]) => all.filter((change) => types.includes(change.type)).length;
  if (
    all.length > most.changes ||
    count(changeTypes.renew, changeTypes.devices) > most.renewAndDevices ||
    count(changeTypes.leave) > most.leave ||
    count(changeTypes.admit) > most.admit ||
    all.some((change) => limitOf(change) === "length")
  )
    throw new FormatError("length", true);
}

/** The rule of the limit that the value of a change exceeds. */
function limitOf(change: RawChange) {
  const read = attempt(() => {
    const decoded = decodeChange(change);
    if (decoded.kind === "set") states.withPart(states.emptyState, decoded.part);
  });
  return !read.ok && read.limit ? read.rule : undefined;
}

/** Whether the author's key has signed the statement. */
export const isStatementSigned = (of: Statement): Promise<boolean> => verifyLabelled(of.author.signatureKey, "Statement", encodeContent(of), of.signature);

/** A leave token: a device says that its user leaves the room. */
export interface Leave {
  room: string;
  /** The value that the roster has for the user. */
  since: number;
  author: Device;
  signature: Bytes;
}

const encodeLeaveContent = (of: Omit<Leave, "signature">) => concat(uint16(1), id(of.room), uint64(of.since), encodeDevice(of.author));

/** The encoded leave token. */
export async function signLeave(of: { room: string; since: number }, by: Signer): Promise<Bytes> {
  const signed = encodeLeaveContent({ ...of, author: by.device });
  return concat(signed, await signLabelled(by.seed, "Leave", signed));
}

export const encodeLeave = (of: Leave): Bytes => concat(encodeLeaveContent(of), fixed(of.signature, 64));

/** Throws `FormatError`: `length`, `version` or `number`. */
export const decodeLeave = (encoded: Uint8Array): Leave =>
  decodeVersioned(encoded, (reader) => ({ room: reader.id(), since: reader.uint64(), author: readDevice(reader), signature: reader.signature() }));

/** Whether its device is approved and has signed it. */
export const isLeaveSigned = async (of: Leave): Promise<boolean> =>
  (await isApproved(of.author)) && verifyLabelled(of.author.signatureKey, "Leave", encodeLeaveContent(of), of.signature);

/** A user accepts an invitation. */
export interface Acceptance {
  room: string;
  invitation: Bytes;
  /** The number of the statement that made the invitation. */
  since: number;
  identity: Bytes;
  /** The number of the user's newest device list. */
  list: number;
  author: Device;
  signature: Bytes;
  byInvitation: Bytes;
}

const encodeAcceptanceContent = (of: Omit<Acceptance, "signature" | "byInvitation">) =>
  concat(uint16(1), id(of.room), fixed(of.invitation, 32), uint64(of.since), fixed(of.identity, 32), uint64(of.list), encodeDevice(of.author));

/** The encoded acceptance. `invitationSeed` is the private key in the link, or of the identity when the invitation is for this user. */
export async function signAcceptance(
  of: { room: string; invitation: Bytes; since: number; list: number },
  by: Signer,
  invitationSeed: Uint8Array,
): Promise<Bytes> {
  const signed = encodeAcceptanceContent({ ...of, identity: by.device.identity, author: by.device });
  return concat(signed, await signLabelled(by.seed, "Acceptance", signed), await signLabelled(invitationSeed, "Invitation", signed));
}

export const encodeAcceptance = (of: Acceptance): Bytes => concat(encodeAcceptanceContent(of), fixed(of.signature, 64), fixed(of.byInvitation, 64));

/** Throws `FormatError`: `length`, `version` or `number`. */
export const decodeAcceptance = (encoded: Uint8Array): Acceptance =>
  decodeVersioned(encoded, (reader) => ({
    room: reader.id(),
    invitation: reader.key(),
    since: reader.uint64(),
    identity: reader.key(),
    list: reader.uint64(),
    author: readDevice(reader),
    signature: reader.signature(),
    byInvitation: reader.signature(),
  }));

/** Whether its device is approved, and the device and the invitation's key have signed it. */
export async function isAcceptanceSigned(of: Acceptance): Promise<boolean> {
  const signed = encodeAcceptanceContent(of);
  const valid = await Promise.all([
    isApproved(of.author),
    verifyLabelled(of.author.signatureKey, "Acceptance", signed, of.signature),
    verifyLabelled(of.invitation, "Invitation", signed, of.byInvitation),
  ]);
  return valid.every(Boolean);
}

function decodeVersioned<T>(encoded: Uint8Array, read: (reader: Reader) => T): T {
  const { version, value } = decode(encoded, (reader) => ({ version: reader.uint16(), value: read(reader) }));
  if (version !== 1) throw new FormatError("version");
  return value;
}
