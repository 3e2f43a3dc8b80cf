import type { LogPage } from "../net/wire.js";
import type { Applying } from "./applying.js";
import type { Draft } from "./draft.js";

/** The server's log may not become shorter. People see it until they acknowledge it. @internal */
export function compareEnd({ state, after }: Draft, { headSeq }: LogPage, { events, reports }: Pick<Applying, "events" | "reports">): void {
  if (state.cursor === undefined || headSeq >= state.cursor) return;
  state.rewound = true;
  after.push(() => events.emit("problem", undefined));
  const detail = `The server's log ends at ${headSeq}; this device has read it to ${state.cursor}.`;
  reports.warn({ area: "room", kind: "logRewound", roomId: state.id, retrying: false, detail });
}
