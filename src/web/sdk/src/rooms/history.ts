/* The history of a room: what contents that count change in it. */
import { copy, type Bytes } from "../base/bytes.js";
import type { ContentBody, ContentHeader, Reference } from "../content/message.js";
import type { UnsupportedContent } from "../content/content.js";
import { toStored } from "../content/stored.js";
import { keys } from "../store/store.js";
import { enforced } from "../trust/enforced.js";
import type { Applying } from "./applying.js";
import type { Draft } from "./draft.js";
import { changeRecord, keep } from "./keeping.js";
import { markEdited, type Mark } from "./listed.js";
import { noteLeave } from "./leaving.js";
import { deadlineOf, limitLife, removeRecord, timeOf } from "./lifetime.js";
import { explainMissing, markExpired } from "./missing.js";
import { isOfOther, standingOf, type Author, type Standing } from "./reading.js";
import { keepProof } from "./proofs.js";
import type { MessageRecord, OwnSend, Sender } from "./records.js";

/** The different reactions of one user to one message. More change nothing. */
const mostReactions = 32;
/** The edits of a message of another user that are remembered: those before show nothing any more. Of an own one all are, for its deletion. */
const mostEdits = 32;

/** A content at its place in the log. @internal */
export interface Arrival {
  seq: number;
  /** The server's time. */
  at: number;
  from: Sender;
  header: Pick<ContentHeader, "id" | "sent" | "ttl" | "read">;
  content: ContentBody | UnsupportedContent;
  /** Makes the author proof. An own message has none. */
  proof?: () => Bytes;
  /** Whether the newest list has the device. */
  mark?: Mark;
}

type Of<Type extends ContentBody["type"]> = Arrival & { content: Extract<ContentBody, { type: Type }> };

/** A user who has turned read receipts off does not see those of others. The user's own, from another device, always count. @internal */
export const isShownHere = ({ privacy, device }: Pick<Applying, "privacy"> & { device: Pick<Applying["device"], "userId"> }, userId: string): boolean =>
  privacy.settings.readReceipts || userId === device.userId;

/** Stores how far a member has read. Returns whether it is further than before. @internal */
export async function putRead(draft: Draft, userId: string, upTo: number, { events }: Pick<Applying, "events">): Promise<boolean> {
  const key = keys.read(draft.state.id, userId);
  if (upTo <= ((await draft.get<number>(key)) ?? 0)) return false;
  draft.put(key, upTo);
  draft.after.push(() => events.emit("read", { userId, upTo }));
  return true;
}

/**
 * Accepts an own send, of which this device has the plaintext, at its place in the log. When it does not count there, the user can send it again. While this
 * device cannot follow the group, the server's word that it was stored is all there is. @internal
 */
export async function acceptOwn(draft: Draft, own: OwnSend, applying: Applying): Promise<void> {
  const { userId, id: deviceId, identity } = applying.device;
  const { sealed, epoch, generation, content, seq, at } = own;
  let standing: Standing = draft.state.out ? "late" : "counts";
  if (draft.group && !draft.state.out && sealed && identity && epoch !== undefined && generation !== undefined) {
    const leaf = { userId, deviceId, identityKey: identity.identityKey, signatureKey: copy(sealed.signatureKey) };
    standing = standingOf(draft, { leaf, epoch: { epoch, generation } }, content.type);
  }
  if (standing === "late" || standing === "notAllowed") {
    applying.sends.undelivered(draft, own, standing);
    return;
  }
  applying.sends.passed(draft, draft.state.id, own.clientMessageId, seq);
  const header = { id: own.id, sent: sealed?.sent ?? at, ...sealed };
  await accept(draft, { seq, at, from: { userId, deviceId }, header, content }, applying);
}

/**
 * Accepts an own send at the place that only the server's acknowledgement names. When this device has read something else there, the acknowledgement is false:
 * the message does not take the place of another one, and the user can send it again. @internal
 */
export async function acceptAcked(draft: Draft, own: OwnSend, applying: Applying): Promise<void> {
  if (enforced.t7 && (await isTaken(draft, own, applying))) applying.sends.undelivered(draft, own, "elsewhere");
  else await acceptOwn(draft, own, applying);
}

async function isTaken(draft: Draft, { id, seq, ciphertext, isPassed = false }: OwnSend, { readLog }: Applying): Promise<boolean> {
  const there = await draft.get<MessageRecord>(keys.message(draft.state.id, seq));
  const isOther = there !== undefined && there.content.type !== "missing" && !(there.mine && there.id === id);
  return isOther || readLog.differs(draft, seq, ciphertext, isPassed);
}

/** Applies a content of another device, and shows one that does not count. @internal */
export async function acceptFrom(draft: Draft, author: Author, arrival: Arrival, applying: Applying): Promise<void> {
  const standing = isOfOther(draft, author.leaf, applying.people) ? "otherIdentity" : standingOf(draft, author, arrival.content.type);
  if (standing === "counts") return accept(draft, arrival, applying);
  if (standing === "notAllowed") await takeRead(draft, arrival, applying);
  const record = { ...recordOf(arrival, applying), [standing]: true };
  if (standing === "late") draft.put(keys.lateId(draft.state.id, nameOf(arrival)), arrival.seq);
  limitLife(draft, record, deadlineOf(draft, arrival.header, applying), applying);
  keep(draft, record, applying);
}

/** Applies a content that counts for its author. @internal */
export async function accept(draft: Draft, arrival: Arrival, applying: Applying): Promise<void> {
  const { events } = applying;
  const { content, from, header, seq } = arrival;
  await takeRead(draft, arrival, applying);
  if (content.type === "text" || content.type === "reply" || content.type === "custom" || content.type === "edit" || content.type === "file")
    draft.after.push(() => events.emit("stoppedTyping", { userId: from.userId }));
  // A sender without an answer may have sent the message twice. The id is unique for each sender.
  const named = keys.messageId(draft.state.id, nameOf(arrival));
  if ((await draft.get<number>(named)) !== undefined) return;
  draft.put(named, seq);
  await replaceLate(draft, arrival, applying);
  await markExpired(draft, seq, header.sent, applying);
  if (isOf(arrival, "edit")) return edit(draft, arrival, applying);
  if (isOf(arrival, "delete")) return remove(draft, arrival, { author: from.userId, id: arrival.content.target }, applying);
  if (isOf(arrival, "moderate")) return remove(draft, arrival, arrival.content.target, applying);
  if (isOf(arrival, "pin")) return pin(draft, arrival, applying);
  if (isOf(arrival, "reaction")) return react(draft, arrival, applying);
  if (isOf(arrival, "leave")) {
    noteLeave(draft, from, arrival.content.token, applying);
    return;
  }
  const record = recordOf(arrival, applying);
  limitLife(draft, record, deadlineOf(draft, header, applying), applying);
  keepProof(draft, arrival);
  keep(draft, record, applying);
}

/** The id of a content is unique for its author. */
const nameOf = ({ from, header }: Pick<Arrival, "from" | "header">): string => `${from.userId}/${header.id}`;

/** The author has sent a message again that came too late before. It is shown once. */
async function replaceLate(draft: Draft, arrival: Arrival, { events }: Pick<Applying, "events">): Promise<void> {
  const { id } = draft.state;
  const key = keys.lateId(id, nameOf(arrival));
  const seq = await draft.get<number>(key);
  if (seq === undefined) return;
  draft.delete(key);
  const record = await draft.get<MessageRecord>(keys.message(id, seq));
  if (!record?.late) return;
  removeRecord(draft, record);
  draft.after.push(() => events.emit("expired", { seqs: [seq] }));
}

const isOf = <Type extends ContentBody["type"]>(arrival: Arrival, type: Type): arrival is Of<Type> => arrival.content.type === type;

function recordOf({ seq, at, from, header, content, mark }: Arrival, { clock, device }: Pick<Applying, "clock" | "device">): MessageRecord {
  const time = timeOf(header.sent, clock);
  const mine = from.userId === device.userId;
  return { seq, id: header.id, from, mine, at, ...(time === undefined ? {} : { time }), sent: header.sent, content: toStored(content), ...mark };
}

async function takeRead(draft: Draft, { seq, from, header: { read } }: Arrival, applying: Applying): Promise<void> {
  if (read !== undefined && read < seq && isShownHere(applying, from.userId)) await putRead(draft, from.userId, read, applying);
}

/** The place of a message; undefined for one that this device does not have. Ids are unique only for their author. */
const placeOf = (draft: Draft, { author, id }: Reference): Promise<number | undefined> => draft.get(keys.messageId(draft.state.id, `${author}/${id}`));

/** Authors edit only their own messages. An edit lives no longer than its target, and the text no longer than the edit. */
async function edit(draft: Draft, arrival: Of<"edit">, applying: Applying): Promise<void> {
  const { seq, from, header, content } = arrival;
  const target = await placeOf(draft, { author: from.userId, id: content.target });
  await changeRecord(draft, target, applying, (record) => {
    if (record.deleted || (record.content.type !== "text" && record.content.type !== "reply")) return;
    record.content = { ...record.content, text: content.text };
    record.edited = true;
    const edits = [...(record.edits ?? []), seq];
    const dropped = record.mine ? 0 : Math.max(0, edits.length - mostEdits);
    for (const old of edits.splice(0, dropped)) draft.delete(keys.proof(draft.state.id, old));
    record.edits = edits;
    markEdited(draft, record, arrival.mark);
    keepProof(draft, arrival);
    limitLife(draft, record, deadlineOf(draft, header, applying), applying);
  });
}

/** A deletion by the author, or a removal by a member who may moderate. */
async function remove(draft: Draft, { from, content }: Of<"delete"> | Of<"moderate">, target: Reference, applying: Applying): Promise<void> {
  const { state } = draft;
  await changeRecord(draft, await placeOf(draft, target), applying, (record) => {
    const seqs = [record.seq, ...(record.edits ?? [])];
    for (const seq of seqs) draft.delete(keys.proof(state.id, seq));
    // Only the author's client can ask the server to delete the bytes.
    if (content.type === "moderate" && record.mine) applying.sends.erase(draft, state.id, seqs);
    record.deleted = true;
    if (content.type === "moderate" && target.author !== from.userId) record.deletedBy ??= from.userId;
    record.content = { type: "text", text: "" };
    // Not all devices have read the edits: the server deletes their bytes with those of the message.
    delete record.edited;
    delete record.edits;
  });
  await explainMissing(draft, content.seqs, applying);
}

async function pin(draft: Draft, { from, content }: Of<"pin">, applying: Applying): Promise<void> {
  await changeRecord(draft, await placeOf(draft, content.target), applying, (record) => {
    if (content.removed) delete record.pinnedBy;
    else record.pinnedBy = from.userId;
  });
}

async function react(draft: Draft, { from, content }: Of<"reaction">, applying: Applying): Promise<void> {
  const { emoji } = content;
  await changeRecord(draft, await placeOf(draft, content.target), applying, (record) => {
    const before = record.reactions ?? [];
    const isNew = !before.some(([each, had]) => each === emoji && had.includes(from.userId));
    // The record is written anew for each one, so their number is bounded.
    if (!content.removed && isNew && before.filter(([, had]) => had.includes(from.userId)).length >= mostReactions) return;
    const users = (before.find(([each]) => each === emoji)?.[1] ?? []).filter((user) => user !== from.userId);
    if (!content.removed) users.push(from.userId);
    // A reaction keeps its place among the others.
    const all = before.some(([each]) => each === emoji) ? before : [...before, [emoji, []] as [string, string[]]];
    record.reactions = all.map(([each, had]): [string, string[]] => [each, each === emoji ? users : had]).filter(([, left]) => left.length > 0);
  });
}
