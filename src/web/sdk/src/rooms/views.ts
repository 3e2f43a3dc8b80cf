/*
 * What each message says about its author's view, rules T1 and T7: which state of the room the author follows, and what it has read of the log. Members compare
 * it with their own, so that a server cannot show different rooms to them.
 */
import type { ContentHeader, Named } from "../content/message.js";
import { toBase64Url } from "../trust/codec.js";
import { enforced } from "../trust/enforced.js";
import type { Head } from "../trust/follow.js";
import type { Applying, TranscriptMismatch } from "./applying.js";
import type { Draft } from "./draft.js";
import { addLine, firstIndex } from "./notices.js";
import type { Author } from "./reading.js";
import type { Sender } from "./sender.js";

/** After a fork, each message shows it again. As many are remembered, so that people see each one once. */
const differencesKept = 64;
const blockPlaces = 256;

/** The number and the shortened hash of a head, as contents have them. 0 before the first statement. @internal */
export const namedHead = (head: Head | undefined): Named => named(head?.number ?? 0, head?.hash);

/** @internal */
export const named = (number: number, hash: Uint8Array | undefined): Named => ({ number, hash: toBase64Url((hash ?? new Uint8Array(16)).subarray(0, 16)) });

/** Compares the views of a message's author with those of this device. Returns false for a message that is malformed. @internal */
export async function compareViews(draft: Draft, seq: number, author: Author, header: ContentHeader, applying: Applying): Promise<boolean> {
  await compareHeads(draft, seq, author, header.room, applying);
  return header.seen === undefined || compareLogs(draft, seq, author, header.seen, applying);
}

async function compareLogs(draft: Draft, seq: number, { leaf }: Author, seen: NonNullable<ContentHeader["seen"]>, applying: Applying): Promise<boolean> {
  const found = await applying.readLog.judge(draft, seen, seq, leaf);
  if (found?.verdict !== "mismatch") return found?.verdict !== "malformed";
  const { device } = applying;
  const { block } = found;
  const between: [number, number] =
    block === undefined ? [seq, seen.seq] : [Math.max(seen.gap + 1, blockPlaces * block), Math.min(seen.seq, blockPlaces * block + blockPlaces - 1)];
  const from = { userId: leaf.userId, deviceId: leaf.deviceId };
  const mismatch = { from, device: { userId: device.userId, deviceId: device.id }, seq, between };
  if (isNew(draft, `log ${from.userId} ${from.deviceId} ${block ?? "ahead"}`)) await tellOfLogs(draft, mismatch, applying);
  return true;
}

async function tellOfLogs(draft: Draft, mismatch: TranscriptMismatch, { clock, events, reports }: Applying): Promise<void> {
  const { from, device, seq, between } = mismatch;
  const [first, last] = between;
  const other = `Device ${from.deviceId} of user ${from.userId}`;
  const detail =
    last >= seq
      ? `${other} says in its message at ${seq} that it has read the log to ${last}, so it has read another log than device ${device.deviceId}.`
      : `${other} and device ${device.deviceId} have read different entries between ${first} and ${last} of the log.`;
  await addLine(draft, { seq, index: firstIndex.transcript, at: clock.now(), kind: "transcriptMismatch", by: from, detail }, { events });
  draft.after.push(
    () => events.emit("transcriptMismatch", mismatch),
    () => reports.warn({ area: "room", kind: "transcriptMismatch", roomId: draft.state.id, retrying: false, detail }),
  );
}

async function compareHeads(draft: Draft, seq: number, { leaf, epoch }: Author, room: Named, applying: Applying): Promise<void> {
  const { signed } = draft;
  const then = signed?.at(epoch);
  if (!signed || !then || !enforced.t1) return;
  const ours = namedHead(then.head);
  const { userId, deviceId } = leaf;
  if (room.number !== ours.number || room.hash !== ours.hash) {
    draft.state.mismatch = { userId, deviceId };
    if (isNew(draft, `state ${userId} ${deviceId} ${room.number} ${room.hash}`)) await tellOfState(draft, { userId, deviceId }, seq, applying);
    return;
  }
  // The word of the member who has added this device is confirmed by a device of another user.
  if (signed.confirmed || userId === applying.device.userId || userId === draft.state.enteredBy) return;
  draft.setSigned(signed.confirm());
  delete draft.state.mismatch;
  draft.after.push(
    () => applying.events.emit("roster", undefined),
    () => applying.events.emit("holds", undefined),
    () => applying.events.emit("sendable", undefined),
  );
}

async function tellOfState(draft: Draft, from: Sender, seq: number, { clock, events, reports }: Applying): Promise<void> {
  const detail = `Device ${from.deviceId} of user ${from.userId} has sent the message at ${seq} for another state of the room than this device follows.`;
  await addLine(draft, { seq, index: firstIndex.head, at: clock.now(), kind: "stateMismatch", by: from, detail }, { events });
  draft.after.push(
    () => events.emit("stateMismatch", { from, seq }),
    () => events.emit("holds", undefined),
    () => reports.warn({ area: "room", kind: "stateMismatch", roomId: draft.state.id, retrying: false, detail }),
  );
}

function isNew({ state }: Draft, difference: string): boolean {
  if (state.differences?.includes(difference)) return false;
  state.differences = [...(state.differences ?? []), difference].slice(-differencesKept);
  return true;
}
