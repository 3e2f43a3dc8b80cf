import { useMemo, useState } from "react";
import { strings } from "../text/strings.js";
import { beginning, pieces, textOf } from "../text/safe.js";

const shortCharacters = 1_400;
const shortLines = 24;

/**
 * Text of another person, shown only as text. Its direction comes from its letters and does not affect the surroundings. Addresses become links. An address
 * that can look like another one shows its real host, and `onSuspect` asks before it opens. A long text is folded.
 */
export function SafeText({ text, onSuspect }: { text: string; onSuspect: (link: { href: string; host: string }) => void }) {
  const [open, setOpen] = useState(false);
  const clean = useMemo(() => textOf(text), [text]);
  const short = useMemo(() => beginning(firstLines(clean, shortLines), shortCharacters), [clean]);
  const parts = useMemo(() => pieces(open ? clean : short), [clean, short, open]);
  return (
    <>
      <div className="text" dir="auto">
        {parts.map((part, index) =>
          !("href" in part) ? (
            <span key={index}>{part.text}</span>
          ) : part.host !== undefined ? (
            <Suspect key={index} text={part.text} href={part.href} host={part.host} onOpen={onSuspect} />
          ) : (
            <a key={index} href={part.href} {...(part.href.startsWith("mailto:") ? {} : { target: "_blank" })} rel="noopener noreferrer">
              {part.text}
            </a>
          ),
        )}
        {!open && short.length < clean.length && "…"}
      </div>
      {short.length < clean.length && (
        <button type="button" className="fold" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? strings.chat.showLess : strings.chat.showMore}
        </button>
      )}
    </>
  );
}

/** A button instead of a link, so that no key or mouse button opens it without the question. */
const Suspect = ({ text, href, host, onOpen }: { text: string; href: string; host: string; onOpen: (link: { href: string; host: string }) => void }) => (
  <button type="button" className="suspect" onClick={() => onOpen({ href, host })}>
    <bdi>{text}</bdi> <span>({strings.chat.realAddress(host)})</span>
  </button>
);

function firstLines(text: string, lines: number): string {
  let at = -1;
  for (let i = 0; i < lines; i++) {
    at = text.indexOf("\n", at + 1);
    if (at < 0) return text;
  }
  return text.slice(0, at);
}
