import { canFollowGeneration, isGeneration } from "../trust/generation.js";
import { memberOf, roleOf, type RoomState as SignedState } from "../trust/state.js";
import { readRole, type LogEntry } from "../net/wire.js";
import { applyCommit } from "./applyCommit.js";
import { applyMessage } from "./applyMessage.js";
import { keys } from "../store/store.js";
import type { Applying } from "./applying.js";
import { enforced } from "../trust/enforced.js";
import type { Draft } from "./draft.js";
import { canFollow, notifyGroup } from "./following.js";
import { changeRecord, keep } from "./keeping.js";
import { acceptOwn } from "./history.js";
import { compareLists } from "./listed.js";
import { keepMissing } from "./missing.js";
import { addLine, firstIndex } from "./notices.js";
import { serverRole } from "./roles.js";
import { isEncrypted } from "./records.js";
import { enter } from "./welcome.js";

/** Applies one entry of the log. The entry may come from an attacker: no content makes this throw, only a failure of the store. @internal */
export async function applyEntry(draft: Draft, entry: LogEntry, applying: Applying): Promise<void> {
  const { state } = draft;
  if (state.unlisted || state.entrance) await compareLists(draft, applying);
  // A Welcome for an earlier place waits until the log is read again from there.
  if (draft.welcome && draft.welcome.seq <= entry.seq && draft.welcome.seq >= (state.cursor ?? -1)) {
    // A device that is in the group first judges the Commit: its Welcome counts only when it has removed this device.
    if (entry.seq === draft.welcome.seq && entry.kind === "commit" && entry.ciphertext && canFollow(draft)) await applyCommit(draft, entry, applying);
    await enter(draft, applying);
  }
  // This entry was read before, and is read again with the group that was missing then. Only its encrypted part counts.
  const again = entry.seq <= state.high;
  if (isEncrypted(entry.kind) && entry.ciphertext) {
    if (entry.kind === "message") await applyMessage(draft, entry, applying);
    else if (entry.kind === "commit") await applyCommit(draft, entry, applying);
    // A Commit contains its proposals. One that refers to a proposal is not valid, so proposals have no effect.
  } else if (!isKnown(entry)) {
    await keepUnknown(draft, entry, applying);
  } else if (entry.kind === "gone") {
    await applyGone(draft, entry, applying);
  } else if (!again) {
    await applyNotice(draft, entry, applying);
  }
}

/** The server has deleted the bytes of this entry. When this device should have read them, the place stays visible. */
async function applyGone(draft: Draft, entry: LogEntry, applying: Applying): Promise<void> {
  const { id } = draft.state;
  const at = entry.createdAt.getTime();
  const own = entry.id === undefined ? undefined : applying.sends.find(id, entry.id);
  if (!canFollow(draft)) return;
  // This device has the plaintext, so the server cannot take an own message away from it.
  if (own) await acceptOwn(draft, { ...own, seq: entry.seq, at }, applying);
  else if (!(await draft.get(keys.message(id, entry.seq)))) keepMissing(draft, entry.seq, 1, at, applying);
}

const notices = new Set<string>([
  "memberJoined",
  "memberLeft",
  "roleChanged",
  "settingsChanged",
  "devicesChanged",
  "groupReset",
  "retraction",
  "gone",
] satisfies LogEntry["kind"][]);

const isKnown = ({ kind }: LogEntry): boolean => notices.has(kind);

/**
 * A kind of a later version keeps its place among the messages. Without the group it is left out, as they are: if a Welcome comes, the log is read again, and
 * the application gets all in order.
 */
async function keepUnknown(draft: Draft, entry: LogEntry, applying: Applying): Promise<void> {
  if (!canFollow(draft) || (await draft.get(keys.message(draft.state.id, entry.seq)))) return;
  const content = { type: "unsupported", name: entry.kind } as const;
  keep(draft, { seq: entry.seq, id: entry.id ?? "", mine: false, at: entry.createdAt.getTime(), content }, applying);
}

/**
 * Reads an entry that the server has written by itself. It is a hint to compare, and changes neither members, roles, name nor time to live: the members sign
 * those. Where the server contradicts them, people see it.
 */
async function applyNotice(draft: Draft, entry: LogEntry, applying: Applying): Promise<void> {
  const { state } = draft;
  const { events } = applying;
  switch (entry.kind) {
    case "memberJoined":
    case "memberLeft":
      if (entry.kind === "memberLeft" && entry.userId !== undefined) draft.after.push(() => events.emit("stoppedTyping", { userId: entry.userId! }));
      if (entry.kind === "memberLeft" && entry.userId === applying.device.userId) state.left = entry.seq;
      state.uncompared = entry.seq;
      draft.after.push(() => events.emit("reconcile", "roster"));
      break;
    case "roleChanged":
    case "settingsChanged":
      await compareNotice(draft, entry, applying);
      break;
    case "devicesChanged":
      state.uncompared = entry.seq;
      draft.after.push(
        () => events.emit("devices", { userId: entry.userId }),
        () => events.emit("reconcile", "devices"),
      );
      break;
    case "groupReset":
      // A device that knows the room from a later entry reads earlier resets, too.
      if (isGeneration(entry.generation) && entry.generation <= state.generation) break;
      if (!canFollowGeneration(entry.generation, state.generation)) {
        ignoreReset(draft, entry, applying);
        break;
      }
      await tellSuspect(draft, entry, applying);
      await awaitReset(draft, entry.generation, applying);
      break;
    case "retraction":
      // The server's word. A deletion counts when it is in a message of the author, or of a member who may remove messages.
      if (!enforced.t4) await changeRecord(draft, entry.targetSeq, applying, (record) => void (record.deleted = true));
      break;
    default:
      // The other kinds do not come here.
      break;
  }
}

/** No server that counts the groups one by one says this. A generation is never taken back, so a lie about it would end the room for ever. */
function ignoreReset({ state }: Draft, { seq, generation }: LogEntry, { reports }: Applying): void {
  const detail = `The server says at ${seq} that the group is replaced by one with generation ${String(generation)}; the newest one is ${state.generation}.`;
  reports.warn({ area: "room", kind: "resetIgnored", roomId: state.id, retrying: false, detail });
}

/** The server can compute who has stored the Commit that was not valid, also when no signature names an author. It may lie, so this is only shown. */
async function tellSuspect(draft: Draft, { seq, userId, createdAt }: LogEntry, applying: Applying): Promise<void> {
  if (userId === undefined || !enforced.t9) return;
  const detail = "The server says that this user has made the Commit. Only the server says so.";
  await addLine(draft, { seq, index: firstIndex.roster, at: createdAt.getTime(), kind: "invalidCommit", userId, detail }, applying);
}

/** The server's copy of roles and settings follows the Commit that carries the statement, so at this place both are equal. */
async function compareNotice(draft: Draft, entry: LogEntry, applying: Applying): Promise<void> {
  const { signed, state } = draft;
  if (!signed?.head || !canFollow(draft)) return;
  const detail = entry.kind === "roleChanged" ? wrongRole(signed.state, entry) : wrongSettings(signed.state, entry);
  if (detail === undefined) return;
  const at = entry.createdAt.getTime();
  await addLine(draft, { seq: entry.seq, index: firstIndex.roster, at, kind: "rosterMismatch", detail }, applying);
  applying.reports.warn({ area: "room", kind: "rosterMismatch", roomId: state.id, retrying: false, detail });
}

function wrongRole(state: SignedState, { userId, role }: LogEntry): string | undefined {
  if (userId === undefined || !memberOf(state, userId)) return `The server says that user ${userId}, who is not a member, has the role ${role}.`;
  const signed = serverRole(roleOf(state, userId));
  // A role of a later version is no contradiction that this version could understand.
  return role === signed || role === undefined || readRole(role) === "unknown"
    ? undefined
    : `The server says that user ${userId} has the role ${role}; the members have signed ${signed}.`;
}

function wrongSettings({ timeToLive }: SignedState, { settings }: LogEntry): string | undefined {
  const theirs = settings?.timeToLiveSeconds ?? undefined;
  return theirs === timeToLive ? undefined : `The server's time to live is ${theirs} s; the members have signed ${timeToLive} s.`;
}

/**
 * The group of the next generation is founded by a device that has followed the group before. Until then that group is kept: its leaves and its head are what
 * the new one is compared with. @internal
 */
async function awaitReset(draft: Draft, generation: number, applying: Applying): Promise<void> {
  const { state } = draft;
  // A device that has missed something does not know the newest group that counts. A group that is kept since an earlier reset still is that one.
  const isKept = draft.group !== undefined && draft.group.generation < state.generation;
  if (!isKept && !canFollow(draft)) await draft.replaceGroup(undefined);
  state.generation = generation;
  delete state.broken;
  delete state.out;
  draft.setPending(undefined);
  notifyGroup(draft, applying);
  draft.after.push(() => applying.events.emit("reconcile", "reset"));
}
