/* A room that the server does not show any more. It is kept as it is, because an answer of the server is no reason to forget anything. */
import type { Emitter } from "../base/events.js";
import type { CoreEvents } from "./applying.js";
import type { Draft } from "./draft.js";
import { addLine, firstIndex } from "./notices.js";
import { memberOf } from "../trust/state.js";
import type { RoomState, StoredWelcome } from "./records.js";
import type { SignedRoom } from "./signedRoom.js";

/** A room that can be changed. @internal */
export interface Changeable {
  readonly events: Emitter<CoreEvents>;
  exclusively(work: (draft: Draft) => Promise<boolean | void>): Promise<void>;
}

/** What a device has of a room. @internal */
interface Had {
  state: Readonly<RoomState>;
  signed: SignedRoom | undefined;
  welcome: StoredWelcome | undefined;
}

/**
 * Whether the server's answer is no news: this user has signed to leave, a member has signed to remove this user, or this device was never in the room.
 * @internal
 */
export function hasLeft({ state, signed, welcome }: Had, userId: string): boolean {
  if (state.leaves?.[userId]) return true;
  if (welcome) return false;
  return !signed || (signed.head !== undefined && !memberOf(signed.state, userId));
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
