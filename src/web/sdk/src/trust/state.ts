/* Section 3 of the specification: the state of a room, as typed parts. Parts of later versions are kept and hashed, and otherwise ignored. */
import { concat, utf8, type Bytes } from "../base/bytes.js";
import { boolean, decode, decodeText, fixed, hash, id, optional, uint16, uint32, uint64, uint8, vector, type Reader } from "./codec.js";
import { FormatError } from "./rules.js";

/** 0 member, 1 moderator, 2 admin, 3 owner. */
export type Role = 0 | 1 | 2 | 3;
export const member = 0;
export const moderator = 1;
export const admin = 2;
export const owner = 3;

/** The actions that the policy gives to roles. */
export const actions = { send: 1, add: 2, invite: 3, rename: 4, pin: 5, moderate: 6, timeToLive: 7, policy: 8 } as const;
const byDefault: Readonly<Record<number, Role>> = { 1: member, 2: admin, 3: admin, 4: admin, 5: admin, 6: moderator, 7: admin, 8: admin };

export interface Member {
  user: string;
  identity: Bytes;
  /** The number of the statement that added the user, or of its last `leave` in a direct room. */
  since: number;
  /** The number of the newest device list that a statement has named. */
  list: number;
}

/** What the maker of an invitation decides. */
export interface InvitationTerms {
  /** The public key of the link, or the identity key of `user`. */
  invitation: Bytes;
  role: Role;
  /** How many users it still lets in: 1 to 1,024. */
  uses: number;
  /** Seconds since 1970. Only the committer checks it. */
  expires: number;
  /** Whether a member with the right to add must let the user in. */
  approval: boolean;
  /** The only user whom it lets in. */
  user?: string;
}

export interface Invitation extends InvitationTerms {
  inviter: string;
  /** The number of the statement that made it. */
  since: number;
  /** The users whom it has let in, sorted. */
  used: readonly string[];
}

export interface Part {
  type: number;
  value: Bytes;
}

/** The state of a room. It is not changed in place. Lists are sorted. */
export interface RoomState {
  readonly roster: readonly Member[];
  /** Of the users who are not members. */
  readonly roles: readonly { user: string; role: Role }[];
  readonly name?: string;
  /** Seconds that messages live; undefined when they do not expire. */
  readonly timeToLive?: number;
  readonly policy: readonly { action: number; role: Role }[];
  readonly bans: readonly string[];
  readonly invitations: readonly Invitation[];
  /** Days of history for new members: 0 none, 2^32 - 1 all. Undefined when the room has no such setting. */
  readonly history?: number;
  /** The parts of later versions. */
  readonly later: readonly Part[];
}

export const emptyState: RoomState = { roster: [], roles: [], policy: [], bans: [], invitations: [], later: [] };

/** The limits of a state. */
export const limits = { stateBytes: 256 * 1024, roster: 2048, parts: 64, bans: 4096, invitations: 256 } as const;

export const memberOf = (state: RoomState, user: string): Member | undefined => state.roster.find((each) => each.user === user);
export const roleOf = (state: RoomState, user: string): Role => state.roles.find((each) => each.user === user)?.role ?? member;
/** The lowest role that may do this action. For an action of a later version without a rule: owner. */
export const roleFor = (state: RoomState, action: number): Role => state.policy.find((rule) => rule.action === action)?.role ?? byDefault[action] ?? owner;
/** Whether the state gives this user the right to an action. A user who is not in the room has none. */
export const may = (state: RoomState, user: string, action: number): boolean => !!memberOf(state, user) && roleOf(state, user) >= roleFor(state, action);
/** Whether the state has a part that this version must know to take part in the room (`updateRequired`). */
export const needsUpdate = (state: RoomState): boolean => state.later.some((part) => part.type >= 0x8000);

export const stateHash = (encoded: Uint8Array): Promise<Bytes> => hash("State", encoded);

/** The content of the vector of parts. Throws `RangeError` for numbers and keys that do not fit. */
export const encodeState = (state: RoomState): Bytes => concat(...partsOf(state).map(encodePart));

export const encodePart = (part: Part): Bytes => concat(uint16(part.type), vector(part.value));
export const readPart = (reader: Reader): Part => ({ type: reader.uint16(), value: reader.vector() });

const list = <T>(all: readonly T[], encode: (item: T) => Uint8Array) => (all.length > 0 ? vector(...all.map(encode)) : undefined);

/** The parts of a state, sorted by type. */
export function partsOf(state: RoomState): Part[] {
  const known: [number, Bytes | undefined][] = [
    [1, list(state.roster, (each) => concat(id(each.user), fixed(each.identity, 32), uint64(each.since), uint64(each.list)))],
    [2, list(state.roles, (each) => concat(id(each.user), uint8(each.role)))],
    [3, state.name === undefined ? undefined : utf8(state.name)],
    [4, state.timeToLive === undefined ? undefined : uint64(state.timeToLive)],
    [5, list(state.policy, (rule) => concat(uint16(rule.action), uint8(rule.role)))],
    [6, list(state.bans, id)],
    [7, list(state.invitations, encodeInvitation)],
    [8, state.history === undefined ? undefined : uint32(state.history)],
  ];
  const parts = known.flatMap(([type, value]) => (value ? [{ type, value }] : []));
  return [...parts, ...state.later].toSorted((a, b) => a.type - b.type);
}

const encodeInvitation = (each: Invitation) =>
  concat(fixed(each.invitation, 32), id(each.inviter), uint64(each.since), encodeTerms(each), vector(...each.used.map(id)));

/** All of an invitation but `invitation`, `inviter`, `since` and `used`. */
export const encodeTerms = (terms: InvitationTerms): Bytes =>
  concat(
    uint8(terms.role),
    uint32(terms.uses),
    uint64(terms.expires),
    boolean(terms.approval),
    optional(terms.user === undefined ? undefined : id(terms.user)),
  );

/** Throws `FormatError`: `role` or `uses`. */
export function readTerms(reader: Reader, invitation: Bytes): InvitationTerms {
  const terms: InvitationTerms = {
    invitation,
    role: readRole(reader),
    uses: reader.uint32(),
    expires: reader.uint64(),
    approval: reader.boolean(),
  };
  const user = reader.optional((each) => each.id());
  if (user !== undefined) terms.user = user;
  if (terms.uses < 1 || terms.uses > 1024) throw new FormatError("uses");
  return terms;
}

/** Throws `FormatError` with the rule `role` for a role of a later version. */
export function readRole(reader: Reader): Role {
  const role = reader.uint8();
  if (role > owner) throw new FormatError("role");
  return role as Role;
}

/** Throws `FormatError`: `length`, `order`, `empty`, `role`, `text`, `number`, `bans` or `uses`. */
export function decodeState(encoded: Uint8Array): RoomState {
  if (encoded.length > limits.stateBytes) throw new FormatError("length", true);
  const parts = decode(vector(encoded), (reader) => reader.list(readPart, (part) => part.type));
  if (parts.length > limits.parts) throw new FormatError("length", true);
  const state = parts.reduce(withPart, emptyState);
  const users = new Set(state.roster.map((each) => each.user));
  if (state.roles.some((each) => !users.has(each.user))) throw new FormatError("role");
  if (state.bans.some((user) => users.has(user))) throw new FormatError("bans");
  return state;
}

/** The state with this part in place of the former one of its type. Throws `FormatError` for a value that the specification does not allow. */
export function withPart(state: RoomState, part: Part): RoomState {
  const read = <T>(item: (reader: Reader) => T) => decode(part.value, item);
  switch (part.type) {
    case 1:
      return { ...state, roster: read((reader) => items(reader, readMember, (each) => each.user, limits.roster)) };
    case 2: {
      const roles = read((reader) =>
        items(
          reader,
          (each) => ({ user: each.id(), role: readRole(each) }),
          (each) => each.user,
          limits.roster,
        ),
      );
      if (roles.some((each) => each.role === member)) throw new FormatError("role");
      return { ...state, roles };
    }
    case 3:
      if (part.value.length < 1 || part.value.length > 800) throw new FormatError("text");
      return { ...state, name: decodeText(part.value) };
    case 4: {
      const timeToLive = read((reader) => reader.uint64());
      if (timeToLive < 1 || timeToLive > 2 ** 31) throw new FormatError("number");
      return { ...state, timeToLive };
    }
    case 5:
      return {
        ...state,
        policy: read((reader) =>
          items(
            reader,
            (each) => ({ action: each.uint16(), role: readRole(each) }),
            (rule) => rule.action,
          ),
        ),
      };
    case 6:
      return {
        ...state,
        bans: read((reader) =>
          items(
            reader,
            (each) => each.id(),
            (user) => user,
            limits.bans,
          ),
        ),
      };
    case 7:
      return { ...state, invitations: read((reader) => items(reader, readInvitation, (each) => each.invitation, limits.invitations)) };
    case 8:
      return { ...state, history: read((reader) => reader.uint32()) };
    default:
      return { ...state, later: [...withoutLater(state, part.type), part].toSorted((a, b) => a.type - b.type) };
  }
}

/** The state without the part of this type; undefined when it has none. */
export function withoutPart(state: RoomState, type: number): RoomState | undefined {
  const parts = partsOf(state);
  const rest = parts.filter((part) => part.type !== type);
  return rest.length < parts.length ? rest.reduce(withPart, emptyState) : undefined;
}

const withoutLater = (state: RoomState, type: number) => state.later.filter((part) => part.type !== type);

function items<T>(reader: Reader, read: (reader: Reader) => T, key: (item: T) => string | number | Uint8Array, most = Infinity): T[] {
  const all = reader.list(read, key);
  if (all.length === 0) throw new FormatError("empty");
  if (all.length > most) throw new FormatError("length", true);
  return all;
}

const readMember = (reader: Reader): Member => ({ user: reader.id(), identity: reader.key(), since: reader.uint64(), list: reader.uint64() });

function readInvitation(reader: Reader): Invitation {
  const invitation = reader.key();
  const inviter = reader.id();
  const since = reader.uint64();
  const terms = readTerms(reader, invitation);
  return {
    ...terms,
    inviter,
    since,
    used: reader.list(
      (each) => each.id(),
      (user) => user,
    ),
  };
}
