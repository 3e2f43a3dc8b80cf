import type { CSSProperties } from "react";
import { nameOf } from "../text/safe.js";

/** Initials on a colour of the person or group, equal on every device. Decorative: the name stands beside it. */
export function Avatar({ id = "", name, group, size }: { id?: string; name: string; group?: boolean; size?: "s" | "l" }) {
  return (
    <span className={`avatar ${size ?? ""} ${group ? "group" : ""}`} style={{ "--hue": hue(group ? id : name) } as CSSProperties} aria-hidden="true">
      {initials(name)}
    </span>
  );
}

/** Distinguishable colours with enough contrast to white. */
const hues = [18, 42, 150, 172, 200, 225, 248, 268, 290, 312, 336, 355];

function hue(id: string): number {
  let value = 0;
  for (let i = 0; i < id.length; i++) value = (value * 31 + id.charCodeAt(i)) >>> 0;
  return hues[value % hues.length]!;
}

function initials(name: string): string {
  const words = nameOf(name)
    .split(/[\s._-]+/u)
    .filter((word) => word !== "");
  const letters = words.length > 1 ? [words[0]!, words[1]!].map(first) : [...(words[0] ?? "?")].slice(0, 1);
  return letters.join("").toUpperCase();
}

const first = (word: string): string => [...word][0] ?? "";
