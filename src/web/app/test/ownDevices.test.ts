import { FakeClient, newPage } from "./browser.js";
import { beforeEach, expect, test } from "vitest";
import type { TrustLine } from "../src/base/sdk.js";
import { OwnDevices } from "../src/state/ownDevices.js";

const line = (at: number, about: Partial<TrustLine>): TrustLine => ({ userId: "anna", at, kind: "devices", ...about });

let client: FakeClient;

beforeEach(() => {
  newPage(false);
  client = new FakeClient();
  client.status = { state: "ready", userId: "anna", deviceId: "phone", connected: true, unsent: 0, leader: true };
  Object.assign(client.names, { laptop: "Laptop", tablet: "Tablet" });
});

const open = (): OwnDevices => new OwnDevices(client.shared, "store", () => 1_000);

test("a device that another own device has added is announced, also after a reload, until the user has looked", async () => {
  await open().refresh();
  client.ownLines.push(line(2_000, { added: ["tablet"], signer: "laptop" }));
  const first = open();
  await first.refresh();
  expect(first.news.get()).toEqual([{ at: 2_000, kind: "added", devices: ["Tablet"], by: "Laptop" }]);
  const second = open();
  await second.refresh();
  expect(second.news.get().length).toBe(1);
  second.acknowledge();
  expect(second.news.get()).toEqual([]);
  const third = open();
  await third.refresh();
  expect(third.news.get()).toEqual([]);
  client.ownLines.push(line(3_000, { removed: ["tablet"], signer: "laptop" }));
  await third.refresh();
  expect(third.news.get()).toMatchObject([{ kind: "removed", devices: ["Tablet"] }]);
});

test("what this device has done itself, its own addition and what was before it are no news", async () => {
  client.ownLines.push(line(500, { added: ["laptop"], signer: "laptop" }));
  const devices = open();
  await devices.refresh();
  client.ownLines.push(line(2_000, { added: ["tablet"], signer: "phone" }), line(3_000, { added: ["phone"], signer: "laptop" }));
  await devices.refresh();
  expect(devices.news.get()).toEqual([]);
});

test("new keys of a device and of the identity are announced", async () => {
  const devices = open();
  await devices.refresh();
  client.ownLines.push(line(2_000, { newKeys: ["laptop"], signer: "laptop" }), line(3_000, { kind: "identityRenewed", signer: "laptop" }));
  await devices.refresh();
  expect(devices.news.get().map(({ kind }) => kind)).toEqual(["newKeys", "identity"]);
});
