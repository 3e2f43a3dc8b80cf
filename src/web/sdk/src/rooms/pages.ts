/* Pages of a room's stored messages. */
import { keys, ordinal, pack, read, unpack, type Store } from "../store/store.js";
import { toMessage, type Message, type MessageRecord, type Reference } from "./records.js";
import type { Ports } from "./ports.js";

type PagePorts = Pick<Ports, "store"> & { clock: Pick<Ports["clock"], "now"> };

const usualLimit = 50;
const chunk = 100;

/** Whether a message may still be shown. Its deletion may be a moment late. @internal */
export const isAlive = (record: MessageRecord, now: number): boolean => record.deadline === undefined || record.deadline > now;

/**
 * The messages before a place in the log, oldest first. Places in a row that were never read, for the same reason, are one message with the first of these
 * places, so that a page is not filled with them, and they are never cut by the end of a page. @internal
 */
export async function page(ports: PagePorts, roomId: string, { before, limit = usualLimit }: { before?: number; limit?: number }): Promise<Message[]> {
  const found: Message[] = [];
  const prefix = keys.messages(roomId);
  let after = before === undefined ? undefined : prefix + ordinal(before);
  for (;;) {
    const some = await ports.store.list(prefix, { reverse: true, limit: chunk, ...(after === undefined ? {} : { after }) });
    for (const [, value] of some) {
      const record = unpack<MessageRecord>(value);
      if (!isAlive(record, ports.clock.now())) continue;
      const message = toMessage(record);
      if (merges(message, found.at(-1))) found[found.length - 1] = message;
      else if (found.length < limit) found.push(message);
      else return found.toReversed();
    }
    if (some.length < chunk) return found.toReversed();
    after = some.at(-1)![0];
  }
}

/** A message by its author and id; undefined when this device does not have it. @internal */
export async function messageOf(store: Store, roomId: string, { author, id }: Reference): Promise<Message | undefined> {
  const seq = await read<number>(store, keys.messageId(roomId, `${author}/${id}`));
  const record = seq === undefined ? undefined : await read<MessageRecord>(store, keys.message(roomId, seq));
  return record && toMessage(record);
}

/** Adds the places of the later message to the earlier one, when both are places that were never read. */
function merges({ content }: Message, later: Message | undefined): boolean {
  if (content.type !== "missing" || later?.content.type !== "missing" || content.expired !== later.content.expired) return false;
  content.places += later.content.places;
  return true;
}

/**
 * Iterates over the messages in the order of the log. Without `after`, it begins where the last one stopped on this device, and the place moves when the next
 * message is requested. @internal
 */
export async function* pages(
  ports: PagePorts,
  roomId: string,
  after: number | undefined,
  arrived: () => Promise<void>,
  isOver: () => boolean,
): AsyncGenerator<Message, void, undefined> {
  const { store } = ports;
  let last = after ?? (await read<number>(store, keys.taken(roomId))) ?? 0;
  while (!isOver()) {
    const more = arrived();
    const found = await store.list(keys.messages(roomId), { after: keys.message(roomId, last), limit: chunk });
    for (const [, value] of found) {
      const record = unpack<MessageRecord>(value);
      last = record.seq;
      if (!isAlive(record, ports.clock.now())) continue;
      yield toMessage(record);
      if (after === undefined) await store.write(new Map([[keys.taken(roomId), pack(last)]]));
      if (isOver()) return;
    }
    if (found.length === 0) await more;
  }
}
