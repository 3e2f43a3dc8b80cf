/* Section 8 of the specification: the content of a message as JSON, before the padding. What it counts for is decided by its place and its author, not here. */
import { fromBase64, toBase64, utf8, type Bytes } from "../base/bytes.js";
import { levelsOf, parseJson, type Json, type JsonObject } from "./json.js";
import { buckets, maxContentBytes, pad, unpad } from "./padding.js";

/** The number and hash (16 bytes in base64url) of a statement or a device list. */
export interface Named {
  number: number;
  hash: string;
}

/** A message of an author. An id is unique only for its author. */
export interface Reference {
  /** The author's user id. */
  author: string;
  /** The id of the message. */
  id: string;
}

/** What the author had read of the log. The values are 16 bytes in base64url. */
export interface SeenLog {
  seq: number;
  gap: number;
  hashes: readonly string[];
}

/** The members that each content has. */
export interface ContentHeader {
  id: string;
  /** ms since 1970 by the author's clock. */
  sent: number;
  /** Seconds to live: 1 to 2^31. */
  ttl?: number;
  /** Undefined only when the author had read nothing. */
  seen?: SeenLog;
  /** The head that began the message's epoch. */
  room: Named;
  /** The author's device list. */
  list: Named;
  /** The place up to which the author has read. */
  read?: number;
}

/** A file. All bytes are in base64url. */
export interface ContentFile {
  /** The id of the stored bytes. */
  blob: string;
  /** What lets a person read the stored bytes. */
  get: string;
  /** What lets a person delete the stored bytes. */
  delete: string;
  /** The key that decrypts them. */
  key: string;
  /** The size of the file in bytes. */
  size: number;
  /** The hash of the stored bytes. */
  hash: string;
  /** The name of the file. */
  name: string;
  /** The media type. */
  media: string;
  /** The width in pixels. */
  width?: number;
  /** The height in pixels. */
  height?: number;
  /** The duration in milliseconds. */
  duration?: number;
  /** The shape of a voice message. */
  waveform?: string;
  /** A small picture. */
  thumbnail?: string;
  /** A description for people who do not see it. */
  alt?: string;
}

export type ContentBody =
  | { type: "text"; text: string }
  | { type: "reply"; to: Reference; text: string }
  | { type: "edit"; target: string; text: string }
  | { type: "delete"; target: string; seqs: readonly number[] }
  | { type: "moderate"; target: Reference; seqs: readonly number[] }
  | { type: "pin"; target: Reference; removed?: boolean }
  | { type: "reaction"; target: Reference; emoji: string; removed?: boolean }
  | { type: "leave"; token: string }
  | { type: "file"; files: readonly ContentFile[]; text?: string }
  | { type: "custom"; kind: string; data: Json };

export type MessageContent = ContentHeader & ContentBody;

export type DecodedContent =
  | { kind: "content"; content: MessageContent }
  /** Of a later version or type: shown as not supported. */
  | { kind: "unsupported"; header: ContentHeader; type: string }
  | { kind: "malformed" };

/** The JSON of a content, padded. Throws `RangeError` for a content above 32,255 bytes, and `TypeError` for one that a receiver finds malformed. */
export function encodeMessage(content: MessageContent): Bytes {
  const encoded = utf8(JSON.stringify({ v: 1, ...content }));
  if (encoded.length > maxContentBytes) throw new RangeError(`The content has more than ${maxContentBytes} bytes.`);
  if (decodeContent(encoded).kind !== "content") throw new TypeError("The content is malformed.");
  return pad(encoded);
}

/** Reads a padded content. */
export function decodeMessage(padded: Uint8Array): DecodedContent {
  const content = unpad(padded);
  const isSmallest = content && padded.length === buckets.find((size) => size > content.length);
  return isSmallest ? decodeContent(content) : { kind: "malformed" };
}

/** Reads a content without its padding. */
export function decodeContent(bytes: Uint8Array): DecodedContent {
  const json = bytes.length > maxContentBytes ? undefined : parseJson(bytes);
  try {
    if (!isObject(json)) return { kind: "malformed" };
    const version = whole(json.v);
    const type = text(json.type);
    const header = readHeader(json);
    const read = version === 1 && Object.hasOwn(bodies, type) ? bodies[type as ContentBody["type"]] : undefined;
    return read ? { kind: "content", content: { ...header, ...read(json) } } : { kind: "unsupported", header, type };
  } catch (error) {
    if (error instanceof Malformed) return { kind: "malformed" };
    throw error;
  }
}

class Malformed extends Error {}

function check(condition: unknown): asserts condition {
  if (!condition) throw new Malformed();
}

type Value = Json | undefined;

const isObject = (value: Value): value is JsonObject => typeof value === "object" && value !== null && !Array.isArray(value);

function object(value: Value): JsonObject {
  check(isObject(value));
  return value;
}

function items<T>(value: Value, least: number, most: number, read: (item: Json) => T): T[] {
  check(Array.isArray(value) && value.length >= least && value.length <= most);
  return (value as readonly Json[]).map(read);
}

function text(value: Value, least = 0, most = Infinity): string {
  check(typeof value === "string" && value.length >= least && value.length <= most);
  return value;
}

function whole(value: Value, least = 0, most = Number.MAX_SAFE_INTEGER): number {
  check(typeof value === "number" && value >= least && value <= most);
  return value;
}

function flag(value: Value): boolean {
  check(typeof value === "boolean");
  return value;
}

function uuid(value: Value): string {
  check(typeof value === "string" && /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value));
  return value;
}

/** Base64url in its one form, of this number of bytes. */
function bytesText(value: Value, length?: number): string {
  check(typeof value === "string" && /^[A-Za-z0-9_-]*$/.test(value) && value.length % 4 !== 1);
  const decoded = fromBase64(value.replaceAll("-", "+").replaceAll("_", "/"));
  check(toBase64(decoded).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "") === value);
  check(length === undefined || decoded.length === length);
  return value;
}

/** The members of `from` that exist, each read with its function. */
function optional<T>(from: JsonObject, readers: { [name in keyof T]: (value: Json) => T[name] }): Partial<T> {
  const found: Partial<T> = {};
  for (const name of Object.keys(readers) as (keyof T & string)[]) if (from[name] !== undefined) found[name] = readers[name](from[name]);
  return found;
}

const mostSeconds = 2 ** 31;
const shortHash = 16;

function readHeader(json: JsonObject): ContentHeader {
  return {
    id: uuid(json.id),
    sent: whole(json.sent),
    room: named(json.room),
    list: named(json.list),
    ...optional<{ ttl: number; seen: SeenLog; read: number }>(json, {
      ttl: (value) => whole(value, 1, mostSeconds),
      seen: seenLog,
      read: (value) => whole(value),
    }),
  };
}

function named(value: Value): Named {
  const json = object(value);
  return { number: whole(json.number), hash: bytesText(json.hash, shortHash) };
}

function seenLog(value: Value): SeenLog {
  const json = object(value);
  const seq = whole(json.seq);
  const gap = whole(json.gap, 0, seq);
  const blocks = Math.max(0, Math.min(4, Math.floor(seq / 256) - Math.floor((gap + 1) / 256) + 1));
  return { seq, gap, hashes: items(json.hashes, blocks, blocks, (each) => bytesText(each, shortHash)) };
}

function reference(value: Value): Reference {
  const json = object(value);
  return { author: uuid(json.author), id: uuid(json.id) };
}

const places = (value: Value) => items(value, 0, 16, (each) => whole(each));
const removed = (json: JsonObject) => optional<{ removed: boolean }>(json, { removed: (value) => flag(value) });

type Body<Type extends ContentBody["type"]> = Extract<ContentBody, { type: Type }>;

const bodies: { [Type in ContentBody["type"]]: (json: JsonObject) => Body<Type> } = {
  text: (json) => ({ type: "text", text: text(json.text) }),
  reply: (json) => ({ type: "reply", to: reference(json.to), text: text(json.text) }),
  edit: (json) => ({ type: "edit", target: uuid(json.target), text: text(json.text) }),
  delete: (json) => ({ type: "delete", target: uuid(json.target), seqs: places(json.seqs) }),
  moderate: (json) => ({ type: "moderate", target: reference(json.target), seqs: places(json.seqs) }),
  pin: (json) => ({ type: "pin", target: reference(json.target), ...removed(json) }),
  reaction: (json) => ({ type: "reaction", target: reference(json.target), emoji: text(json.emoji, 1, 32), ...removed(json) }),
  leave: (json) => ({ type: "leave", token: bytesText(json.token) }),
  file: (json) => ({ type: "file", files: items(json.files, 1, 32, file), ...optional<{ text: string }>(json, { text: (each) => text(each) }) }),
  custom(json) {
    check(json.data !== undefined && levelsOf(json.data) <= 32);
    return { type: "custom", kind: text(json.kind, 1, 64), data: json.data };
  },
};

function file(value: Value): ContentFile {
  const json = object(value);
  return {
    blob: uuid(json.blob),
    get: bytesText(json.get),
    delete: bytesText(json.delete),
    key: bytesText(json.key),
    size: whole(json.size),
    hash: bytesText(json.hash),
    name: text(json.name),
    media: text(json.media),
    ...optional<Pick<ContentFile, "width" | "height" | "duration" | "waveform" | "thumbnail" | "alt">>(json, {
      width: (each) => whole(each),
      height: (each) => whole(each),
      duration: (each) => whole(each),
      waveform: (each) => bytesText(each),
      thumbnail: (each) => bytesText(each),
      alt: (each) => text(each),
    }),
  };
}
