/* Compares what the two clients can do, by the names in the report of the public API. */
import { readFileSync } from "node:fs";

/** The classes of `SecureMessaging` and its parts, by the first part of a path. */
const parts: Record<string, string[]> = {
  room: ["Room", "RoomBase"],
  client: ["SecureMessaging", "Emitter"],
  rooms: ["Rooms"],
  devices: ["Devices"],
  people: ["People"],
  sessions: ["Sessions"],
  account: ["Account"],
  privacy: ["Privacy"],
};
/** The types whose members are all that a shared client shows. */
const shared: Record<string, string[]> = { call: ["SharedClient"], status: ["SharedStatus"], conversation: ["Conversation", "RoomSettings"] };

export interface Surfaces {
  /** The paths of `SecureMessaging`, as `room.send`. */
  own: string[];
  /** The paths of `SharedClient`, as `call.send`. */
  shared: string[];
}

/** What is not a pair of equal names. */
export interface Differences {
  /** Paths of the shared client, and the paths of `SecureMessaging` that do the same. */
  names: Record<string, string | string[]>;
  /** Paths of one client that the other cannot have, with the reason. */
  only: Record<string, string>;
}

export const readReport = (): string => readFileSync(new URL("../api/index.api.md", import.meta.url), "utf8");

/** The members of a class or interface, those of an object that is one of its members as `object.member`. */
export function membersOf(report: string, name: string): string[] {
  const body = new RegExp(`^export (?:abstract )?(?:class|interface) ${name}\\b[^\\n]*\\{\\n(.*?)^\\}`, "ms").exec(report)?.[1];
  if (body === undefined) throw new Error(`The report has no ${name}.`);
  const found: string[] = [];
  let object = "";
  for (const line of body.split("\n")) {
    const member = /^( {4}| {8})(?:(?:static|abstract|readonly|get|set) )*(\w+)(?=[?(:<])\??(.*)$/.exec(line);
    if (!member || member[2] === "constructor") continue;
    if (member[1]!.length === 4) {
      object = line.endsWith(" {") && line.includes("readonly") ? member[2]! : "";
      if (object === "") found.push(member[2]!);
    } else if (object !== "") found.push(`${object}.${member[2]!}`);
  }
  return [...new Set(found)];
}

export function surfacesOf(report: string): Surfaces {
  const paths = (table: Record<string, string[]>, leftOut: string[]) =>
    Object.entries(table)
      .flatMap(([part, types]) => types.flatMap((type) => membersOf(report, type).map((member) => `${part}.${member}`)))
      .filter((path) => !leftOut.includes(path));
  return {
    // The parts themselves are no operations.
    own: paths(
      parts,
      Object.keys(parts).map((part) => `client.${part}`),
    ),
    shared: paths(shared, ["call.status"]),
  };
}

/** What one client has and the other has not, and entries of the table that are not needed. */
export function compare({ own, shared: all }: Surfaces, { names, only }: Differences): string[] {
  const found: string[] = [];
  const used = new Set<string>();
  for (const path of all) {
    const member = path.slice(path.indexOf(".") + 1);
    const named = names[path];
    const equal = Object.keys(parts)
      .map((part) => `${part}.${member}`)
      .filter((each) => own.includes(each));
    // A name of a room is that of the room, also when another part has it too.
    const same = named === undefined ? equal.slice(0, 1) : [named].flat();
    if (only[path] !== undefined ? same.length > 0 : same.length === 0) found.push(`${path}: only the shared client has it`);
    for (const each of same) {
      if (!own.includes(each)) found.push(`${each}: it is in the table and not in SecureMessaging`);
      used.add(each);
    }
  }
  for (const path of own)
    if (used.has(path) === (only[path] !== undefined))
      found.push(used.has(path) ? `${path}: both clients have it, so the table needs no reason` : `${path}: only SecureMessaging has it`);
  for (const path of [...Object.keys(names), ...Object.keys(only)])
    if (!own.includes(path) && !all.includes(path)) found.push(`${path}: it is in the table and in no client`);
  return found;
}
