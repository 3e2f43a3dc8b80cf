import { expect, test } from "vitest";
import { Privacy } from "../../src/account/privacy.js";
import { MemoryStore } from "../../src/store/store.js";

/** A session with a server that keeps the settings of the account, or does not answer. */
function account() {
  const server = { deliveryCursor: true, isAway: false, asked: [] as string[] };
  const call = async (method: string, path: string, body?: { deliveryCursor: boolean }): Promise<unknown> => {
    server.asked.push(`${method} ${path}`);
    if (server.isAway) throw new Error("away");
    if (body) server.deliveryCursor = body.deliveryCursor;
    return { deliveryCursor: server.deliveryCursor };
  };
  return { server, session: { call } as unknown as Parameters<typeof Privacy.load>[0] };
}

test("the delivery cursor is a setting of the account, the other settings stay on the device", async () => {
  const { server, session } = account();
  const [here, there] = [new MemoryStore(), new MemoryStore()];
  const privacy = await Privacy.load(session, here);
  expect(privacy.settings).toEqual({ readReceipts: true, typing: true, deliveryCursor: true });
  await privacy.set({ typing: false });
  expect(server.asked).toEqual([]);
  await privacy.set({ deliveryCursor: false });
  expect([server.deliveryCursor, privacy.settings]).toEqual([false, { readReceipts: true, typing: false, deliveryCursor: false }]);
  expect((await Privacy.load(session, here)).settings).toEqual(privacy.settings);

  const other = await Privacy.load(session, there);
  let changes = 0;
  other.events.on("changed", () => changes++);
  await other.refresh();
  await other.refresh();
  expect([other.settings, changes]).toEqual([{ readReceipts: true, typing: true, deliveryCursor: false }, 1]);
});

test("nothing changes when the server does not answer", async () => {
  const { server, session } = account();
  server.isAway = true;
  const store = new MemoryStore();
  const privacy = await Privacy.load(session, store);
  await expect(privacy.set({ readReceipts: false, deliveryCursor: false })).rejects.toThrow("away");
  await expect(privacy.refresh()).rejects.toThrow("away");
  expect(privacy.settings).toEqual({ readReceipts: true, typing: true, deliveryCursor: true });
  expect((await Privacy.load(session, store)).settings).toEqual(privacy.settings);
});
