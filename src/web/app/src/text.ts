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

/** A piece of a message. `host` is there when the address can look like another one: its real name, in letters that cannot. */
export type Piece = { text: string } | { text: string; href: string; host?: string };

const mail = /[\w.+-]+@(?:[a-z0-9-]+\.)+[a-z]{2,}/iu;
const web = /(?:https?:\/\/|www\.)[^\s<>"'`\u200b-\u200f\u2060-\u206f\ufeff]+/iu;
const address = new RegExp(`(?<![\\p{L}\\p{N}])(?:(?<mail>${mail.source})|(?<web>${web.source}))`, "giu");

/** Splits a text at its web and mail addresses. Only http, https and mailto, and none that hides its host behind a user name. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(address)) {
    const shown = match.groups?.mail ?? trimEnd(match[0]);
    const link = match.groups?.mail === undefined ? webLink(shown) : { href: `mailto:${shown}` };
    if (!link)
      continue;
    if (match.index > end)
      found.push({ text: text.slice(end, match.index) });
    found.push({ text: shown, ...link });
    end = match.index + shown.length;
  }
  if (end < text.length)
    found.push({ text: text.slice(end) });
  return found;
}

function webLink(shown: string): { href: string; host?: string } | undefined {
  const hasScheme = /^https?:/i.test(shown);
  const written = hasScheme ? shown : `https://${shown}`;
  const url = URL.canParse(written) ? new URL(written) : undefined;
  if (!url || url.username !== "" || url.password !== "" || url.hostname === "" || (!hasScheme && !/^www\.[^.]/i.test(shown)))
    return undefined;
  const typed = /^https?:\/\/([^/?#\\]*)/i.exec(written)?.[1] ?? "";
  return { href: url.href, ...(looksAsItIs(typed) ? {} : { host: url.hostname }) };
}

/** ASCII and the letters of Western and Central European languages, of which none looks like another. */
const latin = /^[a-z0-9.:\-\[\]à-öø-ÿāăąćĉċčďđēĕėęěĝğġģĥħĩīĭįĵķĺļľłńņňōŏőœŕŗřśŝşšţťũūŭůűųŵŷźżžș-ț]*$/iu;

/** Other alphabets, and those that one language writes together. */
const alphabets = [
  ["Cyrillic"], ["Greek"], ["Arabic"], ["Hebrew"], ["Armenian"], ["Georgian"], ["Devanagari"], ["Bengali"], ["Tamil"], ["Telugu"], ["Thai"],
  ["Han", "Hiragana", "Katakana"], ["Han", "Hangul"], ["Han", "Bopomofo"],
].map((scripts) => new RegExp(`^[${scripts.map((script) => `\\p{scx=${script}}`).join("")}0-9.:\\-]*$`, "u"));

/** Whether all letters of a host, its last part included, are of one alphabet: then none of them stands for a lookalike of another. */
const looksAsItIs = (host: string): boolean => latin.test(host) || alphabets.some((letters) => letters.test(host));

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
