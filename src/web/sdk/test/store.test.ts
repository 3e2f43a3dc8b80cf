import { mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { randomBytes } from "../src/bytes.js";
import { FileStore } from "../src/store/file.js";
import { MemoryStore, ordinal } from "../src/store/store.js";

const bytes = (text: string) => new TextEncoder().encode(text);
let folder: string;
beforeEach(async () => { folder = await mkdtemp(join(tmpdir(), "sm-store-")); });
afterEach(async () => { await rm(folder, { recursive: true }); });

test("ranges are in order, from both ends", async () => {
  const store = new MemoryStore();
  await store.write(new Map([3, 1, 20, 100].map((n) => [`a/${ordinal(n)}`, bytes(String(n))])));
  await store.write(new Map([["b", bytes("b")], [`a/${ordinal(1)}`, null]]));
  const keysOf = async (options?: object) => (await store.list("a/", options)).map(([key]) => Number(key.slice(2)));
  expect(await keysOf()).toEqual([3, 20, 100]);
  expect(await keysOf({ after: `a/${ordinal(3)}`, limit: 1 })).toEqual([20]);
  expect(await keysOf({ reverse: true, limit: 2 })).toEqual([100, 20]);
  expect(await keysOf({ reverse: true, after: `a/${ordinal(100)}` })).toEqual([20, 3]);
});

describe("a file store", () => {
  test("counts the lock of an earlier process for nothing, even if it had the same number", async () => {
    const path = join(folder, "s");
    for (const left of ["", String(process.pid), `${process.pid} ${Date.now() - process.uptime() * 1000 - 60_000}`, "4194304 1"]) {
      await writeFile(`${path}.lock`, left);
      const store = await FileStore.open(path);
      await expect(FileStore.open(path)).rejects.toMatchObject({ code: "Conflict" });
      await store.close();
    }
    await writeFile(`${path}.lock`, `${process.ppid} 1`);
    await expect(FileStore.open(path)).rejects.toMatchObject({ code: "Conflict" });
  });

  test("keeps what was written, encrypted, for one process at a time", async () => {
    const path = join(folder, "s");
    const store = await FileStore.open(path);
    await expect(FileStore.open(path)).rejects.toMatchObject({ code: "Conflict" });
    await Promise.all(Array.from({ length: 100 }, (_, i) => store.write(new Map([[`k${i % 10}`, bytes(`plain text ${i}`)]]))));
    await store.close();
    expect((await stat(`${path}.key`)).mode & 0o777).toBe(0o600);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await readFile(path)).includes("plain text")).toBe(false);
    const again = await FileStore.open(path);
    expect(await again.get("k3")).toEqual(bytes("plain text 93"));
    await again.close();
    await expect(FileStore.open(path, { key: randomBytes(32) })).rejects.toMatchObject({ code: "Invalid" });
  });

  test("loses at most the write that a crash cut off, wherever it cut", async () => {
    const path = join(folder, "s");
    const store = await FileStore.open(path);
    await store.write(new Map([["a", bytes("1")], ["b", bytes("1")]]));
    const length = (await stat(path)).size;
    await store.write(new Map([["a", bytes("2")], ["b", bytes("2")]]));
    await store.close();
    const whole = await readFile(path);
    for (let cut = length; cut < whole.length; cut += 7) {
      await writeFile(path, whole);
      await truncate(path, cut);
      const again = await FileStore.open(path);
      expect([await again.get("a"), await again.get("b")]).toEqual([bytes("1"), bytes("1")]);
      await again.write(new Map([["a", bytes("3")]]));
      await again.close();
      const third = await FileStore.open(path);
      expect(await third.get("a")).toEqual(bytes("3"));
      await third.close();
    }
  });

  test("does not grow without end", async () => {
    const path = join(folder, "s");
    let store = await FileStore.open(path);
    for (let i = 0; i < 60; i++)
      await store.write(new Map([["k", Buffer.concat([randomBytes(65_536), randomBytes(65_536), randomBytes(65_536)])], [`n${i}`, bytes(String(i))]]));
    expect((await stat(path)).size).toBeLessThan(6_000_000);
    await store.close();
    store = await FileStore.open(path);
    expect(await store.get("n0")).toEqual(bytes("0"));
    expect((await store.list("n")).length).toBe(60);
    await store.close();
  });
});
