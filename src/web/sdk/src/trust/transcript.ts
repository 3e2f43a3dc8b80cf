/*
 * Section 9 of the specification: what a device has read of the log when it sends a message. Members compare it with what they have read, so the server cannot
 * show different logs to them.
 */
import { concat, copy, equal, sha256, type Bytes } from "../base/bytes.js";
import { fixed, fromBase64Url, hash, toBase64Url, uint64, uint8, vector } from "./codec.js";

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
const kept = 2048;

/** The hash of a stored MLSMessage, for {@link Place}. */
export const entryHash = (message: Uint8Array): Promise<Bytes> => sha256(message);

/** The blocks of which `seen` has values, the newest first. */
function blocksOf(seq: number, gap: number): number[] {
  const blocks: number[] = [];
  for (let block = Math.floor(seq / blockSize); block >= 0 && blocks.length < mostBlocks && lastOf(block) > gap; block--) blocks.push(block);
  return blocks;
}

const lastOf = (block: number) => blockSize * block + blockSize - 1;

/** A transcript as a store keeps it. */
export interface StoredTranscript {
  seq: number;
  gap: number;
  places: readonly (readonly [seq: number, place: Place])[];
}

export type SeenVerdict =
  /** All values that could be compared are the same. `compared` is their number. */
  | { verdict: "same"; compared: number }
  /** The value of a block differs, or (without `block`) the author claims to have read its own message or a later one: `transcriptMismatch`. */
  | { verdict: "mismatch"; block?: number }
  | { verdict: "malformed" };

/** The newest places of one room's log that this device has read: at least 2,048. */
export class Transcript {
  private readonly places: Map<number, Place>;

  private constructor(
    private readonly foundingHash: Uint8Array,
    private newest: number,
    private unread: number,
    places: Iterable<readonly [number, Place]>,
  ) {
    this.places = new Map(places);
  }

  /** `gap` is the place of the Commit that added the device, or the place before the first one of the log that it reads. */
  static start(foundingHash: Uint8Array, gap: number): Transcript {
    return new Transcript(fixed(foundingHash, 32), gap, gap, []);
  }

  static restore(foundingHash: Uint8Array, stored: StoredTranscript): Transcript {
    return new Transcript(fixed(foundingHash, 32), stored.seq, stored.gap, stored.places);
  }

  store(): StoredTranscript {
    return { seq: this.newest, gap: this.unread, places: [...this.places] };
  }

  /** The newest place that was added. */
  get seq(): number {
    return this.newest;
  }

  /** Adds the next place; `gone` when the server has deleted its bytes before the device read them. Throws `RangeError` for another place than the next. */
  add(seq: number, place: Place | "gone"): void {
    if (seq !== this.newest + 1) throw new RangeError(`The place after ${this.newest} is not ${seq}.`);
    this.newest = seq;
    if (place === "gone") this.unread = seq;
    else this.places.set(seq, place.kind === "server" ? { kind: "server" } : { kind: place.kind, entry: copy(fixed(place.entry, 32)) });
    this.places.delete(seq - kept);
  }

  /** What a message says that is encrypted now; undefined before the first place. */
  async seen(): Promise<Seen | undefined> {
    const { newest: seq, unread: gap } = this;
    if (seq === 0) return undefined;
    const values = await Promise.all(blocksOf(seq, gap).map((block) => this.valueOf(block, gap, seq)));
    return { seq, gap, hashes: values.map(toBase64Url) };
  }

  /** Compares what the author of the message at place `at` has read with what this device has read. */
  async judge(seen: Seen, at: number): Promise<SeenVerdict> {
    const { seq, gap } = seen;
    if (![seq, gap].every((place) => Number.isSafeInteger(place) && place >= 0) || gap > seq) return { verdict: "malformed" };
    const hashes = seen.hashes.map(fromBase64Url);
    const blocks = blocksOf(seq, gap);
    if (hashes.length !== blocks.length || hashes.some((value) => value?.length !== 16)) return { verdict: "malformed" };
    if (seq >= at) return { verdict: "mismatch" };
    let compared = 0;
    for (const [i, block] of blocks.entries()) {
      if (!this.hasAll(block, gap, seq)) continue;
      if (!equal(await this.valueOf(block, gap, seq), hashes[i]!)) return { verdict: "mismatch", block };
      compared++;
    }
    return { verdict: "same", compared };
  }

  private hasAll(block: number, gap: number, seq: number): boolean {
    for (let place = Math.max(gap + 1, blockSize * block); place <= Math.min(seq, lastOf(block)); place++) if (!this.places.has(place)) return false;
    return true;
  }

  private async valueOf(block: number, gap: number, seq: number): Promise<Bytes> {
    const entries: Uint8Array[] = [];
    for (let place = Math.max(gap + 1, blockSize * block); place <= Math.min(seq, lastOf(block)); place++) {
      const of = this.places.get(place);
      if (of && of.kind !== "server") entries.push(concat(uint64(place), uint8(of.kind === "message" ? 1 : 2), of.entry));
    }
    const value = await hash("Transcript", concat(this.foundingHash, uint64(block), uint64(gap), uint64(seq), vector(...entries)));
    return value.slice(0, 16);
  }
}
