import type { Content, MalformedContent, UnsupportedContent } from "../content.js";
import type { EntryKind, Role, RoomKind, RosterChange, Unknown } from "../wire.js";

/** An envelope that this device has no key for: sent while it was away too long, before it was let in, or damaged. */
export interface UnreadableContent { type: "unreadable"; reason: string }

/** Where a message came from, as MLS has authenticated it. */
export interface Sender { userId: string; deviceId: string }

/** One message of a room, as this device keeps it. */
export interface Message {
  /** Its place in the room's log: the only order there is. */
  seq: number;
  /** Names it in replies, edits and reactions. */
  id: string;
  /** Who wrote it; undefined when it is unreadable. */
  from?: Sender;
  /** Whether this user wrote it, on whichever device. */
  mine: boolean;
  /** When the server stored it, to the minute. The server's word; it orders nothing. */
  at: Date;
  /** What it says. Of an edited message this is the newest text. */
  content: Content | UnsupportedContent | MalformedContent | UnreadableContent;
  /** Whether its author has changed it. */
  edited?: boolean;
  /** Whether its author has taken it back: then the text is gone from here, too. */
  deleted?: boolean;
  /** Whether the server says that it was taken back, without its author having said so under encryption. */
  retracted?: boolean;
  /** Users by reaction. */
  reactions?: Record<string, string[]>;
}

/** @internal As it is stored. */
export interface MessageRecord extends Omit<Message, "at"> { at: number }

/** @internal */
export const toMessage = (record: MessageRecord): Message => ({ ...record, at: new Date(record.at) });

/** @internal What is known of a room. */
export interface RoomState {
  id: string;
  kind: RoomKind | Unknown;
  scheme: string;
  role: Role | Unknown;
  generation: number;
  /** The last entry that was dealt with; undefined until the log's beginning is known. */
  cursor?: number;
  /** The farthest that the cursor has been. */
  high: number;
  name?: string;
  timeToLiveSeconds?: number;
  /** Whether a message has passed that was sent before this device was let in. */
  earlier?: boolean;
  /** Other people in the room when its group was last compared with them. */
  others?: number;
  /** Why the group cannot be followed. */
  broken?: Broken;
  /** A Commit has taken this device's leaf out; it waits to be let in again. */
  out?: boolean;
  /** This user was out of the room for a while. Until it is known whether the group went on meanwhile, nothing is encrypted for it. */
  wasAway?: boolean;
}

/** @internal */
export interface Broken { seq: number; why: "commit" | "chain" | "welcome"; since: number; reported?: boolean }

/** @internal An own Commit from before it is sent until it is known what became of it. */
export interface PendingCommit {
  id: string;
  generation: number;
  epoch: number;
  commit: Uint8Array;
  welcomes: Uint8Array[];
  roster?: RosterChange;
  /** The state after it: base and message keys. */
  base: Uint8Array;
  ratchets: [epoch: number, ratchet: Uint8Array][];
}

/** @internal A group that was joined and is used once the log has come to its Commit. */
export interface StoredWelcome {
  generation: number;
  seq: number;
  base: Uint8Array;
  epoch: number;
  ratchet: Uint8Array;
}

/** @internal Entries that only the group's state can read. */
export const isEncrypted = (kind: EntryKind): boolean => kind === "message" || kind === "commit" || kind === "proposal";
