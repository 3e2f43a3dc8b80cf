import { equal, idBytes } from "../base/bytes.js";
import { isFault } from "../base/verdict.js";
import { groupIdOf } from "../mls/group.js";
import { decodeState, memberOf, type RoomState } from "../trust/state.js";
import { decodeChange, decodeStatement } from "../trust/statement.js";
import { deviceListHash, encodeDeviceList } from "../trust/deviceList.js";
import type { LogEntry } from "../net/wire.js";
import type { Applying } from "./applying.js";
import type { Draft } from "./draft.js";
import { breakChain, breakOff, canFollow, notifyGroup } from "./following.js";
import { judge, type Judged, type NotValid } from "./judge.js";
import { dropLeaves } from "./leaving.js";
import { addLine, firstIndex, linesOfCommit, reportInvalid, senderOf, type Unplaced } from "./notices.js";
import type { Leaf, RoomGroup } from "./ports.js";
import type { SignedRoom } from "./signedRoom.js";

/**
 * Moves the group to its next epoch: by the own Commit that waits for its outcome, or by another member's. Group, signed state and lines change in the same
 * draft, and nothing of a Commit that is not valid is applied. @internal
 */
export async function applyCommit(draft: Draft, entry: LogEntry, applying: Applying): Promise<void> {
  const { state, pending } = draft;
  const { mls } = applying;
  if (pending && entry.id === pending.id && equal(entry.ciphertext!, pending.commit)) {
    await applyOwn(draft, entry, applying);
    return;
  }
  const header = mls.readHeader(entry.ciphertext!);
  const { group, signed } = draft;
  if (!header || !equal(header.groupId, groupIdOf(idBytes(state.id), state.generation))) return;
  // Another member's Commit ended the epoch of the own one.
  if (pending && header.epoch >= pending.epoch) draft.setPending(undefined);
  // After a Commit that was not valid, nothing of its branch counts.
  if (!group || !signed || !canFollow(draft) || state.broken || header.epoch < group.epoch) return;
  if (header.epoch > group.epoch) {
    breakChain(draft, entry.seq, applying);
    return;
  }
  delete state.wasAway;
  const judged = await judge(group, entry.ciphertext!, signed);
  if (judged.ok) await follow(draft, entry, judged, { group, signed }, applying);
  else await refuse(draft, entry, judged, applying);
}

async function follow(draft: Draft, entry: LogEntry, judged: Judged, from: { group: RoomGroup; signed: SignedRoom }, applying: Applying): Promise<void> {
  const { group, signed } = from;
  const { opened, room, statement } = judged;
  let next: RoomGroup | undefined;
  try {
    // A removed device cannot compute the next epoch: what it has judged is all that it can know.
    ({ group: next } = opened.removesThisDevice ? { group: undefined } : await group.applyCommit(entry.ciphertext!));
  } catch (error) {
    if (isFault(error)) throw error;
    await refuse(draft, entry, { ok: false, rule: "unreadable", author: opened.committer, error }, applying);
    return;
  }
  const added = opened.proposals.flatMap((each) => (each.type === "add" ? [each.leaf] : []));
  const removed = opened.proposals.flatMap((each) => (each.type === "remove" ? [each.leaf] : []));
  if (next) await draft.replaceGroup(next);
  else draft.state.out = true;
  // The Commit also adds this device again. When its Welcome does not come, or cannot be opened, the device asks to be added once more.
  if (!next && added.some((leaf) => leaf.deviceId === applying.device.id)) breakChain(draft, entry.seq, applying);
  const place = { generation: group.generation, epoch: group.epoch + 1 };
  draft.setSigned(await signed.next(place, room, statement, !next));
  const lines = linesOfCommit({ committer: opened.committer, removed, added, statement, before: signed.state });
  const leaves = () => next?.leaves() ?? [...group.leaves().filter((leaf) => !removed.some(({ index }) => index === leaf.index)), ...added];
  await report(draft, entry, { lines, added, leaves, before: signed.state, after: room.state, statement }, applying);
}

async function applyOwn(draft: Draft, entry: LogEntry, applying: Applying): Promise<void> {
  const { group, signed } = draft;
  const pending = draft.pending!;
  const after = applying.mls.restore(pending.base, new Map(pending.ratchets));
  const isFirst = group?.generation !== pending.generation;
  await draft.replaceGroup(group && !isFirst ? group.merge(after) : after);
  draft.setPending(undefined);
  const { head, statement } = pending.signed;
  const state = decodeState(pending.signed.state);
  const place = { generation: pending.generation, epoch: pending.epoch + 1 };
  const before = signed!.state;
  draft.setSigned(await signed!.next(place, { state, head: { ...head, hash: new Uint8Array(head.hash) } }, statement && new Uint8Array(statement)));
  if (statement && isFirst) delete draft.state.initial;
  draft.after.push(() => applying.events.emit("committed", { id: pending.id }));
  const leaves = isFirst ? undefined : () => draft.group!.leaves();
  await report(draft, entry, { lines: pending.lines, added: [], leaves, before, after: state, statement }, applying);
}

/** What a Commit has changed, for people and for the other parts. */
interface Outcome {
  lines: Unplaced[];
  added: Leaf[];
  /** The leaves of the group after it, also when this device is not one of them; undefined for a new group. */
  leaves: (() => readonly Leaf[]) | undefined;
  before: RoomState;
  after: RoomState;
  statement: Uint8Array | undefined;
}

async function report(draft: Draft, entry: LogEntry, { lines, added, leaves, before, after, statement }: Outcome, applying: Applying): Promise<void> {
  const { events, people, reports, device } = applying;
  const { state } = draft;
  for (const line of lines) await addLine(draft, { ...line, seq: entry.seq, at: entry.createdAt.getTime() }, applying);
  dropLeaves(draft, after, leaves, applying);
  notifyGroup(draft, applying);
  draft.after.push(
    () => void people.seeLeaves(added).catch(reports.failed("store", "identitiesNotSeen", { roomId: state.id })),
    () => events.emit("sendable", undefined),
  );
  draft.after.push(
    () => void learnLists(statement, added, before, applying).catch(reports.failed("people", "listsNotLearned", { roomId: state.id, retrying: true })),
  );
  if (statement) {
    draft.after.push(() => events.emit("roster", undefined));
    if (before.name !== after.name || before.timeToLive !== after.timeToLive) draft.after.push(() => events.emit("settings", undefined));
  }
  if (!memberOf(after, device.userId)) draft.after.push(() => events.emit("removed", undefined));
}

/** The device lists that a statement names are compared with those that this device knows. Messages wait for the list of each new leaf. */
async function learnLists(statement: Uint8Array | undefined, added: readonly Leaf[], before: RoomState, { people }: Pick<Applying, "people">): Promise<void> {
  const users = new Set(added.flatMap(({ userId }) => (people.listOf(userId) ? [] : [userId])));
  for (const change of statement ? decodeStatement(statement).changes.map(decodeChange) : []) {
    if (change.kind === "add" && (people.listOf(change.user)?.number ?? 0) < Math.max(1, change.list)) users.add(change.user);
    if (change.kind !== "devices" && change.kind !== "renew") continue;
    const { list } = change;
    // Signed by an identity that only this room has: the user has said nothing.
    const identity = memberOf(before, list.user)?.identity;
    if (identity && people.isOtherIdentity(list.user, identity)) continue;
    const compared = await people.mention(list.user, { number: list.number, hash: await deviceListHash(encodeDeviceList(list)) });
    if (compared === "newer") users.add(list.user);
  }
  await people.refresh([...users]);
}

/** Reports a Commit that is not valid, with its author where the signature names one. */
async function refuse(draft: Draft, entry: LogEntry, { rule, author, error }: NotValid, applying: Applying): Promise<void> {
  reportInvalid({ roomId: draft.state.id, kind: "invalidCommit", rule, author, error, retrying: true }, applying);
  const at = entry.createdAt.getTime();
  const by = author ? { by: senderOf(author) } : {};
  await addLine(draft, { seq: entry.seq, index: firstIndex.commit, at, kind: "invalidCommit", rule, ...by }, applying);
  breakOff(draft, entry.seq, "commit", applying);
  Object.assign(draft.state.broken!, by);
  notifyGroup(draft, applying);
}
