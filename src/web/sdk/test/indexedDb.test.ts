import "fake-indexeddb/auto";
import { expect, test, vi } from "vitest";
import { IndexedDbStore } from "../src/store/indexedDb.js";

const bytes = (text: string) => new TextEncoder().encode(text);

/** Node has no Web Locks. */
const held = new Set<string>();
vi.stubGlobal("navigator", {
  locks: {
    async request(name: string, _options: unknown, work: (lock: object | null) => Promise<void> | undefined) {
      if (held.has(name))
        return work(null);
      held.add(name);
      try {
        await work({});
      } finally {
        held.delete(name);
      }
    },
  },
});

test("an IndexedDB store keeps order and promises, one tab at a time, and nothing in plaintext", async () => {
  let store = await IndexedDbStore.open("test");
  await expect(IndexedDbStore.open("test")).rejects.toMatchObject({ code: "Conflict" });
  await store.write(new Map([["a/1", bytes("one")], ["a/2", bytes("two")], ["a/3", bytes("three")], ["b", bytes("b")]]));
  await store.write(new Map([["a/2", null], ["b", bytes("c")]]));
  await store.close();
  store = await vi.waitFor(() => IndexedDbStore.open("test"));
  expect(await store.get("b")).toEqual(bytes("c"));
  expect((await store.list("a/")).map(([key]) => key)).toEqual(["a/1", "a/3"]);
  expect((await store.list("a/", { after: "a/1" })).map(([key]) => key)).toEqual(["a/3"]);
  expect((await store.list("a/", { reverse: true, limit: 1 })).map(([key]) => key)).toEqual(["a/3"]);
  expect((await store.list("a/", { reverse: true, after: "a/3" })).map(([key]) => key)).toEqual(["a/1"]);
  await store.close();
  const raw = await new Promise<IDBDatabase>((resolve) => {
    const opening = indexedDB.open("test");
    opening.onsuccess = () => resolve(opening.result);
  });
  const value = await new Promise<Uint8Array>((resolve) => {
    const request = raw.transaction("values").objectStore("values").get("a/3");
    request.onsuccess = () => resolve(request.result as Uint8Array);
  });
  expect(Buffer.from(value).includes("three")).toBe(false);
});
