/**
 * What stands inside an envelope: JSON, padded. Version 1: `{ "v": 1, "id": uuid, "type": …, … }`. Everything here comes from another person's client, so nothing
 * throws: a type or version that is not known becomes an {@link UnsupportedContent}, and what does not fit becomes a {@link MalformedContent}.
 */
import { concat, fromUtf8, utf8, type Bytes } from "./bytes.js";

/** A message of text. */
export interface TextContent { type: "text"; text: string }
/** A text that answers a message. */
export interface ReplyContent { type: "reply"; to: string; text: string }
/** New text for a message of one's own. */
export interface EditContent { type: "edit"; target: string; text: string }
/** Takes a message of one's own back. */
export interface DeleteContent { type: "delete"; target: string }
/** A reaction to a message, or its taking back. */
export interface ReactionContent { type: "reaction"; target: string; emoji: string; removed?: boolean }
/** Everything up to this place in the log has been read. Earlier versions sent it as a message of its own; it is understood, and sent no more. */
export interface ReceiptContent { type: "receipt"; upTo: number }
/** The room's name from here on. */
export interface NameContent { type: "name"; name: string }
/** An application's own: `kind` names it, `data` is JSON. */
export interface CustomContent { type: "custom"; kind: string; data: unknown }
/** Content or an entry of the log that a later version knows: `name` is its type or kind. It has its place, and can be answered when it has an author. */
export interface UnsupportedContent { type: "unsupported"; name: string }
/** What a client wrote that no version can read. */
export interface MalformedContent { type: "malformed"; reason: string }

/** What can be sent. */
export type Content = TextContent | ReplyContent | EditContent | DeleteContent | ReactionContent | ReceiptContent | NameContent | CustomContent;

/** @internal Content with its id as it was read; with it comes how far its sender had read. */
export type Decoded = { id: string; content: Content | UnsupportedContent; read?: number };

/** @internal Content with its name, as it is encrypted; with it goes how far its sender had read. */
export type Named = { id: string; content: Content; read?: number };

/** Sizes to which content is padded before it is encrypted, in bytes. The last is what fits an envelope. */
export const buckets = [256, 512, 1024, 2048, 4096, 8192, 16384, 32256] as const;

/** Bytes that a content may have. */
export const maxContentBytes = buckets[buckets.length - 1]! - 1;

/** Appends 0x80 and zeros up to the next bucket (ISO/IEC 7816-4). Throws a RangeError when there is none. @internal */
export function pad(content: Uint8Array, sizes: readonly number[] = buckets): Bytes {
  const size = sizes.find((bucket) => bucket > content.length);
  if (size === undefined)
    throw new RangeError(`The content has more than ${sizes[sizes.length - 1]! - 1} bytes.`);
  const padded = new Uint8Array(size);
  padded.set(content);
  padded[content.length] = 0x80;
  return padded;
}

/** Undefined when that is no padding. @internal */
export function unpad(padded: Uint8Array): Uint8Array | undefined {
  let end = padded.length - 1;
  while (end >= 0 && padded[end] === 0)
    end--;
  return end >= 0 && padded[end] === 0x80 ? padded.subarray(0, end) : undefined;
}

/** @internal */
export function encodeContent({ id, content, read }: Named): Bytes {
  const encode = (more: { read?: number }) => concat(utf8(JSON.stringify({ v: 1, id, ...content, ...more })));
  const bytes = encode(read === undefined ? {} : { read });
  // A read position must not cost a message: it is left out where it does not fit.
  return read !== undefined && bytes.length > maxContentBytes ? encode({}) : bytes;
}

/** @internal */
export function decodeContent(padded: Uint8Array): Decoded | MalformedContent {
  const bytes = unpad(padded);
  if (!bytes)
    return malformed("padding");
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(bytes));
  } catch {
    return malformed("not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return malformed("not an object");
  const fields = value as Record<string, unknown>;
  const isLater = typeof fields.v === "number" && Number.isSafeInteger(fields.v) && fields.v > 1;
  if (fields.v !== 1 && !isLater)
    return malformed("version");
  if (!isId(fields.id))
    return malformed("id");
  const isNew = isLater || (isName(fields.type) && !types.has(fields.type));
  const content = isNew ? { type: "unsupported" as const, name: isName(fields.type) ? fields.type : "" } : readContent(fields);
  return content ? { id: fields.id, content, ...(isPlace(fields.read) ? { read: fields.read } : {}) } : malformed(typeof fields.type === "string" && fields.type.length <= 32 ? `type ${fields.type}` : "type");
}

const types = new Set<string>(["text", "reply", "edit", "delete", "reaction", "receipt", "name", "custom"] satisfies Content["type"][]);

/** @internal Whether a client of this version reads it again. */
export const canBeRead = (content: Content): boolean => readContent({ ...content }) !== undefined;

/** @internal What a content of this type must have, as a sentence for the developer whose content cannot be read again. */
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

/** A type that a later version may have. */
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
        ? { type: "reaction", target: f.target, emoji: f.emoji, ...(f.removed === true ? { removed: true } : {}) } : undefined;
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

/** JSON can hold lone surrogates, which no text has. */
const isText = (value: unknown): value is string => typeof value === "string" && !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(value);

/** JSON that can be stored and read again: not too deep, and no key that means something to JavaScript. */
function isPlain(data: unknown): boolean {
  let level = [data];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > 32)
      return false;
    const objects = level.filter((value): value is object => typeof value === "object" && value !== null);
    if (objects.some((value) => Object.hasOwn(value, "__proto__")))
      return false;
    level = objects.flatMap((value) => Object.values(value) as unknown[]);
  }
  return true;
}

/** A place in the log. */
const isPlace = (value: unknown): value is number => typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

const isId = (value: unknown): value is string => typeof value === "string" && /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(value);

const malformed = (reason: string): MalformedContent => ({ type: "malformed", reason });
