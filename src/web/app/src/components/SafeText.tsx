import { useMemo, useState } from "react";
import { strings } from "../strings.js";
import { beginning, pieces, textOf } from "../text.js";

const shortCharacters = 1_400;
const shortLines = 24;

/** What somebody else wrote: only ever text. Its direction comes from its letters and ends with it. Web addresses are links. A long one begins folded. */
export function SafeText({ text }: { text: string }) {
  const [open, setOpen] = useState(false);
  const clean = useMemo(() => textOf(text), [text]);
  const short = useMemo(() => beginning(firstLines(clean, shortLines), shortCharacters), [clean]);
  const parts = useMemo(() => pieces(open ? clean : short), [clean, short, open]);
  return (
    <>
      <div className="text" dir="auto">
        {parts.map((part, index) => "href" in part
          ? <a key={index} href={part.href} target="_blank" rel="noopener noreferrer">{part.text}</a>
          : <span key={index}>{part.text}</span>)}
        {!open && short.length < clean.length && "…"}
      </div>
      {short.length < clean.length && (
        <button type="button" className="fold" aria-expanded={open} onClick={() => setOpen(!open)}>{open ? strings.chat.showLess : strings.chat.showMore}</button>
      )}
    </>
  );
}

function firstLines(text: string, lines: number): string {
  let at = -1;
  for (let i = 0; i < lines; i++) {
    at = text.indexOf("\n", at + 1);
    if (at < 0)
      return text;
  }
  return text.slice(0, at);
}
