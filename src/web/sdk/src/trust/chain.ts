/* Section 5 of the specification: the way into a room by a Welcome, whose group info has the statements from the one that added the user. */
import { concat, equal, type Bytes } from "../base/bytes.js";
import { isReset } from "./change.js";
import { decode, uint16, vector } from "./codec.js";
import { judgeLeaves, type Leaf } from "./commit.js";
import { hasSameKey, isSame, type Device } from "./device.js";
import { enforced } from "./enforced.js";
import { followStatement, type Head, type RoomAt } from "./follow.js";
import { decodeFounding, foundingHash, roomIdOf, type Founding } from "./founding.js";
import { mostGenerationsAhead } from "./generation.js";
import { attempt, FormatError, refused, type Refused, type RuleName } from "./rules.js";
import { decodeState, memberOf, partsOf, type RoomState } from "./state.js";
import { decodeStatement, type Statement } from "./statement.js";

/** The type of the extension of the group info. */
export const extensionType = 0xf0a1;

/** The content of the extension: encoded structures. */
export interface Chain {
  founding: Bytes;
  /** The state before the first statement. */
  base: Bytes;
  /** At least one. */
  statements: readonly Bytes[];
}

/** The limits of a chain. A user whose chain would exceed them is removed and added again. */
export const most = { statements: 512, bytes: 384 * 1024 } as const;

/** Whether the chain exceeds a limit. */
export const isTooLong = ({ base, statements }: Chain): boolean =>
  statements.length > most.statements || statements.reduce((sum, each) => sum + each.length, base.length) > most.bytes;

/** Throws `RangeError` for a chain that exceeds a limit or has no statement. */
export function encodeChain(chain: Chain): Bytes {
  if (isTooLong(chain) || chain.statements.length === 0) throw new RangeError("A chain has 1 to 512 statements and at most 384 KiB.");
  return concat(uint16(1), vector(chain.founding), vector(chain.base), vector(...chain.statements.map((each) => vector(each))));
}

/** Throws `FormatError`: `length` or `version`. */
export function decodeChain(encoded: Uint8Array): Chain {
  const { version, ...chain } = decode(encoded, (reader) => ({
    version: reader.uint16(),
    founding: reader.vector(),
    base: reader.vector(),
    statements: reader.list((each) => each.vector()),
  }));
  if (isTooLong(chain) || chain.statements.length === 0) throw new FormatError("length", true);
  if (version !== 1) throw new FormatError("version");
  return chain;
}

/** What a device knows of a room before it enters. */
export interface KnownRoom {
  head: Head;
  foundingHash: Uint8Array;
  /** The newest generation that the approving device has seen, when the device knows the room only from it. */
  generation?: number;
  /** Whether the room is confirmed: see {@link Entered}. */
  confirmed: boolean;
  /** Whether this device has itself followed the statement that removed its user after `head`. */
  followedRemoval: boolean;
  /** Whether a person agrees to enter after a removal that this device has not followed. */
  agreed: boolean;
}

export interface WelcomeFacts {
  /** The content of the extension. */
  extension: Uint8Array;
  /** The room, generation and epoch of the group that the Welcome leads into. */
  room: string;
  generation: number;
  epoch: number;
  leaves: readonly Leaf[];
  /** The leaf that signed the group info. */
  signer: Leaf;
  /** The user of this device. */
  user: string;
  /** What this device, or the device that approved it, knows of the room. */
  known?: KnownRoom;
  /** The newest group of this room that the device was in. */
  newest?: { generation: number; epoch: number };
  /** The newest generation that the device has seen in the log. */
  logGeneration?: number;
  /** For a reset: the leaves of the newest group that counts. */
  groupBefore?: readonly Device[];
}

export interface Entered extends RoomAt {
  ok: true;
  founding: Founding;
  foundingHash: Bytes;
  /** False: the state is the word of others until a device of another user than the Welcome's committer sends a message with the same head. */
  confirmed: boolean;
  /** Whether the Welcome is that of a reset. */
  isReset: boolean;
  /** In a reset, the leaves that the group before had and this one has not, and the other way round. A device with another key is both. */
  missing: Device[];
  added: Device[];
}

/** A Welcome that does not lead into the room. With `person`, a person can decide that it does: see `KnownRoom.agreed`. */
export type NotEntered = Refused & { person?: boolean };

/**
 * Verifies a Welcome for a new user or device, or for a device that knows the room. The rule `head`: the chain does not continue what this device knows, and
 * the device asks to be added again.
 */
export async function enter(facts: WelcomeFacts): Promise<Entered | NotEntered> {
  const decoded = attempt(() => {
    const chain = decodeChain(facts.extension);
    return { chain, founding: decodeFounding(chain.founding), base: decodeState(chain.base) };
  });
  if (!decoded.ok) return refused(decoded.rule);
  const { chain, founding, base } = decoded.value;
  const hashOfFounding = await foundingHash(chain.founding);
  if (roomIdOf(hashOfFounding) !== facts.room || (facts.known && !equal(facts.known.foundingHash, hashOfFounding))) return refused("room");
  const late = ruleOfPlace(facts);
  if (late && enforced.t1) return refused(late);

  const followed = await followChain(chain, base, { ...facts, founding, foundingHash: hashOfFounding });
  if (!followed.ok) return followed;
  const { room, links } = followed;
  const entered = facts.known ? entersKnown(facts, facts.known, room.state, links) : entersNew(facts, room.state, links);
  if (!entered.ok && enforced.t1) return entered;
  const rule = (await judgeLeaves(room.state, facts.leaves)) ?? (isFromLeaf(facts) ? undefined : "leaf");
  if (rule && enforced.t2) return refused(rule);
  const confirmed = entered.ok && entered.confirmed;
  return { ok: true, ...room, founding, foundingHash: hashOfFounding, confirmed, isReset: leadsIntoReset(facts), ...differences(facts) };
}

/** A Welcome is later than all groups that the device was in, not older than the one that its approving device knew, and not far above the log. */
function ruleOfPlace({ generation, epoch, newest, logGeneration, known }: WelcomeFacts): RuleName | undefined {
  if (known?.generation !== undefined && generation < known.generation) return "generation";
  if (newest && generation < newest.generation) return "generation";
  if (newest && generation === newest.generation && epoch <= newest.epoch) return "epoch";
  return logGeneration !== undefined && generation > logGeneration + mostGenerationsAhead ? "generation" : undefined;
}

/** A statement of the chain with its hash. */
interface Link {
  statement: Statement;
  head: Head;
}

async function followChain(
  { statements }: Chain,
  base: RoomState,
  facts: WelcomeFacts & { founding: Founding; foundingHash: Uint8Array },
): Promise<{ ok: true; room: RoomAt; links: Link[] } | Refused> {
  const { room, founding, foundingHash: hashOfFounding, generation, epoch, groupBefore } = facts;
  const links: Link[] = [];
  let state = base;
  for (const encoded of statements) {
    const last = links.at(-1);
    // Only the leaves before a reset can be known: the chain ends with its renewal.
    const isRenewalOfReset = leadsIntoReset(facts) && links.length === 1;
    const followed = await followStatement(
      encoded,
      { state, head: last ? last.head : startsAtFirst(encoded) ? undefined : "unknown" },
      {
        room,
        founding,
        foundingHash: hashOfFounding,
        ...(isRenewalOfReset && groupBefore ? { leaves: groupBefore } : {}),
        place: (of) => misplaced(of, last?.statement, { generation, epoch }),
      },
    );
    if (!followed.ok) return followed;
    if (!last && !isBaseOf(founding, followed.statement, base)) return refused("state");
    links.push({ statement: followed.statement, head: followed.head });
    state = followed.state;
  }
  return { ok: true, room: { state, head: links.at(-1)!.head }, links };
}

/** Whether a chain begins with number 1; false for bytes that are not a statement. */
function startsAtFirst(encoded: Bytes): boolean {
  const first = attempt(() => decodeStatement(encoded));
  return first.ok && first.value.number === 1;
}

/** The places of the statements ascend and are below that of the group. */
function misplaced(of: Statement, last: Statement | undefined, group: { generation: number; epoch: number }): "generation" | "epoch" | undefined {
  if (of.generation > group.generation || (last && of.generation < last.generation)) return "generation";
  if (of.generation === group.generation && of.epoch >= group.epoch) return "epoch";
  return last && of.generation === last.generation && of.epoch <= last.epoch ? "epoch" : undefined;
}

/** Whether statements can have led to the base: no user of it was added later, and a direct room has its two users and no other parts than a time to live. */
function isBaseOf({ kind, founder, other }: Founding, first: Statement, base: RoomState): boolean {
  if (base.roster.some((member) => member.since >= first.number)) return false;
  if (kind === "group" || first.number === 1) return true;
  return base.roster.length === 2 && !!memberOf(base, founder) && !!memberOf(base, other!) && partsOf(base).every(({ type }) => type === 1 || type === 4);
}

type Way = { ok: true; confirmed: boolean } | NotEntered;

/** A device without a head enters with the statements from the one that added its user. */
function entersNew(facts: WelcomeFacts, state: RoomState, links: readonly Link[]): Way {
  const first = links[0]!.head.number;
  const member = memberOf(state, facts.user);
  if (!member || (first !== 1 && first !== member.since)) return refused("since");
  return isChainOf(facts, links) ? { ok: true, confirmed: false } : refused("head");
}

/** The first Commit of a reset has epoch 0. */
const leadsIntoReset = ({ generation, epoch }: { generation: number; epoch: number }) => generation > 0 && epoch === 1;

/** The chain of a reset is the head, and its renewal if there is one. */
function isChainOf(facts: WelcomeFacts, links: readonly Link[]): boolean {
  if (!leadsIntoReset(facts)) return true;
  const renewal = links[1]?.statement;
  return links.length <= 2 && (!renewal || (isReset(renewal) && renewal.generation === facts.generation));
}

function entersKnown(facts: WelcomeFacts, known: KnownRoom, state: RoomState, links: readonly Link[]): Way {
  const member = memberOf(state, facts.user);
  if (!member) return refused("since");
  const isHead = ({ head }: Link) => head.number === known.head.number && equal(head.hash, known.head.hash);
  if (leadsIntoReset(facts)) return isChainOf(facts, links) && isHead(links[0]!) ? { ok: true, confirmed: known.confirmed } : refused("head");
  const first = links[0]!.statement;
  const isJustBefore = first.number === known.head.number + 1 && equal(first.previous, known.head.hash);
  if (isJustBefore || links.some(isHead)) return { ok: true, confirmed: known.confirmed };
  // A chain that covers the place of the head, or continues it, contradicts it: it is another history.
  if (member.since <= known.head.number || first.number <= known.head.number + 1) return refused("head");
  return known.followedRemoval || known.agreed ? { ok: true, confirmed: false } : { ...refused("head"), person: true };
}

/** The signer is a leaf; in a reset it was with its key also a leaf of the group before. */
function isFromLeaf(facts: WelcomeFacts): boolean {
  const { signer, leaves, groupBefore } = facts;
  if (!signer || !leaves.some((leaf) => leaf && isSame(leaf, signer))) return false;
  return !leadsIntoReset(facts) || !groupBefore || groupBefore.some((leaf) => hasSameKey(leaf, signer));
}

function differences(facts: WelcomeFacts): { missing: Device[]; added: Device[] } {
  const { groupBefore } = facts;
  if (!leadsIntoReset(facts) || !groupBefore) return { missing: [], added: [] };
  const leaves = facts.leaves.filter((leaf) => leaf !== undefined);
  const without = (all: readonly Device[], others: readonly Device[]) => all.filter((leaf) => !others.some((each) => hasSameKey(each, leaf)));
  return { missing: without(groupBefore, leaves), added: without(leaves, groupBefore) };
}
