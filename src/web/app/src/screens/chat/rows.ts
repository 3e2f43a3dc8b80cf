import type { Message, Reference } from "../../base/sdk.js";
import { dayKey } from "../../text/format.js";
import type { LineFacts } from "../../text/lines.js";
import { gist } from "../../text/gist.js";
import { keyOfMessage, keyOfReference } from "../../base/reference.js";
import type { Outgoing, RoomView } from "../../state/room.js";
import { linesOf } from "./lines.js";

/** The delivery state of an own message. */
export type SendState = "waiting" | "failed" | "alone" | "sent" | "delivered" | "read";

/** A message or a pending send, as a bubble. */
export interface BubbleRow {
  type: "bubble";
  key: string;
  mine: boolean;
  userId?: string;
  at: number;
  message?: Message;
  outgoing?: Outgoing;
  /** The message that it answers. */
  quoted?: Message;
  /** Whether it answers a message that this device does not have. */
  quoteMissing?: boolean;
  /** Whether it is the first or the last of successive messages of one sender within 5 minutes. */
  first: boolean;
  last: boolean;
  /** Whether it shows its time: only the last of a group within one minute does. */
  stamped: boolean;
  state?: SendState;
}

export type Row =
  | BubbleRow
  | { type: "day"; key: string; at: number }
  | { type: "unread"; key: string }
  | { type: "missing"; key: string; seq: number; at: number; text: string; isExpired: boolean }
  | { type: "line"; key: string; line: LineFacts }
  | { type: "start"; key: string };

/** Messages by author and id. */
export type Quotes = ReadonlyMap<string, Message | undefined>;

const runMs = 5 * 60_000;
const minute = (at: number): number => Math.floor(at / 60_000);

/**
 * The rows on the screen, from top to bottom.
 * @param me - This user's id.
 * @param others - The number of other members: a message is read when all of them have read it. Undefined while it is not known.
 * @param unreadFrom - The first place in the log that was unread when the room was opened.
 * @param quotes - Answered messages before the loaded part of the history; `undefined` when this device does not have the message.
 * @param lines - What has happened beside the messages, oldest first. A line with a place in the log stands before the message of that place.
 */
export function rowsOf(
  view: RoomView,
  me: string,
  others: number | undefined,
  unreadFrom: number | undefined,
  quotes: Quotes,
  lines: readonly LineFacts[] = [],
): Row[] {
  const rows: Row[] = [];
  if (view.atStart) rows.push({ type: "start", key: "start" });
  const reads = Object.entries(view.marks.read).flatMap(([userId, upTo]) => (userId === me ? [] : upTo));
  const byId = new Map<string, Message>();
  for (const message of view.messages) {
    const key = keyOfMessage(message);
    // A message that does not count has not taken its id.
    if (key !== undefined && !message.late && !message.notAllowed && !message.otherIdentity && !byId.has(key)) byId.set(key, message);
  }
  const quotedBy = (replyTo: Reference | undefined): Pick<BubbleRow, "quoted" | "quoteMissing"> => {
    if (replyTo === undefined) return {};
    const key = keyOfReference(replyTo);
    const quoted = byId.get(key) ?? quotes.get(key);
    return quoted ? { quoted } : quotes.has(key) ? { quoteMissing: true } : {};
  };
  let day: number | undefined;
  let previous: BubbleRow | undefined;
  let divided = false;
  const startDay = (at: number): void => {
    const key = dayKey(at);
    // The clocks of authors differ. A day does not begin twice, and none begins again after a later one.
    if (day === undefined || key > day) {
      day = key;
      rows.push({ type: "day", key: `d${key}`, at });
      previous = undefined;
    }
  };
  const push = (row: Omit<BubbleRow, "first" | "last" | "stamped" | "type">): void => {
    const joins = previous !== undefined && previous.mine === row.mine && previous.userId === row.userId && Math.abs(row.at - previous.at) < runMs;
    if (joins) {
      previous!.last = false;
      previous!.stamped = minute(previous!.at) !== minute(row.at) || previous!.state !== row.state || row.state === "failed";
    }
    previous = { ...row, type: "bubble", first: !joins, last: true, stamped: true };
    rows.push(previous);
  };
  const waiting = linesOf(lines, view);
  const lineUp = (before: { seq: number; at: number }): void => {
    for (const { key, line } of waiting.before(before)) {
      startDay(line.at);
      rows.push({ type: "line", key, line });
      previous = undefined;
    }
  };
  // The server has no time of a place that it has emptied. It stands between those beside it.
  let known = view.messages.map((message) => message.time.getTime()).find((at) => at > 0) ?? 0;
  for (const message of view.messages) {
    const at = message.time.getTime() || known;
    known = at;
    lineUp({ seq: message.seq, at });
    startDay(at);
    if (!divided && unreadFrom !== undefined && message.seq >= unreadFrom && !message.mine) {
      divided = true;
      rows.push({ type: "unread", key: "unread" });
      previous = undefined;
    }
    if (message.content.type === "missing") {
      const isExpired = message.content.expired === true;
      rows.push({ type: "missing", key: keyOf(message), seq: message.seq, at, text: gist(message), isExpired });
      previous = undefined;
      continue;
    }
    push({
      key: keyOf(message),
      mine: message.mine,
      at,
      message,
      ...(message.from ? { userId: message.from.userId } : {}),
      ...quotedBy(message.content.type === "reply" ? message.content.to : undefined),
      ...(message.mine ? { state: stateOf(message.seq, reads, others, view.marks.delivered) } : {}),
    });
  }
  lineUp({ seq: Infinity, at: Infinity });
  for (const outgoing of view.outgoing) {
    startDay(outgoing.at);
    push({ key: `o${outgoing.id}`, mine: true, at: outgoing.at, outgoing, state: outgoing.state, userId: me, ...quotedBy(outgoing.replyTo) });
  }
  return rows;
}

/** An own message keeps the key of its pending send, so that it does not move. */
const keyOf = (message: Message): string => (message.mine ? `o${message.id}` : `s${message.seq}`);

function stateOf(seq: number, reads: number[], others: number | undefined, delivered: number | undefined): SendState {
  if (others !== undefined && others > 0 && reads.filter((upTo) => upTo >= seq).length >= others) return "read";
  return delivered !== undefined && delivered >= seq ? "delivered" : others === 0 ? "alone" : "sent";
}
