/* What this device has read of a room's log: rule T7. Messages say it, and members compare. */
import { equal } from "../base/bytes.js";
import type { SeenLog } from "../content/message.js";
import type { LogEntry } from "../net/wire.js";
import { keys, type Store } from "../store/store.js";
import { enforced } from "../trust/enforced.js";
import { entryHash, placesKept, Transcript, type Compared, type Place, type SeenVerdict } from "../trust/transcript.js";
import type { Draft } from "./draft.js";
import type { Sender } from "./sender.js";

/** Places in one stored value. Each write replaces the newest value, so it is small. */
const chunkPlaces = 16;
const hashBytes = 32;
const kinds = ["message", "commit", "server"] as const;

/**
 * The places of one room's log as this device reads them, each once and in order: also those that it cannot decrypt, and those from before it was in the group.
 * What {@link take} adds belongs to the draft. When the draft is not stored, {@link forget} must be called. @internal
 */
export class ReadLog {
  private transcript: Transcript | undefined;
  private readonly compared = new Map<string, Compared>();
  private founding: Uint8Array | undefined;
  private chunk: { number: number; bytes: Uint8Array; length: number; places: number } | undefined;

  constructor(
    private readonly store: Pick<Store, "list">,
    private readonly roomId: string,
  ) {}

  /**
   * The log has delivered an entry. One that was read before, and is read again with a group that was missing then, is not added again. Returns whether it is
   * the one that was read before; its bytes may be gone by now.
   */
  async take(draft: Draft, entry: LogEntry): Promise<boolean> {
    const { state } = draft;
    if (!enforced.t7) return true;
    const place = await placeOf(entry);
    const transcript = await this.load(draft);
    if (state.transcript && entry.seq <= state.transcript.seq) return isSame(transcript.place(entry.seq), place);
    transcript.skipTo(entry.seq);
    transcript.add(entry.seq, place);
    this.put(draft, entry.seq, place);
    state.transcript = { seq: transcript.seq, gap: transcript.gap };
    return true;
  }

  /** What a message says that is encrypted now. Undefined before the first place, and while the room's founding is not known. */
  async seen(draft: Draft): Promise<SeenLog | undefined> {
    if (!draft.signed || !draft.state.transcript || !enforced.t7) return undefined;
    return (await this.load(draft)).seen();
  }

  /** Compares what a device has read that has written the message at place `at`. Undefined while the room's founding is not known. */
  async judge(draft: Draft, seen: SeenLog, at: number, { userId, deviceId }: Sender): Promise<SeenVerdict | undefined> {
    if (!draft.signed || !draft.state.transcript || !enforced.t7) return undefined;
    const author = `${userId} ${deviceId}`;
    let known = this.compared.get(author);
    if (!known) this.compared.set(author, (known = { gap: -1, blocks: new Set() }));
    return (await this.load(draft)).judge(seen, at, known);
  }

  /** Whether this device has read something else at a place than this message; `otherwise` for a place that it has not read, or no longer remembers. */
  async differs(draft: Draft, seq: number, message: Uint8Array | undefined, otherwise: boolean): Promise<boolean> {
    const place = draft.state.transcript && (await this.load(draft)).place(seq);
    if (place === undefined) return otherwise;
    return place.kind !== "message" || !message || !equal(place.entry, await entryHash(message));
  }

  /** The hash of the message at a place; undefined for another place, and for one that this device no longer remembers. */
  async hashAt(draft: Draft, seq: number): Promise<Uint8Array | undefined> {
    const place = draft.state.transcript && (await this.load(draft)).place(seq);
    return place?.kind === "message" ? place.entry : undefined;
  }

  /** What was added last is not stored. */
  forget(): void {
    this.transcript = undefined;
    this.chunk = undefined;
    this.compared.clear();
  }

  private async load({ state, signed }: Draft): Promise<Transcript> {
    const founding = signed?.foundingHash ?? this.founding ?? new Uint8Array(hashBytes);
    if (this.transcript && this.founding === founding) return this.transcript;
    // Places are read before this device is in the room, and the founding comes with the Welcome.
    if (this.transcript) this.transcript = Transcript.restore(founding, this.transcript.store());
    else if (!state.transcript) this.transcript = undefined;
    else this.transcript = Transcript.restore(founding, { ...state.transcript, places: await this.stored(state.transcript.seq) });
    this.founding = founding;
    return this.transcript ?? this.begin(founding);
  }

  private begin(founding: Uint8Array): Transcript {
    return (this.transcript = Transcript.start(founding, 0));
  }

  private async stored(newest: number): Promise<[number, Place][]> {
    const places: [number, Place][] = [];
    const prefix = keys.allReadPlaces(this.roomId);
    for (const [key, bytes] of await this.store.list(prefix)) {
      const number = Number(key.slice(prefix.length));
      const found = decodeChunk(bytes);
      for (const [i, place] of found.entries()) {
        const seq = number * chunkPlaces + i;
        if (place && seq <= newest && seq > newest - placesKept) places.push([seq, place]);
      }
      if (number === Math.floor(newest / chunkPlaces)) this.resume(number, bytes, found.length);
    }
    return places;
  }

  private resume(number: number, bytes: Uint8Array, places: number): void {
    this.chunk = { ...emptyChunk(number), length: bytes.length, places };
    this.chunk.bytes.set(bytes);
  }

  private put(draft: Draft, seq: number, place: Place | "gone"): void {
    const number = Math.floor(seq / chunkPlaces);
    if (this.chunk?.number !== number) {
      this.chunk = emptyChunk(number);
      const old = number - 1 - placesKept / chunkPlaces;
      if (old >= 0) draft.delete(keys.readPlaces(this.roomId, old));
    }
    const { chunk } = this;
    const at = seq % chunkPlaces;
    // Places that were left out stand as such.
    chunk.length += Math.max(0, at - chunk.places);
    chunk.places = at + 1;
    if (place === "gone") chunk.length++;
    else {
      chunk.bytes[chunk.length++] = 1 + kinds.indexOf(place.kind);
      if (place.kind !== "server") {
        chunk.bytes.set(place.entry, chunk.length);
        chunk.length += hashBytes;
      }
    }
    draft.changes.set(keys.readPlaces(this.roomId, number), chunk.bytes.subarray(0, chunk.length));
  }
}

const emptyChunk = (number: number) => ({ number, bytes: new Uint8Array(chunkPlaces * (1 + hashBytes)), length: 0, places: 0 });

function decodeChunk(bytes: Uint8Array): (Place | undefined)[] {
  const places: (Place | undefined)[] = [];
  for (let at = 0; at < bytes.length;) {
    const kind = kinds[bytes[at++]! - 1];
    if (kind === undefined || kind === "server") {
      places.push(kind && { kind });
      continue;
    }
    places.push({ kind, entry: bytes.slice(at, at + hashBytes) });
    at += hashBytes;
  }
  return places;
}

/** True for a place that this device no longer remembers, and for one whose bytes the server has deleted since. */
function isSame(before: Place | undefined, now: Place | "gone"): boolean {
  if (!before || now === "gone") return true;
  if (before.kind === "server" || now.kind === "server") return before.kind === now.kind;
  return before.kind === now.kind && equal(before.entry, now.entry);
}

async function placeOf({ kind, ciphertext }: LogEntry): Promise<Place | "gone"> {
  if (kind === "gone") return "gone";
  if (kind !== "message" && kind !== "commit") return { kind: "server" };
  return ciphertext ? { kind, entry: await entryHash(ciphertext) } : "gone";
}
