/* What becomes of a content before it is encrypted. What it says about this device's view is of the moment of the encryption, not of the call. */
import { requirementOf, type Content } from "../content/content.js";
import { maxContentBytes } from "../content/padding.js";
import { decodeContent, encodeMessage, type ContentBody, type ContentHeader, type MessageContent } from "../content/message.js";
import { SecureMessagingError } from "../base/errors.js";
import { utf8, type Bytes } from "../base/bytes.js";
import type { Draft } from "./draft.js";
import { timeToLive } from "./lifetime.js";
import { keys } from "../store/store.js";
import type { Applying } from "./applying.js";
import type { KnownPeople, RoomGroup } from "./ports.js";
import { named, namedHead } from "./views.js";
import type { MessageRecord, OutboxItem, SealedHeader } from "./records.js";

const hash = "A".repeat(22);
const most = Number.MAX_SAFE_INTEGER;
/** What a message says besides its content, at its largest. The content must fit with it. */
const largest: Omit<ContentHeader, "id"> = {
  sent: most,
  seen: { seq: most, gap: most - 1024, hashes: [hash, hash, hash, hash] },
  room: { number: most, hash },
  list: { number: most, hash },
  read: most,
};
const mostTimeToLive = 2 ** 31;

/** The content as all clients read it. @throws `TooLarge`, `Invalid`. @internal */
export function checkContent(id: string, content: Content, ttl: number | undefined): ContentBody {
  if (ttl !== undefined && !(Number.isSafeInteger(ttl) && ttl >= 1 && ttl <= mostTimeToLive))
    throw SecureMessagingError.of("Invalid", "timeToLiveSeconds must be a number of seconds from 1 to 2^31.");
  const bytes = utf8(JSON.stringify({ v: 1, id, ...largest, ttl: mostTimeToLive, ...content }));
  if (bytes.length > maxContentBytes) throw SecureMessagingError.of("TooLarge", `The content has more than ${maxContentBytes} bytes.`);
  const decoded = decodeContent(bytes);
  if (decoded.kind !== "content") throw SecureMessagingError.of("Invalid", requirementOf(content.type));
  return bodyOf(decoded.content);
}

/** The content without what each one says about its author's view. @internal */
export function bodyOf(content: MessageContent): ContentBody {
  const { id: _id, sent: _sent, ttl: _ttl, seen: _seen, room: _room, list: _list, read: _read, ...body } = content;
  return body;
}

/** What all messages say that are encrypted with this draft. @internal */
export async function viewOf(
  draft: Draft,
  { people, device, readLog }: { people: Pick<KnownPeople, "listOf">; device: Applying["device"]; readLog: Applying["readLog"] },
): Promise<Pick<ContentHeader, "seen" | "room" | "list">> {
  const { group, signed } = draft;
  const list = people.listOf(device.userId);
  const seen = await readLog.seen(draft);
  return {
    ...(seen ? { seen } : {}),
    room: namedHead(group && signed?.at({ generation: group.generation, epoch: group.epoch })?.head),
    list: named(list?.number ?? 0, list?.hash),
  };
}

/** The key with which the group signs now. This device may have newer keys, which the group does not know yet. @internal */
export const signatureKeyOf = (group: RoomGroup): Uint8Array | undefined => group.leaves().find((leaf) => leaf.index === group.ownLeafIndex)?.signatureKey;

/** Encodes a waiting item with this view. @internal */
export async function encodeItem(
  draft: Draft,
  item: OutboxItem,
  { signatureKey, ...view }: Pick<ContentHeader, "seen" | "room" | "list" | "read"> & { signatureKey: Uint8Array },
  { clock, device }: Pick<Applying, "clock" | "device">,
): Promise<{ padded: Bytes; sealed: SealedHeader }> {
  const sent = Math.floor(clock.now());
  const ttl = await lifeOf(draft, item, sent, device.userId);
  const life = ttl === undefined ? {} : { ttl };
  const padded = encodeMessage({ id: item.id, sent, ...life, ...view, ...item.content });
  const { read } = view;
  return { padded, sealed: { sent, ...life, ...(read === undefined ? {} : { read }), signatureKey } };
}

/** The life of a message in seconds: the shorter one of the message and of the room. An edit lives no longer than its target. */
async function lifeOf(draft: Draft, { content, timeToLiveSeconds }: OutboxItem, now: number, userId: string): Promise<number | undefined> {
  const lives = [timeToLiveSeconds ?? Infinity, timeToLive(draft) ?? Infinity];
  if (content.type === "edit") {
    const seq = await draft.get<number>(keys.messageId(draft.state.id, `${userId}/${content.target}`));
    const target = seq === undefined ? undefined : await draft.get<MessageRecord>(keys.message(draft.state.id, seq));
    if (target?.deadline !== undefined) lives.push(Math.max(1, Math.ceil((target.deadline - now) / 1000)));
  }
  const life = Math.min(...lives);
  return life === Infinity ? undefined : Math.min(life, mostTimeToLive);
}
