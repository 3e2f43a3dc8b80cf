/*
 * Where the log begins is the server's word: entries expire, and a user who comes back does not get those of the time between. So a place that it only names
 * is kept apart until a message of the group proves it. When the server's own head takes it back, this device reads on where it was.
 */
import { toHex } from "../base/bytes.js";
import { SecureMessagingError } from "../base/errors.js";
import type { LogEntry, LogPage } from "../net/wire.js";
import { keys, unpack } from "../store/store.js";
import { entryHash } from "../trust/transcript.js";
import type { Applying } from "./applying.js";
import type { Draft } from "./draft.js";
import { breakOff, canFollow } from "./following.js";
import { acceptAcked } from "./history.js";
import { keep } from "./keeping.js";
import { removeRecord } from "./lifetime.js";
import { keepMissing } from "./missing.js";
import type { MessageRecord, RoomState, Sender, StoredWelcome } from "./records.js";

/** Whether a value from the server can be a place of a log. @internal */
export const isPlace = (seq: unknown): seq is number => typeof seq === "number" && Number.isSafeInteger(seq) && seq >= 0;

/** @throws `Unavailable` for a page whose numbers contradict each other. The log is asked for again. @internal */
export function checkPage({ firstSeq, headSeq }: LogPage): void {
  if (isPlace(headSeq) && isPlace(firstSeq) && firstSeq <= headSeq + 1) return;
  throw SecureMessagingError.of("Unavailable", `The server says that the log begins at ${firstSeq} and ends at ${headSeq}.`);
}

/** The server says that the log begins later than this device has read it: goes on there. @internal */
export async function passGap(draft: Draft, firstSeq: number, applying: Applying): Promise<void> {
  const { state } = draft;
  const { cursor } = state;
  if (cursor !== undefined && firstSeq > state.high + 1) await leaveGap(draft, firstSeq, applying);
  // The entries between have expired, or are older than this user's membership.
  if ((cursor ?? -1) >= firstSeq - 1) return;
  if (firstSeq > state.high + 1) state.unproven = { ...(state.unproven ?? { high: state.high, ...(cursor === undefined ? {} : { cursor }) }), first: firstSeq };
  state.cursor = firstSeq - 1;
  state.high = Math.max(state.high, state.cursor);
  draft.after.push(() => applying.events.emit("sendable", undefined));
}

/**
 * Entries are missing: they have expired, or this user was out of the room. In the second case the group may have moved on, so nothing is encrypted until
 * {@link RoomCore.settle}.
 */
async function leaveGap(draft: Draft, firstSeq: number, applying: Applying): Promise<void> {
  const { sends, events, clock } = applying;
  for (const own of sends.ackedUpTo(draft, firstSeq - 1)) await acceptAcked(draft, own, applying);
  sends.encryptAnew(draft);
  if (!canFollow(draft)) return;
  const unread = draft.state.high + 1;
  keepMissing(draft, unread, firstSeq - unread, clock.now(), applying);
  draft.state.wasAway = true;
  draft.after.push(() => events.emit("reconcile", "away"));
}

/** A message of the group stands at this place, and its author has read the log up to `seen`: the log is as long as the server has said. @internal */
export function proveBeginning({ state }: Pick<Draft, "state">, seq: number, seen: number | undefined): void {
  if (state.unproven && seen !== undefined && seen < seq && seen >= state.unproven.first - 1) delete state.unproven;
}

/** The server's head lies before the unproven beginning, which was false: this device goes back to where it was. @internal */
export async function takeBack(draft: Draft, { headSeq }: LogPage, applying: Applying): Promise<void> {
  const { state } = draft;
  if (!state.unproven || headSeq >= state.unproven.first - 1) return;
  const { cursor, high } = state.unproven;
  const end = Math.max(high, headSeq);
  await forgetAfter(draft, high, end, applying);
  for (const key of [keys.read(state.id, applying.device.userId), keys.mark(state.id), keys.announced(state.id)])
    if (((await draft.get<number>(key)) ?? 0) > end) draft.put(key, high);
  delete state.unproven;
  delete state.cursor;
  Object.assign(state, { high, ...(cursor === undefined ? {} : { cursor }) } satisfies Partial<RoomState>);
  delete state.transcript;
  applying.readLog.forget();
  for (const place of ["missing", "left"] as const) if ((state[place] ?? 0) > end) delete state[place];
  if (state.skipped) state.skipped = state.skipped.filter((seq) => seq <= end);
  if (state.uncompared !== undefined) state.uncompared = Math.min(state.uncompared, high);
  // What was wrong at such a place is judged where it stands.
  if (state.broken && state.broken.seq > end && state.broken.why !== "welcome") delete state.broken;
}

/**
 * Removes what the history has at places that the log does not have, and the marks of gaps since then. A message whose text this device has waits for its
 * true place: its keys are used up, so it cannot be read again. One that expires stays where it is until then.
 */
async function forgetAfter(draft: Draft, after: number, end: number, { events, readLog }: Applying): Promise<void> {
  const { id } = draft.state;
  const seqs: number[] = [];
  const found = await draft.list(keys.messages(id), keys.message(id, after), keys.messages(id) + "~");
  for (const record of found.map((value) => unpack<MessageRecord>(value))) {
    // A place that is missing still is noted when it is read again.
    if (record.seq <= end && record.content.type !== "missing") continue;
    const { from, seq } = record;
    if (from) {
      const entry = record.deadline === undefined ? await readLog.hashAt(draft, seq) : undefined;
      if (!entry) continue;
      draft.put(keys.moved(id, toHex(entry)), record);
      draft.delete(keys.messageId(id, `${from.userId}/${record.id}`));
      draft.state.moved = (draft.state.moved ?? 0) + 1;
    }
    removeRecord(draft, record);
    seqs.push(seq);
  }
  if (seqs.length > 0) draft.after.push(() => events.emit("expired", { seqs }));
}

/** This device has read the message before, at a place that the log does not have. Returns whether it now stands at this one. @internal */
export async function putMoved(draft: Draft, { seq, ciphertext, createdAt }: LogEntry, applying: Applying): Promise<boolean> {
  const { state } = draft;
  if (state.moved === undefined) return false;
  const key = keys.moved(state.id, toHex(await entryHash(ciphertext!)));
  const record = await draft.get<MessageRecord & { from: Sender }>(key);
  if (!record) return false;
  draft.delete(key);
  if (--state.moved === 0) delete state.moved;
  draft.put(keys.messageId(state.id, `${record.from.userId}/${record.id}`), seq);
  keep(draft, { ...record, seq, at: createdAt.getTime() }, applying);
  return true;
}

/**
 * A Welcome stands at the place of its Commit. The server has named a place beyond its own head, so no entry will lead to it. This device asks to be added
 * again. `waiting` is the Welcome that it had when it asked for the page. @internal
 */
export function dropUnreachable(draft: Draft, { headSeq }: LogPage, waiting: StoredWelcome | undefined, applying: Applying): void {
  const { welcome, state } = draft;
  if (!welcome || welcome !== waiting || welcome.seq <= headSeq) return;
  draft.setWelcome(undefined);
  const detail = `The server says that a Welcome belongs to place ${welcome.seq} of the log, which ends at ${headSeq}.`;
  applying.reports.warn({ area: "room", kind: "welcomeRefused", roomId: state.id, retrying: !canFollow(draft), detail });
  if (!canFollow(draft) && !state.broken) breakOff(draft, headSeq, "welcome", applying);
}
