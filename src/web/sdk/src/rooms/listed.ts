/*
 * Whether devices that write into a room, and the one that has let this device in, are in the newest list of their user: rule T5. This device alone knows the
 * lists that it has fetched, so a message of another device counts, and is marked.
 */
import { equal, toHex } from "../base/bytes.js";
import { unpack, keys } from "../store/store.js";
import { enforced } from "../trust/enforced.js";
import { memberOf } from "../trust/state.js";
import type { Applying } from "./applying.js";
import type { Draft } from "./draft.js";
import { changeRecord } from "./keeping.js";
import type { KnownPeople } from "./ports.js";
import type { DoubtfulDevice, MessageRecord, RoomState, Sender } from "./records.js";

type Lists = Pick<KnownPeople, "devicesOf" | "listOf" | "holdOf">;

/** What a record says about the device that has written it. Empty for one that the newest list has. @internal */
export type Mark = Pick<MessageRecord, "unlisted" | "signedBy">;

type Writer = Sender & { signatureKey: Uint8Array };

/** As many devices of a room are compared again when lists come. */
const devicesKept = 256;

/**
 * `later`: a list is on its way that may have the device, because a statement or a message has named it. When the server withholds that list, the device is
 * unlisted.
 */
function verdictOf(people: Lists, { userId, deviceId, signatureKey }: Writer, list: number) {
  if (people.devicesOf(userId).some((each) => each.deviceId === deviceId && equal(each.signatureKey, signatureKey))) return "listed";
  const isNewest = (people.listOf(userId)?.number ?? 0) >= Math.max(1, list);
  return isNewest || people.holdOf(userId)?.kind === "listWithheld" ? "unlisted" : "later";
}

/** Compares the author of the message at this place with the newest list. `list`: the number of the list that the message names. @internal */
export function markOf(draft: Draft, seq: number, leaf: Writer, list: number, { people }: { people: Lists }): Mark {
  if (!enforced.t5) return {};
  const { state, signed } = draft;
  const { userId, deviceId, signatureKey } = leaf;
  const named = Math.max(list, (signed && memberOf(signed.state, userId)?.list) ?? 0);
  const verdict = verdictOf(people, leaf, named);
  if (verdict === "listed") return {};
  const known = state.unlisted?.find((each) => isDevice(each, leaf));
  const others = (state.unlisted ?? []).filter((each) => each !== known);
  const isMarked = verdict === "unlisted" && (known?.isMarked ?? true);
  const doubtful: DoubtfulDevice = { userId, deviceId, signatureKey, list: Math.max(named, known?.list ?? 0), from: known?.from ?? seq, to: seq, isMarked };
  state.unlisted = [...others, doubtful].slice(-devicesKept);
  return { signedBy: toHex(signatureKey), ...(verdict === "unlisted" ? { unlisted: true } : {}) };
}

/** An edit gives its mark to its target, which may be of another device. @internal */
export function markEdited({ state }: Draft, record: MessageRecord, mark: Mark | undefined): void {
  if (mark?.signedBy === undefined) return;
  Object.assign(record, mark);
  state.unlisted = state.unlisted?.map((each) => (toHex(each.signatureKey) === mark.signedBy ? { ...each, from: Math.min(each.from, record.seq) } : each));
}

/** Remembers the device that has let this one in, unless the newest list of its user has it. @internal */
export function noteEntrance({ state }: Draft, { userId, deviceId, signatureKey }: Writer, { people }: { people: Lists }): void {
  if (people.devicesOf(userId).some((each) => each.deviceId === deviceId)) delete state.entrance;
  else state.entrance = { userId, deviceId, signatureKey };
}

/**
 * The lists of people may have changed. What is found out about the entrance is stored with the next change of the room. Returns whether marks have changed.
 * @internal
 */
export async function listsChanged(draft: Draft, current: RoomState, applying: Applying): Promise<boolean> {
  const haveMarksChanged = await compareLists(draft, applying);
  if (!draft.state.entrance) delete current.entrance;
  return haveMarksChanged;
}

/** Compares the devices that were in no list again. Returns whether marks have changed. @internal */
export async function compareLists(draft: Draft, applying: Applying): Promise<boolean> {
  const { state } = draft;
  const { people } = applying;
  const { entrance, unlisted } = state;
  const isKnown = entrance && people.devicesOf(entrance.userId).some((each) => each.deviceId === entrance.deviceId);
  if (isKnown) delete state.entrance;
  let hasChanged = false;
  for (const device of unlisted ?? []) {
    const verdict = verdictOf(people, device, device.list);
    if (verdict === "later" || (verdict === "unlisted" && device.isMarked)) continue;
    await markAgain(draft, device, verdict === "unlisted", applying);
    state.unlisted = (state.unlisted ?? []).flatMap((each) => (each !== device ? [each] : verdict === "unlisted" ? [{ ...each, isMarked: true }] : []));
    hasChanged = true;
  }
  if (state.unlisted?.length === 0) delete state.unlisted;
  return hasChanged;
}

async function markAgain(draft: Draft, { signatureKey, from, to }: DoubtfulDevice, isUnlisted: boolean, applying: Applying): Promise<void> {
  const { id } = draft.state;
  const signedBy = toHex(signatureKey);
  for (const value of await draft.list(keys.messages(id), keys.message(id, from - 1), keys.message(id, to + 1))) {
    const { seq, signedBy: by, unlisted = false } = unpack<MessageRecord>(value);
    if (by !== signedBy || (isUnlisted && unlisted)) continue;
    await changeRecord(draft, seq, applying, (record) => {
      delete record.unlisted;
      if (isUnlisted) record.unlisted = true;
      else delete record.signedBy;
    });
  }
}

const isDevice = (a: DoubtfulDevice, b: Writer): boolean => a.userId === b.userId && a.deviceId === b.deviceId && equal(a.signatureKey, b.signatureKey);
