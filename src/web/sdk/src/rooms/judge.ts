/* Whether another member's Commit is valid, before anything of it is applied: what trust/commit.ts needs to know, from the group and the opened Commit. */
import { enforced } from "../trust/enforced.js";
import { judgeCommit, type CommitFacts, type CommitProposal } from "../trust/commit.js";
import { deviceOf, type Device } from "../trust/device.js";
import type { RoomAt } from "../trust/follow.js";
import type { Bytes } from "../base/bytes.js";
import { isFault } from "../base/verdict.js";
import type { RuleName } from "../trust/rules.js";
import { exporterLabel, open } from "../trust/sealed.js";
import type { RoomState } from "../trust/state.js";
import type { Leaf, OpenedCommit, RoomGroup } from "./ports.js";
import type { SignedRoom } from "./signedRoom.js";

/** A valid Commit with the room after it. @internal */
export interface Judged {
  ok: true;
  opened: OpenedCommit;
  room: RoomAt;
  /** The bytes of the statement that it carries. */
  statement: Bytes | undefined;
}

/** A Commit that is not valid. Without an author it is not signed by a leaf, or cannot be decrypted. @internal */
export interface NotValid {
  ok: false;
  rule: RuleName | "unreadable";
  author?: Leaf;
  error?: unknown;
}

/** @internal */
export const toDevice = (leaf: Leaf): Device => deviceOf(leaf, leaf.signatureKey);

/** Judges a Commit of the group's current epoch by section 6 of the specification. @internal */
export async function judge(group: RoomGroup, message: Uint8Array, signed: SignedRoom): Promise<Judged | NotValid> {
  let opened: OpenedCommit;
  try {
    opened = await group.openCommit(message);
  } catch (error) {
    if (isFault(error)) throw error;
    return { ok: false, rule: "unreadable", error };
  }
  const { authenticatedData } = opened;
  let statement: Bytes | undefined;
  if (authenticatedData.length > 0) {
    const unsealed = await open(authenticatedData, await sealContext(group));
    if (!unsealed.ok) return { ok: false, rule: unsealed.rule, author: opened.committer };
    statement = unsealed.statement;
  }
  const { state, head } = signed;
  const judged = await judgeCommit(factsOf(group, opened, signed, statement));
  if (judged.ok) return { ok: true, opened, room: judged, statement };
  if (isOff(judged.rule, signed) && head) return { ok: true, opened, room: { state: withAdded(state, opened), head }, statement: undefined };
  return { ok: false, rule: judged.rule, author: opened.committer };
}

/** The key with which statements of this epoch are sealed. @internal */
export const sealContext = async (group: RoomGroup) => ({
  key: await group.export(exporterLabel, new Uint8Array(), 16),
  groupId: group.id,
  epoch: group.epoch,
});

function factsOf(group: RoomGroup, opened: OpenedCommit, { id, founding, foundingHash, state, head }: SignedRoom, statement: Bytes | undefined): CommitFacts {
  const { committer, isByValue, path, proposals } = opened;
  const before = group.leaves();
  const removed = new Set(proposals.flatMap((each) => (each.type === "remove" ? [each.leaf.index] : [])));
  const after = [
    ...before.filter((leaf) => !removed.has(leaf.index)).map((leaf) => (leaf.index === committer.index ? (path ?? leaf) : leaf)),
    ...proposals.flatMap((each) => (each.type === "add" ? [each.leaf] : [])),
  ];
  return {
    room: id,
    founding,
    foundingHash,
    generation: group.generation,
    epoch: group.epoch,
    state,
    head,
    ...(statement ? { statement } : {}),
    before: before.map(toDevice),
    after: after.map(toDevice),
    committer: toDevice(committer),
    committerAfter: toDevice(path ?? committer),
    isPrivate: true,
    proposals: [...proposals.map(toProposal), ...(isByValue ? [] : [{ kind: "other" as const, byReference: true }])],
    hasPath: path !== undefined,
  };
}

function toProposal(proposal: OpenedCommit["proposals"][number]): CommitProposal {
  if (proposal.type === "add") return { kind: "add", leaf: toDevice(proposal.leaf) };
  return proposal.type === "remove" ? { kind: "remove", leaf: toDevice(proposal.leaf) } : { kind: "other" };
}

/** Without the rule, the users whom a Commit adds are members. */
function withAdded(state: RoomState, { proposals }: OpenedCommit): RoomState {
  const added = new Map(proposals.flatMap((each) => (each.type === "add" ? [[each.leaf.userId, each.leaf.identityKey] as const] : [])));
  for (const { user } of state.roster) added.delete(user);
  const members = [...added].map(([user, identity]) => ({ user, identity: new Uint8Array(identity), since: 1, list: 0 }));
  return { ...state, roster: [...state.roster, ...members].toSorted((a, b) => (a.user < b.user ? -1 : 1)) };
}

const rulesOfLeaves = new Set<RuleName>(["proposals", "path", "leaf", "device", "addition", "removal"]);

/** Whether the rule of trust to which this check belongs is switched off. In a product none is. @internal */
export function isOff(rule: RuleName, { founding }: Pick<SignedRoom, "founding">): boolean {
  if (founding.kind === "direct" && (rule === "change" || rule === "leaf") && !enforced.t3) return true;
  // Leaves are compared with the roster, too.
  return rulesOfLeaves.has(rule) ? !enforced.t2 || !enforced.t1 : !enforced.t1;
}
