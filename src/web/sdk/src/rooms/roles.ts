/* The roles of the signed state, as applications and the server name them. */
import type { Role, ServerRole } from "../net/wire.js";
import { roleOf, type Role as SignedRole, type RoomState } from "../trust/state.js";

const names: readonly Role[] = ["member", "moderator", "admin", "owner"];

/** @internal */
export const roleName = (role: SignedRole): Role => names[role]!;

/** @internal @throws `TypeError` for another name. */
export function signedRole(name: string): SignedRole {
  const at = names.findIndex((each) => each === name);
  if (at < 0) throw new TypeError("There is no such role.");
  return at as SignedRole;
}

/** The role for the server's copy of the members: it knows no moderators. @internal */
export const serverRole = (role: SignedRole): ServerRole => (role === 3 ? "owner" : role === 2 ? "admin" : "member");

/** @internal */
export const roleNameOf = (state: RoomState, userId: string): Role => roleName(roleOf(state, userId));
