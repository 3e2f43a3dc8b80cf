import type { Message } from "../../sdk.js";
import { dayKey } from "../../format.js";
import type { Outgoing, RoomView } from "../../state/room.js";

/** How far an own message has come. */
export type SendState = "waiting" | "failed" | "alone" | "sent" | "delivered" | "read";

/** A message, or a send on its way, as one bubble. */
export interface BubbleRow {
  type: "bubble";
  key: string;
  mine: boolean;
  userId?: string;
  at: number;
  message?: Message;
  outgoing?: Outgoing;
  /** What it answers to, as it is now. */
  quoted?: Message;
  /** It answers to something that this device does not hold. */
  quoteMissing?: boolean;
  /** First and last of a run of one sender within a few minutes. */
  first: boolean;
  last: boolean;
  /** Whether it tells its time: of a run within one minute only the last does. */
  stamped: boolean;
  state?: SendState;
}

export type Row =
  | BubbleRow
  | { type: "day"; key: string; at: number }
  | { type: "unread"; key: string }
  | { type: "name"; key: string; message: Message }
  | { type: "start"; key: string };

/** Messages by their ids. */
export type Quotes = ReadonlyMap<string, Message | undefined>;

const runMs = 5 * 60_000;
const minute = (at: number): number => Math.floor(at / 60_000);

/**
 * What stands on the screen, from top to bottom.
 * @param me This user's id.
 * @param others How many other members there are: a message is read when all of them have read it. Undefined while that is not known.
 * @param unreadFrom The first place in the log that was unread when the room was opened.
 * @param quotes What is answered to from before the part that is held; `undefined` when this device has no such message.
 */
export function rowsOf(view: RoomView, me: string, others: number | undefined, unreadFrom: number | undefined, quotes: Quotes): Row[] {
  const rows: Row[] = [];
  if (view.atStart)
    rows.push({ type: "start", key: "start" });
  const reads = Object.entries(view.marks.read).flatMap(([userId, upTo]) => userId === me ? [] : upTo);
  const byId = new Map<string, Message>();
  for (const message of view.messages)
    if (!byId.has(message.id))
      byId.set(message.id, message);
  const quotedBy = (replyTo: string | undefined): Pick<BubbleRow, "quoted" | "quoteMissing"> => {
    if (replyTo === undefined)
      return {};
    const quoted = byId.get(replyTo) ?? quotes.get(replyTo);
    return quoted ? { quoted } : quotes.has(replyTo) ? { quoteMissing: true } : {};
  };
  let day: number | undefined;
  let previous: BubbleRow | undefined;
  let divided = false;
  let name: string | undefined;
  const startDay = (at: number): void => {
    const key = dayKey(at);
    // A server's clock may go back; days are not begun twice for that.
    if (day === undefined || key > day) {
      day = key;
      rows.push({ type: "day", key: `d${key}`, at });
      previous = undefined;
    }
  };
  const push = (row: Omit<BubbleRow, "first" | "last" | "stamped" | "type">): void => {
    const joins = previous !== undefined && previous.mine === row.mine && previous.userId === row.userId && row.at - previous.at < runMs;
    if (joins) {
      previous!.last = false;
      previous!.stamped = minute(previous!.at) !== minute(row.at) || previous!.state !== row.state || row.state === "failed";
    }
    previous = { ...row, type: "bubble", first: !joins, last: true, stamped: true };
    rows.push(previous);
  };
  for (const message of view.messages) {
    const at = message.at.getTime() || 0;
    startDay(at);
    if (!divided && unreadFrom !== undefined && message.seq >= unreadFrom && !message.mine) {
      divided = true;
      rows.push({ type: "unread", key: "unread" });
      previous = undefined;
    }
    if (message.content.type === "name") {
      // The name is told anew to whoever comes later; that is no event for the others.
      if (message.content.name === name)
        continue;
      ({ name } = message.content);
      rows.push({ type: "name", key: keyOf(message), message });
      previous = undefined;
      continue;
    }
    push({
      key: keyOf(message), mine: message.mine, at, message, ...(message.from ? { userId: message.from.userId } : {}),
      ...quotedBy(message.content.type === "reply" ? message.content.to : undefined),
      ...(message.mine ? { state: stateOf(message.seq, reads, others, view.marks.delivered) } : {}),
    });
  }
  for (const outgoing of view.outgoing) {
    startDay(outgoing.at);
    push({ key: `o${outgoing.id}`, mine: true, at: outgoing.at, outgoing, state: outgoing.state, userId: me, ...quotedBy(outgoing.replyTo) });
  }
  return rows;
}

/** One's own message keeps the key that it had on its way, so that it does not move. */
const keyOf = (message: Message): string => message.mine ? `o${message.id}` : `s${message.seq}`;

function stateOf(seq: number, reads: number[], others: number | undefined, delivered: number | undefined): SendState {
  if (others !== undefined && others > 0 && reads.filter((upTo) => upTo >= seq).length >= others)
    return "read";
  return delivered !== undefined && delivered >= seq ? "delivered" : others === 0 ? "alone" : "sent";
}
