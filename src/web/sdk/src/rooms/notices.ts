/* The lines that people see of a room: which ones a Commit makes, and how they are stored. */
import { bodyOf } from "../base/warnings.js";
import { keys, unpack, type Store } from "../store/store.js";
import { hasSameKey } from "../trust/device.js";
import { memberOf, type RoomState } from "../trust/state.js";
import { decodeChange, decodeStatement, type Change } from "../trust/statement.js";
import type { Applying } from "./applying.js";
import type { Draft } from "./draft.js";
import { toDevice } from "./judge.js";
import type { RoomLine } from "./line.js";
import type { Leaf } from "./ports.js";
import { roleName } from "./roles.js";
import type { Sender } from "./sender.js";

/** Lines of one place of the log begin with these numbers, so that lines of different causes do not replace each other. @internal */
export const firstIndex = { commit: 0, welcome: 5_000, roster: 6_000, head: 7_000, transcript: 8_000, withheld: 9_000 } as const;

/** A line of a Commit whose place in the log is not known. @internal */
export type Unplaced = Omit<RoomLine, "seq" | "at">;

/** Stores a line and reports it. A line that is there already is not reported again: the log may be read twice. @internal */
export async function addLine(draft: Draft, line: RoomLine, { events }: Pick<Applying, "events">): Promise<void> {
  const key = keys.line(draft.state.id, line.seq, line.index);
  if ((await draft.get(key)) !== undefined) return;
  draft.put(key, line);
  draft.after.push(() => events.emit("line", line));
}

/** All stored lines, oldest first. @internal */
export const linesOf = async (store: Store, roomId: string): Promise<RoomLine[]> =>
  (await store.list(keys.lines(roomId))).map(([, value]) => unpack<RoomLine>(value));

/** @internal */
export const senderOf = ({ userId, deviceId }: Sender): Sender => ({ userId, deviceId });

/** A Commit as its lines show it. @internal */
export interface ShownCommit {
  committer: Leaf;
  removed: readonly Leaf[];
  added: readonly Leaf[];
  statement: Uint8Array | undefined;
  /** The state before it. */
  before: RoomState;
}

/** What people see of a valid Commit. @internal */
export function linesOfCommit({ committer, removed, added, statement, before }: ShownCommit): Unplaced[] {
  const by = senderOf(committer);
  const changes = statement ? decodeStatement(statement).changes.map(decodeChange) : [];
  const lines = changes.flatMap((change) => linesOfChange(change, by));
  const isChanged = (userId: string) =>
    lines.some((line) => line.userId === userId && (line.kind === "joined" || line.kind === "left" || line.kind === "removed"));
  for (const leaf of added) {
    const replaced = removed.find((each) => each.userId === leaf.userId && each.deviceId === leaf.deviceId);
    const about = { by, ...senderOf(leaf) };
    if (replaced) lines.push({ kind: hasSameKey(toDevice(replaced), toDevice(leaf)) ? "deviceReadded" : "deviceReplaced", ...about });
    else if (!isChanged(leaf.userId) && memberOf(before, leaf.userId)) lines.push({ kind: "deviceAdded", ...about });
  }
  for (const leaf of removed)
    if (!isChanged(leaf.userId) && !added.some((each) => each.userId === leaf.userId && each.deviceId === leaf.deviceId))
      lines.push({ kind: "deviceRemoved", by, ...senderOf(leaf) });
  return lines.map((line, index) => ({ ...line, index: firstIndex.commit + index }));
}

function linesOfChange(change: Change, by: Sender): Omit<Unplaced, "index">[] {
  switch (change.kind) {
    case "add":
      return [{ kind: "joined", by, userId: change.user, role: roleName(change.role) }];
    case "admit":
      return [{ kind: "joined", by, userId: change.acceptance.author.user }];
    case "remove":
      return [{ kind: "removed", by, userId: change.user }];
    case "leave":
      return [{ kind: "left", by: { userId: change.token.author.user, deviceId: change.token.author.device }, userId: change.token.author.user }];
    case "renew":
      return [{ kind: "identityRenewed", by, userId: change.list.user }];
    case "role":
      return [{ kind: "role", by, userId: change.user, role: roleName(change.role) }];
    case "set":
      if (change.part.type === 3) return [{ kind: "name", by, name: new TextDecoder().decode(change.part.value) }];
      if (change.part.type === 4) return [{ kind: "timeToLive", by, timeToLiveSeconds: Number(new DataView(change.part.value.buffer).getBigUint64(0)) }];
      return [{ kind: "settings", by }];
    case "unset":
      return [{ kind: change.part === 3 ? "name" : change.part === 4 ? "timeToLive" : "settings", by }];
    case "invite":
    case "uninvite":
      return [{ kind: "settings", by }];
    case "devices":
      // The devices that the group gets or loses have lines of their own.
      return [];
  }
}

/** Stores and reports that a Commit or a Welcome is not valid. @internal */
export function reportInvalid(
  what: { roomId: string; kind: "invalidCommit" | "welcomeRefused"; rule: string; author?: Leaf | undefined; error?: unknown; retrying: boolean },
  { reports }: Pick<Applying, "reports">,
): void {
  const { roomId, kind, rule, author, error, retrying } = what;
  const by = author ? ` by device ${author.deviceId} of user ${author.userId}` : "";
  const thing = kind === "invalidCommit" ? "A Commit" : "A Welcome";
  reports.warn({
    area: "room",
    kind,
    roomId,
    retrying,
    detail: `${thing}${by} breaks the rule "${rule}".`,
    ...(error === undefined ? {} : { error: bodyOf(error) }),
  });
}
