import type { LogEntry, LogPage } from "../net/wire.js";
import { keys } from "../store/store.js";
import type { Applying } from "./applying.js";
import type { Draft } from "./draft.js";
import { canFollow } from "./following.js";
import { keepMissing } from "./missing.js";

/** The server's log may not become shorter. People see it until they acknowledge it. @internal */
export function compareEnd(draft: Draft, { headSeq }: LogPage, applying: Pick<Applying, "events" | "reports">): void {
  const { cursor } = draft.state;
  if (cursor === undefined || headSeq >= cursor) return;
  tell(draft, `The server's log ends at ${headSeq}; this device has read it to ${cursor}.`, applying);
}

/**
 * This device has read another entry at this place before, when it did not have the group that it has now. What it says to the members about the log has the
 * earlier one, so no comparison shows the difference. A place that has no message now, and may have had one, is visible. @internal
 */
export async function tellOther(draft: Draft, { seq, createdAt }: LogEntry, applying: Applying): Promise<void> {
  tell(draft, `The server shows another entry at ${seq} than before.`, applying);
  if (!canFollow(draft) || (await draft.get(keys.message(draft.state.id, seq))) !== undefined) return;
  keepMissing(draft, seq, 1, createdAt.getTime(), applying);
}

function tell({ state, after }: Draft, detail: string, { events, reports }: Pick<Applying, "events" | "reports">): void {
  state.rewound = true;
  after.push(() => events.emit("problem", undefined));
  reports.warn({ area: "room", kind: "logRewound", roomId: state.id, retrying: false, detail });
}
