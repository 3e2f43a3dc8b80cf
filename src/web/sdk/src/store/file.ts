import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { open, readFile, rename, rm, writeFile, type FileHandle } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { defer, type Deferred } from "../timing.js";
import { SecureMessagingError } from "../errors.js";
import { MemoryStore, pack, unpack, type Changes } from "./store.js";

/** A journal this many times as long as what is alive in it is written anew. */
const compactionFactor = 4;
const compactionFloor = 4 * 1024 * 1024;

/** How to open a {@link FileStore}. */
export interface FileStoreOptions {
  /** 32 bytes to encrypt with. Without it a key is generated into `<path>.key` (mode 0600): then whoever has both files has everything. */
  key?: Uint8Array;
}

/**
 * A store for Node: one file, an encrypted journal. Each write is one record (length, nonce, AES-256-GCM with the record's number as associated data), on disk when
 * `write` resolves; writes that wait at the same moment share one sync. A record that a crash cut off at the end counts as not written. Now and then the journal is
 * replaced, by rename, by one that holds only what is alive; until then deleted values stay in it, encrypted. What is alive is held in memory.
 */
export class FileStore extends MemoryStore {
  private length = 0;
  private live = 0;
  private records = 0;
  private waiting: { changes: Changes; done: Deferred<void> }[] = [];
  private writing: Promise<void> | undefined;
  private broken: unknown;

  private constructor(private readonly path: string, private readonly key: Uint8Array, private file: FileHandle) {
    super();
  }

  /**
   * Opens the store, or creates it.
   * @param path Of the journal. Beside it lie `<path>.lock` while it is open, and `<path>.key` when no key is given.
   * @throws {@link SecureMessagingError} `Conflict` when another process uses it, `Invalid` when the key does not fit.
   */
  static async open(path: string, options: FileStoreOptions = {}): Promise<FileStore> {
    await takeLock(`${path}.lock`);
    try {
      const key = options.key ?? await readOrCreateKey(`${path}.key`);
      if (key.length !== 32)
        throw SecureMessagingError.of("Invalid", "The store's key has 32 bytes.");
      const store = new FileStore(path, key, await open(path, "a+", 0o600));
      await store.load();
      return store;
    } catch (error) {
      await freeLock(`${path}.lock`);
      throw error;
    }
  }

  override async write(changes: Changes): Promise<void> {
    if (this.broken !== undefined)
      throw SecureMessagingError.of("Internal", "The store cannot be written.", this.broken);
    const done = defer<void>();
    this.waiting.push({ changes: new Map(changes), done });
    this.writing ??= this.drain();
    await done.promise;
  }

  override async close(): Promise<void> {
    await this.writing;
    await this.file.close();
    await freeLock(`${this.path}.lock`);
  }

  private async drain(): Promise<void> {
    await Promise.resolve();
    while (this.waiting.length > 0) {
      const turn = this.waiting;
      this.waiting = [];
      try {
        const all: Changes = new Map();
        for (const { changes } of turn)
          for (const [key, value] of changes)
            all.set(key, value);
        const record = this.seal(all, this.records);
        await this.file.appendFile(record);
        await this.file.datasync();
        this.records++;
        this.length += record.length;
        this.apply(all);
        if (this.length > compactionFloor && this.length > compactionFactor * this.live)
          await this.compact();
        for (const { done } of turn)
          done.resolve();
      } catch (error) {
        // Part of a record may stand at the end; nothing may come after it. The next start drops it.
        this.broken = error;
        for (const { done } of [...turn, ...this.waiting])
          done.reject(error);
        this.waiting = [];
      }
    }
    this.writing = undefined;
  }

  /** @internal */
  protected override apply(changes: Changes): void {
    for (const [key, value] of changes)
      this.live += (value === null ? 0 : key.length + value.length) - (this.values.has(key) ? key.length + this.values.get(key)!.length : 0);
    super.apply(changes);
  }

  private async load(): Promise<void> {
    const bytes = await readFile(this.path);
    let offset = 0;
    while (offset + 4 <= bytes.length) {
      const end = offset + 4 + bytes.readUInt32BE(offset);
      if (end > bytes.length)
        break;
      const changes = this.unseal(bytes.subarray(offset + 4, end), this.records);
      if (!changes) {
        if (end < bytes.length || this.records === 0)
          throw SecureMessagingError.of("Invalid", "The store cannot be read: another key, or a damaged file.");
        break;
      }
      this.apply(changes);
      this.records++;
      offset = end;
    }
    if (offset < bytes.length)
      await this.file.truncate(offset);
    this.length = offset;
  }

  private async compact(): Promise<void> {
    const next = await open(`${this.path}.new`, "w", 0o600);
    try {
      const record = this.seal(new Map(this.values), 0);
      await next.writeFile(record);
      await next.datasync();
      this.length = record.length;
    } finally {
      await next.close();
    }
    await rename(`${this.path}.new`, this.path);
    await syncDirectory(this.path);
    await this.file.close();
    this.file = await open(this.path, "a+", 0o600);
    this.records = 1;
  }

  private seal(changes: Changes, number: number): Buffer {
    const nonce = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", this.key, nonce);
    cipher.setAAD(Buffer.from(String(number)));
    const body = Buffer.concat([nonce, cipher.update(pack([...changes])), cipher.final(), cipher.getAuthTag()]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(body.length);
    return Buffer.concat([length, body]);
  }

  private unseal(body: Buffer, number: number): Changes | undefined {
    try {
      const decipher = createDecipheriv("aes-256-gcm", this.key, body.subarray(0, 12));
      decipher.setAAD(Buffer.from(String(number)));
      decipher.setAuthTag(body.subarray(-16));
      return new Map(unpack<[string, Uint8Array | null][]>(Buffer.concat([decipher.update(body.subarray(12, -16)), decipher.final()])));
    } catch {
      return undefined;
    }
  }
}

async function readOrCreateKey(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT")
      throw error;
  }
  const key = randomBytes(32);
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(key);
    await file.sync();
  } finally {
    await file.close();
  }
  await syncDirectory(path);
  return key;
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(dirname(path) || ".");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Locks that this thread holds. */
const held = new Set<string>();

/** When this process began, the same in all of its threads. In a container each process may have the number of the one before. */
const began = () => Date.now() - process.uptime() * 1000;

/** The lock names its process, by number and beginning; that of a dead one counts for nothing. */
async function takeLock(path: string): Promise<void> {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      await writeFile(path, `${process.pid} ${Math.round(began())}`, { flag: "wx", mode: 0o600 });
      held.add(resolve(path));
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST")
        throw error;
      const [owner, since] = (await readFile(path, "utf8").catch(() => "")).split(" ").map(Number);
      if (held.has(resolve(path)) || (owner === process.pid ? Math.abs(since! - began()) < 5000 : owner! > 0 && isAlive(owner!)))
        break;
      await rm(path, { force: true });
    }
  }
  throw SecureMessagingError.of("Conflict", `Another process uses this store. If none does, delete ${path}.`);
}

async function freeLock(path: string): Promise<void> {
  held.delete(resolve(path));
  await rm(path, { force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
