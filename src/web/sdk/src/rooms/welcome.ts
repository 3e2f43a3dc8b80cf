/* Entering a group by a Welcome: it is opened when it arrives, and judged and used when the log reaches its Commit. */
import { equal, idBytes } from "../base/bytes.js";
import { isFault } from "../base/verdict.js";
import { groupIdOf } from "../mls/group.js";
import { keys, type Changes } from "../store/store.js";
import { decodeChain, enter as judgeWelcome, type Entered, type KnownRoom, type NotEntered } from "../trust/chain.js";
import { enforced } from "../trust/enforced.js";
import { refused } from "../trust/rules.js";
import { memberOf, type RoomState as SignedState } from "../trust/state.js";
import type { TransferredRoom } from "../trust/transfer.js";
import type { Applying } from "./applying.js";
import type { Draft } from "./draft.js";
import { breakOff, canFollow, notifyGroup } from "./following.js";
import { acceptAcked } from "./history.js";
import { noteEntrance } from "./listed.js";
import { dropLeaves } from "./leaving.js";
import { forgetMissing, showSkipped } from "./missing.js";
import { toDevice } from "./judge.js";
import { addLine, firstIndex, reportInvalid, senderOf } from "./notices.js";
import type { Leaf, Ports, RoomGroup } from "./ports.js";
import type { StoredWelcome } from "./records.js";
import { SignedRoom } from "./signedRoom.js";

/** A Welcome that this device could decrypt. @internal */
export interface OpenedWelcome {
  group: RoomGroup;
  signer: Leaf;
  roomInfo: Uint8Array | undefined;
}

/**
 * Opens a Welcome with the KeyPackage of this device that it names. Without a result, this device cannot join by it.
 * `used` deletes the KeyPackage's private keys; it belongs into the write that stores the group. @internal
 */
export async function openWelcome(
  { mls, keyPackages, reports }: Pick<Ports, "mls" | "keyPackages" | "reports">,
  roomId: string,
  generation: number,
  message: Uint8Array,
): Promise<{ opened: OpenedWelcome | undefined; used: Changes }> {
  const used: Changes = new Map();
  let references: string[] = [];
  try {
    references = mls.welcomeReferences(message);
  } catch (error) {
    reports.failed("room", "welcomeUnreadable", { roomId })(error);
  }
  for (const reference of references) {
    const own = await keyPackages.find(reference);
    if (!own) continue;
    try {
      const { group, signer, roomInfo } = await mls.join(message, own);
      if (!own.lastResort) used.set(keys.keyPackage(reference), null);
      return { opened: equal(group.id, groupIdOf(idBytes(roomId), generation)) ? { group, signer, roomInfo } : undefined, used };
    } catch (error) {
      // The server keeps the Welcome, and this device tries again.
      if (isFault(error)) throw error;
      reports.failed("room", "welcomeRefused", { roomId })(error);
    }
  }
  return { opened: undefined, used };
}

/** The stored form of an opened Welcome. @internal */
export const toStored = ({ group, signer, roomInfo }: OpenedWelcome, seq: number): StoredWelcome => ({
  generation: group.generation,
  seq,
  base: group.encodeBase(),
  epoch: group.epoch,
  ratchet: group.encodeRatchet(group.epoch),
  signer,
  ...(roomInfo ? { roomInfo } : {}),
});

/**
 * The log has reached the Commit of the Welcome: judges it, and uses its group. Returns whether this device has entered. A Welcome that needs a person's
 * agreement is kept. @internal
 */
export async function enter(draft: Draft, applying: Applying): Promise<boolean> {
  const { state } = draft;
  const welcome = draft.welcome!;
  if (welcome.isHeld && !welcome.isAgreed) return false;
  const { signer } = welcome;
  const known = draft.group;
  if (isStale(draft, welcome)) {
    draft.setWelcome(undefined);
    return false;
  }
  if (staysWithout(draft, welcome) && enforced.t1 && enforced.t2) {
    await stayOut(draft, welcome, refused("addition"), applying);
    return false;
  }
  const joined = applying.mls.restore(welcome.base, new Map([[welcome.epoch, welcome.ratchet]]));
  const entered = await judgeIn(draft, welcome, joined, applying);
  if (!entered.ok) {
    await stayOut(draft, welcome, entered, applying);
    return false;
  }
  draft.setWelcome(undefined);
  // Own messages that were accepted before the device lost the group, and are not shown yet, come before all later entries.
  for (const own of applying.sends.ackedUpTo(draft, welcome.seq)) await acceptAcked(draft, own, applying);
  const since = (room: SignedState | undefined) => room && memberOf(room, applying.device.userId)?.since;
  const wasMember = draft.signed?.head !== undefined && since(draft.signed.state) === since(entered.state);
  if (wasMember) showSkipped(draft, welcome.seq, applying);
  else await forgetMissing(draft, welcome.seq, applying);
  state.generation = welcome.generation;
  for (const past of ["broken", "out", "wasAway", "mismatch", "initial"] as const) delete state[past];
  state.enteredBy = signer.userId;
  state.enteredAt = { generation: welcome.generation, epoch: welcome.epoch };
  noteEntrance(draft, signer, applying);
  state.kind = entered.founding.kind;
  draft.delete(keys.leaving(state.id));
  draft.setPending(undefined);
  const place = { generation: welcome.generation, epoch: welcome.epoch };
  draft.setSigned(SignedRoom.enter(entered, decodeChain(welcome.roomInfo!), place, draft.signed));
  await draft.replaceGroup(known ? joined.inherit(known) : joined);
  dropLeaves(draft, entered.state, known?.generation === joined.generation ? () => joined.leaves() : undefined, applying);
  await showEntry(draft, welcome, entered, applying);
  notifyGroup(draft, applying);
  const { events, people, reports } = applying;
  draft.after.push(
    () => void people.seeLeaves(joined.leaves()).catch(reports.failed("store", "identitiesNotSeen", { roomId: state.id })),
    () => void fetchUnknown(joined.leaves(), people).catch(reports.failed("people", "listsNotLearned", { roomId: state.id, retrying: true })),
    () => events.emit("roster", undefined),
    () => events.emit("settings", undefined),
    () => events.emit("sendable", undefined),
    () => events.emit("reconcile", "joined"),
  );
  return true;
}

/** Messages wait for the device lists of all members, so a newcomer does not wait for its turn to compare them. */
const fetchUnknown = (leaves: readonly Leaf[], people: Applying["people"]): Promise<void> =>
  people.refresh([...new Set(leaves.map((leaf) => leaf.userId))].filter((userId) => !people.listOf(userId)));

/** A Welcome for a group that this device is in, or has been beyond, is a repetition. */
function isStale({ group, state }: Draft, { generation, epoch }: StoredWelcome): boolean {
  return generation < state.generation || (!!group && canFollow({ group, state }) && group.generation === generation && group.epoch >= epoch);
}

/** This device has read the Welcome's place and still follows its group, so no Commit there has removed it: the Welcome leads into another group. */
const staysWithout = ({ group, state }: Draft, { generation, seq }: StoredWelcome): boolean =>
  canFollow({ group, state }) && generation === state.generation && !state.wasAway && (state.transcript?.gap ?? 0) < seq;

async function judgeIn(draft: Draft, welcome: StoredWelcome, joined: RoomGroup, { device }: Pick<Applying, "device">): Promise<Entered | NotEntered> {
  const { state, signed, group } = draft;
  if (!welcome.roomInfo) return { ok: false, rule: "length" };
  const known = await knownOf(draft, device.userId, welcome.isAgreed === true);
  const groupBefore = group && group.generation < welcome.generation ? { groupBefore: group.leaves().map(toDevice) } : {};
  const entered = await judgeWelcome({
    extension: welcome.roomInfo,
    room: state.id,
    generation: welcome.generation,
    epoch: welcome.epoch,
    leaves: joined.leaves().map(toDevice),
    signer: toDevice(welcome.signer),
    user: device.userId,
    ...(known ? { known } : {}),
    ...(signed?.head ? { newest: signed.newest } : {}),
    ...(state.cursor === undefined ? {} : { logGeneration: state.generation }),
    ...groupBefore,
  });
  return entered;
}

/** What this device has followed of the room, or what the device that approved it knew. */
async function knownOf(draft: Draft, userId: string, agreed: boolean): Promise<KnownRoom | undefined> {
  const { signed } = draft;
  if (signed?.head) {
    const { head, foundingHash, confirmed } = signed;
    return { head, foundingHash, confirmed, followedRemoval: !memberOf(signed.state, userId), agreed };
  }
  const given = await draft.get<TransferredRoom>(keys.transferredRoom(draft.state.id));
  if (!given) return undefined;
  const head = { number: given.number, hash: new Uint8Array(given.head) };
  return { head, foundingHash: given.founding, generation: given.generation, confirmed: true, followedRemoval: false, agreed };
}

async function stayOut(draft: Draft, welcome: StoredWelcome, { rule, person }: NotEntered, applying: Applying): Promise<void> {
  const { events } = applying;
  const { state } = draft;
  if (person) {
    draft.setWelcome({ ...welcome, isHeld: true });
    draft.after.push(() => events.emit("holds", undefined));
    return;
  }
  draft.setWelcome(undefined);
  reportInvalid({ roomId: state.id, kind: "welcomeRefused", rule, author: welcome.signer, retrying: !canFollow(draft) }, applying);
  // This device asks to be added again, by other keys.
  if (!canFollow(draft) && !state.broken) breakOff(draft, welcome.seq, "welcome", applying);
}

async function showEntry(draft: Draft, { seq, signer }: StoredWelcome, { isReset, missing, added }: Entered, applying: Applying): Promise<void> {
  const about = { seq, index: firstIndex.welcome, at: applying.clock.now(), by: senderOf(signer) };
  const toSender = ({ user, device }: { user: string; device: string }) => ({ userId: user, deviceId: device });
  const reset = { kind: "reset" as const, missing: missing.map(toSender), added: added.map(toSender) };
  await addLine(draft, { ...about, ...(isReset ? reset : { kind: "entered" as const }) }, applying);
}
