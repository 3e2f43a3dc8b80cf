import { Group } from "../mls/group.js";
import { makeKeyPackage, readHeader, readKeyPackage, welcomeReferences } from "../mls/messages.js";
import type { Mls } from "./ports.js";
import { openSignal, sealSignal } from "./signals.js";

/** The port with the real MLS. @internal */
export const mls: Mls = {
  found: (groupId, own) => Group.found(groupId, own),
  join: (welcome, own) => Group.join(welcome, own),
  restore: (base, ratchets) => Group.restore(base, ratchets),
  readHeader,
  welcomeReferences,
  makeKeyPackage,
  readKeyPackage,
  addable: (keyPackages, group, leaving) => Group.addable(keyPackages, group as Group | undefined, leaving),
  sealSignal,
  openSignal,
};
