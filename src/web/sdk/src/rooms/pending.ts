/* The messages that a person has written on this device and that are not in the log yet. */
import type { CustomContent, FileContent, ReplyContent, TextContent } from "../content/content.js";
import type { ContentBody } from "../content/message.js";
import type { Outbox } from "./outbox.js";

/** A message of this device that is not in the log yet. */
export interface PendingSend {
  /** The id of the message. */
  id: string;
  /** The room's id. */
  roomId: string;
  /** The content. */
  content: TextContent | ReplyContent | FileContent | CustomContent;
  /** When it was sent: milliseconds since 1970, by this device's clock. */
  at: number;
  /** `waiting`: the client sends it. `failed`: the server has rejected it, or it did not count at its place in the log. */
  state: "waiting" | "failed";
  /** With `failed`: the error code. */
  error?: string;
}

/** The messages of a room that are not in the log yet, oldest first. Edits, deletions, reactions and pins are not messages. @internal */
export function pendingOf(outbox: Pick<Outbox, "failed" | "waiting">, roomId: string): PendingSend[] {
  const all: PendingSend[] = [];
  for (const { id, content, at, error } of outbox.failed(roomId))
    if (isMessage(content)) all.push({ id, roomId, content, at: at ?? 0, state: "failed", error: error.code });
  for (const { id, content, at } of outbox.waiting(roomId)) if (isMessage(content)) all.push({ id, roomId, content, at: at ?? 0, state: "waiting" });
  return all.toSorted((a, b) => a.at - b.at);
}

const isMessage = (content: ContentBody): content is Extract<ContentBody, { type: PendingSend["content"]["type"] }> =>
  content.type === "text" || content.type === "reply" || content.type === "file" || content.type === "custom";
