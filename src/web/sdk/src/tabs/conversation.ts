/* What the shared client shows of a room, as plain data. */
import type { RoomHold } from "../rooms/holds.js";
import type { RoomProblem } from "../rooms/problem.js";
import type { Message } from "../rooms/records.js";
import type { Role, RoomKind, RoomSettings, Unknown } from "../net/wire.js";

/** An entry of the list of conversations. */
export interface Conversation extends RoomSettings {
  /** The room's id. */
  id: string;
  /** A group, or a direct room of two people. */
  kind: RoomKind | Unknown;
  /** In a direct room, the other person's id; undefined while it is not known. */
  personId?: string;
  /** The group's name, or the other person's username. */
  title: string;
  /** This user's role, as the members have signed it; undefined when the user is not a member any more and only the history is left. */
  role?: Role;
  /** How many messages of others are unread, see {@link Room.unread}. */
  unread: number;
  /** The number of members that have signed the room, this user included; 0 until it is known. */
  memberCount: number;
  /** The newest message, see {@link Room.last}. */
  last?: Message;
  /** Whether the log contains messages from before this device was added, which it cannot read. */
  earlier?: boolean;
  /** Why sends wait for a person, an update or the server; undefined when they do not. See {@link SharedClient.answerHold}. */
  holds?: RoomHold[];
  /** Whether the server does not show the room any more, although no member has removed this user. See {@link SharedClient.forgetRoom}. */
  withheld?: boolean;
  /** Whether members, roles and settings are the word of the member who has added this device, see {@link RoomBase.isConfirmed}. */
  unconfirmed?: boolean;
  /** A problem to show until it is solved. */
  problem?: RoomProblem;
  /** With `invalidCommit`: the user who has made the Commit, by its signature; undefined when it has none that is valid. */
  brokenBy?: string;
}

/** A member of a room. */
export interface SharedMember {
  /** The user's id. */
  userId: string;
  /** The username under which this device knows the user; empty until the user's device list was fetched. */
  username: string;
  /** The role in the room, as the members have signed it. */
  role: Role;
  /** How many devices of the user are in the MLS group. */
  devices: number;
  /** Whether a person has compared the user's keys; `again`: they were replaced since. */
  verified: "no" | "yes" | "again";
}

/** Read positions of a room. */
export interface RoomMarks {
  /** The last place in the log that each member has read, by user id. */
  read: Record<string, number>;
  /** The last place that a device of another member has received; undefined when it is not known. */
  delivered?: number;
}
