import { duration } from "./format.js";
import { nameOf } from "./safe.js";
import { strings } from "./strings.js";

const text = strings.lines;

/** What has happened in a conversation, as the SDK tells it: a line of a room, or of what this device has noticed about a person. */
export interface LineFacts {
  kind: string;
  at: number;
  /** The place in the log, when it has one. */
  seq?: number;
  /** Who has done it. */
  by?: { userId: string };
  /** The person whom it is about. */
  userId?: string;
  role?: string;
  name?: string;
  username?: string;
  timeToLiveSeconds?: number;
  added?: readonly unknown[];
  removed?: readonly unknown[];
  newKeys?: readonly unknown[];
}

const alarms = new Set([
  "identityChanged",
  "listFork",
  "nameChanged",
  "listWithheld",
  "invalidCommit",
  "rosterMismatch",
  "stateMismatch",
  "transcriptMismatch",
  "withheld",
]);
const plain = new Set(["founded", "entered", "joined", "left", "removed", "role", "name", "timeToLive", "settings", "renamed"]);

/** How grave a line is. */
export const toneOf = ({ kind }: LineFacts): "plain" | "keys" | "alarm" => (alarms.has(kind) ? "alarm" : plain.has(kind) ? "plain" : "keys");

/** A line as a sentence. */
export function sentenceOf(line: LineFacts, personOf: (userId: string | undefined) => string): string {
  const by = personOf(line.by?.userId);
  const who = personOf(line.userId);
  switch (line.kind) {
    case "joined":
      return text.joined(by, who);
    case "removed":
      return text.removed(by, who);
    case "role":
      return text.role(by, who, text.roles[(line.role ?? "member") as keyof typeof text.roles] ?? strings.room.roles.unknown);
    case "name":
      return line.name === undefined ? text.noName(by) : text.name(by, nameOf(line.name));
    case "timeToLive":
      return line.timeToLiveSeconds === undefined ? text.timerOff(by) : text.timer(by, duration(line.timeToLiveSeconds));
    case "founded":
    case "entered":
    case "settings":
    case "reset":
    case "stateMismatch":
      return text[line.kind](by);
    case "invalidCommit":
      return line.by ? text.invalidCommit(by) : text.invalidCommitUnknown;
    case "deviceReadded":
      return text.deviceReadded(by, who);
    case "left":
    case "deviceAdded":
    case "deviceRemoved":
    case "deviceReplaced":
    case "identityRenewed":
    case "identityChanged":
    case "listFork":
    case "nameChanged":
    case "listWithheld":
      return text[line.kind](who);
    case "devices": {
      const [added, removed, renewed] = [line.added, line.removed, line.newKeys].map((devices) => devices?.length ?? 0) as [number, number, number];
      return added + removed + renewed === 0 ? text.devicesOther(who) : text.devices(who, added, removed, renewed);
    }
    case "renamed":
      return text.renamed(who, line.username ?? strings.common.unnamed);
    case "rosterMismatch":
    case "transcriptMismatch":
    case "withheld":
      return text[line.kind];
    default:
      return text.other;
  }
}
