import type { Message } from "../base/sdk.js";
import { strings } from "./strings.js";
import { isBlank, textOf } from "./safe.js";

/** The content of a message in one line: for lists, quotes and screen readers. */
export function gist(message: Message): string {
  const { content } = message;
  if (message.deleted) return strings.previews.deleted;
  switch (content.type) {
    case "text":
    case "reply":
      return isBlank(content.text) ? strings.previews.blank : textOf(content.text.slice(0, 240)).replace(/\s+/g, " ");
    case "custom":
      return strings.previews.custom;
    case "file":
      return strings.previews.file;
    case "missing":
      return content.expired ? strings.chat.expired(content.places) : strings.chat.missing(content.places);
    case "unsupported":
      return strings.previews.unsupported;
    case "malformed":
    case "unreadable":
      return strings.previews.unreadable;
    default:
      return strings.chat.noEffect;
  }
}

/** The text of a message, when it can be copied, edited and answered. */
export const wordsOf = (message: Message): string | undefined =>
  !message.deleted && (message.content.type === "text" || message.content.type === "reply") ? message.content.text : undefined;
