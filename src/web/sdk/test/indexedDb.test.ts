import "fake-indexeddb/auto";
import "./locks.js";
import { expect, test, vi } from "vitest";
import { IndexedDbStore } from "../src/store/indexedDb.js";

const bytes = (text: string) => new TextEncoder().encode(text);

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

test("whoever has lost the store to another changes nothing in it", async () => {
  const first = await IndexedDbStore.openHeld("lost", () => undefined);
  await first.write(new Map([["a", bytes("one")]]));
  let told = false;
  first.onLost = () => { told = true; };
  const second = await IndexedDbStore.openHeld("lost", () => undefined);
  await expect(first.write(new Map([["a", bytes("two")], ["b", bytes("b")]]))).rejects.toMatchObject({ code: "Conflict" });
  await expect(first.erase()).rejects.toMatchObject({ code: "Conflict" });
  expect(told).toBe(true);
  expect(await second.get("a")).toEqual(bytes("one"));
  expect(await second.get("b")).toBeUndefined();
  await second.erase();
  expect(await second.list("")).toEqual([]);
  await second.write(new Map([["a", bytes("three")]]));
  await first.close();
  await second.close();
  const third = await IndexedDbStore.open("lost");
  expect(await third.get("a")).toEqual(bytes("three"));
  await third.close();
});

test("writes take effect in the order of their asking, and none that was asked for before everything was erased", async () => {
  const store = await IndexedDbStore.open("order");
  const long = new Uint8Array(1 << 20);
  await Promise.all([store.write(new Map([["draft", long]])), store.write(new Map([["draft", null]]))]);
  expect(await store.get("draft")).toBeUndefined();
  const outcomes = await Promise.allSettled([store.write(new Map([["before", long]])), store.erase(), store.write(new Map([["after", bytes("x")]]))]);
  expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
  expect(await store.list("")).toEqual([]);
  await store.write(new Map([["later", bytes("y")]]));
  expect(await store.get("later")).toEqual(bytes("y"));
  await store.close();
});
