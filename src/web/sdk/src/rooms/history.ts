/* The history of a room: what authenticated content changes in it. */
import type { Decoded } from "../content/content.js";
import { keys } from "../store/store.js";
import type { Applying } from "./applying.js";
import type { Draft } from "./draft.js";
import { toMessage, type MessageRecord, type OwnSend, type Sender } from "./records.js";

type Showing = Pick<Applying, "device" | "events" | "privacy">;

/** Stores a message and reports it. @internal */
export function keep(draft: Draft, record: MessageRecord, { events }: Pick<Applying, "events">): void {
  draft.put(keys.message(draft.state.id, record.seq), record);
  draft.after.push(() => events.emit("message", toMessage(record)));
}

/** Changes a message that is stored already. Without one, nothing happens. @internal */
export async function changeRecord(draft: Draft, seq: number, { events }: Pick<Applying, "events">, change: (record: MessageRecord) => void): Promise<void> {
  const key = keys.message(draft.state.id, Math.max(0, seq));
  const record = seq < 0 ? undefined : await draft.get<MessageRecord>(key);
  if (!record) return;
  change(record);
  draft.put(key, record);
  draft.after.push(() => events.emit("changed", toMessage(record)));
}

/** A user who has turned read receipts off does not see those of others. The user's own, from another device, always count. @internal */
export const isShownHere = ({ privacy, device }: Pick<Applying, "privacy" | "device">, userId: string): boolean =>
  privacy.settings.readReceipts || userId === device.userId;

/** Stores how far a member has read. Returns whether it is further than before. @internal */
export async function putRead(draft: Draft, userId: string, upTo: number, { events }: Pick<Applying, "events">): Promise<boolean> {
  const key = keys.read(draft.state.id, userId);
  if (upTo <= ((await draft.get<number>(key)) ?? 0)) return false;
  draft.put(key, upTo);
  draft.after.push(() => events.emit("read", { userId, upTo }));
  return true;
}

/** Accepts an own send, of which this device has the plaintext, at its place in the log. @internal */
export async function acceptOwn(draft: Draft, own: OwnSend, applying: Showing & Pick<Applying, "sends">): Promise<void> {
  const { userId, id: deviceId } = applying.device;
  applying.sends.passed(draft, draft.state.id, own.clientMessageId, own.seq);
  await accept(draft, own, { userId, deviceId }, { id: own.id, content: own.content }, applying);
}

/** Applies authenticated content to the history. @internal */
export async function accept(draft: Draft, entry: { seq: number; at: number }, from: Sender, { id, content, read }: Decoded, showing: Showing): Promise<void> {
  const { state } = draft;
  const { device, events } = showing;
  const mine = from.userId === device.userId;
  const upTo = content.type === "receipt" ? content.upTo : read;
  if (upTo !== undefined && upTo < entry.seq && isShownHere(showing, from.userId)) await putRead(draft, from.userId, upTo, showing);
  if (content.type === "receipt") return;
  if (content.type === "text" || content.type === "reply" || content.type === "custom" || content.type === "edit")
    draft.after.push(() => events.emit("stoppedTyping", { userId: from.userId }));
  // A sender without an answer may have sent the message twice. The id is unique for each sender.
  const named = keys.messageId(state.id, `${from.userId}/${id}`);
  if ((await draft.get<number>(named)) !== undefined) return;
  draft.put(named, entry.seq);
  if (content.type === "name") {
    state.name = content.name;
    draft.after.push(() => events.emit("settings", undefined));
  }
  if (content.type === "edit" || content.type === "delete") {
    // Authors can change only their own messages.
    const seq = await draft.get<number>(keys.messageId(state.id, `${from.userId}/${content.target}`));
    await changeRecord(draft, seq ?? -1, showing, (record) => {
      if (content.type === "delete") {
        record.deleted = true;
        record.content = { type: "text", text: "" };
      } else if (!record.deleted && (record.content.type === "text" || record.content.type === "reply")) {
        record.content = { ...record.content, text: content.text };
        record.edited = true;
      }
    });
  } else if (content.type === "reaction") {
    const seq = await findTarget(draft, content.target, device.userId);
    await changeRecord(draft, seq ?? -1, showing, (record) => {
      const reactions = { ...record.reactions };
      const users = (Object.hasOwn(reactions, content.emoji) ? reactions[content.emoji]! : []).filter((user) => user !== from.userId);
      if (!content.removed) users.push(from.userId);
      if (users.length > 0) reactions[content.emoji] = users;
      else delete reactions[content.emoji];
      record.reactions = reactions;
    });
  } else {
    keep(draft, { seq: entry.seq, id, from, mine, at: entry.at, content }, showing);
  }
}

/** Finds a message of any author. Ids are unique only for each author. */
async function findTarget(draft: Draft, target: string, ownUserId: string): Promise<number | undefined> {
  const authors = new Set([ownUserId, ...(draft.group?.leaves().map((leaf) => leaf.userId) ?? [])]);
  for (const author of authors) {
    const seq = await draft.get<number>(keys.messageId(draft.state.id, `${author}/${target}`));
    if (seq !== undefined) return seq;
  }
  return undefined;
}
