import type { ErrorBody } from "../base/errors.js";
import type { Content, MalformedContent, UnsupportedContent } from "../content/content.js";
import {
  readRole,
  readRoomKind,
  readSettings,
  type EntryKind,
  type Role,
  type RoomKind,
  type RoomSettings,
  type RosterChange,
  type Unknown,
  type RoomSummary,
} from "../net/wire.js";

/** An envelope that this device cannot decrypt: it was offline too long, was added later, or the envelope is damaged. */
export interface UnreadableContent {
  /** The type of the content. */
  type: "unreadable";
  /** Why it cannot be decrypted, for a log. */
  reason: string;
}

/** The author of a message, as MLS has authenticated it. */
export interface Sender {
  /** The user's id. */
  userId: string;
  /** The device's id. */
  deviceId: string;
}

/** A message of a room, as this device stores it. */
export interface Message {
  /** The place in the room's log. Only this orders messages. */
  seq: number;
  /** The id that replies, edits and reactions refer to. */
  id: string;
  /** The author; undefined when the message cannot be decrypted. */
  from?: Sender;
  /** Whether this user wrote it, on any device. */
  mine: boolean;
  /** The time at which the server stored it, to the minute. It comes from the server and orders nothing. */
  at: Date;
  /** The content. After an edit, the newest text. */
  content: Content | UnsupportedContent | MalformedContent | UnreadableContent;
  /** Whether the author has edited it. */
  edited?: boolean;
  /** Whether the author has deleted it. The text is then removed from this device too. */
  deleted?: boolean;
  /** Whether the server reports a deletion that the author has not confirmed in an encrypted message. */
  retracted?: boolean;
  /** User ids by reaction. */
  reactions?: Record<string, string[]>;
}

/** @internal The stored form. */
export interface MessageRecord extends Omit<Message, "at"> {
  at: number;
}

/** @internal */
export const toMessage = (record: MessageRecord): Message => ({ ...record, at: new Date(record.at) });

/** @internal The stored state of a room. */
export interface RoomState extends RoomSettings {
  id: string;
  kind: RoomKind | Unknown;
  scheme: string;
  role: Role | Unknown;
  generation: number;
  /** The last applied entry; undefined until the begin of the log is known. */
  cursor?: number;
  /** The highest value that `cursor` has had. */
  high: number;
  name?: string;
  /** Whether the log contains messages from before this device was added. */
  earlier?: boolean;
  /** The number of other people, from the last comparison with the directory. */
  others?: number;
  /** The newest entry that has changed members or devices, while this device has not compared the group's leaves with them since. */
  uncompared?: number;
  /** Why the group cannot be followed. */
  broken?: Broken;
  /** Whether a Commit has removed this device's leaf. Another member must add it again. */
  out?: boolean;
  /** Whether this user was out of the room for a while. Nothing is encrypted until it is known whether the group moved on. */
  wasAway?: boolean;
}

/** @internal */
export interface Broken {
  seq: number;
  why: "commit" | "chain" | "welcome";
  since: number;
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
}

/** A send, from the application's call until the log delivers it. @internal */
export interface OutboxItem {
  position: number;
  roomId: string;
  /** The id of the content. It never changes. */
  id: string;
  content: Content;
  /** The time of the call, by this device's clock. */
  at?: number;
  /** The id of the envelope. Each encryption has its own. */
  clientMessageId: string;
  timeToLiveSeconds?: number;
  /** The encrypted bytes. They stay the same for the same id. */
  ciphertext?: Uint8Array;
  epoch?: number;
  generation?: number;
}

/** A send that the server has rejected. It is kept until the user sends it again or discards it. @internal */
export interface FailedItem {
  id: string;
  roomId: string;
  content: Content;
  at?: number;
  timeToLiveSeconds?: number;
  error: ErrorBody;
}

/** An own send at its place in the log. This device has its plaintext. @internal */
export interface OwnSend {
  clientMessageId: string;
  id: string;
  content: Content;
  seq: number;
  at: number;
}

/** @internal Whether an entry can only be read with the group's state. */
export const isEncrypted = (kind: EntryKind): boolean => kind === "message" || kind === "commit" || kind === "proposal";

/** @internal The state of a room of which this device has read nothing. */
export const newState = (id: string, summary: RoomSummary): RoomState => ({
  id,
  kind: readRoomKind(summary.kind),
  scheme: summary.scheme,
  role: readRole(summary.role),
  generation: summary.generation,
  high: 0,
  ...readSettings(summary),
});
