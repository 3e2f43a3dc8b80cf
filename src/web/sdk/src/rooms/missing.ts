/*
 * Places of the log that the server has emptied before this device read them. Each is shown until an author's deletion names it, or until this device has known
 * it for the life of the room's messages: otherwise a server could drop a message and nothing would show it.
 */
import type { MissingContent } from "../content/content.js";
import { keys, unpack } from "../store/store.js";
import { enforced } from "../trust/enforced.js";
import { memberOf } from "../trust/state.js";
import type { Applying } from "./applying.js";
import type { Draft } from "./draft.js";
import { keep } from "./keeping.js";
import { deadlineOf, limitLife, removeRecord, timeToLive } from "./lifetime.js";
import { toMessage, type MessageRecord } from "./records.js";

/** The places that one room remembers of those that this device could not read. */
const mostSkipped = 1000;

/** The log has these places and not their bytes. */
export function keepMissing(draft: Draft, seq: number, places: number, at: number, applying: Applying): void {
  if (!enforced.t7) return;
  const record: MessageRecord = { seq, id: "", mine: false, at, content: { type: "missing", places } };
  limitLife(draft, record, deadlineOf(draft, {}, applying), applying);
  draft.state.missing ??= seq;
  keep(draft, record, applying);
}

/**
 * A later message was sent at this time, so what is missing before it was sent earlier. When messages of that time have expired, this explains the places,
 * which is usual after a long time offline. They stay for the whole life all the same: only the author says when the message was sent, and a member with a
 * wrong clock, or one who helps the server, must not make them disappear.
 */
export async function markExpired(draft: Draft, seq: number, sent: number, { clock, events }: Pick<Applying, "clock" | "events">): Promise<void> {
  const { missing } = draft.state;
  if (missing === undefined || missing >= seq) return;
  delete draft.state.missing;
  const life = timeToLive(draft);
  if (life === undefined || sent + life * 1000 > clock.now()) return;
  for (const record of await missingFrom(draft, missing, seq)) {
    record.content = { ...record.content, expired: true };
    draft.put(keys.message(draft.state.id, record.seq), record);
    draft.after.push(() => events.emit("changed", toMessage(record)));
  }
}

/** A deletion that counts names these places. */
export async function explainMissing(draft: Draft, seqs: readonly number[], { events }: Pick<Applying, "events">): Promise<void> {
  const removed: number[] = [];
  for (const seq of new Set(seqs)) {
    const record = await draft.get<MessageRecord>(keys.message(draft.state.id, seq));
    if (record?.content.type !== "missing" || record.content.places > 1) continue;
    removeRecord(draft, record);
    removed.push(seq);
  }
  if (removed.length > 0) draft.after.push(() => events.emit("expired", { seqs: removed }));
}

/** This device was not in the room at the places before this one, so there is nothing that it should have read. */
export async function forgetMissing(draft: Draft, before: number, { events }: Pick<Applying, "events">): Promise<void> {
  const { missing } = draft.state;
  delete draft.state.skipped;
  if (missing === undefined || missing >= before) return;
  delete draft.state.missing;
  const records = await missingFrom(draft, missing, before);
  for (const record of records) removeRecord(draft, record);
  if (records.length > 0) draft.after.push(() => events.emit("expired", { seqs: records.map(({ seq }) => seq) }));
}

/** A message was encrypted for the group while this device was not in it. If its user stays a member, the place will be shown. */
export function noteSkipped({ state, signed }: Draft, seq: number, { device }: Pick<Applying, "device">): void {
  if (!signed?.head || !memberOf(signed.state, device.userId) || (state.skipped?.length ?? 0) >= mostSkipped) return;
  if ((state.skipped?.at(-1) ?? -1) < seq) state.skipped = [...(state.skipped ?? []), seq];
}

/** This device enters again, as a device of the same member. What it could not read in between is a visible place. */
export function showSkipped(draft: Draft, before: number, applying: Applying): void {
  const lost = (draft.state.skipped ?? []).filter((seq) => seq < before);
  delete draft.state.skipped;
  if (lost.length > 0) keepMissing(draft, lost[0]!, lost.length, applying.clock.now(), applying);
}

type MissingRecord = MessageRecord & { content: MissingContent };

async function missingFrom(draft: Draft, from: number, before: number): Promise<MissingRecord[]> {
  const found = await draft.list(keys.messages(draft.state.id), keys.message(draft.state.id, from - 1), keys.message(draft.state.id, before));
  return found.map((value) => unpack<MessageRecord>(value)).filter((record): record is MissingRecord => record.content.type === "missing");
}
