/* KeyPackages of the devices that a Commit adds. */
import { equal } from "../base/bytes.js";
import type { ListedLeaf } from "./plan.js";
import type { Leaf, Ports, RoomGroup } from "./ports.js";

/** A KeyPackage of a device. @internal */
export interface Claimed {
  message: Uint8Array;
  leaf: Leaf;
}

/**
 * Claims one KeyPackage for each of these devices, as far as there are any that `group` can get. `identityOf` gives the identity key that the room has for a
 * user. `isClockWrong`: some are valid by one of the two clocks alone, this device's and the server's, and were left out. @internal
 */
export async function claim(
  { clock, mls, server }: Pick<Ports, "clock" | "mls" | "server">,
  devices: readonly ListedLeaf[],
  identityOf: (userId: string) => Uint8Array | undefined,
  group: RoomGroup | undefined,
): Promise<{ found: Claimed[]; isClockWrong: boolean }> {
  const found: Claimed[] = [];
  let isClockWrong = false;
  for (let i = 0; i < devices.length; i += 100) {
    const some = devices.slice(i, i + 100);
    const claimed = await server.claim(
      [...new Set(some.map((device) => device.userId))],
      some.map((device) => device.deviceId),
    );
    for (const { keyPackage } of claimed) {
      const read = mls.readKeyPackage(keyPackage, server.now());
      const identity = read && identityOf(read.userId);
      // Only KeyPackages of the requested devices are accepted, whatever the directory answers.
      if (
        !read ||
        !identity ||
        !equal(identity, read.identityKey) ||
        !some.some((device) => device.deviceId === read.deviceId && device.userId === read.userId && equal(device.signatureKey, read.signatureKey))
      )
        continue;
      // ts-mls checks the lifetime with this device's clock, so both clocks must accept it.
      const expiredHere = mls.readKeyPackage(keyPackage, clock.now())!.expired;
      if (read.expired !== expiredHere) isClockWrong = true;
      if (!read.expired && !expiredHere) found.push({ message: keyPackage, leaf: { ...read, index: -1 } });
    }
  }
  // One KeyPackage that is not valid, or has keys of another leaf, would make the whole Commit invalid. The earlier leaf of such a device goes with it.
  const leaving = (group?.leaves() ?? []).filter((leaf) => devices.some((device) => device.userId === leaf.userId && device.deviceId === leaf.deviceId));
  const canBeAdded = await mls.addable(
    found.map(({ message }) => message),
    group,
    leaving.map((leaf) => leaf.index),
  );
  return { found: found.filter((_, i) => canBeAdded[i]), isClockWrong };
}
