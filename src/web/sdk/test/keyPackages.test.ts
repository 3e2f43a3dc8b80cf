/** What a KeyPackage shows to the server that stores it. */
import { describe, expect, it } from "vitest";
import { decodePackageMessage, makeKeyPackage, readKeyPackage } from "../src/mls/messages.js";
import { newDevice, newUser } from "./people.js";

const day = 86_400_000;

describe("KeyPackage", () => {
  for (const time of ["2026-03-04T00:00:00.000Z", "2026-03-04T13:37:42.123Z", "2026-03-04T23:59:59.999Z"]) {
    it(`made at ${time} begins and ends with a day`, async () => {
      const device = await newDevice(await newUser());
      const now = Date.parse(time);
      const { message } = await makeKeyPackage(device.identity, device.signature, 84, now);
      const { leafNode } = decodePackageMessage(message);
      if (leafNode.leafNodeSource !== "key_package") throw new TypeError("Not the leaf of a KeyPackage.");
      const today = Date.parse("2026-03-04T00:00:00.000Z");
      expect(leafNode.lifetime).toEqual({ notBefore: BigInt((today - 14 * day) / 1000), notAfter: BigInt((today + 84 * day) / 1000) });
      expect(readKeyPackage(message, now)?.expired).toBe(false);
      expect(readKeyPackage(message, today + 84 * day)?.expired).toBe(true);
    });
  }
});
