import type { Message } from "../../sdk.js";
import { strings } from "../../strings.js";
import { isBlank, nameOf, textOf } from "../../text.js";

/** What a message says, on one line: for lists, quotes and screen readers. */
export function gist(message: Message): string {
  const { content } = message;
  if (message.deleted)
    return strings.previews.deleted;
  switch (content.type) {
    case "text":
    case "reply":
      return isBlank(content.text) ? strings.previews.blank : textOf(content.text.slice(0, 240)).replace(/\s+/g, " ");
    case "name":
      return strings.previews.name(nameOf(content.name));
    case "custom":
      return strings.previews.custom;
    case "unsupported":
      return strings.previews.unsupported;
    default:
      return strings.previews.unreadable;
  }
}

/** Its text, when it has one that can be copied, edited and answered. */
export const wordsOf = (message: Message): string | undefined =>
  !message.deleted && (message.content.type === "text" || message.content.type === "reply") ? message.content.text : undefined;
