/* Which KeyPackages of the server's directory a device puts into a Commit. */
import { expect, test } from "vitest";
import { mls } from "../../src/rooms/mls.js";
import { claim } from "../../src/rooms/packages.js";
import type { Ports } from "../../src/rooms/ports.js";
import { newDevice, newUser, packageOf, type TestDevice } from "../people.js";

const listed = ({ identity, signature }: TestDevice) => ({ userId: identity.userId, deviceId: identity.deviceId, signatureKey: signature.publicKey });

test("a KeyPackage whose signature is wrong is left out, so that it does not keep the others from being added", async () => {
  const [ben, mallory] = await Promise.all([newDevice(await newUser()), newDevice(await newUser())]);
  const [good, altered] = (await Promise.all([ben, mallory].map(packageOf))).map(({ message }) => Uint8Array.from(message));
  altered![altered!.length - 1]! ^= 1;
  const directory = [altered!, good!].map((keyPackage) => ({ userId: "", deviceId: "", keyPackage }));
  const ports = { mls, clock: { now: Date.now }, server: { now: Date.now, claim: () => Promise.resolve(directory) } } as unknown as Ports;
  const identityOf = (userId: string) => [ben, mallory].find(({ identity }) => identity.userId === userId)?.identity.identityKey;
  const { found } = await claim(ports, [mallory, ben].map(listed), identityOf, undefined);
  expect(found.map(({ leaf }) => leaf.deviceId)).toEqual([ben.identity.deviceId]);
});
