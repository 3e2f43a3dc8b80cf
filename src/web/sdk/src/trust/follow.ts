/* One statement after another: the checks of section 6 that need only the statement, the state before it, and its place. */
import { equal, type Bytes } from "../base/bytes.js";
import { applyChanges, isReset, type ChangeContext } from "./change.js";
import { isApproved, isSame, type Device } from "./device.js";
import { attempt, refused, type Refused, type RuleName } from "./rules.js";
import { encodeState, memberOf, stateHash, type RoomState } from "./state.js";
import { changeTypes, decodeChange, decodeStatement, isStatementSigned, statementHash, type Statement } from "./statement.js";

/** The newest statement of a room, by its number and hash. */
export interface Head {
  number: number;
  hash: Bytes;
}

/** A room with its state after the newest statement. */
export interface RoomAt {
  state: RoomState;
  head: Head;
}

/** What a statement is judged by. */
export interface FollowContext extends ChangeContext {
  room: string;
  /** The whole hash of the founding. */
  foundingHash: Uint8Array;
  /** The generation or epoch of a statement that does not fit; undefined when both do. */
  place: (statement: Statement) => "generation" | "epoch" | undefined;
  /** The leaf of the committer. Without it, the author need not be a leaf. */
  committer?: Device;
}

/**
 * Judges a statement after the given state: the rules from `length` to `state`, in their order. `head` is undefined before number 1, and "unknown" when only
 * the state before the statement is known.
 */
export async function followStatement(
  encoded: Uint8Array,
  from: { state: RoomState; head: Head | "unknown" | undefined },
  context: FollowContext,
): Promise<({ ok: true; statement: Statement } & RoomAt) | Refused> {
  const decoded = attempt(() => decodeStatement(encoded));
  if (!decoded.ok) return refused(decoded.rule);
  const { value: statement } = decoded;
  const rule = (await continues(statement, from, context)) ?? (await isByAuthor(statement, from.state, context));
  if (rule) return refused(rule);
  const applied = await applyChanges(from.state, statement, context);
  if (!applied.ok) return applied;
  if (!equal(await stateHash(encodeState(applied.state)), statement.state)) return refused("state");
  return { ok: true, statement, state: applied.state, head: { number: statement.number, hash: await statementHash(encoded) } };
}

async function continues(
  statement: Statement,
  from: { state: RoomState; head: Head | "unknown" | undefined },
  { room, foundingHash, place }: FollowContext,
): Promise<RuleName | undefined> {
  const { head } = from;
  if (statement.room !== room) return "room";
  const misplaced = place(statement) ?? placeOfFirst(statement);
  if (misplaced) return misplaced;
  const isNext = head === "unknown" ? statement.number > 1 : statement.number === (head?.number ?? 0) + 1;
  if (!isNext) return "number";
  if (head !== "unknown" && !equal(statement.previous, head?.hash ?? foundingHash)) return "previous";
  const before = encodeState(from.state);
  return (head || before.length === 0) && equal(statement.before, await stateHash(before)) ? undefined : "before";
}

/** Number 1 is at generation 0 and epoch 0, and no other statement is. */
function placeOfFirst({ number, generation, epoch }: Statement): "generation" | "epoch" | undefined {
  if (number === 1) return generation !== 0 ? "generation" : epoch !== 0 ? "epoch" : undefined;
  return generation === 0 && epoch === 0 ? "epoch" : undefined;
}

async function isByAuthor(statement: Statement, before: RoomState, { founding, committer }: FollowContext): Promise<RuleName | undefined> {
  const { author, number } = statement;
  if (!(await isApproved(author))) return "approval";
  if (!(await isStatementSigned(statement))) return "signature";
  if (committer && !isSame(author, committer)) return "author";
  if (number === 1 && author.user !== founding.founder) return "author";
  const identity = number === 1 ? founding.identity : (renewedIdentity(statement) ?? memberOf(before, author.user)?.identity);
  return identity && equal(author.identity, identity) ? undefined : "author";
}

/** The identity of the author when it renews its own user in a reset. */
function renewedIdentity(statement: Statement): Uint8Array | undefined {
  if (!isReset(statement)) return undefined;
  const [renew] = statement.changes.filter((change) => change.type === changeTypes.renew);
  const change = renew && attempt(() => decodeChange(renew));
  return change?.ok && change.value.kind === "renew" && change.value.list.user === statement.author.user ? change.value.list.identity : undefined;
}
