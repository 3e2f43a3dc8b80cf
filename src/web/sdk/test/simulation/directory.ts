/* The accounts, devices and KeyPackages of the server in memory. */
import { equal, toBase64 } from "../../src/base/bytes.js";
import { SecureMessagingError, type ErrorCode } from "../../src/base/errors.js";
import type { UserKeys } from "../../src/net/wire.js";

type Bytes = Uint8Array<ArrayBuffer>;

export interface ServerDevice {
  id: string;
  userId: string;
  signatureKey: Bytes;
  identitySignature: Bytes;
  packages: Map<string, Bytes>;
  lastResort: { reference: string; message: Bytes } | undefined;
  /** References of packages that were claimed. A Welcome may name them. */
  claimed: Set<string>;
}

export interface ServerUser {
  id: string;
  username: string;
  identityKey: Bytes;
  devices: ServerDevice[];
  /** The signed device lists, number 1 first. */
  lists: Bytes[];
}

export const refuse = (code: ErrorCode, message: string): SecureMessagingError => SecureMessagingError.of(code, message);
export const notFound = (): SecureMessagingError => refuse("NotFound", "Not found, or you do not have access.");

export class Directory {
  readonly users = new Map<string, ServerUser>();

  user(id: string): ServerUser {
    return this.users.get(id)!;
  }

  named(username: string): ServerUser {
    const user = [...this.users.values()].find((each) => each.username === username);
    if (!user) throw notFound();
    return user;
  }

  device(userId: string, deviceId: string): ServerDevice {
    const device = this.user(userId).devices.find(({ id }) => id === deviceId);
    if (!device) throw notFound();
    return device;
  }

  /** The device that a Welcome for this KeyPackage reaches. */
  ownerOf(reference: string): ServerDevice | undefined {
    return this.all().find((each) => each.claimed.has(reference) || each.lastResort?.reference === reference);
  }

  stock(userId: string, deviceId: string): { available: number; lastResort: boolean } {
    const device = this.device(userId, deviceId);
    return { available: device.packages.size, lastResort: device.lastResort !== undefined };
  }

  upload(
    userId: string,
    deviceId: string,
    signatureKey: Bytes,
    packages: { reference: string; message: Bytes }[],
    lastResort?: { reference: string; message: Bytes },
  ): void {
    const device = this.device(userId, deviceId);
    if (!equal(device.signatureKey, signatureKey)) throw refuse("Invalid", "The KeyPackages are not of this device's keys.");
    for (const { reference, message } of packages) if (!device.claimed.has(reference)) device.packages.set(reference, message);
    if (lastResort) device.lastResort = lastResort;
  }

  claim(deviceIds: string[]): { userId: string; deviceId: string; keyPackage: Bytes }[] {
    return deviceIds.flatMap((deviceId) => {
      const device = this.all().find(({ id }) => id === deviceId);
      if (!device) return [];
      const [first] = device.packages;
      const found = first ? { reference: first[0], message: first[1] } : device.lastResort;
      if (!found) return [];
      device.packages.delete(found.reference);
      device.claimed.add(found.reference);
      return [{ userId: device.userId, deviceId, keyPackage: found.message }];
    });
  }

  private all(): ServerDevice[] {
    return [...this.users.values()].flatMap(({ devices }) => devices);
  }
}

export const keysOf = ({ id, username, identityKey, devices }: ServerUser): UserKeys => ({
  userId: id,
  username,
  identityKey: toBase64(identityKey),
  devices: devices.map((device) => ({
    deviceId: device.id,
    signatureKey: toBase64(device.signatureKey),
    identitySignature: toBase64(device.identitySignature),
  })),
});
