/* What people see of the changes of a room, in the order of the log. */
import type { Role } from "../net/wire.js";
import type { Sender } from "./sender.js";

/**
 * What a line is about.
 *
 * - `founded`, `entered`: this device has founded the room, or `by` has let it in.
 * - `joined`, `left`, `removed`, `role`, `name`, `timeToLive`, `settings`: a signed statement of `by` says so.
 * - `deviceAdded`, `deviceRemoved`, `deviceReplaced`, `deviceReadded`: `by` has changed a device of `userId` in the group. `deviceReplaced`: it has other keys.
 *   `deviceReadded`: it has the same keys as before, so it can no longer read what it had not read.
 * - `identityRenewed`: `userId` has another identity key, signed by the earlier one.
 * - `reset`: the group was founded anew by `by`. `missing` and `added` are the devices by which it differs from the one before.
 * - `invalidCommit`: `by` has made a Commit that is not valid, or an unknown device has. The room goes on in the epoch before it. With `userId` and without
 *   `by`, the server names the author at the reset. Only the server says so, and it may lie.
 * - `rosterMismatch`: the server says something else about the members than they have signed. `detail` says what.
 * - `stateMismatch`: a message of `by` was written for another state of the room than this device has.
 * - `transcriptMismatch`: another device has read another log than this one.
 * - `withheld`: the server no longer shows the room.
 */
export type RoomLineKind =
  | "founded"
  | "entered"
  | "joined"
  | "left"
  | "removed"
  | "role"
  | "name"
  | "timeToLive"
  | "settings"
  | "deviceAdded"
  | "deviceRemoved"
  | "deviceReplaced"
  | "deviceReadded"
  | "identityRenewed"
  | "reset"
  | "invalidCommit"
  | "rosterMismatch"
  | "stateMismatch"
  | "transcriptMismatch"
  | "withheld";

/** A change of a room that people see between the messages. */
export interface RoomLine {
  /** The place in the log. Lines stand before the message of the same place. */
  seq: number;
  /** Its number among the lines of the same place. */
  index: number;
  /** When it was stored in the log, by the server's clock, or noticed, by this device's: milliseconds since 1970. */
  at: number;
  /** What it is about. */
  kind: RoomLineKind;
  /** Who has done it: the device that has signed it. */
  by?: Sender;
  /** The user whom it is about. */
  userId?: string;
  /** The device that it is about. */
  deviceId?: string;
  /** The new role. */
  role?: Role;
  /** The new name; undefined when the room has none any more. */
  name?: string;
  /** The new time to live; undefined when messages do not expire any more. */
  timeToLiveSeconds?: number;
  /** Devices that a group before a reset had, and the new one has not. */
  missing?: Sender[];
  /** Devices that only the new group has. */
  added?: Sender[];
  /** The rule that a Commit breaks. */
  rule?: string;
  /** Details, as a sentence. */
  detail?: string;
}
