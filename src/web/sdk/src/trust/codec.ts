/*
 * The encoding of the signed objects (section 1 of the specification): the presentation language of TLS (RFC 8446 section 3) with the vectors of RFC 9420
 * section 2.1.2, hashes and signatures with labels. There is exactly one encoding of each value: the reader rejects all others.
 */
import { concat, copy, fromBase64, idBytes, idText, sha256, toBase64, utf8, type Bytes } from "../base/bytes.js";
import { sign, verify } from "../mls/ed25519.js";
import { FormatError, type RuleName } from "./rules.js";

/** Negative, zero or positive, as the first bytes that differ. A prefix is smaller. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length && i < b.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

const largestVector = 2 ** 30 - 1;

/** Reads bytes from the left. Every method throws `FormatError`: `length` for a wrong form, `number` for a number above 2^53 - 1. */
export class Reader {
  private offset = 0;

  constructor(private readonly bytes: Uint8Array) {}

  /** The next `length` bytes, in memory of their own. */
  take(length: number): Bytes {
    return copy(this.view(length));
  }

  uint8(): number {
    return this.view(1)[0]!;
  }

  uint16(): number {
    const [a, b] = this.view(2);
    return a! * 2 ** 8 + b!;
  }

  uint32(): number {
    return this.uint16() * 2 ** 16 + this.uint16();
  }

  uint64(): number {
    const value = this.uint32() * 2 ** 32 + this.uint32();
    if (!Number.isSafeInteger(value)) throw new FormatError("number", true);
    return value;
  }

  /** A byte that is 0 or 1. */
  boolean(): boolean {
    const value = this.uint8();
    if (value > 1) throw new FormatError("length");
    return value === 1;
  }

  /** A UUID in lower case. */
  id(): string {
    return idText(this.view(16));
  }

  key(): Bytes {
    return this.take(32);
  }

  hash(): Bytes {
    return this.take(32);
  }

  signature(): Bytes {
    return this.take(64);
  }

  optional<T>(read: (reader: Reader) => T): T | undefined {
    return this.boolean() ? read(this) : undefined;
  }

  /** The content of a vector. A length that is not in its shortest form is rejected. */
  vector(): Bytes {
    return copy(this.vectorView());
  }

  /** A vector of UTF-8. A byte order mark is kept as a character. */
  text(): string {
    return decodeText(this.vectorView(), "length");
  }

  /** A vector of items. With `key`, the items are strictly ascending by it; otherwise the rule is `order`. */
  list<T>(read: (reader: Reader) => T, key?: (item: T) => string | number | Uint8Array): T[] {
    const reader = new Reader(this.vectorView());
    const items: T[] = [];
    while (reader.offset < reader.bytes.length) {
      const item = read(reader);
      if (key && items.length > 0 && !isBelow(key(items.at(-1)!), key(item))) throw new FormatError("order");
      items.push(item);
    }
    return items;
  }

  /** Rejects bytes after the end of the structure. */
  end(): void {
    if (this.offset !== this.bytes.length) throw new FormatError("length");
  }

  /** The bytes that have been read so far: what a signature at this place covers. */
  before(): Bytes {
    return copy(this.bytes.subarray(0, this.offset));
  }

  private vectorView(): Uint8Array {
    const first = this.uint8();
    const form = first >> 6;
    let length = first & 0x3f;
    if (form === 3) throw new FormatError("length");
    for (let more = form === 2 ? 3 : form; more > 0; more--) length = length * 2 ** 8 + this.uint8();
    if ((form === 1 && length < 2 ** 6) || (form === 2 && length < 2 ** 14)) throw new FormatError("length");
    return this.view(length);
  }

  private view(length: number): Uint8Array {
    if (length > this.bytes.length - this.offset) throw new FormatError("length");
    return this.bytes.subarray(this.offset, (this.offset += length));
  }
}

const isBelow = (a: string | number | Uint8Array, b: string | number | Uint8Array): boolean =>
  a instanceof Uint8Array && b instanceof Uint8Array ? compareBytes(a, b) < 0 : a < b;

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Throws `FormatError` for invalid UTF-8. */
export function decodeText(bytes: Uint8Array, rule: RuleName = "text"): string {
  try {
    return strict.decode(bytes);
  } catch {
    throw new FormatError(rule);
  }
}

/** Reads a whole structure: a byte after its end is an error. */
export function decode<T>(bytes: Uint8Array, read: (reader: Reader) => T): T {
  const reader = new Reader(bytes);
  const value = read(reader);
  reader.end();
  return value;
}

/** Big-endian bytes of a number that this program made. Throws `RangeError` for one that does not fit. */
function unsigned(value: number, length: number): Bytes {
  if (!Number.isSafeInteger(value) || value < 0 || value >= 2 ** (8 * length)) throw new RangeError(`${value} is not a number of ${length} bytes.`);
  const bytes = new Uint8Array(length);
  for (let i = length - 1, rest = value; i >= 0; i--, rest = Math.floor(rest / 256)) bytes[i] = rest % 256;
  return bytes;
}

export const uint8 = (value: number): Bytes => unsigned(value, 1);
export const uint16 = (value: number): Bytes => unsigned(value, 2);
export const uint32 = (value: number): Bytes => unsigned(value, 4);
export const uint64 = (value: number): Bytes => unsigned(value, 8);
export const boolean = (value: boolean): Bytes => unsigned(value ? 1 : 0, 1);
export const id = idBytes;

/** Bytes of a known length. Throws `RangeError` for another one. */
export function fixed(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length !== length) throw new RangeError(`${bytes.length} bytes in place of ${length}.`);
  return bytes;
}

export const optional = (value: Uint8Array | undefined): Bytes => (value ? concat(uint8(1), value) : uint8(0));

/** A vector `<V>`: its length in the shortest form, then its bytes. */
export const vector = (...parts: Uint8Array[]): Bytes => concat(vectorHeader(...parts), ...parts);

/** The length of a vector with these parts. */
export function vectorHeader(...parts: Uint8Array[]): Bytes {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (length > largestVector) throw new RangeError("A vector has less than 2^30 bytes.");
  if (length < 2 ** 6) return uint8(length);
  return length < 2 ** 14 ? uint16(0x4000 + length) : uint32(0x80000000 + length);
}

/** The label of a structure, as it is hashed and signed. */
export const labelOf = (name: string): Bytes => vector(utf8(`SecureMessaging 1.0 ${name}`));

const labelled = (name: string, value: Uint8Array): Bytes => concat(labelOf(name), vector(value));

/** `hash(name, value)` of the specification: 32 bytes. The value may come in parts, so that a large one is copied once. */
export const hash = (name: string, ...value: Uint8Array[]): Promise<Bytes> => sha256(labelOf(name), vectorHeader(...value), ...value);

/** Signs a structure of the given name. `seed` is the private key of Ed25519. */
export const signLabelled = (seed: Uint8Array, name: string, value: Uint8Array): Promise<Bytes> => sign(seed, labelled(name, value));

export const verifyLabelled = (key: Uint8Array, name: string, value: Uint8Array, signature: Uint8Array): Promise<boolean> =>
  verify(key, labelled(name, value), signature);

/** Base64url without padding (RFC 4648 section 5). */
export const toBase64Url = (bytes: Uint8Array): string => toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** The bytes of base64url without padding, or undefined for another text, also for one whose unused bits are not 0. */
export function fromBase64Url(text: string): Bytes | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return undefined;
  const bytes = fromBase64(text.replaceAll("-", "+").replaceAll("_", "/"));
  return toBase64Url(bytes) === text ? bytes : undefined;
}
