import type { Role, SharedMember } from "../../base/sdk.js";

/** As many members are shown at once. Where there are more, they can be searched. */
export const fewMembers = 20;

export const rank: Record<Role, number> = { owner: 0, admin: 1, moderator: 2, member: 3 };

const names = new Intl.Collator();

/** The members by role, then by name. */
export const inOrder = (members: readonly SharedMember[]): SharedMember[] =>
  members.toSorted((a, b) => rank[a.role] - rank[b.role] || names.compare(a.username, b.username));

/** Whether a member's name has what the user searches for. */
export const matches = ({ username }: SharedMember, search: string): boolean => username.includes(search.trim().replace(/^@/, "").toLowerCase());
