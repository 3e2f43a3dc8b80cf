/*
 * Section 9 of the specification: what a device has read of the log when it sends a message. Members compare it with what they have read, so the server cannot
 * show different logs to them.
 */
import { concat, copy, equal, sha256, type Bytes } from "../base/bytes.js";
import { fixed, fromBase64Url, hash, labelOf, toBase64Url, uint64, uint8, vectorHeader } from "./codec.js";

/** The member `seen` of a content. */
export interface Seen {
  /** The newest place up to which the author has all places. */
  seq: number;
  /** The newest place up to `seq` that the author has not read; 0 when there is none. */
  gap: number;
  /** Up to four values of 16 bytes in base64url: for the block of `seq`, and the blocks before it. */
  hashes: readonly string[];
}

/** A place of the log that the device has read. Entries that the server makes have no bytes. */
export type Place = { kind: "message" | "commit"; entry: Bytes } | { kind: "server" };

const blockSize = 256;
const mostBlocks = 4;
/** How many places a device keeps. */
export const placesKept = 2048;

/** The hash of a stored MLSMessage, for {@link Place}. */
export const entryHash = (message: Uint8Array): Promise<Bytes> => sha256(message);

/** The blocks of which `seen` has values, the newest first. */
function blocksOf(seq: number, gap: number): number[] {
  const blocks: number[] = [];
  for (let block = Math.floor(seq / blockSize); block >= 0 && blocks.length < mostBlocks && lastOf(block) > gap; block--) blocks.push(block);
  return blocks;
}

const lastOf = (block: number) => blockSize * block + blockSize - 1;

const kinds = ["message", "commit", "server"] as const;
const hashBytes = 32;
/** seq, kind and hash of an entry, as the value of a block has them. */
const entryBytes = 8 + 1 + hashBytes;
/** More than what is hashed before the entries. */
const headBytes = 256;
const label = labelOf("Transcript");

/** The places of one block. The entries are kept as they are hashed, because each message is compared. */
class Block {
  /** By place: 0 for one that was not read, otherwise 1 + the index of its kind. */
  readonly kinds = new Uint8Array(blockSize);
  /** The entries, after the room for what is hashed before them. */
  private readonly bytes = new Uint8Array(headBytes + blockSize * entryBytes);
  /** How many entries with bytes stand before each place. */
  private readonly before = new Uint16Array(blockSize + 1);
  private filled = 0;

  /** Places come in ascending order. */
  add(seq: number, place: Place): void {
    const at = seq % blockSize;
    const count = this.countBefore(at);
    this.kinds[at] = 1 + kinds.indexOf(place.kind);
    if (place.kind !== "server") {
      const kind = place.kind === "message" ? 1 : 2;
      this.bytes.set(concat(uint64(seq), uint8(kind), fixed(place.entry, hashBytes)), headBytes + count * entryBytes);
    }
    this.before[at + 1] = count + (place.kind === "server" ? 0 : 1);
    this.filled = at + 1;
  }

  place(at: number): Place | undefined {
    const kind = kinds[this.kinds[at]! - 1];
    if (kind === undefined || kind === "server") return kind && { kind };
    const end = headBytes + (this.countBefore(at) + 1) * entryBytes;
    return { kind, entry: copy(this.bytes.subarray(end - hashBytes, end)) };
  }

  hasAll(first: number, last: number): boolean {
    return !this.kinds.subarray(first, last + 1).includes(0);
  }

  /** `hash("Transcript", …)` of the fields and the entries from one place to another. */
  hashWith(fields: Uint8Array, first: number, last: number): Promise<Bytes> {
    const begin = headBytes + this.countBefore(first) * entryBytes;
    const end = headBytes + this.countBefore(last + 1) * entryBytes;
    const entries = this.bytes.subarray(begin, end);
    const value = [fields, vectorHeader(entries)];
    if (begin > headBytes) return hash("Transcript", ...value, entries);
    // The usual case, without a copy of the entries: 10 KB for each value of each message. What stands before them is written anew each time.
    const head = concat(label, vectorHeader(...value, entries), ...value);
    this.bytes.set(head, headBytes - head.length);
    return sha256(this.bytes.subarray(headBytes - head.length, end));
  }

  private countBefore(at: number): number {
    // Places that were left out have no entries.
    for (let place = this.filled + 1; place <= at; place++) this.before[place] = this.before[this.filled]!;
    return this.before[at]!;
  }
}

/** A transcript as a store keeps it. */
export interface StoredTranscript {
  seq: number;
  gap: number;
  places: readonly (readonly [seq: number, place: Place])[];
}

/** Blocks of one author that were complete and equal, with the author's gap then. */
export interface Compared {
  gap: number;
  blocks: Set<number>;
}

export type SeenVerdict =
  /** All values that could be compared are the same. `compared` is their number. */
  | { verdict: "same"; compared: number }
  /** The value of a block differs, or (without `block`) the author claims to have read its own message or a later one: `transcriptMismatch`. */
  | { verdict: "mismatch"; block?: number }
  | { verdict: "malformed" };

/** The newest places of one room's log that this device has read: at least 2,048. */
export class Transcript {
  private readonly blocks = new Map<number, Block>();

  private constructor(
    private readonly foundingHash: Uint8Array,
    private newest: number,
    private unread: number,
    places: Iterable<readonly [number, Place]>,
  ) {
    for (const [seq, place] of [...places].toSorted(([a], [b]) => a - b)) this.block(seq).add(seq, place);
  }

  /** `gap` is the place of the Commit that added the device, or the place before the first one of the log that it reads. */
  static start(foundingHash: Uint8Array, gap: number): Transcript {
    return new Transcript(fixed(foundingHash, hashBytes), gap, gap, []);
  }

  static restore(foundingHash: Uint8Array, stored: StoredTranscript): Transcript {
    return new Transcript(fixed(foundingHash, hashBytes), stored.seq, stored.gap, stored.places);
  }

  store(): StoredTranscript {
    const places: [number, Place][] = [];
    for (let seq = Math.max(0, this.newest - placesKept + 1); seq <= this.newest; seq++) {
      const place = this.place(seq);
      if (place) places.push([seq, place]);
    }
    return { seq: this.newest, gap: this.unread, places };
  }

  /** The newest place that was added. */
  get seq(): number {
    return this.newest;
  }

  /** The newest place that the device has not read. */
  get gap(): number {
    return this.unread;
  }

  /** A place that the device has read and still has. */
  place(seq: number): Place | undefined {
    return seq > this.newest - placesKept ? this.blocks.get(Math.floor(seq / blockSize))?.place(seq % blockSize) : undefined;
  }

  /** Adds the next place; `gone` when the server has deleted its bytes before the device read them. Throws `RangeError` for another place than the next. */
  add(seq: number, place: Place | "gone"): void {
    if (seq !== this.newest + 1) throw new RangeError(`The place after ${this.newest} is not ${seq}.`);
    this.newest = seq;
    if (place === "gone") this.unread = seq;
    else this.block(seq).add(seq, place);
    this.blocks.delete(Math.floor((seq - placesKept) / blockSize) - 1);
  }

  /** The log goes on at this place: what stands before it was not read. */
  skipTo(seq: number): void {
    if (seq <= this.newest + 1) return;
    this.newest = this.unread = seq - 1;
    for (const block of this.blocks.keys()) if (lastOf(block) <= this.newest - placesKept) this.blocks.delete(block);
  }

  /** What a message says that is encrypted now; undefined before the first place. */
  async seen(): Promise<Seen | undefined> {
    const { newest: seq, unread: gap } = this;
    if (seq === 0) return undefined;
    const values = await Promise.all(blocksOf(seq, gap).map((block) => this.valueOf(block, gap, seq)));
    return { seq, gap, hashes: values.map(toBase64Url) };
  }

  /**
   * Compares what the author of the message at place `at` has read with what this device has read. `known` holds what was equal before for the same author:
   * a block that was complete then is not compared again.
   */
  async judge(seen: Seen, at: number, known?: Compared): Promise<SeenVerdict> {
    const { seq, gap } = seen;
    if (![seq, gap].every((place) => Number.isSafeInteger(place) && place >= 0) || gap > seq) return { verdict: "malformed" };
    const hashes = seen.hashes.map(fromBase64Url);
    const blocks = blocksOf(seq, gap);
    if (hashes.length !== blocks.length || hashes.some((value) => value?.length !== 16)) return { verdict: "malformed" };
    if (seq >= at) return { verdict: "mismatch" };
    let compared = 0;
    for (const [i, block] of blocks.entries()) {
      if (known?.gap === gap && known.blocks.has(block)) {
        compared++;
        continue;
      }
      if (!this.hasAll(block, gap, seq)) continue;
      if (!equal(await this.valueOf(block, gap, seq), hashes[i]!)) return { verdict: "mismatch", block };
      compared++;
      if (known && seq >= lastOf(block)) {
        if (known.gap !== gap) known.blocks.clear();
        known.gap = gap;
        known.blocks.add(block);
      }
    }
    return { verdict: "same", compared };
  }

  private block(seq: number): Block {
    const number = Math.floor(seq / blockSize);
    let block = this.blocks.get(number);
    if (!block) this.blocks.set(number, (block = new Block()));
    return block;
  }

  private hasAll(block: number, gap: number, seq: number): boolean {
    const [first, last] = rangeOf(block, gap, seq);
    return first > last || (this.blocks.get(block)?.hasAll(first, last) ?? false);
  }

  private async valueOf(block: number, gap: number, seq: number): Promise<Bytes> {
    const [first, last] = rangeOf(block, gap, seq);
    const fields = concat(this.foundingHash, uint64(block), uint64(gap), uint64(seq));
    const known = first <= last ? this.blocks.get(block) : undefined;
    const value = await (known ? known.hashWith(fields, first, last) : hash("Transcript", fields, vectorHeader()));
    return value.slice(0, 16);
  }
}

/** The first and the last place in a block, counted from its begin, whose entries a value has. */
function rangeOf(block: number, gap: number, seq: number): [first: number, last: number] {
  const begin = blockSize * block;
  return [Math.max(gap + 1, begin) - begin, Math.min(seq, lastOf(block)) - begin];
}
