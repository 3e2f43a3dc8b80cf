/* Whose devices this device puts into the group. */
import type { UserKeys } from "../net/wire.js";
import { enforced } from "../trust/enforced.js";
import { memberOf, type Member } from "../trust/state.js";
import { newestList } from "./plan.js";
import type { KnownPeople } from "./ports.js";
import type { SignedRoom } from "./signedRoom.js";

/**
 * The members whose devices belong into the group: those who are in the signed state. The server's members would count only without the rule T1, in a direct
 * room without T3. Only a test build is without, to show what an attack does then.
 */
export function believedMembers(signed: SignedRoom, hints: readonly UserKeys[], people: Pick<KnownPeople, "listsOf">): readonly Member[] {
  const { state, founding } = signed;
  if (enforced.t1 && (enforced.t3 || founding.kind === "group")) return state.roster;
  return hints.flatMap(({ userId }) => {
    const identity = newestList(people, userId)?.identity;
    return memberOf(state, userId) ?? (identity ? [{ user: userId, identity, since: 0, list: 0 }] : []);
  });
}

/** The users whose lists a test build without these rules needs beside those of the members. */
export const serverUsers = (hints: readonly UserKeys[]): string[] => (enforced.t1 && enforced.t3 ? [] : hints.map((user) => user.userId));
