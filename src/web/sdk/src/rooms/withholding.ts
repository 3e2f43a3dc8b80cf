/* A room that the server does not show any more. It is kept as it is, because an answer of the server is no reason to forget anything. */
import type { Emitter } from "../base/events.js";
import type { CoreEvents } from "./applying.js";
import type { Draft } from "./draft.js";
import { addLine, firstIndex } from "./notices.js";

/** A room that can be changed. @internal */
export interface Changeable {
  readonly events: Emitter<CoreEvents>;
  exclusively(work: (draft: Draft) => Promise<boolean | void>): Promise<void>;
}

/** The room is kept, and its sends wait. @internal */
export const withhold = (room: Changeable, at: number): Promise<void> =>
  room.exclusively(async (draft) => {
    if (draft.state.withheld !== undefined) return false;
    draft.state.withheld = at;
    await addLine(draft, { seq: draft.state.cursor ?? 0, index: firstIndex.withheld, at, kind: "withheld" }, room);
    draft.after.push(
      () => room.events.emit("withheld", { isWithheld: true }),
      () => room.events.emit("holds", undefined),
    );
    return true;
  });

/** The server shows the room again. @internal */
export const show = (room: Changeable): Promise<void> =>
  room.exclusively(async (draft) => {
    delete draft.state.withheld;
    draft.after.push(
      () => room.events.emit("withheld", { isWithheld: false }),
      () => room.events.emit("holds", undefined),
      () => room.events.emit("sendable", undefined),
      () => room.events.emit("reconcile", "away"),
    );
  });
