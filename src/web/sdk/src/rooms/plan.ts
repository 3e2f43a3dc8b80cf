/*
 * What the next own Commit shall do to the devices of the members: the difference between the group's leaves and the newest device lists, as far as members
 * accept it (rules `addition` and `removal`). Only signed state and verified lists are read here, never an answer of the server.
 */
import { equal } from "../base/bytes.js";
import { hasSameKey } from "../trust/device.js";
import { decodeDeviceList, isValidInStatement, lists, reasons, type DeviceList } from "../trust/deviceList.js";
import { memberOf, owner, roleOf, type Member, type RoomState } from "../trust/state.js";
import { changes, decodeLeave, isLeaveSigned, type RawChange } from "../trust/statement.js";
import { toDevice } from "./judge.js";
import type { KnownPeople, Leaf } from "./ports.js";

/** A device that a list has. @internal */
export interface ListedLeaf {
  userId: string;
  deviceId: string;
  signatureKey: Uint8Array;
}

/** What happens to the devices of one user. @internal */
export interface Step {
  userId: string;
  change?: RawChange;
  remove: Leaf[];
  add: ListedLeaf[];
}

/** What a plan is made from. @internal */
export interface PlanOf {
  state: RoomState;
  /** The members whose devices belong into the group. */
  members: readonly Member[];
  leaves: readonly Leaf[];
  own: { userId: string; deviceId: string };
  isDirect: boolean;
  people: Pick<KnownPeople, "listsOf">;
  /** Whether the server delivers Welcomes to this user's devices. It delivers them only to users whom it lists as members. */
  isReachable: (userId: string) => boolean;
  /** Whether a KeyPackage of this device is at hand. */
  canAdd: (device: ListedLeaf) => boolean;
  /** Whether to wait for KeyPackages of replaced devices before their leaves are removed. */
  isPatient: boolean;
}

/** @internal */
export interface Plan {
  steps: Step[];
  /** Devices that their lists have and the group has not. */
  missing: ListedLeaf[];
  /** Whether the own user's devices can be added only after this device has signed another list. */
  isStuck: boolean;
}

/** @internal */
export const isDevice = (a: ListedLeaf, b: ListedLeaf): boolean =>
  hasSameKey(
    { user: a.userId, device: a.deviceId, signatureKey: new Uint8Array(a.signatureKey) },
    { user: b.userId, device: b.deviceId, signatureKey: new Uint8Array(b.signatureKey) },
  );

/** The devices of a list. @internal */
export const devicesIn = (list: DeviceList): ListedLeaf[] =>
  list.devices.map((each) => ({ userId: list.user, deviceId: each.device, signatureKey: each.signatureKey }));

/** The newest verified list of a user. @internal */
export function newestList(people: Pick<KnownPeople, "listsOf">, userId: string): DeviceList | undefined {
  const [newest] = people.listsOf(userId);
  return newest && decodeDeviceList(newest.encoded);
}

/** Compares the leaves of all members with their lists. @internal */
export async function planDevices(of: PlanOf): Promise<Plan> {
  const plan: Plan = { steps: [], missing: [], isStuck: false };
  for (const member of of.members) {
    const newest = newestList(of.people, member.user);
    if (!newest) continue;
    const leaves = of.leaves.filter((leaf) => leaf.userId === member.user);
    // The user has left the direct room, and comes back only when a person wants it.
    if (of.isDirect && leaves.length === 0 && member.since > 1) continue;
    const isMissing = (device: ListedLeaf) => device.deviceId !== of.own.deviceId && !leaves.some((leaf) => isDevice(leaf, device));
    const missing = of.isReachable(member.user) ? devicesIn(newest).filter(isMissing) : [];
    const extra = leaves.filter((leaf) => !lists(newest, { device: leaf.deviceId, signatureKey: leaf.signatureKey }));
    const isRenewed = !equal(newest.identity, member.identity);
    if (missing.length === 0 && extra.length === 0 && !isRenewed) continue;
    plan.missing.push(...missing);
    const step = isRenewed ? await renewal(of, member, leaves, newest) : await difference(of, { member, leaves, missing, extra });
    if (step && (step.remove.length > 0 || step.add.length > 0 || isRenewed)) plan.steps.push(step);
    // A list that another device has signed with keys that the group does not know cannot be announced.
    const doesNothing = !step || (step.remove.length === 0 && step.add.length === 0);
    if (doesNothing && member.user === of.own.userId && missing.length > 0 && !isRenewed) plan.isStuck = true;
  }
  const strangers = of.leaves.filter((leaf) => !of.members.some((member) => member.user === leaf.userId));
  for (const leaf of strangers) plan.steps.push({ userId: leaf.userId, remove: [leaf], add: [] });
  return plan;
}

interface Difference {
  member: Member;
  leaves: Leaf[];
  missing: ListedLeaf[];
  extra: Leaf[];
}

async function difference(of: PlanOf, { member, leaves, missing, extra }: Difference): Promise<Step | undefined> {
  const userId = member.user;
  const isOwn = userId === of.own.userId;
  // The devices of a user without a leaf are added as they are in the list.
  if (leaves.length === 0) return { userId, remove: [], add: missing.filter(of.canAdd) };
  const announced = await announceable(of, member, isOwn);
  if (!announced) {
    const remove = isOwn ? extra.filter((leaf) => leaf.deviceId !== of.own.deviceId) : [];
    return remove.length > 0 ? { userId, remove, add: [] } : undefined;
  }
  const { list, encoded } = announced;
  const remove = leaves.filter((leaf) => !lists(list, { device: leaf.deviceId, signatureKey: leaf.signatureKey }));
  const addable = devicesIn(list).filter((device) => missing.some((each) => isDevice(each, device)));
  const add = addable.filter(of.canAdd);
  const without = addable.filter((device) => !of.canAdd(device));
  const step = { userId, change: changes.devices(encoded), remove, add };
  // The list of a device that signs its own new keys can be announced only while its leaf is there.
  const signer = without.find((device) => device.deviceId === list.signer && remove.some((leaf) => leaf.deviceId === device.deviceId));
  const othersStay = add.length > 0 || remove.length < leaves.length;
  const isReplaced = without.some((device) => remove.some((leaf) => leaf.deviceId === device.deviceId));
  if ((signer && othersStay) || (isReplaced && of.isPatient)) return { userId, remove: [], add: [] };
  return step;
}

/** The newest list of a user that a statement may contain now: one that a device signed which is a leaf with that key. */
async function announceable(of: PlanOf, member: Member, isOwn: boolean): Promise<{ list: DeviceList; encoded: Uint8Array } | undefined> {
  const context = { identity: member.identity, leaves: of.leaves.map(toDevice) };
  const ownLeaf = of.leaves.find((leaf) => leaf.userId === of.own.userId && leaf.deviceId === of.own.deviceId);
  for (const { encoded, number } of of.people.listsOf(member.user)) {
    if (number < member.list && !isOwn) return undefined;
    const list = decodeDeviceList(encoded);
    // This device cannot remove its own leaf.
    if (isOwn && (!ownLeaf || !lists(list, { device: ownLeaf.deviceId, signatureKey: ownLeaf.signatureKey }))) continue;
    if (await isValidInStatement(list, false, context)) return { list, encoded };
  }
  return undefined;
}

/** The user has another identity key, which the earlier one has signed: all leaves of the user are replaced. */
async function renewal(of: PlanOf, member: Member, leaves: Leaf[], newest: DeviceList): Promise<Step | undefined> {
  // Only another user's device can do it.
  if (member.user === of.own.userId) return undefined;
  const context = { identity: member.identity, leaves: of.leaves.map(toDevice) };
  for (const { encoded } of of.people.listsOf(member.user)) {
    const list = decodeDeviceList(encoded);
    if (list.reason !== reasons.lost || !(await isValidInStatement(list, true, context))) continue;
    const add = equal(list.identity, newest.identity)
      ? devicesIn(list).filter((device) => devicesIn(newest).some((each) => isDevice(each, device)) && of.canAdd(device))
      : [];
    return { userId: member.user, change: changes.renew(encoded), remove: leaves, add };
  }
  return undefined;
}

/** The limit of one statement. */
const mostLeaves = 16;

/** Users who have signed that they leave, with all their leaves. @internal */
export async function planLeaves(of: Pick<PlanOf, "state" | "leaves" | "own">, tokens: Readonly<Record<string, Uint8Array>>): Promise<Step[]> {
  const steps: Step[] = [];
  for (const [userId, bytes] of Object.entries(tokens)) {
    // As many as a statement can have. Tokens that are not valid do not keep the others waiting.
    if (steps.length === mostLeaves) break;
    const member = memberOf(of.state, userId);
    const token = decodeLeave(bytes);
    const isLeaf = of.leaves.some(
      (leaf) => leaf.userId === userId && leaf.deviceId === token.author.device && equal(leaf.signatureKey, token.author.signatureKey),
    );
    const isLastOwner = roleOf(of.state, userId) === owner && of.state.roles.filter((each) => each.role === owner).length === 1;
    if (userId === of.own.userId || !member || member.since !== token.since || !isLeaf || isLastOwner || !(await isLeaveSigned(token))) continue;
    steps.push({ userId, change: changes.leave(new Uint8Array(bytes)), remove: of.leaves.filter((leaf) => leaf.userId === userId), add: [] });
  }
  return steps;
}

/** The devices that were in the group before a reset, as far as their lists still have them: they know the head. @internal */
export function planReset({ state, leaves, own, people, canAdd }: Omit<PlanOf, "isPatient" | "isDirect" | "isReachable" | "members">): ListedLeaf[] {
  return leaves.filter((leaf) => {
    const member = memberOf(state, leaf.userId);
    const newest = newestList(people, leaf.userId);
    const isListed = newest && lists(newest, { device: leaf.deviceId, signatureKey: leaf.signatureKey });
    return leaf.deviceId !== own.deviceId && member && equal(member.identity, leaf.identityKey) && isListed && canAdd(leaf);
  });
}
