import { strings } from "./strings.js";

/*
 * Text of other people is shown only as text. This code makes it harmless: it removes marks that change the direction of the following text (each text is in an
 * isolated element, whose direction comes from its letters), and from names also invisible characters.
 */

/** Embeddings, overrides and isolates: they can show a text in another order. */
const directionMarks = /[\u202a-\u202e\u2066-\u2069]/g;

/** Characters without width. */
const invisible = new RegExp(
  String.raw`[\p{Cc}\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f` +
    String.raw`\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e0fff}]`,
  "gu",
);

/** The text of a message. */
export const textOf = (text: string): string => text.replace(directionMarks, "");

/** Whether a text shows nothing visible. */
export const isBlank = (text: string): boolean => text.replace(invisible, "").trim() === "";

/** A name in one line, never empty. Joiners between characters stay: emoji and some scripts need them. */
export const nameOf = (name: string): string =>
  isBlank(name)
    ? strings.common.unnamed
    : name
        .replace(directionMarks, "")
        .replace(/[\p{Cc}\u2028\u2029]+/gu, " ")
        .trim();

/** A piece of a message. `host` is set when the address can look like another one: it is the real host name in ASCII. */
export type Piece = { text: string } | { text: string; href: string; host?: string };

const mail = /[\w.+-]+@(?:[a-z0-9-]+\.)+[a-z]{2,}/iu;
const web = /(?:https?:\/\/|www\.)[^\s<>"'`\u200b-\u200f\u2060-\u206f\ufeff]+/iu;
const address = new RegExp(`(?<![\\p{L}\\p{N}])(?:(?<mail>${mail.source})|(?<web>${web.source}))`, "giu");

/** Splits a text at its web and mail addresses: only http, https and mailto, and no address with a user name before the host. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(address)) {
    const shown = match.groups?.mail ?? trimEnd(match[0]);
    const link = match.groups?.mail === undefined ? webLink(shown) : { href: `mailto:${shown}` };
    if (!link) continue;
    if (match.index > end) found.push({ text: text.slice(end, match.index) });
    found.push({ text: shown, ...link });
    end = match.index + shown.length;
  }
  if (end < text.length) found.push({ text: text.slice(end) });
  return found;
}

function webLink(shown: string): { href: string; host?: string } | undefined {
  const hasScheme = /^https?:/i.test(shown);
  const written = hasScheme ? shown : `https://${shown}`;
  const url = URL.canParse(written) ? new URL(written) : undefined;
  if (!url || url.username !== "" || url.password !== "" || url.hostname === "" || (!hasScheme && !/^www\.[^.]/i.test(shown))) return undefined;
  const typed = /^https?:\/\/([^/?#\\]*)/i.exec(written)?.[1] ?? "";
  return { href: url.href, ...(looksAsItIs(typed) ? {} : { host: url.hostname }) };
}

/** ASCII and the letters of Western and Central European languages. No two of them look alike. */
const latinLetters = "à-öø-ÿāăąćĉċčďđēĕėęěĝğġģĥħĩīĭįĵķĺļľłńņňōŏőœŕŗřśŝşšţťũūŭůűųŵŷźżžș-ț";
const latin = new RegExp(String.raw`^[a-z0-9.:\-[\]${latinLetters}]*$`, "iu");

/** Other alphabets, and alphabets that one language mixes. */
const alphabets = [
  ["Cyrillic"],
  ["Greek"],
  ["Arabic"],
  ["Hebrew"],
  ["Armenian"],
  ["Georgian"],
  ["Devanagari"],
  ["Bengali"],
  ["Tamil"],
  ["Telugu"],
  ["Thai"],
  ["Han", "Hiragana", "Katakana"],
  ["Han", "Hangul"],
  ["Han", "Bopomofo"],
].map((scripts) => new RegExp(`^[${scripts.map((script) => `\\p{scx=${script}}`).join("")}0-9.:\\-]*$`, "u"));

/** Whether all letters of a host belong to one alphabet, so that none imitates a letter of another. */
const looksAsItIs = (host: string): boolean => latin.test(host) || alphabets.some((letters) => letters.test(host));

/** Removes a full stop after an address, and a closing bracket without an opening one. */
function trimEnd(shown: string): string {
  let text = shown.replace(/[.,;:!?]+$/, "");
  while (text.endsWith(")") && text.split("(").length < text.split(")").length) text = text.slice(0, -1).replace(/[.,;:!?]+$/, "");
  return text;
}

/** Whether a text consists of one to three emoji: it is then shown large. */
export const isEmojiOnly = (text: string): boolean => text.length <= 40 && /^(?:\p{RGI_Emoji}\s?){1,3}$/v.test(text.trim());

/** The begin of a long text, without half of a character at the end. */
export function beginning(text: string, characters: number): string {
  if (text.length <= characters) return text;
  const cut = text.slice(0, characters);
  return /[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut;
}
