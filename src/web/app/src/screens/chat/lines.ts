import type { LineFacts } from "../../text/lines.js";
import type { RoomView } from "../../state/room.js";

/** A line with its place among the messages. */
export interface PlacedLine {
  key: string;
  line: LineFacts;
}

/** The lines of the loaded part of a history, in the order in which they are taken. */
export interface WaitingLines {
  /** Takes the lines that stand before a message. */
  before(message: { seq: number; at: number }): PlacedLine[];
}

/** What was noticed when the log had been read up to the line's place. It stands after the message of that place. */
const noticedAfter = new Set(["withheld"]);

/** Lines from before the loaded part of the history appear when it is loaded. */
export function linesOf(lines: readonly LineFacts[], { atStart, messages }: RoomView): WaitingLines {
  const first = messages[0];
  const isLoaded = (line: LineFacts): boolean =>
    atStart || (first !== undefined && (line.seq === undefined ? line.at >= first.time.getTime() : line.seq >= first.seq));
  const loaded = lines.filter(isLoaded);
  // Each of the two has its own order: a line without a place stands where its time is.
  const placed = together(loaded.filter((line) => line.seq !== undefined));
  const noticed = loaded.filter((line) => line.seq === undefined).toSorted((a, b) => a.at - b.at);
  return {
    before({ seq, at }) {
      const taken = takeWhile(placed, (line) => line.seq! < seq || (line.seq === seq && !noticedAfter.has(line.kind))).map((line) => ({
        key: `l${line.seq}.${line.index ?? 0}`,
        line,
      }));
      const others = takeWhile(noticed, (line) => line.at < at).map((line) => ({ key: `t${line.at}.${line.kind}.${line.userId ?? ""}`, line }));
      return others.length === 0 ? taken : [...taken, ...others].toSorted((a, b) => a.line.at - b.line.at);
    },
  };
}

function takeWhile(lines: LineFacts[], isDue: (line: LineFacts) => boolean): LineFacts[] {
  const end = lines.findIndex((line) => !isDue(line));
  return lines.splice(0, end < 0 ? lines.length : end);
}

/** People whom one statement adds are one line. A line about the founding comes first, and the founder is not added by anyone. */
function together(lines: readonly LineFacts[]): LineFacts[] {
  const all: LineFacts[] = [];
  const founded = lines.find((line) => line.kind === "founded");
  for (const line of lines) {
    if (line === founded) {
      all.splice(all.filter((each) => each.seq! < line.seq!).length, 0, line);
      continue;
    }
    if (line.kind === "joined" && line.seq === founded?.seq && line.userId === founded?.by?.userId) continue;
    const last = all.at(-1);
    if (last?.kind === "joined" && line.kind === "joined" && line.userId !== undefined && last.seq === line.seq && last.by?.userId === line.by?.userId)
      all[all.length - 1] = { ...last, userIds: [...(last.userIds ?? [last.userId!]), line.userId] };
    else all.push(line);
  }
  return all;
}
