import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { open, readFile, rename, rm, writeFile, type FileHandle } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { defer, type Deferred } from "../base/timing.js";
import { reasonOf, SecureMessagingError } from "../base/errors.js";
import { MemoryStore, pack, unpack, type Changes } from "./store.js";

/** The journal is rewritten when it is this many times as long as its live values. */
const compactionFactor = 4;
const compactionFloor = 4 * 1024 * 1024;
/** The first bytes of a journal; 16 random bytes follow as its name. Read as a record length of the first layout, they are too large to be valid. */
const magic = Buffer.from("SMJ2");
const headerLength = magic.length + 16;

/** How to open a {@link FileStore}. */
export interface FileStoreOptions {
  /** The encryption key, 32 bytes. Without it, a random key is stored in `<path>.key` (mode 0600); an attacker who has both files can then read everything. */
  key?: Uint8Array;
  /** Called when the store has handled a problem: it dropped an incomplete write, or could not rewrite the journal. By default it logs to the console. */
  onTrouble?: (error: SecureMessagingError) => void;
}

/**
 * A store for Node: one file, an encrypted journal.
 *
 * - Each write is one record (length, nonce, AES-256-GCM) and is on disk when `write` resolves. Writes that wait at the same time share one sync.
 * - The associated data of a record are the journal's random name, the record's number and the tag of the record before it. A record from another
 *   store, another place or an earlier journal is rejected.
 * - An incomplete record at the end, from a crash, counts as not written.
 * - The live values are in memory. From time to time a journal with only the live values replaces the old one, by rename. Until then deleted values
 *   stay in the file, encrypted.
 * - A write to a full disk fails. The next write works when there is space again.
 * - The store cannot detect that the whole file was replaced by an earlier state of itself.
 */
export class FileStore extends MemoryStore {
  private length = 0;
  private live = 0;
  private records = 0;
  private name: Buffer = Buffer.alloc(0);
  private lastTag: Buffer = Buffer.alloc(0);
  /** Whether bytes of a failed write may stand after the last record. */
  private torn = false;
  private waiting: { changes: Changes; done: Deferred<void> }[] = [];
  private writing: Promise<void> | undefined;
  private broken: unknown;

  private compactAt = compactionFloor;

  private constructor(
    private readonly path: string,
    private readonly key: Uint8Array,
    private file: FileHandle,
    private readonly onTrouble: (error: SecureMessagingError) => void,
  ) {
    super();
  }

  /**
   * Opens the store. Creates it when it does not exist.
   * @param path - The path of the journal. `<path>.lock` exists beside it while the store is open, `<path>.key` when no key is given.
   * @param options - The key, and what to do with problems.
   * @throws {@link SecureMessagingError} `Conflict` when another process uses the store, `Invalid` when the key is wrong.
   */
  static async open(path: string, options: FileStoreOptions = {}): Promise<FileStore> {
    try {
      return await this.openLocked(path, options);
    } catch (error) {
      throw error instanceof SecureMessagingError ? error : SecureMessagingError.store(`The store ${path} cannot be opened: ${reasonOf(error)}.`, error, true);
    }
  }

  private static async openLocked(path: string, options: FileStoreOptions): Promise<FileStore> {
    await takeLock(`${path}.lock`);
    try {
      const key = options.key ?? (await readOrCreateKey(`${path}.key`));
      if (key.length !== 32) throw SecureMessagingError.of("Invalid", "The store's key must have 32 bytes.");
      const store = new FileStore(
        path,
        key,
        await open(path, "a+", 0o600),
        options.onTrouble ?? ((error) => console.warn(`SecureMessaging: ${path}: ${error.message}`)),
      );
      try {
        await store.load();
      } catch (error) {
        await store.file.close();
        throw error;
      }
      return store;
    } catch (error) {
      await freeLock(`${path}.lock`);
      throw error;
    }
  }

  /** Applies all changes, or none. Resolves when they are on disk. */
  override async write(changes: Changes): Promise<void> {
    if (this.broken !== undefined)
      throw SecureMessagingError.store(`The store cannot be written any more: ${reasonOf(this.broken)}. Open it again.`, this.broken, true);
    const done = defer<void>();
    this.waiting.push({ changes: new Map(changes), done });
    this.writing ??= this.drain();
    await done.promise;
  }

  /** Waits for running writes and closes the store, so that another client can open it. */
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
        for (const { changes } of turn) for (const [key, value] of changes) all.set(key, value);
        if (this.torn) await this.cutOff();
        const { record, tag } = this.seal(all, this.name, this.records, this.lastTag);
        this.torn = true;
        await this.file.appendFile(record);
        await this.file.datasync();
        this.torn = false;
        this.records++;
        this.lastTag = tag;
        this.length += record.length;
        this.apply(all);
        if (this.length > this.compactAt && this.length > compactionFactor * this.live) await this.tryCompact();
        for (const { done } of turn) done.resolve();
      } catch (error) {
        // No record may follow an incomplete one. When the disk was full, the incomplete bytes can be cut off; after other errors only a restart shows what is
        // on disk.
        const full = this.torn && isFull(error);
        if (!full) this.broken = error;
        const failed = SecureMessagingError.store(
          full ? "The disk is full. Free some space." : `The store cannot be written: ${reasonOf(error)}.`,
          error,
          !full,
        );
        for (const { done } of [...turn, ...this.waiting]) done.reject(failed);
        this.waiting = [];
      }
    }
    this.writing = undefined;
  }

  /** Removes the bytes of a failed write. */
  private async cutOff(): Promise<void> {
    await this.file.truncate(this.length);
    await this.file.datasync();
    this.torn = false;
  }

  /** @internal */
  protected override apply(changes: Changes): void {
    for (const [key, value] of changes)
      this.live += (value === null ? 0 : key.length + value.length) - (this.values.has(key) ? key.length + this.values.get(key)!.length : 0);
    super.apply(changes);
  }

  private async load(): Promise<void> {
    const bytes = await readFile(this.path);
    const named = bytes.subarray(0, magic.length).equals(magic.subarray(0, bytes.length));
    if (named && bytes.length < headerLength) {
      await this.begin();
      return;
    }
    this.name = named ? bytes.subarray(magic.length, headerLength) : Buffer.alloc(0);
    let offset = named ? headerLength : 0;
    while (offset + 4 <= bytes.length) {
      const end = offset + 4 + bytes.readUInt32BE(offset);
      if (end > bytes.length) break;
      const body = bytes.subarray(offset + 4, end);
      const changes = this.unseal(body, named ? associated(this.name, this.records, this.lastTag) : Buffer.from(String(this.records)));
      if (!changes) {
        if (end < bytes.length || this.records === 0)
          throw SecureMessagingError.of("Invalid", "The store cannot be read: another key, a damaged file, or a record that was not written here.");
        break;
      }
      this.apply(changes);
      this.records++;
      this.lastTag = Buffer.from(body.subarray(-16));
      offset = end;
    }
    if (offset < bytes.length) {
      this.onTrouble(SecureMessagingError.store(`The last ${bytes.length - offset} bytes belong to an incomplete write. They are dropped.`));
      await this.file.truncate(offset);
    }
    this.length = offset;
    // The first layout did not bind its records to a journal.
    if (!named) await this.compact();
  }

  /** Begins an empty journal, also when a crash has cut off the header. */
  private async begin(): Promise<void> {
    this.name = randomBytes(16);
    await this.file.truncate(0);
    await this.file.appendFile(Buffer.concat([magic, this.name]));
    await this.file.datasync();
    this.length = headerLength;
  }

  /** Without space for a new journal, the old one stays in use. */
  private async tryCompact(): Promise<void> {
    try {
      await this.compact();
      this.compactAt = compactionFloor;
    } catch (error) {
      if (!isFull(error)) throw error;
      // The incomplete new journal takes space that the next writes need.
      await rm(`${this.path}.new`, { force: true });
      this.compactAt = this.length * 2;
      this.onTrouble(SecureMessagingError.store("The journal could not be rewritten because the disk is full. It grows until there is space.", error));
    }
  }

  private async compact(): Promise<void> {
    const name = randomBytes(16);
    const { record, tag } = this.seal(new Map(this.values), name, 0, Buffer.alloc(0));
    const next = await open(`${this.path}.new`, "w", 0o600);
    try {
      await next.writeFile(Buffer.concat([magic, name, record]));
      await next.datasync();
    } finally {
      await next.close();
    }
    await rename(`${this.path}.new`, this.path);
    await syncDirectory(this.path);
    await this.file.close();
    this.file = await open(this.path, "a+", 0o600);
    this.length = headerLength + record.length;
    this.name = name;
    this.lastTag = tag;
    this.records = 1;
  }

  private seal(changes: Changes, name: Buffer, number: number, lastTag: Buffer): { record: Buffer; tag: Buffer } {
    const nonce = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", this.key, nonce);
    cipher.setAAD(associated(name, number, lastTag));
    const sealed = Buffer.concat([nonce, cipher.update(pack([...changes])), cipher.final()]);
    const tag = cipher.getAuthTag();
    const length = Buffer.alloc(4);
    length.writeUInt32BE(sealed.length + tag.length);
    return { record: Buffer.concat([length, sealed, tag]), tag };
  }

  /** Undefined for a record that was not written with this key, in this place. A fault of the platform is thrown, because it says nothing about the record. */
  private unseal(body: Buffer, data: Buffer): Changes | undefined {
    if (body.length < 12 + 16) return undefined;
    const decipher = createDecipheriv("aes-256-gcm", this.key, body.subarray(0, 12));
    decipher.setAAD(data);
    decipher.setAuthTag(body.subarray(-16));
    const plaintext = decipher.update(body.subarray(12, -16));
    try {
      decipher.final();
    } catch {
      // The only error here: the tag is wrong.
      return undefined;
    }
    return new Map(unpack<[string, Uint8Array | null][]>(plaintext));
  }
}

const associated = (name: Buffer, number: number, lastTag: Buffer): Buffer => Buffer.concat([name, Buffer.from(String(number)), lastTag]);

const isFull = (error: unknown): boolean => ["ENOSPC", "EDQUOT"].includes((error as NodeJS.ErrnoException).code ?? "");

async function readOrCreateKey(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
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

/** The locks that this thread holds. */
const held = new Set<string>();

/** The start time of this process, equal in all its threads. In a container, successive processes can have the same process id. */
const began = () => Date.now() - process.uptime() * 1000;

/** The lock file names its process, by process id and start time. The lock of a process that has ended is ignored. */
async function takeLock(path: string): Promise<void> {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      await writeFile(path, `${process.pid} ${Math.round(began())}`, { flag: "wx", mode: 0o600 });
      held.add(resolve(path));
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const [owner, since] = (await readLock(path)).split(" ").map(Number);
      if (held.has(resolve(path)) || (owner === process.pid ? Math.abs(since! - began()) < 5000 : owner! > 0 && isAlive(owner!))) break;
      await rm(path, { force: true });
    }
  }
  throw SecureMessagingError.of("Conflict", `Another process uses this store. If none does, delete ${path}.`);
}

async function readLock(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    // Removed since the attempt to create it.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
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
