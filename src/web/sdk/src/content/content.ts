/*
 * The plaintext of an envelope: padded JSON. Version 1: `{ "v": 1, "id": uuid, "type": …, … }`. It comes from another person's client, so decoding never
 * throws: an unknown type or version becomes an {@link UnsupportedContent}, invalid content a {@link MalformedContent}.
 */
import { concat, fromUtf8, utf8, type Bytes } from "../base/bytes.js";
import { maxContentBytes, unpad } from "./padding.js";

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
  /** The id of the message that it answers. */
  to: string;
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
}
/** Adds a reaction to a message, or removes it. */
export interface ReactionContent {
  /** The type of the content. */
  type: "reaction";
  /** The id of the message. */
  target: string;
  /** The reaction, 1 to 32 characters. */
  emoji: string;
  /** Whether the reaction is removed. */
  removed?: boolean;
}
/** The author has read the log up to this place. Earlier versions sent it as a message of its own. This version reads it and does not send it. */
export interface ReceiptContent {
  /** The type of the content. */
  type: "receipt";
  /** The last place in the log that the author has read. */
  upTo: number;
}
/** The room's new name. */
export interface NameContent {
  /** The type of the content. */
  type: "name";
  /** The name, at most 200 characters. */
  name: string;
}
/** Content that an application defines. */
export interface CustomContent {
  /** The type of the content. */
  type: "custom";
  /** The application's name for the content, at most 64 characters. */
  kind: string;
  /** Any JSON value, at most 32 levels deep. */
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

/** All content that can be sent. */
export type Content = TextContent | ReplyContent | EditContent | DeleteContent | ReactionContent | ReceiptContent | NameContent | CustomContent;

/** @internal Decoded content with its id, and how far its author had read. */
export type Decoded = { id: string; content: Content | UnsupportedContent; read?: number };

/** @internal Content to encrypt with its id, and how far its author has read. */
export type Named = { id: string; content: Content; read?: number };

/** @internal */
export function encodeContent({ id, content, read }: Named): Bytes {
  const encode = (more: { read?: number }) => concat(utf8(JSON.stringify({ v: 1, id, ...content, ...more })));
  const bytes = encode(read === undefined ? {} : { read });
  // The read position is left out when the content would not fit with it.
  return read !== undefined && bytes.length > maxContentBytes ? encode({}) : bytes;
}

/** @internal */
export function decodeContent(padded: Uint8Array): Decoded | MalformedContent {
  const bytes = unpad(padded);
  if (!bytes) return malformed("padding");
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(bytes));
  } catch {
    return malformed("not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return malformed("not an object");
  const fields = value as Record<string, unknown>;
  const isLater = typeof fields.v === "number" && Number.isSafeInteger(fields.v) && fields.v > 1;
  if (fields.v !== 1 && !isLater) return malformed("version");
  if (!isId(fields.id)) return malformed("id");
  const isNew = isLater || (isName(fields.type) && !types.has(fields.type));
  const content = isNew ? { type: "unsupported" as const, name: isName(fields.type) ? fields.type : "" } : readContent(fields);
  return content
    ? { id: fields.id, content, ...(isPlace(fields.read) ? { read: fields.read } : {}) }
    : malformed(typeof fields.type === "string" && fields.type.length <= 32 ? `type ${fields.type}` : "type");
}

const types = new Set<string>(["text", "reply", "edit", "delete", "reaction", "receipt", "name", "custom"] satisfies Content["type"][]);

/** @internal Whether this version can decode the content again. */
export const canBeRead = (content: Content): boolean => readContent({ ...content }) !== undefined;

/** @internal What a content of this type must contain, as a sentence for the developer. */
export function requirementOf(type: Content["type"]): string {
  const text = "a string without half of a surrogate pair";
  const id = "the id of a message";
  switch (type) {
    case "text":
      return `text must be ${text}.`;
    case "reply":
      return `text must be ${text}, and the message that is answered must have an id.`;
    case "edit":
      return `text must be ${text}, and the target must be ${id}.`;
    case "delete":
      return `The target must be ${id}.`;
    case "reaction":
      return `The target must be ${id}, and emoji a string of 1 to 32 characters.`;
    case "receipt":
      return "upTo must be a place in the log.";
    case "name":
      return `name must be ${text}, of 200 characters at most.`;
    case "custom":
      return "kind must be a string of 64 characters at most, and data must be JSON: 32 levels at most, without a key __proto__.";
    default:
      return `This SDK sends no content of the type ${JSON.stringify(type)}.`;
  }
}

/** Whether a later version may use this as a type. */
const isName = (value: unknown): value is string => typeof value === "string" && /^[A-Za-z][A-Za-z0-9._-]{0,63}$/.test(value);

function readContent(f: Record<string, unknown>): Content | undefined {
  switch (f.type) {
    case "text":
      return isText(f.text) ? { type: "text", text: f.text } : undefined;
    case "reply":
      return isText(f.text) && isId(f.to) ? { type: "reply", to: f.to, text: f.text } : undefined;
    case "edit":
      return isText(f.text) && isId(f.target) ? { type: "edit", target: f.target, text: f.text } : undefined;
    case "delete":
      return isId(f.target) ? { type: "delete", target: f.target } : undefined;
    case "reaction":
      return isId(f.target) && isText(f.emoji) && f.emoji.length > 0 && f.emoji.length <= 32 && f.emoji !== "__proto__"
        ? { type: "reaction", target: f.target, emoji: f.emoji, ...(f.removed === true ? { removed: true } : {}) }
        : undefined;
    case "receipt":
      return isPlace(f.upTo) ? { type: "receipt", upTo: f.upTo } : undefined;
    case "name":
      return isText(f.name) && f.name.length <= 200 ? { type: "name", name: f.name } : undefined;
    case "custom":
      return isText(f.kind) && f.kind.length <= 64 && isPlain(f.data) ? { type: "custom", kind: f.kind, data: f.data } : undefined;
    default:
      return undefined;
  }
}

/** JSON can contain lone surrogates. A text must not. */
const isText = (value: unknown): value is string =>
  typeof value === "string" && !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(value);

/** Whether the data can be stored and read again: at most 32 levels deep, and no key `__proto__`. */
function isPlain(data: unknown): boolean {
  let level = [data];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > 32) return false;
    const objects = level.filter((value): value is object => typeof value === "object" && value !== null);
    if (objects.some((value) => Object.hasOwn(value, "__proto__"))) return false;
    level = objects.flatMap((value) => Object.values(value) as unknown[]);
  }
  return true;
}

/** Whether this is a place in the log. */
const isPlace = (value: unknown): value is number => typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

const isId = (value: unknown): value is string =>
  typeof value === "string" && /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(value);

const malformed = (reason: string): MalformedContent => ({ type: "malformed", reason });
