/* Leaving a room: the leaver signs it, in a message, and another member commits it. */
import { fromBase64Url, toBase64Url } from "../trust/codec.js";
import { attempt } from "../trust/rules.js";
import { memberOf, owner, roleOf, type RoomState as SignedState } from "../trust/state.js";
import { decodeLeave, signLeave, type Leave } from "../trust/statement.js";
import { equal } from "../base/bytes.js";
import type { Clock } from "../base/clock.js";
import { SecureMessagingError } from "../base/errors.js";
import { keys, read } from "../store/store.js";
import type { Applying } from "./applying.js";
import type { Draft } from "./draft.js";
import type { Leaf, Ports, RoomGroup } from "./ports.js";
import type { Sender } from "./sender.js";
import type { SignedRoom } from "./signedRoom.js";
import { signerOf } from "./statements.js";

/** The token with which this user leaves, as text. @throws `Conflict` for the last owner of a group with other members, and in a direct room. @internal */
export async function leaveToken(signed: SignedRoom, group: RoomGroup, userId: string): Promise<string> {
  requireLeave(signed, userId);
  return signToken(signed, group, userId);
}

/** The token, as text. In a direct room it removes this user's devices; the user stays in the members. @internal */
export async function signToken(signed: SignedRoom, group: RoomGroup, userId: string): Promise<string> {
  const since = memberOf(signed.state, userId)!.since;
  return toBase64Url(await signLeave({ room: signed.id, since }, signerOf(group)));
}

/** The member who becomes an owner before the last one goes: one with the highest role, of these the one who is there longest. @internal */
export function successorOf({ founding, state }: SignedRoom, userId: string): string | undefined {
  const isLastOwner = roleOf(state, userId) === owner && state.roles.filter((each) => each.role === owner).length === 1;
  if (founding.kind === "direct" || !isLastOwner) return undefined;
  const others = state.roster.filter((member) => member.user !== userId);
  return others.toSorted((a, b) => roleOf(state, b.user) - roleOf(state, a.user) || a.since - b.since)[0]?.user;
}

/** @internal @throws `Conflict` when this user cannot leave. */
export function requireLeave({ founding, state }: SignedRoom, userId: string): void {
  if (founding.kind === "direct") throw SecureMessagingError.of("Conflict", "The members of a direct room are fixed. Delete the room instead.");
  const isLastOwner = roleOf(state, userId) === owner && state.roles.filter((each) => each.role === owner).length === 1;
  if (isLastOwner && state.roster.length > 1)
    throw SecureMessagingError.of("Conflict", "The room would have no owner. Give another member the owner role first.");
}

/**
 * A message of a member contains a token: its user wants to leave. Called for a content that counts. A token of another user, of an earlier membership, or of
 * keys that the group does not have, is ignored; whether it is signed is checked before it is committed. @internal
 */
export function noteLeave(draft: Draft, { userId, deviceId }: Sender, token: string, { device, events }: Pick<Applying, "device" | "events">): void {
  const { state, signed, group } = draft;
  const bytes = fromBase64Url(token);
  const decoded = bytes && attempt(() => decodeLeave(bytes));
  const of = decoded?.ok === true && decoded.value.author.user === userId && decoded.value.room === state.id ? decoded.value : undefined;
  if (!bytes || !of || !signed || !group || memberOf(signed.state, userId)?.since !== of.since || !isLeaf(of, group.leaves())) {
    if (deviceId === device.id) draft.delete(keys.leaving(state.id));
    return;
  }
  state.leaves = { ...state.leaves, [userId]: bytes };
  draft.after.push(() => events.emit("reconcile", "roster"));
}

const isLeaf = ({ author }: Leave, leaves: readonly Leaf[]): boolean =>
  leaves.some((leaf) => leaf.userId === author.user && leaf.deviceId === author.device && equal(leaf.signatureKey, author.signatureKey));

/**
 * The room has other members or devices: forgets the tokens that no member can commit any more. The user of a device that has other keys now stays in the room,
 * so the server does not learn of it. `leaves` are those of the group; undefined for another group, which gets the devices one after another. @internal
 */
export function dropLeaves(draft: Draft, after: SignedState, leaves: (() => readonly Leaf[]) | undefined, { device }: Pick<Applying, "device">): void {
  const { state } = draft;
  for (const [user, bytes] of Object.entries(state.leaves ?? {})) {
    const token = decodeLeave(bytes);
    const isOver = memberOf(after, user)?.since !== token.since;
    if (!isOver && (!leaves || isLeaf(token, leaves()))) continue;
    delete state.leaves![user];
    if (!isOver && user === device.userId) draft.delete(keys.leaving(state.id));
  }
}

type LeavingPorts = Pick<Ports, "clock" | "device" | "hub" | "server" | "store">;

/** A room of this device that ends when the server knows that the user has left. */
interface Ending {
  catchUp(): Promise<void>;
  end(change: "left"): void;
  readonly ending: Promise<void>;
  readonly hasEnded: boolean;
}

/** How long the log is read before the server learns of the leaving. */
const readOnMs = 10_000;

/**
 * Tells the server that this user has left, and ends the room. A call without an answer is repeated, also after a restart: see {@link keys.leaving}.
 * @throws `Conflict` when the user was removed and added again meanwhile, `NotReady` when no member can commit the token, because this device was given other
 * keys, and other definite rejections: then the user stays. @internal
 */
export async function finishLeave({ clock, device, hub, server, store }: LeavingPorts, roomId: string, core: Ending | undefined): Promise<void> {
  const forget = () => store.write(new Map([[keys.leaving(roomId), null]]));
  try {
    // An earlier version has kept no place.
    const from = await read<number | true>(store, keys.leaving(roomId));
    if (typeof from === "number" && (await isThereAgain({ device, hub }, roomId, from)))
      throw SecureMessagingError.of("Conflict", "You were removed from the room and added again. Leave it again if you want to.");
    if (core) await within(readOnMs, core.catchUp(), clock);
    if ((await store.get(keys.leaving(roomId))) === undefined) {
      // Another call has finished it.
      if (!core || core.hasEnded) return;
      throw leaveAgain();
    }
    await server.removeMember(roomId, device.userId);
  } catch (error) {
    if (!(error instanceof SecureMessagingError) || error.retryable || error.code === "SignedOut" || error.code === "Unauthenticated") throw error;
    // The server knows it already.
    if (error.code !== "NotFound") {
      await forget();
      throw error;
    }
  }
  core?.end("left");
  // When the process stops before, the next one does this again.
  await core?.ending;
  await forget();
}

/** Whether the user is in the room by a later membership than the one that was left after this place. The log of a membership begins with its first entry. */
async function isThereAgain({ device, hub }: Pick<LeavingPorts, "device" | "hub">, roomId: string, after: number): Promise<boolean> {
  const { entries, firstSeq } = await hub.sync(roomId, after, 1);
  const [first] = entries;
  return first !== undefined && firstSeq > after + 1 && first.kind === "memberJoined" && first.userId === device.userId;
}

/** The token does not count, or no longer: its keys are not those that this device has in the room. @internal */
export const leaveAgain = (cause?: unknown): SecureMessagingError =>
  SecureMessagingError.of(
    "NotReady",
    "What you signed to leave does not count in the room: this device may have been given other keys there. Leave again.",
    cause,
  );

/** Waits for the work, but not longer. @throws `Unavailable` then; the work goes on. @internal */
export async function within(ms: number, work: Promise<void>, clock: Clock): Promise<void> {
  const done = new AbortController();
  const end = () => done.abort(true);
  const late = clock.pause(ms, done.signal).then(() => {
    if (!done.signal.aborted) throw SecureMessagingError.of("Unavailable", `There was no answer within ${ms / 1000} s.`);
  });
  await Promise.race([late, work]).finally(end);
}
