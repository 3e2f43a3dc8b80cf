/* Stores messages and their changes. */
import { keys } from "../store/store.js";
import type { Applying } from "./applying.js";
import type { Draft } from "./draft.js";
import { toMessage, type MessageRecord } from "./records.js";

/** Stores a message and reports it. @internal */
export function keep(draft: Draft, record: MessageRecord, { events }: Pick<Applying, "events">): void {
  draft.put(keys.message(draft.state.id, record.seq), record);
  draft.after.push(() => events.emit("message", toMessage(record)));
}

/** Changes a message that is stored already. Without one, nothing happens. @internal */
export async function changeRecord(
  draft: Draft,
  seq: number | undefined,
  { events }: Pick<Applying, "events">,
  change: (record: MessageRecord) => void,
): Promise<void> {
  if (seq === undefined) return;
  const key = keys.message(draft.state.id, seq);
  const record = await draft.get<MessageRecord>(key);
  if (!record) return;
  change(record);
  draft.put(key, record);
  draft.after.push(() => events.emit("changed", toMessage(record)));
}
