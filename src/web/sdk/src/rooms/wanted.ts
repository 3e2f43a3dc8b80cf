/* What a person wants to change in a room, as changes of a statement. */
import { utf8 } from "../base/bytes.js";
import { SecureMessagingError } from "../base/errors.js";
import { uint64 } from "../trust/codec.js";
import { memberOf, roleOf, type Role, type RoomState } from "../trust/state.js";
import { changes, type RawChange } from "../trust/statement.js";
import type { RosterChange } from "../net/wire.js";
import { serverRole } from "./roles.js";

/** A user with what this device has pinned. @internal */
export interface NamedUser {
  userId: string;
  identityKey: Uint8Array;
  /** The number of the newest verified device list. */
  list: number;
}

/** A change that a person wants. An absent member changes nothing; null removes a name or a time to live. @internal */
export interface Wanted {
  add?: (NamedUser & { role: Role })[];
  remove?: string[];
  roles?: { userId: string; role: Role }[];
  name?: string | null;
  timeToLiveSeconds?: number | null;
}

/** The changes that lead from this state to what is wanted, and what the server must know of them. @internal */
export function changesFor(wanted: Wanted, state: RoomState): { changes: RawChange[]; roster: RosterChange } {
  const made: RawChange[] = [];
  const roster: RosterChange = {};
  for (const userId of wanted.remove ?? []) {
    if (!memberOf(state, userId)) throw SecureMessagingError.of("NotFound", "No member has this user id.");
    made.push(changes.remove(userId));
    (roster.remove ??= []).push(userId);
  }
  for (const { userId, identityKey, list, role } of wanted.add ?? []) {
    if (memberOf(state, userId)) throw SecureMessagingError.of("Conflict", "The user is a member already.");
    made.push(changes.add(userId, identityKey, role, list));
    (roster.add ??= []).push({ userId, role: serverRole(role) });
  }
  for (const { userId, role } of wanted.roles ?? []) {
    if (!memberOf(state, userId)) throw SecureMessagingError.of("NotFound", "No member has this user id.");
    if (roleOf(state, userId) === role) continue;
    made.push(changes.role(userId, role));
    (roster.roles ??= []).push({ userId, role: serverRole(role) });
  }
  made.push(...partFor(3, wanted.name, state.name, utf8), ...partFor(4, wanted.timeToLiveSeconds, state.timeToLive, uint64));
  if (wanted.timeToLiveSeconds !== undefined && (wanted.timeToLiveSeconds ?? undefined) !== state.timeToLive)
    roster.settings = { timeToLiveSeconds: wanted.timeToLiveSeconds };
  return { changes: made, roster };
}

function partFor<T>(type: number, wanted: T | null | undefined, now: T | undefined, encode: (value: T) => Uint8Array<ArrayBuffer>): RawChange[] {
  if (wanted === undefined || (wanted ?? undefined) === now) return [];
  return [wanted === null ? changes.unset(type) : changes.set({ type, value: encode(wanted) })];
}
