/* Which devices one Commit can add: all of them get the same statements in the Welcome, and each needs those from the one that has added its user. */
import type { Bytes } from "../base/bytes.js";
import { encodeChain } from "../trust/chain.js";
import { memberOf } from "../trust/state.js";
import type { Step } from "./plan.js";
import type { SignedRoom } from "./signedRoom.js";

/**
 * Keeps the additions of those users to whom one chain can be given. The others are added by the next Commit; those whose statements this device has not followed,
 * by another member. @internal
 */
export async function oneChain(steps: readonly Step[], signed: SignedRoom): Promise<{ steps: Step[]; since: number | undefined; isPart: boolean }> {
  const sinceOf = (step: Step) => memberOf(signed.state, step.userId)?.since ?? -1;
  const adding = steps.filter((step) => step.add.length > 0);
  const numbers = [...new Set(adding.map(sinceOf))].toSorted((a, b) => a - b);
  for (const since of numbers) {
    if (!(await signed.chainSince(since))) continue;
    const now = steps.filter((step) => step.add.length === 0 || sinceOf(step) === since);
    return { steps: now, since, isPart: now.length < steps.length };
  }
  return { steps: steps.filter((step) => step.add.length === 0), since: undefined, isPart: false };
}

/** The room info of a Welcome for devices of users whom the statement with this number has added. `more` is the statement of the Commit itself. @internal */
export async function roomInfoSince(signed: SignedRoom, since: number, more: Bytes | undefined): Promise<Bytes | undefined> {
  const chain = await signed.chainSince(since, more);
  return chain && encodeChain(chain);
}
