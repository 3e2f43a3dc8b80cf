/* What people see of the changes of pins and lists. */
import { SecureMessagingError } from "../base/errors.js";
import { describe, nameIn } from "../trust/deviceList.js";
import type { Verified } from "./lists.js";
import type { TrustLine } from "./peopleTrust.js";
import type { StoredHold } from "./pins.js";

/** @internal */
export const lineOf = (userId: string, kind: TrustLine["kind"], at: number): TrustLine => ({ userId, at, kind });

/** A line for each list that follows the known one. @internal */
export function linesBetween(known: Verified, fresh: Verified[], at: number): TrustLine[] {
  return fresh.map(({ list }, i) => {
    const before = i === 0 ? known : fresh[i - 1]!;
    const { added, removed, newKeys, identity, username } = describe(before.list, list);
    const name = nameIn(list);
    const kind = identity ? "identityRenewed" : username ? "renamed" : "devices";
    return {
      ...lineOf(list.user, kind, at),
      added,
      removed,
      newKeys,
      signer: list.signer,
      number: list.number,
      ...(name === undefined ? {} : { username: name }),
    };
  });
}

/** @internal */
export const nameChanged = (message: string): SecureMessagingError =>
  SecureMessagingError.of("NameChanged", `${message} Call people.acceptName to use the new user.`);

/** @internal */
export const nameHold = (username: string): StoredHold => ({
  kind: "nameChanged",
  about: username.toLowerCase(),
  detail: `The name ${username} belonged to another user before.`,
});

/** @internal */
export const forkHold = (about: string): StoredHold => ({
  kind: "listFork",
  about,
  detail: "There are two device lists of the same number, both signed with the user's keys: someone else may have them.",
});
