/* What is wrong with a room, for people to see until it is solved. */
import type { RoomCore } from "./core.js";

/**
 * A problem of a room. `joining`: this device is not yet in the room's MLS group. `noReader`: no other member has a device that can read, so sends wait.
 * `invalidCommit`: a member has made a Commit that is not valid, and the room goes on in the epoch before it until the group is reset. `broken` and `out`: this
 * device has lost the group and waits to be added again. `logRewound`: the server's log is shorter than before, or has another entry at a place
 * that was read before, see {@link RoomBase.acknowledge}.
 */
export type RoomProblem = "joining" | "noReader" | "invalidCommit" | "broken" | "out" | "logRewound";

/** @internal */
export function problemOf(core: Pick<RoomCore, "isWithheld" | "isReentryHeld" | "state" | "isReady" | "canBeRead">): RoomProblem | undefined {
  const { broken, out, rewound } = core.state;
  // The hold of such a room says more.
  if (core.isWithheld || core.isReentryHeld) return undefined;
  if (broken) return broken.why === "commit" ? "invalidCommit" : "broken";
  if (out) return "out";
  if (rewound) return "logRewound";
  if (!core.isReady) return "joining";
  return core.canBeRead === false ? "noReader" : undefined;
}

/** @internal */
export const acknowledge = (core: RoomCore): Promise<void> =>
  core.exclusively(async ({ state, after }) => {
    if (!state.rewound) return false;
    delete state.rewound;
    after.push(() => core.events.emit("problem", undefined));
    return true;
  });
