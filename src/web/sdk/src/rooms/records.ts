import type { ErrorBody } from "../base/errors.js";
import type { Content, MalformedContent, MissingContent, UnsupportedContent } from "../content/content.js";
import type { ContentBody } from "../content/message.js";
import { fromStored, type Stored as StoredForm } from "../content/stored.js";
import { readRoomKind, type EntryKind, type RoomKind, type RosterChange, type RoomSummary, type Unknown } from "../net/wire.js";
import type { Head } from "../trust/follow.js";
import { isGeneration } from "../trust/generation.js";
import type { Leaf } from "../mls/group.js";
import type { RoomLine } from "./line.js";
import type { Sender } from "./sender.js";

export type { Reference } from "../content/content.js";
export type { Sender } from "./sender.js";

/** An envelope that this device cannot decrypt: it was offline too long, was added later, or the envelope is damaged. */
export interface UnreadableContent {
  /** The type of the content. */
  type: "unreadable";
  /** Why it cannot be decrypted, for a log. */
  reason: string;
}

/** All content that a message can have. */
export type ShownContent = Content | UnsupportedContent | MalformedContent | UnreadableContent | MissingContent;

/** A message of a room, as this device stores it. */
export interface Message {
  /** The place in the room's log. Only this orders messages. */
  seq: number;
  /** The id that replies, edits and reactions refer to, together with the author. */
  id: string;
  /** The author: the user and device of the leaf that has signed it. Undefined when the message cannot be decrypted or was never read. */
  from?: Sender;
  /** Whether this user wrote it, on any device. */
  mine: boolean;
  /**
   * The time at which the server says that it has stored it, to the minute; 1970 for a place whose time it has deleted with the bytes. It comes from the server
   * alone, and orders nothing: show {@link Message.time} to people.
   */
  at: Date;
  /**
   * When it was sent, to show to people: {@link Message.sent}, which the author has signed, but not later than this device first saw the message. For a message
   * without a readable content it is {@link Message.at}, the word of the server. The author's clock may be wrong, so a message can have an earlier time than
   * the one before it.
   */
  time: Date;
  /** When the author sent it, by the author's clock. */
  sent?: Date;
  /** The content. After an edit, the newest text. */
  content: ShownContent;
  /** Whether the author has edited it. Not set when it was deleted. */
  edited?: boolean;
  /** Whether it was deleted. The text is then removed from this device too. */
  deleted?: boolean;
  /** The user who has removed it, when that is not the author. The state of the room allowed it to this user. */
  deletedBy?: string;
  /** The user who has pinned it. */
  pinnedBy?: string;
  /** Whether it was sent by a device that was no longer in the room at this place of the log, or has other keys since. It changes nothing. */
  late?: boolean;
  /** Whether the state of the room did not allow it to its author. It changes nothing. */
  notAllowed?: boolean;
  /**
   * Whether it was signed under another identity key than the one that this device knows of its author, so someone else may have written it. It changes
   * nothing.
   */
  otherIdentity?: boolean;
  /**
   * Whether it, or its newest text, was sent by a device that the newest device list of its user did not have when this device read it: a device that was
   * revoked, or that the user has never signed. It counts; show it with the mark. The mark goes, with the event `changed`, when a newer list has the device.
   */
  unlisted?: boolean;
  /** When this device deletes it, by this device's clock. */
  expires?: Date;
  /** User ids by reaction. */
  reactions?: Record<string, string[]>;
}

/** @internal The stored form. */
export interface MessageRecord extends Omit<Message, "at" | "time" | "sent" | "expires" | "reactions" | "content"> {
  at: number;
  /** The signed time, but not later than this device first saw the message. */
  time?: number;
  sent?: number;
  content: StoredForm<ShownContent>;
  /** When this device deletes it. */
  deadline?: number;
  /** The places of its edits. */
  edits?: number[];
  /** The key of its device in hex, while no list of its user has it. */
  signedBy?: string;
  reactions?: [reaction: string, userIds: string[]][];
}

/** @internal */
export function toMessage(record: MessageRecord): Message {
  const { at, time, sent, deadline, reactions, content, edits: _, signedBy: _by, ...rest } = record;
  return {
    ...rest,
    at: new Date(at),
    time: new Date(time ?? at),
    content: fromStored<ShownContent>(content),
    ...(sent === undefined ? {} : { sent: new Date(sent) }),
    ...(deadline === undefined ? {} : { expires: new Date(deadline) }),
    ...(reactions ? { reactions: Object.fromEntries(reactions) } : {}),
  };
}

/** @internal What the first statement of a room shall say, until it is committed. */
export interface Initial {
  users: { userId: string; identityKey: Uint8Array; list: number }[];
  name?: string;
  timeToLiveSeconds?: number;
}

/** @internal The stored state of a room. What the members have signed is beside it, see {@link SignedRoom}. */
export interface RoomState {
  id: string;
  /** The server's word until this device has founded or entered the room. */
  kind: RoomKind | Unknown;
  scheme: string;
  /** The newest generation of the group in the log. */
  generation: number;
  /** The last applied entry; undefined until the begin of the log is known. */
  cursor?: number;
  /** The highest value that `cursor` has had. */
  high: number;
  /** Where this device had read to, until a message proves what the server says: that the log begins later, at `first`. */
  unproven?: { cursor?: number; high: number; first: number };
  /** How many messages wait for their place in the log, see {@link keys.moved}. */
  moved?: number;
  /** What this device has read of the log: the newest place, and the newest one that it could not read. */
  transcript?: { seq: number; gap: number };
  /** The first place that was never read and whose end of life no later message has shown yet. */
  missing?: number;
  /** The places of messages that were encrypted for the group while this device was not in it, although its user was a member. */
  skipped?: number[];
  /** This device has founded the room, and its first statement is not committed yet. */
  initial?: Initial;
  /** The user of the device by whose Welcome this device has entered. */
  enteredBy?: string;
  /** The first epoch after that Welcome. Undefined when this device has founded the room. */
  enteredAt?: { generation: number; epoch: number };
  /** That device, as long as the newest list of its user does not have it. */
  entrance?: Sender & { signatureKey: Uint8Array };
  /** The devices of which this device has read messages, and which the newest lists of their users do not have. */
  unlisted?: DoubtfulDevice[];
  /** Tokens of users who leave, by user. A member commits them. */
  leaves?: Record<string, Uint8Array>;
  /** What was shown to people of members whose messages say something else about the room or the log. */
  differences?: string[];
  /** A message had another head than the room has here. */
  mismatch?: Sender;
  /** What a person has answered of the room's holds. */
  answered?: string[];
  /** The newest entry by which the server says that this user has left. It lets a former member read up to there. */
  left?: number;
  /** Since when the server no longer shows this room: milliseconds since 1970. */
  withheld?: number;
  /** Whether the server's log was shorter than before, or had another entry at a place. A person has not acknowledged it. */
  rewound?: boolean;
  /** Whether the log contains messages from before this device was added. */
  earlier?: boolean;
  /** The newest entry that has changed members or devices, while this device has not compared the group's leaves with them since. */
  uncompared?: number;
  /** Why the group cannot be followed. */
  broken?: Broken;
  /** Whether a Commit has removed this device's leaf. Another member must add it again. */
  out?: boolean;
  /** Whether this user was out of the room for a while. Nothing is encrypted until it is known whether the group moved on. */
  wasAway?: boolean;
}

/** A device whose messages this device has read, and that is in no list. @internal */
export interface DoubtfulDevice extends Sender {
  signatureKey: Uint8Array;
  /** The number of the newest list that was named. */
  list: number;
  /** The first and the last place of its messages. */
  from: number;
  to: number;
  /** Whether its messages before the newest one have the mark. */
  isMarked?: boolean;
}

/** @internal */
export interface Broken {
  seq: number;
  /**
   * `commit`: a Commit was not valid, and this device stays in the epoch before it. `chain`: this device has missed a Commit. `welcome`: it cannot enter by the
   * Welcome that it got.
   */
  why: "commit" | "chain" | "welcome";
  since: number;
  /** The device that has made the Commit, by its signature. */
  by?: Sender;
  reported?: boolean;
}

/** @internal An own Commit, from before it is sent until its outcome is known. */
export interface PendingCommit {
  id: string;
  generation: number;
  epoch: number;
  commit: Uint8Array;
  welcomes: Uint8Array[];
  roster?: RosterChange;
  /** What the members agree on after it, and the statement that it carries. */
  signed: { state: Uint8Array; head: Head; statement?: Uint8Array };
  /** What people see of it. Its place in the log is not known yet. */
  lines: Omit<RoomLine, "seq" | "at">[];
  /** The state after the Commit: base and message keys. */
  base: Uint8Array;
  ratchets: [epoch: number, ratchet: Uint8Array][];
}

/** @internal A joined group, to be used when the log reaches its Commit. */
export interface StoredWelcome {
  generation: number;
  seq: number;
  base: Uint8Array;
  epoch: number;
  ratchet: Uint8Array;
  /** The leaf that has made the Welcome. */
  signer: Leaf;
  /** The room's founding and statements. */
  roomInfo?: Uint8Array;
  /** Whether a person must agree before this device enters. */
  isHeld?: boolean;
  /** Whether a person has agreed. */
  isAgreed?: boolean;
}

/** A send, from the application's call until the log delivers it. @internal */
export interface OutboxItem {
  position: number;
  roomId: string;
  /** The id of the content. It never changes. */
  id: string;
  content: ContentBody;
  /** The time of the call, by this device's clock. */
  at?: number;
  /** The id of the envelope. Each encryption has its own. */
  clientMessageId: string;
  timeToLiveSeconds?: number;
  /** The encrypted bytes. They stay the same for the same id. */
  ciphertext?: Uint8Array;
  epoch?: number;
  generation?: number;
  /** What was encrypted besides the content. */
  sealed?: SealedHeader;
}

/** What an own message says besides its content, and the key that has signed it. @internal */
export interface SealedHeader {
  sent: number;
  ttl?: number;
  read?: number;
  signatureKey: Uint8Array;
}

/**
 * A send that the server has rejected, or that reached the log when it no longer counted. It is kept until the user sends it again or discards it. @internal
 */
export interface FailedItem {
  id: string;
  roomId: string;
  content: ContentBody;
  at?: number;
  timeToLiveSeconds?: number;
  error: ErrorBody;
}

/** An own send at its place in the log. This device has its plaintext. @internal */
export interface OwnSend {
  clientMessageId: string;
  id: string;
  content: ContentBody;
  ciphertext?: Uint8Array;
  epoch?: number;
  generation?: number;
  sealed?: SealedHeader;
  seq: number;
  at: number;
  /** Whether this device had read the place before the server named it. */
  isPassed?: boolean;
}

/** @internal Whether an entry can only be read with the group's state. */
export const isEncrypted = (kind: EntryKind): boolean => kind === "message" || kind === "commit" || kind === "proposal";

/** @internal The state of a room of which this device has read nothing. A generation that is none counts as the first one: the log tells of later ones. */
export const newState = (id: string, summary: RoomSummary): RoomState => ({
  id,
  kind: readRoomKind(summary.kind),
  scheme: summary.scheme,
  generation: isGeneration(summary.generation) ? summary.generation : 0,
  high: 0,
});
