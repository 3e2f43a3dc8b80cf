import { equal, idBytes, toHex } from "../base/bytes.js";
import { groupIdOf } from "../mls/group.js";
import type { LogEntry } from "../net/wire.js";
import type { Applying } from "./applying.js";
import type { Draft } from "./draft.js";
import { breakChain, breakOff, canFollow, notifyGroup } from "./following.js";
import type { Leaf, RoomGroup } from "./ports.js";

/** Moves the group to its next epoch: by the own Commit that waits for its outcome, or by another member's. @internal */
export async function applyCommit(draft: Draft, entry: LogEntry, applying: Applying): Promise<void> {
  const { state, pending } = draft;
  const { mls, events, reports, people } = applying;
  if (pending && entry.id === pending.id && equal(entry.ciphertext!, pending.commit)) {
    const after = mls.restore(pending.base, new Map(pending.ratchets));
    await draft.replaceGroup(draft.group ? draft.group.merge(after) : after);
    draft.setPending(undefined);
    notifyGroup(draft, applying);
    draft.after.push(() => events.emit("sendable", undefined));
    return;
  }
  const header = mls.readHeader(entry.ciphertext!);
  const group = draft.group;
  if (!header || !equal(header.groupId, groupIdOf(idBytes(state.id), state.generation))) return;
  // Another member's Commit ended the epoch of the own one.
  if (pending && header.epoch >= pending.epoch) draft.setPending(undefined);
  if (!group || !canFollow(draft) || header.epoch < group.epoch) return;
  if (header.epoch > group.epoch) {
    breakChain(draft, entry.seq, applying);
    return;
  }
  delete state.wasAway;
  let next: RoomGroup | undefined;
  try {
    ({ group: next } = await group.applyCommit(entry.ciphertext!));
  } catch (error) {
    reports.failed("room", "invalidCommit", { roomId: state.id, retrying: true })(error);
    breakOff(draft, entry.seq, "commit", applying);
    return;
  }
  const added = next ? without(next.leaves(), group.leaves()) : [];
  const removed = next ? without(group.leaves(), next.leaves()) : [];
  if (next) await draft.replaceGroup(next);
  else state.out = true;
  notifyGroup(draft, applying);
  draft.after.push(
    () => void people.seeLeaves(added).catch(reports.failed("store", "identitiesNotSeen", { roomId: state.id })),
    () => events.emit("sendable", undefined),
  );
  if (added.length + removed.length > 0) draft.after.push(() => events.emit("committed", { added, removed }));
}

/** The leaves whose signature keys are not among those of the others. */
function without(leaves: Leaf[], others: Leaf[]): Leaf[] {
  const theirs = new Set(others.map((leaf) => toHex(leaf.signatureKey)));
  return leaves.filter((leaf) => !theirs.has(toHex(leaf.signatureKey)));
}

/** Stores a proposal in the group. @internal */
export async function applyProposal(draft: Draft, entry: LogEntry, { mls, reports }: Pick<Applying, "mls" | "reports">): Promise<void> {
  if (!draft.group || !canFollow(draft) || mls.readHeader(entry.ciphertext!)?.epoch !== draft.group.epoch) return;
  try {
    await draft.replaceGroup(await draft.group.applyProposal(entry.ciphertext!));
  } catch (error) {
    // A proposal has no effect by itself. A Commit that refers to it will be invalid.
    reports.failed("room", "invalidProposal", { roomId: draft.state.id })(error);
  }
}
