/*
 * Why this device sends no messages into a room: what it knows by itself, from pins, newest device lists and a person's answers. Nothing of it makes a Commit
 * invalid, and a hold stops neither Commits nor leaving.
 */
import { toHex } from "../base/bytes.js";
import type { HoldKind } from "../account/peopleTrust.js";
import { enforced } from "../trust/enforced.js";
import { lists } from "../trust/deviceList.js";
import { needsUpdate } from "../trust/state.js";
import { newestList } from "./plan.js";
import type { KnownPeople, Leaf, RoomGroup } from "./ports.js";
import type { RoomState, StoredWelcome } from "./records.js";
import type { Sender } from "./sender.js";
import type { SignedRoom } from "./signedRoom.js";

/**
 * Why the sends of a room wait.
 *
 * - `unlistedDevice`: a device in the group is not in the newest list of its user. It ends when a member removes the device, or with a newer list.
 * - `unlistedWelcome`: the device that has added this one is not in the newest list of its user. A person decides, or a newer list has it.
 * - `identityChanged`, `listFork`, `nameChanged`, `listWithheld`: see {@link HoldKind}.
 * - `stateMismatch`: a message was written for another state of the room, and this room is not confirmed.
 * - `updateRequired`: the room uses something that only a later version of this SDK knows.
 * - `reentryHeld`: this user was removed and added again while this device could not see it. A person decides with `room.agreeToEnter()`.
 * - `withheld`: the server does not show the room any more.
 */
export type RoomHoldKind = HoldKind | "unlistedDevice" | "unlistedWelcome" | "stateMismatch" | "updateRequired" | "reentryHeld" | "withheld";

/** Why the sends of a room wait. */
export interface RoomHold {
  /** The reason. */
  kind: RoomHoldKind;
  /** The user whom it is about. */
  userId?: string;
  /** The device that it is about. */
  deviceId?: string;
  /** A sentence for a person. */
  detail: string;
}

/** A hold with what a person's answer is valid for. @internal */
export interface NamedHold extends RoomHold {
  about: string;
  /** Whether the pins of the user have the hold. Then they also keep the answer. */
  isOfPerson?: boolean;
}

/** What the holds of a room are computed from. @internal */
export interface HoldsOf {
  signed: SignedRoom | undefined;
  group: RoomGroup | undefined;
  state: Readonly<RoomState>;
  welcome: StoredWelcome | undefined;
  people: Pick<KnownPeople, "devicesOf" | "holdOf" | "listsOf">;
  /** This device. */
  own: Sender;
}

/** The holds of a room that no person has answered. @internal */
export function holdsOf(of: HoldsOf): NamedHold[] {
  const answered = of.state.answered ?? [];
  return all(of).filter((hold) => hold.isOfPerson || !answered.includes(answerFor(hold)));
}

/** A hold for the application. @internal */
export const toHold = ({ kind, detail, userId, deviceId }: NamedHold): RoomHold => ({
  kind,
  ...(userId === undefined ? {} : { userId }),
  ...(deviceId === undefined ? {} : { deviceId }),
  detail,
});

/** What is stored of an answer. @internal */
export const answerFor = ({ kind, about }: NamedHold): string => `${kind} ${about}`;

/** @internal */
export const isAnswerable = (kind: RoomHoldKind): boolean => kind !== "updateRequired" && kind !== "withheld" && kind !== "reentryHeld";

function all({ signed, group, state, welcome, people, own }: HoldsOf): NamedHold[] {
  const holds: NamedHold[] = [];
  if (state.withheld !== undefined)
    holds.push({ kind: "withheld", about: "", detail: "The server does not show this room any more. Nothing on this device was deleted." });
  if (welcome?.isHeld && !welcome.isAgreed)
    holds.push({
      kind: "reentryHeld",
      about: "",
      detail: "You were removed and added again while this device was offline. Ask a member whether that is right.",
    });
  if (!signed) return holds;
  if (needsUpdate(signed.state)) holds.push({ kind: "updateRequired", about: "", detail: "This room needs a later version of the app." });
  if (state.mismatch && !signed.confirmed)
    holds.push({
      kind: "stateMismatch",
      about: `${state.mismatch.userId} ${state.mismatch.deviceId}`,
      ...state.mismatch,
      detail: "A member has another list of members than the one that this device was given.",
    });
  holds.push(...holdOfEntrance(state, people));
  for (const [userId, leaves] of byUser(group?.leaves() ?? [])) {
    const hold = people.holdOf(userId);
    if (hold && enforced.t6) holds.push({ kind: hold.kind, userId, about: userId, detail: hold.detail, isOfPerson: true });
    else if (!hold && enforced.t5) holds.push(...holdsOfLeaves(leaves, userId, { people, own }));
  }
  return holds;
}

/** A Welcome leads into the room as its author knows it. A device that its user has revoked can lead into one that the other members have left. */
function holdOfEntrance({ entrance }: HoldsOf["state"], people: HoldsOf["people"]): NamedHold[] {
  const devices = entrance && enforced.t5 ? people.devicesOf(entrance.userId) : [];
  if (!entrance || devices.length === 0 || devices.some(({ deviceId }) => deviceId === entrance.deviceId)) return [];
  const { userId, deviceId, signatureKey } = entrance;
  const detail = "The device that has added this one is not in the newest device list of its user. Ask another member whether the room is the right one.";
  return [{ kind: "unlistedWelcome", userId, deviceId, about: toHex(signatureKey), detail }];
}

function byUser(leaves: readonly Leaf[]): Map<string, Leaf[]> {
  const found = new Map<string, Leaf[]>();
  for (const leaf of leaves) {
    const known = found.get(leaf.userId);
    if (known) known.push(leaf);
    else found.set(leaf.userId, [leaf]);
  }
  return found;
}

function holdsOfLeaves(leaves: readonly Leaf[], userId: string, { people, own }: Pick<HoldsOf, "people" | "own">): NamedHold[] {
  const newest = newestList(people, userId);
  if (!newest) return [{ kind: "listWithheld", userId, about: userId, detail: "The device list of this user was not fetched yet." }];
  // Users choose the ids of their devices, so a device of another user can have the id of this one.
  const isOwn = (leaf: Leaf) => leaf.userId === own.userId && leaf.deviceId === own.deviceId;
  return leaves
    .filter((leaf) => !isOwn(leaf) && !lists(newest, { device: leaf.deviceId, signatureKey: leaf.signatureKey }))
    .map((leaf) => ({
      kind: "unlistedDevice",
      userId,
      deviceId: leaf.deviceId,
      about: toHex(leaf.signatureKey),
      detail: "A device in this room is not in the newest device list of its user.",
    }));
}
