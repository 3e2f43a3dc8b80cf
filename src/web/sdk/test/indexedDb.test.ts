import "fake-indexeddb/auto";
import "./locks.js";
import { expect, test, vi } from "vitest";
import { IndexedDbStore } from "../src/store/indexedDb.js";

const bytes = (text: string) => new TextEncoder().encode(text);

test("an IndexedDB store keeps order and durability, for one tab at a time, and no plaintext", async () => {
  let store = await IndexedDbStore.open("test");
  await expect(IndexedDbStore.open("test")).rejects.toMatchObject({ code: "Conflict" });
  await store.write(
    new Map([
      ["a/1", bytes("one")],
      ["a/2", bytes("two")],
      ["a/3", bytes("three")],
      ["b", bytes("b")],
    ]),
  );
  await store.write(
    new Map([
      ["a/2", null],
      ["b", bytes("c")],
    ]),
  );
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

test("a tab that has lost the store to another one cannot change it", async () => {
  const first = await IndexedDbStore.openHeld("lost", () => undefined);
  await first.write(new Map([["a", bytes("one")]]));
  let lost = false;
  first.onLost = () => {
    lost = true;
  };
  const second = await IndexedDbStore.openHeld("lost", () => undefined);
  await expect(
    first.write(
      new Map([
        ["a", bytes("two")],
        ["b", bytes("b")],
      ]),
    ),
  ).rejects.toMatchObject({ code: "Conflict" });
  await expect(first.erase()).rejects.toMatchObject({ code: "Conflict" });
  expect(lost).toBe(true);
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

test("writes take effect in the order of the calls, and none from before an erase takes effect after it", async () => {
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

/** Closes the connection as the browser does. */
const connectionOf = (store: IndexedDbStore) => (store as unknown as { database: IDBDatabase }).database;

test("a connection that the browser closes is opened again without loss", async () => {
  const store = await IndexedDbStore.open("closed");
  await store.write(new Map([["a", bytes("one")]]));
  connectionOf(store).close();
  expect(await store.get("a")).toEqual(bytes("one"));
  connectionOf(store).close();
  expect((await store.list("")).length).toBe(1);
  connectionOf(store).close();
  const all = Array.from({ length: 20 }, (_, i) =>
    store.write(
      new Map([
        ["a", bytes(String(i))],
        [`n/${i}`, bytes("x")],
      ]),
    ),
  );
  await Promise.all(all);
  expect(await store.get("a")).toEqual(bytes("19"));
  expect((await store.list("n/")).length).toBe(20);
  connectionOf(store).close();
  await store.erase();
  expect(await store.list("")).toEqual([]);
  await store.close();
  await expect(store.write(new Map([["a", bytes("late")]]))).rejects.toMatchObject({ code: "Unavailable" });
});

test("a connection that was closed while another tab opened the store is not opened again", async () => {
  const first = await IndexedDbStore.openHeld("taken", () => undefined);
  connectionOf(first).close();
  const second = await IndexedDbStore.openHeld("taken", () => undefined);
  connectionOf(first).close();
  await expect(first.write(new Map([["a", bytes("one")]]))).rejects.toMatchObject({ code: "Conflict" });
  await second.close();
});

test("deletion by the browser is reported once, and nothing is written afterwards", async () => {
  const store = await IndexedDbStore.open("deleted");
  await store.write(new Map([["a", bytes("one")]]));
  let lost: { code: string } | undefined;
  store.onLost = (why) => {
    lost = why;
  };
  const connection = connectionOf(store);
  connection.onversionchange = null;
  connection.close();
  await new Promise((resolve) => {
    indexedDB.deleteDatabase("deleted").onsuccess = resolve;
  });
  await expect(store.write(new Map([["a", bytes("two")]]))).rejects.toMatchObject({ code: "StoreFailed", retryable: false });
  expect(lost).toMatchObject({ code: "StoreFailed" });
  await expect(store.get("a")).rejects.toMatchObject({ code: "StoreFailed" });
  await store.close();
});

test("a full disk is reported with a sentence, and so is its end", async () => {
  const store = await IndexedDbStore.open("full");
  const states: (string | undefined)[] = [];
  store.onState = (error) => states.push(error?.message);
  const put = vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(function (this: IDBObjectStore) {
    throw new DOMException("no", "QuotaExceededError");
  });
  await expect(store.write(new Map([["a", bytes("one")]]))).rejects.toMatchObject({
    code: "StoreFailed",
    retryable: true,
    message: expect.stringContaining("no space left") as string,
  });
  put.mockRestore();
  await store.write(new Map([["a", bytes("two")]]));
  expect(await store.get("a")).toEqual(bytes("two"));
  expect(states).toEqual([expect.stringContaining("no space left"), undefined]);
  await store.close();
});

test("a damaged value is reported", async () => {
  const store = await IndexedDbStore.open("damaged");
  await store.write(new Map([["a", bytes("one")]]));
  await new Promise((resolve) => {
    const transaction = connectionOf(store).transaction("values", "readwrite");
    transaction.objectStore("values").put(new Uint8Array(40), "a");
    transaction.oncomplete = resolve;
  });
  await expect(store.get("a")).rejects.toMatchObject({ code: "StoreFailed", retryable: false });
  await store.close();
});

test("a database that does not open is an error after a timeout", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const open = vi.spyOn(indexedDB, "open").mockImplementation(() => ({}) as IDBOpenDBRequest);
  const opening = expect(IndexedDbStore.open("never")).rejects.toMatchObject({
    code: "StoreFailed",
    message: expect.stringContaining("does not open") as string,
  });
  await vi.waitFor(() => expect(open).toHaveBeenCalled());
  await vi.advanceTimersByTimeAsync(11_000);
  await opening;
  open.mockRestore();
  vi.useRealTimers();
});
