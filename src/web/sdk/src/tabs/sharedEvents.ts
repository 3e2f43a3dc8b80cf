import type { DevicesChange, Hold, TrustLine } from "../account/peopleTrust.js";
import type { ErrorBody } from "../base/errors.js";
import type { Warning } from "../base/warnings.js";
import type { TranscriptMismatch } from "../rooms/applying.js";
import type { RoomHold } from "../rooms/holds.js";
import type { RoomLine } from "../rooms/line.js";
import type { RoomProblem } from "../rooms/problem.js";
import type { Message, Sender } from "../rooms/records.js";
import type { SharedStatus } from "./status.js";

/** An event of a room, with the room's id. */
export type OfRoom<Event> = Event & {
  /** The room's id. */
  roomId: string;
};

/**
 * The events of a shared client. All tabs get the same. Those of a room are the ones of {@link RoomEvents}, with the room's id. A tab gets them from its
 * opening on. Of the time before it, and of the moment in which another tab takes the lead, it reads {@link SharedClient.history}.
 */
export interface SharedEvents {
  /** The status has changed. */
  status: SharedStatus;
  /** The list of conversations has changed: read it again. */
  conversations: undefined;
  /** Messages, sends or read positions of a room have changed: read again what is shown. */
  roomChanged: { roomId: string };
  /** {@link SharedClient.lines} of a room have changed. */
  lines: { roomId: string };
  /** A new message, own ones included. Edits, deletions and reactions are not messages: they cause `changed`. */
  message: OfRoom<Message>;
  /** An earlier message was edited, deleted, pinned or reacted to, or it is now known why a place was never read. */
  changed: OfRoom<Message>;
  /**
   * Messages are removed from this device, because their life is over; or places that were never read, because their author has deleted them, or because this
   * user was not a member there.
   */
  expired: OfRoom<{ seqs: number[] }>;
  /** Another device has read another log than this one. Once for each device and stretch. */
  transcriptMismatch: OfRoom<TranscriptMismatch>;
  /** A message was written for another state of the room than this device has. */
  stateMismatch: OfRoom<{ from: Sender; seq: number }>;
  /** Another member is typing. It repeats every few seconds. */
  typing: OfRoom<{ userId: string; deviceId: string; username: string }>;
  /** A member who was typing has sent a message or left. */
  typingEnded: OfRoom<{ userId: string }>;
  /** A signal of the application, see {@link SharedClient.signal}. */
  signal: OfRoom<{ userId: string; deviceId: string; data: unknown }>;
  /** A member has read the log up to this place. */
  read: OfRoom<{ userId: string; upTo: number }>;
  /** Members have joined, left, or have another role. */
  members: { roomId: string };
  /** The room's name or time to live has changed. */
  settings: { roomId: string };
  /** The members have changed something, or this device has noticed something. */
  line: OfRoom<RoomLine>;
  /** Why sends of the room wait has changed. */
  holds: { roomId: string; holds: RoomHold[] };
  /** The server does not show the room any more, or shows it again. */
  withheld: OfRoom<{ isWithheld: boolean }>;
  /** The room's problem has changed. */
  problem: OfRoom<{ problem: RoomProblem | undefined }>;
  /** {@link SharedClient.pending} has changed. */
  pending: { roomId: string };
  /** The group has a new epoch (RFC 9420 section 2) with these devices. Without an epoch, this device is not in the group. */
  epoch: OfRoom<{ epoch: number | undefined; devices: Sender[] }>;
  /** This user has a new room, or has joined one. */
  room: { roomId: string };
  /** This user has left or forgotten a room, was removed from it by a signed statement, or has deleted it here. See {@link ClientEvents.roomEnded}. */
  roomEnded: OfRoom<{ change: "left" | "deleted" }>;
  /** The server has rejected a send, or it did not count where it reached the room (`NotDelivered`). The client does not send it again by itself. */
  sendFailed: OfRoom<{ id: string; error: ErrorBody }>;
  /** The identity key of a user has changed. */
  identityChanged: { userId: string; username: string };
  /** What this device knows about a user has changed. */
  personChanged: { userId: string; line?: TrustLine };
  /** The signed list of this user's devices has changed, also by this device. */
  devicesChanged: DevicesChange;
  /** The server shows device lists of this user that contradict each other. */
  devicesAlarm: Hold;
  /**
   * A failure or an anomaly. `outdated`: a tab with a later version is open, and this page must be reloaded. `gaveUp`: the client has stopped connecting.
   * `sendFailed`: a send has failed, see the event; messages are in {@link SharedClient.pending}, other changes are undone. All other kinds are for a log.
   * Without a listener it is logged to the console.
   */
  warning: Warning;
}
