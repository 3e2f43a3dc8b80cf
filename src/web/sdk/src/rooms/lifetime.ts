/*
 * When a message was sent, and how long it stays on this device: rule T8. Both are in the message and in the signed state, and are not what the server says.
 */
import { keys } from "../store/store.js";
import { enforced } from "../trust/enforced.js";
import type { Applying } from "./applying.js";
import type { Draft } from "./draft.js";
import type { MessageRecord } from "./records.js";

/** A message is shown for at least this time, also when it arrives after its life. */
const shownMs = 10_000;

/** The time to live of the room at this place, in seconds. */
export const timeToLive = ({ signed }: Pick<Draft, "signed">): number | undefined => signed?.state.timeToLive;

/** The time that the author has signed, but none that this device has not reached: a clock that is ahead cannot show a message as one of tomorrow. */
export const timeOf = (sent: number, clock: Applying["clock"]): number | undefined => (enforced.t8 ? Math.min(sent, clock.now()) : undefined);

/** When a message must be deleted that is seen now for the first time; undefined when it may stay. */
export function deadlineOf(draft: Draft, { sent, ttl }: { sent?: number; ttl?: number }, { clock }: Pick<Applying, "clock">): number | undefined {
  const life = Math.min(ttl ?? Infinity, timeToLive(draft) ?? Infinity);
  if (!enforced.t8 || life === Infinity) return undefined;
  const now = clock.now();
  return Math.ceil(Math.max(Math.min(sent ?? now, now) + life * 1000, now + shownMs));
}

/** Notes when a record must be deleted, in the write that stores it. An earlier deadline of the record is replaced, and is never prolonged. */
export function limitLife(draft: Draft, record: MessageRecord, deadline: number | undefined, { events }: Pick<Applying, "events">): void {
  if (deadline === undefined || (record.deadline !== undefined && record.deadline <= deadline)) return;
  const { id } = draft.state;
  if (record.deadline !== undefined) draft.delete(keys.deadline(record.deadline, id, record.seq));
  record.deadline = deadline;
  draft.put(keys.deadline(deadline, id, record.seq), 0);
  draft.after.push(() => events.emit("expiring", { deadline }));
}

/** Removes a record with all that belongs to it. */
export function removeRecord(draft: Draft, record: MessageRecord): void {
  const { id } = draft.state;
  draft.delete(keys.message(id, record.seq));
  for (const seq of [record.seq, ...(record.edits ?? [])]) draft.delete(keys.proof(id, seq));
  if (record.deadline !== undefined) draft.delete(keys.deadline(record.deadline, id, record.seq));
}
