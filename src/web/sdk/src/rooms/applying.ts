import type { Emitter } from "../base/events.js";
import type { Draft } from "./draft.js";
import type { Message, OutboxItem, OwnSend, Sender } from "./records.js";
import type { RoomLine } from "./line.js";
import type { Ports, RoomGroup } from "./ports.js";
import type { ReadLog } from "./readLog.js";

/** Why the group's leaves may differ from the members' devices. @internal */
export type ReconcileCause = "roster" | "devices" | "reset" | "joined" | "away" | "broken" | "messages";

/** Two members have read different logs: the server has changed, left out or reordered entries for one of them. */
export interface TranscriptMismatch {
  /** The device that says what it has read. */
  from: Sender;
  /** This device. */
  device: Sender;
  /** The place of the message that says it. */
  seq: number;
  /** The first and the last place of the stretch in which the logs differ. */
  between: [first: number, last: number];
}

/** What a room reports to the rest of the client, after the change is stored. @internal */
export interface CoreEvents {
  /** A message was stored. */
  message: Message;
  /** An earlier message has changed. */
  changed: Message;
  read: { userId: string; upTo: number };
  /** Messages or places that were never read are removed from this device. */
  expired: { seqs: number[] };
  /** A message was stored whose life ends at this time. */
  expiring: { deadline: number };
  /** A member has read another log than this device: in this block of 256 places, or (without a block) its own message before it was sent. */
  transcriptMismatch: TranscriptMismatch;
  /** A member follows another state of the room than this device, in the epoch of the message at this place. */
  stateMismatch: { from: Sender; seq: number };
  /** A member has sent a message or has left, so the member no longer types. */
  stoppedTyping: { userId: string };
  roster: undefined;
  settings: undefined;
  /** The group has another epoch, or other members; undefined while this device cannot follow it. */
  group: { group: RoomGroup | undefined };
  /** The server says that the devices of this user have changed. */
  devices: { userId: string | undefined };
  /** People see a change of the room. */
  line: RoomLine;
  /** Why sends of the room wait may have changed. */
  holds: undefined;
  /** What is wrong with the room may have changed. */
  problem: undefined;
  /** The server no longer shows the room, or shows it again. */
  withheld: { isWithheld: boolean };
  /** A signed statement has removed this user. */
  removed: undefined;
  /** The log has delivered an own Commit, and this device has followed it. */
  committed: { id: string };
  /** The group's leaves may differ from the members' devices. */
  reconcile: ReconcileCause;
  /** Sends that had to wait may now be possible. */
  sendable: undefined;
  ended: "left" | "deleted";
}

/** The sends of this device, as the log meets them again. The outbox is the real one. @internal */
export interface OwnSends {
  find(roomId: string, clientMessageId: string): OutboxItem | undefined;
  /** The acknowledged sends of the room up to a place that the log has not delivered, also not in this draft, oldest first. */
  ackedUpTo(draft: Draft, seq: number): OwnSend[];
  /** The log has delivered a send. */
  passed(draft: Draft, roomId: string, clientMessageId: string, seq: number): void;
  /** The log has delivered a send at a place where it does not count. The user may send it again. */
  undelivered(draft: Draft, own: OwnSend, why: "late" | "notAllowed" | "elsewhere"): void;
  /** The server must delete the bytes at these places, whatever happens. */
  erase(draft: Draft, roomId: string, seqs: readonly number[]): void;
  /** Earlier encrypted sends of the room are encrypted again. */
  encryptAnew(draft: Draft): void;
}

/** What an entry of the log is applied with, besides the draft that it changes. @internal */
export interface Applying extends Pick<Ports, "clock" | "device" | "mls" | "people" | "privacy" | "reports"> {
  sends: OwnSends;
  events: Emitter<CoreEvents>;
  readLog: ReadLog;
}
