/* The members of a room, as they have signed it. */
import type { Role } from "../net/wire.js";
import type { RoomState } from "../trust/state.js";
import type { KnownPeople, RoomGroup } from "./ports.js";
import { roleNameOf } from "./roles.js";

/** A member of a room. */
export interface Member {
  /** The user's id. */
  userId: string;
  /** The username under which this device knows the user; empty until the user's device list was fetched. */
  username: string;
  /** The role in the room. In a direct room both have the same rights, as members. */
  role: Role;
  /** The user's devices in the group. A member without one cannot read. */
  devices: string[];
  /** Whether a person has compared the user's keys; `again`: they were replaced since. */
  verified: "no" | "yes" | "again";
}

/** @internal */
export const membersOf = (state: RoomState, group: RoomGroup | undefined, people: Pick<KnownPeople, "knownOf">): Member[] =>
  state.roster.map(({ user }) => {
    const known = people.knownOf(user);
    return {
      userId: user,
      username: known?.username ?? "",
      role: roleNameOf(state, user),
      devices: (group?.leaves() ?? []).filter((leaf) => leaf.userId === user).map((leaf) => leaf.deviceId),
      verified: known?.verified ?? "no",
    };
  });
