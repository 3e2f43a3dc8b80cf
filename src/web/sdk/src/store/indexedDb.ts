import { concat, copy, randomBytes, utf8 } from "../base/bytes.js";
import { SecureMessagingError } from "../base/errors.js";
import { defer } from "../base/timing.js";
import { isVerdict } from "../base/verdict.js";
import { completed, failure, isNamed, lock, lockOf, newKey, openDatabase, requireBrowserStore, secrets, settled, values } from "./browserDatabase.js";
import type { Changes, ListOptions, Store, WriteOptions } from "./store.js";

/** The version of the layout of the values. A store of a later version is not changed. */
const format = 1;

/**
 * A store in the browser's IndexedDB.
 *
 * - Values are encrypted with AES-256-GCM under a WebCrypto key that cannot be exported. IndexedDB keeps the key beside the values: a copy of the
 *   browser profile contains it, a script in the page can only use it. Keys of entries (room ids, sequence numbers) are not encrypted.
 * - A Web Lock keeps other tabs out. When another tab takes the lock from a frozen one, each write of the frozen tab detects it in its own transaction
 *   and changes nothing.
 * - When the browser closes the connection (iOS does so in the background), the store opens it again on the next use.
 * - A failure to store is a `StoreFailed` that names the cause.
 */
export class IndexedDbStore implements Store {
  /** Called when another tab has opened the store, or when it was deleted. @internal */
  onLost: ((why: SecureMessagingError) => void) | undefined;
  /** Called when writes begin to fail, and when they work again. @internal */
  onState: ((error: SecureMessagingError | undefined) => void) | undefined;
  /** Resolves when the transaction of the last requested write has begun. */
  private begun: Promise<void> = Promise.resolve();
  private database: IDBDatabase | undefined;
  private reopening: Promise<IDBDatabase> | undefined;
  /** Why the store can no longer be used. */
  private over: SecureMessagingError | undefined;
  private failing = false;

  private constructor(
    private readonly name: string,
    private key: CryptoKey,
    /** @internal Increases with each opening. */ readonly turn: number,
    private readonly release: () => void,
  ) {}

  /**
   * Opens the store. Creates it when it does not exist.
   * @param name - The name of the database. Each account needs its own.
   * @throws {@link SecureMessagingError} `Conflict` when another tab uses it, `StoreFailed` when the browser does not open it,
   * `UnsupportedPlatform` without IndexedDB or Web Locks.
   */
  static async open(name = "secure-messaging"): Promise<IndexedDbStore> {
    requireBrowserStore();
    return IndexedDbStore.openHeld(name, await lock(lockOf(name)));
  }

  /** Opens the store; the caller holds its lock. @internal */
  static async openHeld(name: string, release: () => void): Promise<IndexedDbStore> {
    try {
      const database = await openDatabase(name);
      const made = await newKey();
      const transaction = database.transaction(secrets, "readwrite", { durability: "strict" });
      const store = transaction.objectStore(secrets);
      const [known, turn, laidOut] = await Promise.all(["key", "turn", "format"].map((field) => settled<unknown>(store.get(field))));
      if (typeof laidOut === "number" && laidOut > format) throw SecureMessagingError.of("Conflict", "The store was written by a later version.");
      const next = typeof turn === "number" ? turn + 1 : 1;
      store.put(next, "turn");
      store.put(format, "format");
      if (!known) store.put(made, "key");
      await completed(transaction);
      const opened = new IndexedDbStore(name, (known as CryptoKey | undefined) ?? made, next, release);
      opened.use(database);
      return opened;
    } catch (error) {
      release();
      throw failure(error);
    }
  }

  /** The value of a key. */
  async get(key: string): Promise<Uint8Array | undefined> {
    const sealed = await this.reading((store) => settled<Uint8Array | undefined>(store.get(key)));
    return sealed && this.open(key, sealed);
  }

  /** The entries whose keys begin with `prefix`, ordered by UTF-16 code units. */
  async list(prefix: string, options: ListOptions = {}): Promise<[string, Uint8Array][]> {
    const end = `${prefix}\uffff`;
    const range =
      options.after === undefined
        ? IDBKeyRange.bound(prefix, end)
        : options.reverse
          ? IDBKeyRange.bound(prefix, options.after, false, true)
          : IDBKeyRange.bound(options.after, end, true, false);
    const found = await this.reading(
      (store) =>
        new Promise<[string, Uint8Array][]>((resolve, reject) => {
          const all: [string, Uint8Array][] = [];
          const cursor = store.openCursor(range, options.reverse ? "prev" : "next");
          cursor.onerror = () => reject(cursor.error);
          cursor.onsuccess = () => {
            const at = cursor.result;
            if (!at || all.length >= (options.limit ?? Infinity)) {
              resolve(all);
              return;
            }
            all.push([at.key as string, at.value as Uint8Array]);
            at.continue();
          };
        }),
    );
    return Promise.all(found.map(async ([key, sealed]) => [key, await this.open(key, sealed)] as [string, Uint8Array]));
  }

  /** Applies all changes, or none. */
  async write(changes: Changes, options: WriteOptions = {}): Promise<void> {
    // Encryption comes first: IndexedDB closes a transaction that has no pending request.
    const { key: secret } = this;
    const sealing = Promise.all([...changes].map(async ([key, value]) => [key, value && (await this.seal(key, value))] as const));
    await this.inTurn(
      sealing,
      (transaction, sealed) => {
        if (this.key !== secret) throw SecureMessagingError.of("Unavailable", "The store was erased during the write.");
        const store = transaction.objectStore(values);
        for (const [key, value] of sealed) {
          if (value === null) store.delete(key);
          else store.put(value, key);
        }
      },
      options.relaxed ? "relaxed" : "strict",
    );
  }

  /** Deletes all values, and the key that encrypted them. @internal */
  async erase(): Promise<void> {
    await this.inTurn(
      newKey(),
      (transaction, key) => {
        transaction.objectStore(values).clear();
        transaction.objectStore(secrets).put(key, "key");
      },
      "strict",
      (key) => {
        this.key = key;
      },
    );
  }

  /** Closes the store, so that another client can open it. */
  async close(): Promise<void> {
    this.over ??= SecureMessagingError.of("Unavailable", "The store is closed.");
    this.database?.close();
    this.release();
  }

  private use(database: IDBDatabase): void {
    this.database = database;
    database.onclose = () => this.forget(database);
    // An application of a later version wants the database, or a page deletes it. Both wait until this connection closes.
    database.onversionchange = () => {
      database.close();
      this.lose(SecureMessagingError.of("Conflict", "An application of a later version has opened the store, or the store was deleted."));
    };
  }

  private forget(database: IDBDatabase): void {
    if (this.database === database) this.database = undefined;
  }

  private lose(why: SecureMessagingError): SecureMessagingError {
    if (!this.over) {
      this.over = why;
      this.onLost?.(why);
    }
    return why;
  }

  private async connected(): Promise<IDBDatabase> {
    if (this.over) throw this.over;
    return (
      this.database ??
      (await (this.reopening ??= this.reopen().finally(() => {
        this.reopening = undefined;
      })))
    );
  }

  /** The browser has closed the connection. It may also have deleted the database. */
  private async reopen(): Promise<IDBDatabase> {
    const database = await openDatabase(this.name);
    const turn = await settled<unknown>(database.transaction(secrets).objectStore(secrets).get("turn"));
    if (this.over || turn !== this.turn) {
      database.close();
      throw (
        this.over ??
        this.lose(
          turn === undefined
            ? SecureMessagingError.store("The browser has deleted what was stored on this device.", undefined, true)
            : SecureMessagingError.of("Conflict", "Another tab uses this store."),
        )
      );
    }
    this.use(database);
    return database;
  }

  /** Begins a transaction on an open connection and calls `work` at once: IndexedDB closes a transaction without requests. */
  private async begin<T>(
    stores: string | string[],
    options: { durability?: IDBTransactionDurability } | undefined,
    work: (transaction: IDBTransaction) => T,
  ): Promise<{ result: T }> {
    for (let again = false; ; again = true) {
      const database = await this.connected();
      let transaction: IDBTransaction;
      try {
        transaction = options ? database.transaction(stores, "readwrite", options) : database.transaction(stores);
      } catch (error) {
        // The connection was closed without an event.
        this.forget(database);
        if (again || !isNamed(error, "InvalidStateError")) throw error;
        continue;
      }
      return { result: work(transaction) };
    }
  }

  private async reading<T>(work: (store: IDBObjectStore) => Promise<T>): Promise<T> {
    for (let again = false; ; again = true) {
      try {
        return await (
          await this.begin(values, undefined, (transaction) => work(transaction.objectStore(values)))
        ).result;
      } catch (error) {
        if (again || error instanceof SecureMessagingError || !isNamed(error, "AbortError", "InvalidStateError", "UnknownError")) throw failure(error);
        // The connection was closed during the read.
        this.database = undefined;
      }
    }
  }

  /**
   * Writes, unless another tab has opened the store since. Writes take effect in the order of the calls, however long each needs to prepare.
   * @param alone - Called when the write has taken effect and before the next one begins.
   */
  private async inTurn<T>(
    ready: Promise<T>,
    work: (transaction: IDBTransaction, made: T) => void,
    durability: IDBTransactionDurability = "strict",
    alone?: (made: T) => void,
  ): Promise<void> {
    const before = this.begun;
    const begun = defer<void>();
    this.begun = begun.promise;
    let lost = false;
    try {
      let done: Promise<void>;
      try {
        const [made] = await Promise.all([ready, before]);
        ({ result: done } = await this.begin([values, secrets], { durability }, (transaction) => {
          const turn = transaction.objectStore(secrets).get("turn");
          turn.onsuccess = () => {
            lost = turn.result !== this.turn;
            if (lost) transaction.abort();
          };
          try {
            work(transaction, made);
          } catch (error) {
            transaction.abort();
            throw error;
          }
          return completed(transaction);
        }));
        if (alone) {
          await done;
          alone(made);
        }
      } finally {
        void before.then(() => begun.resolve());
      }
      await done;
    } catch (error) {
      const failed = lost ? this.lose(SecureMessagingError.of("Conflict", "Another tab uses this store.", error)) : failure(error);
      if (failed.code === "StoreFailed") {
        this.failing = true;
        this.onState?.(failed);
      }
      throw failed;
    }
    if (this.failing) {
      this.failing = false;
      this.onState?.(undefined);
    }
  }

  private async seal(key: string, value: Uint8Array): Promise<Uint8Array> {
    const iv = randomBytes(12);
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: utf8(key) }, this.key, copy(value));
    return concat(iv, new Uint8Array(sealed));
  }

  private async open(key: string, sealed: Uint8Array): Promise<Uint8Array> {
    try {
      return new Uint8Array(
        await crypto.subtle.decrypt({ name: "AES-GCM", iv: copy(sealed.subarray(0, 12)), additionalData: utf8(key) }, this.key, copy(sealed.subarray(12))),
      );
    } catch (error) {
      if (!isVerdict(error)) throw failure(error);
      throw SecureMessagingError.store("A value in the store is damaged and cannot be read.", error, true);
    }
  }
}
