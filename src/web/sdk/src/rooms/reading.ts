/*
 * Whom a message counts for: rule T4. A message is judged at its place in the log, by the group and the signed state that this device has reached there, and
 * by those of the epoch in which it was encrypted.
 */
import { equal } from "../base/bytes.js";
import type { ContentBody } from "../content/message.js";
import { enforced } from "../trust/enforced.js";
import { actions, may } from "../trust/state.js";
import type { Draft } from "./draft.js";
import type { KnownPeople, Leaf } from "./ports.js";
import type { Place } from "./signedRoom.js";

/** The leaf that has signed a message, in the epoch of the message. @internal */
export interface Author {
  leaf: Pick<Leaf, "userId" | "deviceId" | "identityKey" | "signatureKey">;
  epoch: Place;
}

/**
 * `late`: the device is no longer in the room, or has other keys. `notAllowed`: the state does not give the right to the user. `otherIdentity`: the members say
 * that the device is of a user whom this device knows with another identity. @internal
 */
export type Standing = "counts" | "late" | "notAllowed" | "otherIdentity";

/** Whether a content of this type counts for the user of its author, at the place that the draft has reached. @internal */
export function standingOf(draft: Draft, author: Author, type: ContentBody["type"] | "unsupported"): Standing {
  if (!enforced.t4) return "counts";
  if (!isStillLeaf(draft, author)) return "late";
  const isFree = type === "leave" || type === "delete";
  return (isFree || mayHere(draft, author, actions.send)) &&
    (type !== "moderate" || mayHere(draft, author, actions.moderate)) &&
    (type !== "pin" || mayHere(draft, author, actions.pin))
    ? "counts"
    : "notAllowed";
}

/**
 * Whether a leaf has another identity key than the one that this device knows of the user: rule T6. A member with the right to add people could have added one
 * of its own making. After a renewal that this room has followed, the known key is one of those before.
 */
export function isOfOther({ signed }: Pick<Draft, "signed">, { userId, identityKey }: Author["leaf"], people: Pick<KnownPeople, "isOtherIdentity">): boolean {
  if (!enforced.t6 || !people.isOtherIdentity(userId, identityKey)) return false;
  return !signed?.identitiesOf(userId).some((each) => !people.isOtherIdentity(userId, each));
}

/** Whether the same device with the same keys is a leaf of the group at this place. */
function isStillLeaf({ group }: Draft, { leaf, epoch }: Author): boolean {
  if (!group) return false;
  // The usual case. It saves reading a tree of thousands of leaves.
  if (group.epoch === epoch.epoch && group.generation === epoch.generation) return true;
  return group
    .leaves()
    .some(
      (each) =>
        each.userId === leaf.userId &&
        each.deviceId === leaf.deviceId &&
        equal(each.signatureKey, leaf.signatureKey) &&
        equal(each.identityKey, leaf.identityKey),
    );
}

/** Whether both states give the right: that of the message's epoch, and that at its place. */
function mayHere({ signed }: Draft, { leaf, epoch }: Author, action: number): boolean {
  if (!signed) return true;
  const then = signed.at(epoch);
  return then !== undefined && may(then.state, leaf.userId, action) && may(signed.state, leaf.userId, action);
}
