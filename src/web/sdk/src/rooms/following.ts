/* Whether this device follows a room's group, and what happens when it no longer can. */
import { enforced } from "../trust/enforced.js";
import type { Applying } from "./applying.js";
import type { Draft } from "./draft.js";
import type { Broken, RoomState } from "./records.js";
import type { RoomGroup } from "./ports.js";

interface Followed {
  group: RoomGroup | undefined;
  state: RoomState;
}

/**
 * Whether this device can read and write in its group: the group is that of the newest generation, and this device has missed nothing. After a Commit that is
 * not valid, it goes on in the epoch before it. @internal
 */
export const canFollow = ({ group, state }: Followed): boolean =>
  group !== undefined && group.generation === state.generation && !state.out && (!state.broken || (state.broken.why === "commit" && enforced.t9));

/** Whether this device can also change the group. After a Commit that is not valid it waits for the reset. @internal */
export const canCommit = (followed: Followed): boolean => canFollow(followed) && !followed.state.broken;

/** The group cannot be followed from this place of the log on. @internal */
export function breakOff(draft: Draft, seq: number, why: Broken["why"], { clock, events }: Pick<Applying, "clock" | "events">): void {
  draft.state.broken = { seq, why, since: clock.now() };
  draft.after.push(() => events.emit("reconcile", "broken"));
}

/** The group has moved on by a Commit that this device cannot read. @internal */
export function breakChain(draft: Draft, seq: number, applying: Pick<Applying, "clock" | "events">): void {
  delete draft.state.wasAway;
  breakOff(draft, seq, "chain", applying);
}

/** Reports each state, also one that the next entry replaces at once. @internal */
export function notifyGroup(draft: Draft, { events }: Pick<Applying, "events">): void {
  const group = canFollow(draft) ? draft.group : undefined;
  draft.after.push(() => events.emit("group", { group }));
}
