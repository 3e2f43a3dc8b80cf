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
  /** Its number among the lines of the same place. */
  index?: number;
  /** Who has done it. */
  by?: { userId: string };
  /** The person whom it is about. */
  userId?: string;
  /** The people whom it is about, when there are several. */
  userIds?: readonly string[];
  role?: string;
  name?: string;
  username?: string;
  timeToLiveSeconds?: number;
  added?: readonly unknown[];
  removed?: readonly unknown[];
  missing?: readonly unknown[];
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

/** A line as a sentence. `personOf` names a person, and this user as `strings.common.you`. */
export function sentenceOf(line: LineFacts, personOf: (userId: string | undefined) => string): string {
  const by = personOf(line.by?.userId);
  const who = personOf(line.userId);
  const isOwn = who === strings.common.you;
  const whom = isOwn ? text.you : who;
  // A device that another member's device has added or removed: its own user has signed the list of devices, and the other one has carried it out.
  const byOwn = by === strings.common.you;
  const done = line.by === undefined || line.by.userId === line.userId ? "" : byOwn ? text.doneByOwn : text.doneBy(by);
  switch (line.kind) {
    case "joined": {
      const all = (line.userIds ?? []).map((userId) => personOf(userId)).map((name) => (name === strings.common.you ? text.you : name));
      return text.joined(by, all.length > 0 ? all : [whom]);
    }
    case "removed":
      return text.removed(by, whom);
    case "role": {
      const role: string | undefined = text.roles[(line.role ?? "member") as keyof typeof text.roles];
      return role === undefined ? text.otherRole(by, whom) : text.role(by, whom, role);
    }
    case "name":
      return line.name === undefined ? text.noName(by) : text.name(by, nameOf(line.name));
    case "timeToLive":
      return line.timeToLiveSeconds === undefined ? text.timerOff(by) : text.timer(by, duration(line.timeToLiveSeconds));
    case "founded":
    case "entered":
    case "settings":
      return text[line.kind](by);
    case "reset":
      return text.reset(by, line.missing?.length ?? 0, line.added?.length ?? 0);
    case "stateMismatch":
      return byOwn ? text.stateMismatchOwn : text.stateMismatch(by);
    case "invalidCommit":
      if (line.by) return text.invalidCommit(by);
      return line.userId === undefined ? text.invalidCommitUnknown : text.invalidCommitByServer(whom);
    case "deviceAdded":
    case "deviceRemoved":
    case "deviceReplaced":
    case "deviceReadded":
      return text[line.kind](isOwn ? undefined : who, done);
    case "left":
    case "identityChanged":
    case "nameChanged":
      return text[line.kind](who);
    case "listFork":
    case "listWithheld":
      return text[line.kind](isOwn ? undefined : who);
    case "identityRenewed":
      return isOwn ? text.identityRenewedOwn : text.identityRenewed(who);
    case "devices": {
      const [added, removed, renewed] = [line.added, line.removed, line.newKeys].map((devices) => devices?.length ?? 0) as [number, number, number];
      return added + removed + renewed === 0 ? text.devicesOther(who) : text.devices(who, added, removed, renewed);
    }
    case "renamed":
      return text.renamed(who, line.username ?? strings.common.unnamed);
    case "transcriptMismatch":
      return byOwn ? text.transcriptMismatchOwn : text.transcriptMismatch(by);
    case "rosterMismatch":
    case "withheld":
      return text[line.kind];
    default:
      return text.other;
  }
}
