/* Which devices one Commit can add: all of them get the same statements in the Welcome, and each needs those from the one that has added its user. */
import type { Bytes } from "../base/bytes.js";
import { encodeChain } from "../trust/chain.js";
import { memberOf } from "../trust/state.js";
import type { Step } from "./plan.js";
import type { SignedRoom } from "./signedRoom.js";

/** The steps of one Commit. @internal */
export interface Chosen {
  steps: Step[];
  /** The statement with which the chain for the added devices begins. */
  since: number | undefined;
  /** Whether there are more steps for the next Commit. */
  isPart: boolean;
  /** Whether another member must add devices, because this device has not followed the statements that they need. */
  needsOther: boolean;
}

/**
 * Keeps the additions of those users to whom one chain can be given. The others are added by the next Commit. Statements that this device has not followed must
 * come from another member; but a device that only gets other keys knows the room, so what it has not followed itself is enough. `isAlone`: no other member has
 * added them for a while, so the devices may know the room. @internal
 */
export async function oneChain(steps: readonly Step[], signed: SignedRoom, isAlone: boolean): Promise<Chosen> {
  const wantedOf = async (step: Step) => {
    const since = memberOf(signed.state, step.userId)?.since ?? -1;
    if (await signed.chainSince(since)) return since;
    const isKnown = step.add.every((device) => step.remove.some((leaf) => leaf.deviceId === device.deviceId));
    return isKnown || isAlone ? signed.oldest : undefined;
  };
  const adding = await Promise.all(steps.filter((step) => step.add.length > 0).map(async (step) => ({ step, since: await wantedOf(step) })));
  const needsOther = adding.some(({ since }) => since === undefined);
  const since = adding.reduce<number | undefined>((least, each) => (least === undefined || (each.since ?? Infinity) < least ? each.since : least), undefined);
  const now = steps.filter((step) => step.add.length === 0 || (since !== undefined && adding.some((each) => each.step === step && each.since === since)));
  return { steps: now, since, isPart: adding.filter((each) => each.since !== undefined).length > now.filter((step) => step.add.length > 0).length, needsOther };
}

/** The room info of a Welcome for devices of users whom the statement with this number has added. `more` is the statement of the Commit itself. @internal */
export async function roomInfoSince(signed: SignedRoom, since: number, more: Bytes | undefined): Promise<Bytes | undefined> {
  const chain = await signed.chainSince(since, more);
  return chain && encodeChain(chain);
}
