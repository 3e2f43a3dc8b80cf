/** What a KeyPackage shows to the server that stores it, and how long this device keeps its private keys. */
import { describe, expect, it, test } from "vitest";
import { KeyPackages } from "../src/account/keyPackages.js";
import { decodePackageMessage, makeKeyPackage, readKeyPackage } from "../src/mls/messages.js";
import { keys, MemoryStore, pack } from "../src/store/store.js";
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

test("a stock below zero makes no more KeyPackages than an empty one", async () => {
  const device = await newDevice(await newUser());
  const store = new MemoryStore();
  const session = { http: { now: Date.now }, call: async () => ({ available: -450, lastResort: true, lastResortUsed: false }) };
  await store.write(new Map([[keys.stock, pack({ lastResortAt: Date.now() })]]));
  await new KeyPackages({ id: "d", ...device } as never, session as never, store, Date).topUp();
  expect(await store.list(keys.keyPackages)).toHaveLength(50);
});

test("private keys stay until both the server's clock and this device's say that their KeyPackages have expired", async () => {
  const device = await newDevice(await newUser());
  const store = new MemoryStore();
  const start = Date.parse("2026-03-04T00:00:00Z");
  const [servers, own] = [{ now: start }, { now: start }];
  const session = { http: { now: () => servers.now }, call: async () => ({ available: 49, lastResort: false, lastResortUsed: false }) };
  const packages = new KeyPackages({ id: "d", ...device } as never, session as never, store, { now: () => own.now });
  const at = async (server: number, here: number) => {
    [servers.now, own.now] = [start + server * day, start + here * day];
    await packages.topUp();
    return (await store.list(keys.keyPackages)).map(([key]) => key);
  };
  const [first] = await at(0, 0);
  expect(await at(10_000, 1)).toContain(first);
  expect(await at(1, 10_000)).toContain(first);
  expect(await at(113, 113)).toContain(first);
  expect(await at(115, 113)).toContain(first);
  expect(await at(115, 115)).not.toContain(first);
});
