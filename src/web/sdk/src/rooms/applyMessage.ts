import { equal } from "../base/bytes.js";
import { isFault } from "../base/verdict.js";
import { decodeMessage, type ContentHeader } from "../content/message.js";
import type { UnsupportedContent } from "../content/content.js";
import { generationOf } from "../mls/group.js";
import type { LogEntry } from "../net/wire.js";
import { keys } from "../store/store.js";
import type { Applying } from "./applying.js";
import { proveBeginning, putMoved } from "./beginning.js";
import { bodyOf } from "./contents.js";
import type { Draft } from "./draft.js";
import { breakChain, canFollow } from "./following.js";
import { acceptFrom, acceptOwn } from "./history.js";
import { keep } from "./keeping.js";
import { markOf } from "./listed.js";
import { noteSkipped } from "./missing.js";
import { deadlineOf, limitLife } from "./lifetime.js";
import { mentionList } from "./mentions.js";
import type { RoomGroup } from "./ports.js";
import { encodeProof } from "../trust/proof.js";
import { isOfOther, type Author } from "./reading.js";
import { compareViews } from "./views.js";
import type { MessageRecord, Sender } from "./records.js";

type Opened = Awaited<ReturnType<RoomGroup["decrypt"]>>;

/** Decrypts a message and applies its content. @internal */
export async function applyMessage(draft: Draft, entry: LogEntry, applying: Applying): Promise<void> {
  const { state } = draft;
  const { id: roomId } = state;
  const at = entry.createdAt.getTime();
  const own = entry.id === undefined ? undefined : applying.sends.find(roomId, entry.id);
  if (own?.ciphertext && equal(own.ciphertext, entry.ciphertext!)) {
    // While the device is out of the group, the log may be read again from an earlier place. The message is applied then.
    if (canFollow(draft)) await acceptOwn(draft, { ...own, clientMessageId: entry.id!, seq: entry.seq, at }, applying);
    return;
  }
  if (await draft.get<MessageRecord>(keys.message(roomId, entry.seq))) return;
  if (await putMoved(draft, entry, applying)) return;
  const header = applying.mls.readHeader(entry.ciphertext!);
  const group = draft.group;
  // Encrypted for an epoch without this device. There is nothing to show; if a Welcome comes, the log is read again.
  if (!group || !canFollow(draft) || (header && equal(header.groupId, group.id) && header.epoch < group.epoch && !group.epochs.includes(header.epoch))) {
    if (!group && !own) state.earlier = true;
    if (!canFollow(draft)) noteSkipped(draft, entry.seq, applying);
    // The server stores no message of an epoch that is so old. One that it has held back until then must not disappear.
    else if (wasIn(draft, header!.epoch)) keepStrange(draft, entry, { type: "unreadable", reason: "of an epoch whose keys are deleted" }, undefined, applying);
    return;
  }
  if (header && isLater(header, group)) {
    // After a Commit that is not valid, a message of its epoch shows nothing that this device has missed.
    const isOfInvalid = state.broken?.why === "commit" && equal(header.groupId, group.id);
    if (isOfInvalid) keepStrange(draft, entry, { type: "unreadable", reason: "of an epoch that is not valid" }, undefined, applying);
    else breakChain(draft, entry.seq, applying);
    return;
  }
  if (!header || header.contentType !== "application" || !equal(header.groupId, group.id)) {
    keepStrange(draft, entry, { type: "unreadable", reason: "not a message of this group" }, undefined, applying);
    return;
  }
  let opened: Opened;
  try {
    opened = await group.decrypt(entry.ciphertext!);
  } catch (error) {
    // The step is repeated. Otherwise the place would stay unreadable for ever.
    if (isFault(error)) throw error;
    keepStrange(draft, entry, { type: "unreadable", reason: error instanceof Error ? error.message : "" }, undefined, applying);
    return;
  }
  draft.usedKeys(opened.group, header.epoch);
  await applyOpened(draft, entry, opened, { leaf: opened.sender, epoch: { epoch: header.epoch, generation: group.generation } }, applying);
}

async function applyOpened(draft: Draft, entry: LogEntry, opened: Opened, author: Author, applying: Applying): Promise<void> {
  const { userId, deviceId } = author.leaf;
  const from: Sender = { userId, deviceId };
  const decoded = opened.authenticatedData.length > 0 ? undefined : decodeMessage(opened.plaintext);
  if (!decoded || decoded.kind === "malformed") {
    keepStrange(draft, entry, { type: "malformed", reason: decoded ? "content" : "authenticated data" }, from, applying);
    return;
  }
  const header: ContentHeader = decoded.kind === "content" ? decoded.content : decoded.header;
  if (!(await compareViews(draft, entry.seq, author, header, applying))) {
    keepStrange(draft, entry, { type: "malformed", reason: "seen" }, from, applying);
    return;
  }
  proveBeginning(draft, entry.seq, header.seen?.seq);
  // What another identity says of a list is nothing that the user has said.
  if (!isOfOther(draft, author.leaf, applying.people)) mentionList(draft, userId, header.list, applying);
  const content =
    decoded.kind === "content" ? bodyOf(decoded.content) : ({ type: "unsupported", name: decoded.type.slice(0, 64) } satisfies UnsupportedContent);
  const proof = () => encodeProof(opened.proof());
  const mark = markOf(draft, entry.seq, author.leaf, header.list.number, applying);
  await acceptFrom(draft, author, { seq: entry.seq, at: entry.createdAt.getTime(), from, header, content, proof, mark }, applying);
}

/** Whether this device was in this epoch of its group. */
const wasIn = ({ state, group }: Draft, epoch: number): boolean => state.enteredAt?.generation !== group!.generation || epoch >= state.enteredAt.epoch;

/** Keeps the place of a message that has no content. */
function keepStrange(draft: Draft, entry: LogEntry, content: MessageRecord["content"], from: Sender | undefined, applying: Applying): void {
  const record: MessageRecord = { seq: entry.seq, id: entry.id ?? "", mine: false, at: entry.createdAt.getTime(), content, ...(from ? { from } : {}) };
  limitLife(draft, record, deadlineOf(draft, {}, applying), applying);
  keep(draft, record, applying);
}

/**
 * Whether a message is for a later epoch or a later group than this device has reached. The server sends such a message only after the entry that leads there.
 */
const isLater = (header: { groupId: Uint8Array; epoch: number }, group: RoomGroup): boolean =>
  equal(header.groupId, group.id)
    ? header.epoch > group.epoch
    : equal(header.groupId.subarray(0, 16), group.id.subarray(0, 16)) && generationOf(header.groupId) > group.generation;
