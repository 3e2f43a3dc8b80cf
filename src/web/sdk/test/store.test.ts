import { createCipheriv } from "node:crypto";
import type * as NodeFs from "node:fs/promises";
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { randomBytes } from "../src/base/bytes.js";
import { FileStore } from "../src/store/file.js";
import { MemoryStore, ordinal, pack } from "../src/store/store.js";

/** A full disk still accepts the first bytes of a new journal. */
const disk = vi.hoisted(() => ({ isFull: false }));
vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof NodeFs>();
  const open = async (...args: Parameters<typeof real.open>): Promise<FileHandle> => {
    const file = await real.open(...args);
    const write = file.writeFile.bind(file);
    if (disk.isFull && String(args[0]).endsWith(".new"))
      file.writeFile = async (data) => {
        await write((data as Buffer).subarray(0, 1000));
        throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
      };
    return file;
  };
  return { ...real, open };
});

const bytes = (text: string) => new TextEncoder().encode(text);
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sm-store-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

test("ranges are ordered, from both ends", async () => {
  const store = new MemoryStore();
  await store.write(new Map([3, 1, 20, 100].map((n) => [`a/${ordinal(n)}`, bytes(String(n))])));
  await store.write(
    new Map([
      ["b", bytes("b")],
      [`a/${ordinal(1)}`, null],
    ]),
  );
  const keysOf = async (options?: object) => (await store.list("a/", options)).map(([key]) => Number(key.slice(2)));
  expect(await keysOf()).toEqual([3, 20, 100]);
  expect(await keysOf({ after: `a/${ordinal(3)}`, limit: 1 })).toEqual([20]);
  expect(await keysOf({ reverse: true, limit: 2 })).toEqual([100, 20]);
  expect(await keysOf({ reverse: true, after: `a/${ordinal(100)}` })).toEqual([20, 3]);
});

describe("a file store", () => {
  test("ignores the lock of an earlier process, even with the same process id", async () => {
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

  test("reports which file cannot be opened, and why", async () => {
    const path = join(folder, "missing", "anna.store");
    await expect(FileStore.open(path)).rejects.toMatchObject({
      name: "SecureMessagingError",
      code: "StoreFailed",
      retryable: false,
      message: expect.stringMatching(/missing.anna\.store cannot be opened: ENOENT/) as string,
    });
  });

  test("keeps written values, encrypted, for one process at a time", async () => {
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

  test("loses at most the last write in a crash, at any byte", async () => {
    const path = join(folder, "s");
    const store = await FileStore.open(path);
    await store.write(
      new Map([
        ["a", bytes("1")],
        ["b", bytes("1")],
      ]),
    );
    const length = (await stat(path)).size;
    await store.write(
      new Map([
        ["a", bytes("2")],
        ["b", bytes("2")],
      ]),
    );
    await store.close();
    const whole = await readFile(path);
    for (let cut = length; cut < whole.length; cut += 7) {
      await writeFile(path, whole);
      await truncate(path, cut);
      const said: string[] = [];
      const again = await FileStore.open(path, { onTrouble: ({ message }) => said.push(message) });
      expect(said.length).toBe(cut === length ? 0 : 1);
      expect([await again.get("a"), await again.get("b")]).toEqual([bytes("1"), bytes("1")]);
      await again.write(new Map([["a", bytes("3")]]));
      await again.close();
      const third = await FileStore.open(path);
      expect(await third.get("a")).toEqual(bytes("3"));
      await third.close();
    }
  });

  /** The offsets of the records, after the header of 20 bytes. */
  const recordsOf = (file: Buffer): Buffer[] => {
    const found: Buffer[] = [];
    for (let at = 20; at < file.length; at += 4 + file.readUInt32BE(at)) found.push(file.subarray(at, at + 4 + file.readUInt32BE(at)));
    return found;
  };

  async function written(name: string, values: string[]): Promise<Buffer> {
    const store = await FileStore.open(join(folder, name), { key });
    for (const value of values) await store.write(new Map([["k", bytes(value)]]));
    await store.close();
    return readFile(join(folder, name));
  }

  const key = randomBytes(32);

  test("rejects records of another store, another place or an earlier state, under the same key", async () => {
    const whole = await written("a", ["0", "1", "2", "3"]);
    const other = recordsOf(await written("b", ["0", "1", "2", "3"]));
    const own = recordsOf(whole);
    const header = whole.subarray(0, 20);
    // The journal was reset to its third record and has continued, so its former fourth record is not valid any more.
    await writeFile(join(folder, "c"), Buffer.concat([header, ...own.slice(0, 2)]));
    const store = await FileStore.open(join(folder, "c"), { key });
    await store.write(new Map([["k", bytes("another 2")]]));
    await store.write(new Map([["k", bytes("another 3")]]));
    await store.write(new Map([["k", bytes("another 4")]]));
    await store.close();
    const since = recordsOf(await readFile(join(folder, "c")));
    for (const [what, records] of Object.entries({
      "of another store, at the same place": [own[0]!, other[1]!, own[2]!, own[3]!],
      "the first of another store": [other[0]!, ...own.slice(1)],
      exchanged: [own[0]!, own[2]!, own[1]!, own[3]!],
      twice: [own[0]!, own[1]!, own[1]!, own[2]!],
      "left out": [own[0]!, own[2]!, own[3]!],
      "of the same number, from before": [since[0]!, since[1]!, own[2]!, since[3]!, since[4]!],
    })) {
      await writeFile(join(folder, "mixed"), Buffer.concat([header, ...records]));
      const opened = await FileStore.open(join(folder, "mixed"), { key, onTrouble: () => undefined }).then(
        (found) => found.close().then(() => "opened"),
        (error: { code: string }) => error.code,
      );
      expect([what, opened]).toEqual([what, "Invalid"]);
    }
  });

  test("rejects records of the journal before the last rewrite", async () => {
    const path = join(folder, "s");
    let store = await FileStore.open(path, { key });
    await store.write(new Map([["old", bytes("1")]]));
    const before = recordsOf(await readFile(path));
    for (let i = 0; (await stat(path)).size > 400_000 || i < 30; i++)
      await store.write(
        new Map([
          ["k", randomBytes(65_536)],
          ["l", randomBytes(65_536)],
          ["m", randomBytes(65_536)],
        ]),
      );
    await store.write(new Map([["old", null]]));
    await store.close();
    const file = await readFile(path);
    const [first, ...rest] = recordsOf(file);
    expect(before[0]!.equals(first!)).toBe(false);
    await writeFile(path, Buffer.concat([file.subarray(0, 20), before[0]!, ...rest]));
    await expect(FileStore.open(path, { key })).rejects.toMatchObject({ code: "Invalid" });
    store = await FileStore.open(join(folder, "new"), { key });
    await store.close();
  });

  test("reads a journal of the first layout, and binds its records from then on", async () => {
    const path = join(folder, "s");
    const old = Buffer.concat(
      [
        ["a", "1"],
        ["a", "2"],
        ["b", "3"],
      ].map(([name, value], number) => {
        const nonce = randomBytes(12);
        const cipher = createCipheriv("aes-256-gcm", key, nonce);
        cipher.setAAD(Buffer.from(String(number)));
        const body = Buffer.concat([nonce, cipher.update(pack([[name, bytes(value!)]])), cipher.final(), cipher.getAuthTag()]);
        const length = Buffer.alloc(4);
        length.writeUInt32BE(body.length);
        return Buffer.concat([length, body]);
      }),
    );
    await writeFile(path, old);
    const store = await FileStore.open(path, { key });
    await store.write(new Map([["c", bytes("4")]]));
    await store.close();
    expect((await readFile(path)).subarray(0, 4).toString()).toBe("SMJ2");
    const again = await FileStore.open(path, { key });
    expect((await again.list("")).map(([name, value]) => [name, new TextDecoder().decode(value)])).toEqual([
      ["a", "2"],
      ["b", "3"],
      ["c", "4"],
    ]);
    await again.close();
  });

  test("a write to a full disk fails with a sentence, and the next write with space succeeds", async () => {
    const path = join(folder, "s");
    const store = await FileStore.open(path, { key });
    await store.write(new Map([["a", bytes("1")]]));
    const { file } = store as unknown as { file: FileHandle };
    const append = file.appendFile.bind(file);
    file.appendFile = async (data) => {
      await append((data as Buffer).subarray(0, 7));
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    };
    for (let i = 0; i < 2; i++)
      await expect(store.write(new Map([["a", bytes("2")]]))).rejects.toMatchObject({
        code: "StoreFailed",
        retryable: true,
        message: expect.stringContaining("disk is full") as string,
      });
    expect(await store.get("a")).toEqual(bytes("1"));
    file.appendFile = append;
    await store.write(new Map([["b", bytes("3")]]));
    await store.close();
    const again = await FileStore.open(path, { key });
    expect([await again.get("a"), await again.get("b")]).toEqual([bytes("1"), bytes("3")]);
    await again.close();
  });

  test("a rewrite without disk space leaves no file behind, and the old journal stays in use", async () => {
    const path = join(folder, "s");
    const troubles: string[] = [];
    const store = await FileStore.open(path, { key, onTrouble: (error) => troubles.push(error.message) });
    disk.isFull = true;
    try {
      for (let i = 0; troubles.length === 0 && i < 100; i++)
        await store.write(
          new Map([
            ["k", Buffer.concat([randomBytes(65_536), randomBytes(65_536)])],
            ["n", bytes(String(i))],
          ]),
        );
    } finally {
      disk.isFull = false;
    }
    expect(troubles).toEqual([expect.stringContaining("the disk is full")]);
    expect(await readdir(folder)).not.toContain("s.new");
    await store.write(new Map([["after", bytes("1")]]));
    await store.close();
    const again = await FileStore.open(path, { key });
    expect(await again.get("after")).toEqual(bytes("1"));
    await again.close();
  });

  test("has a bounded size", async () => {
    const path = join(folder, "s");
    let store = await FileStore.open(path);
    for (let i = 0; i < 60; i++)
      await store.write(
        new Map([
          ["k", Buffer.concat([randomBytes(65_536), randomBytes(65_536), randomBytes(65_536)])],
          [`n${i}`, bytes(String(i))],
        ]),
      );
    expect((await stat(path)).size).toBeLessThan(6_000_000);
    await store.close();
    store = await FileStore.open(path);
    expect(await store.get("n0")).toEqual(bytes("0"));
    expect((await store.list("n")).length).toBe(60);
    await store.close();
  });
});
