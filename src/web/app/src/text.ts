import { strings } from "./strings.js";

/*
 * What others wrote is shown as text and nothing else. Here it is made harmless for its place: marks that turn the direction of what follows them are taken out
 * (each text stands in an isolated element, whose direction comes from its letters), and so is what no eye can see where a name is expected.
 */

/** Embeddings, overrides and isolates, which can show a text in another order than it has. */
const directionMarks = /[\u202a-\u202e\u2066-\u2069]/g;

/** Characters that take no room. */
const invisible = /[\p{Cc}\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e0fff}]/gu;

/** The text of a message. */
export const textOf = (text: string): string => text.replace(directionMarks, "");

/** Whether somebody who looks at it sees nothing. */
export const isBlank = (text: string): boolean => text.replace(invisible, "").trim() === "";

/** A name on one line, never empty; joiners stay between what they join (emoji, some scripts). */
export const nameOf = (name: string): string => isBlank(name) ? strings.common.unnamed : name.replace(directionMarks, "").replace(/[\p{Cc}\u2028\u2029]+/gu, " ").trim();

/** A piece of a message. */
export type Piece = { text: string } | { text: string; href: string };

const address = /\bhttps?:\/\/[^\s<>"'`\u200b-\u200f\u2060-\u206f\ufeff]+/giu;

/** Splits a text at its web addresses. Only http and https, and none that hides its host behind a user name. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(address)) {
    const shown = trimEnd(match[0]);
    const url = URL.canParse(shown) ? new URL(shown) : undefined;
    if (!url || url.username !== "" || url.password !== "" || url.hostname === "")
      continue;
    if (match.index > end)
      found.push({ text: text.slice(end, match.index) });
    found.push({ text: shown, href: url.href });
    end = match.index + shown.length;
  }
  if (end < text.length)
    found.push({ text: text.slice(end) });
  return found;
}

/** A full stop after an address belongs to the sentence, and a bracket that was not opened in it to the text around. */
function trimEnd(shown: string): string {
  let text = shown.replace(/[.,;:!?]+$/, "");
  while (text.endsWith(")") && text.split("(").length < text.split(")").length)
    text = text.slice(0, -1).replace(/[.,;:!?]+$/, "");
  return text;
}

/** Whether a text is a few emoji and nothing else: shown large. */
export const isEmojiOnly = (text: string): boolean => text.length <= 40 && /^(?:\p{RGI_Emoji}\s?){1,3}$/v.test(text.trim());

/** The beginning of a long text, not cut within a character. */
export function beginning(text: string, characters: number): string {
  if (text.length <= characters)
    return text;
  const cut = text.slice(0, characters);
  return /[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut;
}
