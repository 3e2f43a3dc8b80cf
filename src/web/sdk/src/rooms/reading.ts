/*
 * Whom a message counts for: rule T4. A message is judged at its place in the log, by the group and the signed state that this device has reached there, and
 * by those of the epoch in which it was encrypted.
 */
import { equal } from "../base/bytes.js";
import type { ContentBody, ContentHeader, Named } from "../content/message.js";
import { toBase64Url } from "../trust/codec.js";
import { enforced } from "../trust/enforced.js";
import type { Head } from "../trust/follow.js";
import { actions, may } from "../trust/state.js";
import type { Applying } from "./applying.js";
import type { Draft } from "./draft.js";
import type { Leaf } from "./ports.js";
import { addLine, firstIndex } from "./notices.js";
import type { Place } from "./signedRoom.js";

/** The leaf that has signed a message, in the epoch of the message. @internal */
export interface Author {
  leaf: Pick<Leaf, "userId" | "deviceId" | "identityKey" | "signatureKey">;
  epoch: Place;
}

/** `late`: the device is no longer in the room, or has other keys. `notAllowed`: the state does not give the right to the user. @internal */
export type Standing = "counts" | "late" | "notAllowed";

/** Whether a content of this type counts for the user of its author, at the place that the draft has reached. @internal */
export function standingOf(draft: Draft, author: Author, type: ContentBody["type"] | "unsupported"): Standing {
  if (!enforced.t4) return "counts";
  if (!isStillLeaf(draft, author)) return "late";
  const isFree = type === "leave" || type === "delete";
  return (isFree || mayHere(draft, author, actions.send)) &&
    (type !== "moderate" || mayHere(draft, author, actions.moderate)) &&
    (type !== "pin" || mayHere(draft, author, actions.pin))
    ? "counts"
    : "notAllowed";
}

/** Whether the same device with the same keys is a leaf of the group at this place. */
function isStillLeaf({ group }: Draft, { leaf, epoch }: Author): boolean {
  if (!group) return false;
  // The usual case. It saves reading a tree of thousands of leaves.
  if (group.epoch === epoch.epoch && group.generation === epoch.generation) return true;
  return group
    .leaves()
    .some(
      (each) =>
        each.userId === leaf.userId &&
        each.deviceId === leaf.deviceId &&
        equal(each.signatureKey, leaf.signatureKey) &&
        equal(each.identityKey, leaf.identityKey),
    );
}

/** Whether both states give the right: that of the message's epoch, and that at its place. */
function mayHere({ signed }: Draft, { leaf, epoch }: Author, action: number): boolean {
  if (!signed) return true;
  const then = signed.at(epoch);
  return then !== undefined && may(then.state, leaf.userId, action) && may(signed.state, leaf.userId, action);
}

/** The number and the shortened hash of a head, as contents have them. 0 before the first statement. @internal */
export const namedHead = (head: Head | undefined): Named => named(head?.number ?? 0, head?.hash);

/** @internal */
export const named = (number: number, hash: Uint8Array | undefined): Named => ({ number, hash: toBase64Url((hash ?? new Uint8Array(16)).subarray(0, 16)) });

/**
 * Compares what each content says about its author's view: the log, the state of the room, and the author's device list. Returns false when it is malformed.
 * @internal
 */
export async function compareViews(draft: Draft, seq: number, author: Author, header: ContentHeader, applying: Applying): Promise<boolean> {
  await compareHeads(draft, seq, author, header.room, applying);
  return header.seen === undefined || compareLogs(draft, seq, author, header.seen, applying);
}

async function compareLogs(draft: Draft, seq: number, { leaf }: Author, seen: NonNullable<ContentHeader["seen"]>, applying: Applying): Promise<boolean> {
  const found = await applying.readLog.judge(draft, seen, seq);
  if (found?.verdict !== "mismatch") return found?.verdict !== "malformed";
  const { events, device } = applying;
  const { block } = found;
  const between: [number, number] = block === undefined ? [seq, seen.seq] : [Math.max(seen.gap + 1, 256 * block), Math.min(seen.seq, 256 * block + 255)];
  const from = { userId: leaf.userId, deviceId: leaf.deviceId };
  draft.after.push(() => events.emit("transcriptMismatch", { from, device: { userId: device.userId, deviceId: device.id }, seq, between }));
  return true;
}

async function compareHeads(draft: Draft, seq: number, { leaf, epoch }: Author, room: Named, { clock, events, device }: Applying): Promise<void> {
  const { signed } = draft;
  const then = signed?.at(epoch);
  if (!signed || !then) return;
  const ours = namedHead(then.head);
  const { userId, deviceId } = leaf;
  if (room.number !== ours.number || room.hash !== ours.hash) {
    const from = { userId, deviceId };
    draft.state.mismatch = from;
    await addLine(draft, { seq, index: firstIndex.head, at: clock.now(), kind: "stateMismatch", by: from }, { events });
    draft.after.push(
      () => events.emit("stateMismatch", { from, seq }),
      () => events.emit("holds", undefined),
    );
    return;
  }
  // The word of the member who has added this device is confirmed by a device of another user.
  if (!signed.confirmed && userId !== device.userId && userId !== draft.state.enteredBy) {
    draft.setSigned(signed.confirm());
    delete draft.state.mismatch;
    draft.after.push(
      () => events.emit("roster", undefined),
      () => events.emit("holds", undefined),
    );
  }
}
