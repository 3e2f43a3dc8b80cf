/* Section 6 of the specification: whether a Commit is valid. Each client computes it alike from values that the MLS library gives it. */
import { equal } from "../base/bytes.js";
import { hasSameKey, isApproved, isSame, type Device } from "./device.js";
import { lists, type DeviceList } from "./deviceList.js";
import { followStatement, type Head, type RoomAt } from "./follow.js";
import type { Founding } from "./founding.js";
import { refused, type Refused, type RuleName } from "./rules.js";
import type { RoomState } from "./state.js";
import { decodeChange, type Change } from "./statement.js";

/** A leaf of a group; undefined when its credential is not that of a device. */
export type Leaf = Device | undefined;

/** A proposal of a Commit. `byReference`: the Commit names a proposal that another message contains. */
export type CommitProposal = { byReference?: boolean } & ({ kind: "add"; leaf: Leaf } | { kind: "remove"; leaf: Device } | { kind: "other" });

export interface CommitFacts {
  room: string;
  founding: Founding;
  /** The whole hash of the founding. */
  foundingHash: Uint8Array;
  /** The group in whose epoch the Commit is made. */
  generation: number;
  epoch: number;
  /** The state in this epoch, and the newest statement; undefined before number 1. */
  state: RoomState;
  head: Head | undefined;
  /** The bytes of the statement that the authenticated data contain (see sealed.ts); undefined when they are empty. */
  statement?: Uint8Array;
  /** The leaves before and after the Commit. Those before have been judged with the epoch before. */
  before: readonly Device[];
  after: readonly Leaf[];
  /** The leaf of the committer before and after the Commit. */
  committer: Device;
  committerAfter: Leaf;
  /** Whether the Commit is a PrivateMessage of a member. */
  isPrivate: boolean;
  proposals: readonly CommitProposal[];
  hasPath: boolean;
  /** In the first Commit of a reset: the leaves of the newest group that counts. */
  groupBefore?: readonly Device[];
}

/**
 * Judges a Commit by all rules after `sealed`, in their order: the room after it, or the first rule that fails. In the first Commit of a reset (generation
 * above 0, epoch 0), `before` is the founder's leaf.
 */
export async function judgeCommit(facts: CommitFacts): Promise<({ ok: true } & RoomAt) | Refused> {
  const { statement, head } = facts;
  const followed = statement ? await follow(statement, facts) : { ok: true as const, state: facts.state, head, changes: [] };
  if (!followed.ok) return followed;
  const rule =
    ruleOfMessage(facts) ??
    (await judgeLeaves(followed.state, facts.after, isFirstOfGroup(facts) ? [] : facts.before)) ??
    (isByEarlierMember(facts) ? undefined : "leaf") ??
    ruleOfMembers(facts, followed.changes);
  if (rule) return refused(rule);
  return followed.head ? { ok: true, state: followed.state, head: followed.head } : refused("leaf");
}

/** Nothing was judged before the first Commit of a group. */
const isFirstOfGroup = ({ epoch }: CommitFacts) => epoch === 0;
const isReset = (facts: CommitFacts) => isFirstOfGroup(facts) && facts.generation > 0;

async function follow(statement: Uint8Array, facts: CommitFacts) {
  const { generation, epoch } = facts;
  const followed = await followStatement(statement, facts, {
    ...facts,
    leaves: isReset(facts) ? (facts.groupBefore ?? []) : facts.before,
    place: (of) => (of.generation !== generation ? "generation" : of.epoch !== epoch ? "epoch" : undefined),
  });
  return followed.ok ? { ...followed, changes: followed.statement.changes.map(decodeChange) } : followed;
}

function ruleOfMessage({ isPrivate, proposals, hasPath, committer, committerAfter }: CommitFacts): RuleName | undefined {
  const onlyAdds = proposals.length > 0 && proposals.every((each) => each.kind === "add");
  if (!isPrivate || proposals.some((each) => each.kind === "other" || each.byReference) || (!hasPath && !onlyAdds)) return "proposals";
  return committerAfter && isSame(committerAfter, committer) ? undefined : "path";
}

/** The founder of a reset was with its key a leaf of the group before. */
const isByEarlierMember = (facts: CommitFacts): boolean =>
  !isReset(facts) || !facts.groupBefore || facts.groupBefore.some((leaf) => hasSameKey(leaf, facts.committer));

/**
 * The rules `leaf` and `device` for all leaves of a group, after a Commit and in a Welcome; undefined when they hold. `judged` are leaves of which an earlier
 * call has checked the approval.
 */
export async function judgeLeaves(state: RoomState, leaves: readonly Leaf[], judged: readonly Device[] = []): Promise<RuleName | undefined> {
  const identities = new Map(state.roster.map((member) => [member.user, member.identity]));
  const known = new Map(judged.map((leaf) => [keyOf(leaf), leaf]));
  const isValid = async (leaf: Leaf) => {
    const identity = leaf && identities.get(leaf.user);
    if (!identity || !equal(identity, leaf.identity)) return false;
    const before = known.get(keyOf(leaf));
    return (before && isSame(before, leaf)) || isApproved(leaf);
  };
  if ((await Promise.all(leaves.map(isValid))).includes(false)) return "leaf";
  const keys = leaves.map((leaf) => keyOf(leaf!));
  return new Set(keys).size === keys.length ? undefined : "device";
}

const keyOf = (leaf: Device) => `${leaf.user} ${leaf.device}`;

/** The rules `addition` and `removal`. */
function ruleOfMembers(facts: CommitFacts, changes: readonly Change[]): RuleName | undefined {
  const added = facts.proposals.flatMap((each) => (each.kind === "add" && each.leaf ? [each.leaf] : []));
  const removed = facts.proposals.flatMap((each) => (each.kind === "remove" ? [each.leaf] : []));
  const renewals = changes.flatMap((change) => (change.kind === "renew" ? [change.list] : []));
  const announced = changes.flatMap((change) => (change.kind === "devices" ? [change.list] : []));
  const left = changes.flatMap((change) => (change.kind === "leave" ? [change.token.author.user] : []));
  const gone = new Set([...left, ...changes.flatMap((change) => (change.kind === "remove" ? [change.user] : [])), ...renewals.map((list) => list.user)]);
  const isListed = (all: readonly DeviceList[], leaf: Device) => all.some((list) => list.user === leaf.user && lists(list, leaf));

  const users = new Set(facts.before.map((leaf) => leaf.user));
  const mayAdd = (leaf: Device) =>
    isReset(facts) || !users.has(leaf.user) || isListed([...renewals, ...announced], leaf) || removed.some((each) => hasSameKey(each, leaf));
  if (!added.every(mayAdd)) return "addition";

  const comesBack = (leaf: Device) =>
    added.some((each) => each.user === leaf.user && each.device === leaf.device && (hasSameKey(each, leaf) || isListed(announced, each)));
  const mayRemove = (leaf: Device) =>
    gone.has(leaf.user) || leaf.user === facts.committer.user || announced.some((list) => list.user === leaf.user && !lists(list, leaf)) || comesBack(leaf);
  if (!removed.every(mayRemove)) return "removal";

  const mayStay = (leaf: Device) =>
    [...renewals, ...announced].every((list) => list.user !== leaf.user || lists(list, leaf)) && (facts.founding.kind === "group" || !left.includes(leaf.user));
  return facts.after.every((leaf) => mayStay(leaf!)) ? undefined : "removal";
}
