/* What messages contain, as an application sees it. `message.ts` encodes and decodes them, with what each message also says about its author's view. */
import type { ContentFile, Reference } from "./message.js";

export type { ContentFile, Reference };

/** A text message. */
export interface TextContent {
  /** The type of the content. */
  type: "text";
  /** The text. */
  text: string;
}
/** A text that answers another message. */
export interface ReplyContent {
  /** The type of the content. */
  type: "reply";
  /** The message that it answers. */
  to: Reference;
  /** The text. */
  text: string;
}
/** A new text for an own message. */
export interface EditContent {
  /** The type of the content. */
  type: "edit";
  /** The id of the own message. */
  target: string;
  /** The new text. */
  text: string;
}
/** Deletes an own message. */
export interface DeleteContent {
  /** The type of the content. */
  type: "delete";
  /** The id of the own message. */
  target: string;
  /** The places of the message and of its edits, at most 16. */
  seqs: readonly number[];
}
/** Removes a message of another user. The state of the room must allow it to the author. */
export interface ModerateContent {
  /** The type of the content. */
  type: "moderate";
  /** The message. */
  target: Reference;
  /** The places of the message and of its edits, at most 16. */
  seqs: readonly number[];
}
/** Pins a message for all members, or unpins it. The state of the room must allow it to the author. */
export interface PinContent {
  /** The type of the content. */
  type: "pin";
  /** The message. */
  target: Reference;
  /** Whether it is unpinned. */
  removed?: boolean;
}
/** Adds a reaction to a message, or removes it. */
export interface ReactionContent {
  /** The type of the content. */
  type: "reaction";
  /** The message. */
  target: Reference;
  /** The reaction, 1 to 32 characters. */
  emoji: string;
  /** Whether the reaction is removed. */
  removed?: boolean;
}
/** The author leaves the room: the signed token lets another member commit it. */
export interface LeaveContent {
  /** The type of the content. */
  type: "leave";
  /** The encoded leave token, in base64url. */
  token: string;
}
/** Files, with an optional text. The bytes of the files are not in the message. */
export interface FileContent {
  /** The type of the content. */
  type: "file";
  /** 1 to 32 files. */
  files: readonly ContentFile[];
  /** The text. */
  text?: string;
}
/** Content that an application defines. */
export interface CustomContent {
  /** The type of the content. */
  type: "custom";
  /** The application's name for the content, 1 to 64 characters. */
  kind: string;
  /** Any JSON value, at most 32 levels deep. Numbers are integers up to 2^53 - 1: other numbers must be texts. */
  data: unknown;
}
/** Content or a log entry that only a later version knows. It keeps its place in the log, and can be answered when it has an author. */
export interface UnsupportedContent {
  /** The type of the content. */
  type: "unsupported";
  /** The type of the content, or the kind of the log entry. */
  name: string;
}
/** Content that is not valid in any version. */
export interface MalformedContent {
  /** The type of the content. */
  type: "malformed";
  /** What is not valid, for a log. */
  reason: string;
}
/**
 * Places of the log whose bytes the server has deleted before this device read them. It stays until a deletion of the author names the place, or until this
 * device has known it for the time to live of the room. Without these, a server could drop a message unnoticed.
 */
export interface MissingContent {
  /** The type of the content. */
  type: "missing";
  /** How many places in a row are missing. The message's `seq` is the first one. */
  places: number;
  /**
   * Whether the messages have probably expired: a later message was sent longer ago than messages live in this room. Its author says when, so this explains the
   * places and proves nothing.
   */
  expired?: true;
}

/** All content that can be sent. */
export type Content =
  | TextContent
  | ReplyContent
  | EditContent
  | DeleteContent
  | ModerateContent
  | PinContent
  | ReactionContent
  | LeaveContent
  | FileContent
  | CustomContent;

/** @internal What a content of this type must contain, as a sentence for the developer. */
export function requirementOf(type: Content["type"]): string {
  const text = "a string without half of a surrogate pair";
  const reference = "the author and the id of a message";
  switch (type) {
    case "text":
      return `text must be ${text}.`;
    case "reply":
      return `text must be ${text}, and to must be ${reference}.`;
    case "edit":
      return `text must be ${text}, and the target must be the id of an own message.`;
    case "delete":
      return "The target must be the id of an own message, with at most 16 places.";
    case "moderate":
      return `The target must be ${reference}, with at most 16 places.`;
    case "pin":
      return `The target must be ${reference}.`;
    case "reaction":
      return `The target must be ${reference}, and emoji a string of 1 to 32 characters.`;
    case "leave":
      return "The token must be base64url.";
    case "file":
      return "files must be 1 to 32 files, with all their members.";
    case "custom":
      return "kind must be a string of 1 to 64 characters, and data must be JSON: 32 levels at most, and numbers that are integers.";
    default:
      return `This SDK sends no content of the type ${JSON.stringify(type)}.`;
  }
}
