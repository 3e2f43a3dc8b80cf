import { equal } from "../base/bytes.js";
import { decodeContent } from "../content/content.js";
import { generationOf } from "../mls/group.js";
import type { LogEntry } from "../net/wire.js";
import { keys } from "../store/store.js";
import type { Applying } from "./applying.js";
import type { Draft } from "./draft.js";
import { breakChain, canFollow } from "./following.js";
import { accept, acceptOwn, keep } from "./history.js";
import type { Leaf, RoomGroup } from "./ports.js";
import type { MessageRecord, Sender } from "./records.js";

/** Decrypts a message and applies its content. @internal */
export async function applyMessage(draft: Draft, entry: LogEntry, applying: Applying): Promise<void> {
  const { state } = draft;
  const { id: roomId } = state;
  const at = entry.createdAt.getTime();
  const own = entry.id === undefined ? undefined : applying.sends.find(roomId, entry.id);
  if (own?.ciphertext && equal(own.ciphertext, entry.ciphertext!)) {
    // While the device is out of the group, the log may be read again from an earlier place. The message is applied then.
    if (canFollow(draft)) await acceptOwn(draft, { clientMessageId: entry.id!, id: own.id, content: own.content, seq: entry.seq, at }, applying);
    return;
  }
  const record = await draft.get<MessageRecord>(keys.message(roomId, entry.seq));
  if (record) return;
  const header = applying.mls.readHeader(entry.ciphertext!);
  const group = draft.group;
  // Encrypted for an epoch without this device. There is nothing to show; if a Welcome comes, the log is read again.
  if (!group || !canFollow(draft) || (header && equal(header.groupId, group.id) && header.epoch < group.epoch && !group.epochs.includes(header.epoch))) {
    if (!group && !own) state.earlier = true;
    return;
  }
  if (header && isLater(header, group)) {
    breakChain(draft, entry.seq, applying);
    return;
  }
  const unreadable = (reason: string) =>
    keep(draft, { seq: entry.seq, id: entry.id ?? "", mine: false, at, content: { type: "unreadable", reason } }, applying);
  if (!header || header.contentType !== "application" || !equal(header.groupId, group.id)) {
    unreadable("not a message of this group");
    return;
  }
  let opened: { group: RoomGroup; sender: Leaf; plaintext: Uint8Array };
  try {
    opened = await group.decrypt(entry.ciphertext!);
  } catch (error) {
    unreadable(error instanceof Error ? error.message : "");
    return;
  }
  draft.usedKeys(opened.group, header.epoch);
  const sender: Sender = { userId: opened.sender.userId, deviceId: opened.sender.deviceId };
  const decoded = decodeContent(opened.plaintext);
  if ("content" in decoded) await accept(draft, { seq: entry.seq, at }, sender, decoded, applying);
  else keep(draft, { seq: entry.seq, id: entry.id ?? "", from: sender, mine: false, at, content: decoded }, applying);
}

/**
 * Whether a message is for a later epoch or a later group than this device has reached. The server sends such a message only after the entry that leads there.
 */
const isLater = (header: { groupId: Uint8Array; epoch: number }, group: RoomGroup): boolean =>
  equal(header.groupId, group.id)
    ? header.epoch > group.epoch
    : equal(header.groupId.subarray(0, 16), group.id.subarray(0, 16)) && generationOf(header.groupId) > group.generation;
