/* Which device lists must be fetched before the group is compared with them. */
import { equal, fromBase64 } from "../base/bytes.js";
import type { UserKeys } from "../net/wire.js";
import { listedDevice } from "../trust/deviceList.js";
import { newestList } from "./plan.js";
import type { KnownPeople } from "./ports.js";

/**
 * The members whose list is not known, was mentioned as changed, or differs from the server's directory. The directory decides nothing else: a list is fetched
 * and verified, and what is not in it is not used. @internal
 */
export function findStale(
  userIds: readonly string[],
  hints: readonly UserKeys[],
  people: Pick<KnownPeople, "listsOf">,
  mentioned: ReadonlySet<string>,
): string[] {
  const byUser = new Map(hints.map((user) => [user.userId, user]));
  return userIds.filter((user) => {
    const hint = byUser.get(user);
    const newest = newestList(people, user);
    if (mentioned.has(user) || !newest) return true;
    if (!hint) return false;
    const isSame = (device: UserKeys["devices"][number]) => {
      const listed = listedDevice(newest, device.deviceId);
      return listed !== undefined && equal(listed.signatureKey, fromBase64(device.signatureKey));
    };
    return hint.devices.length !== newest.devices.length || !hint.devices.every(isSame);
  });
}
