/* Entering a group by a Welcome: it is opened when it arrives, and used when the log reaches its Commit. */
import { equal, idBytes } from "../base/bytes.js";
import { groupIdOf } from "../mls/group.js";
import { keys, type Changes } from "../store/store.js";
import type { Applying } from "./applying.js";
import type { Draft } from "./draft.js";
import { canFollow, notifyGroup } from "./following.js";
import { acceptOwn } from "./history.js";
import { forgetMissing } from "./missing.js";
import type { Ports, RoomGroup } from "./ports.js";

/**
 * Opens a Welcome with the KeyPackage of this device that it names. Without a group in the answer, this device cannot join by it.
 * `used` deletes the KeyPackage's private keys; it belongs into the write that stores the group. @internal
 */
export async function openWelcome(
  { mls, keyPackages, reports }: Pick<Ports, "mls" | "keyPackages" | "reports">,
  roomId: string,
  generation: number,
  message: Uint8Array,
): Promise<{ group: RoomGroup | undefined; used: Changes }> {
  const used: Changes = new Map();
  let references: string[] = [];
  try {
    references = mls.welcomeReferences(message);
  } catch (error) {
    reports.failed("room", "welcomeUnreadable", { roomId })(error);
  }
  for (const reference of references) {
    const own = await keyPackages.find(reference);
    if (!own) continue;
    try {
      const { group } = await mls.join(message, own);
      if (!own.lastResort) used.set(keys.keyPackage(reference), null);
      return { group: equal(group.id, groupIdOf(idBytes(roomId), generation)) ? group : undefined, used };
    } catch (error) {
      reports.failed("room", "welcomeRefused", { roomId })(error);
    }
  }
  return { group: undefined, used };
}

/** The log has reached the Commit of the Welcome: uses its group. @internal */
export async function enter(draft: Draft, applying: Applying): Promise<void> {
  const welcome = draft.welcome!;
  draft.setWelcome(undefined);
  const known = draft.group;
  if (welcome.generation < draft.state.generation || (known && canFollow(draft) && known.generation === welcome.generation && known.epoch >= welcome.epoch))
    return;
  // Own messages that were accepted before the device lost the group, and are not shown yet, come before all later entries.
  for (const own of applying.sends.ackedUpTo(draft.state.id, welcome.seq)) await acceptOwn(draft, own, applying);
  await forgetMissing(draft, welcome.seq, applying);
  draft.state.generation = welcome.generation;
  delete draft.state.broken;
  delete draft.state.out;
  delete draft.state.wasAway;
  draft.setPending(undefined);
  const joined = applying.mls.restore(welcome.base, new Map([[welcome.epoch, welcome.ratchet]]));
  await draft.replaceGroup(known ? joined.inherit(known) : joined);
  notifyGroup(draft, applying);
  draft.after.push(
    () => applying.events.emit("sendable", undefined),
    () => applying.events.emit("reconcile", "joined"),
  );
}
