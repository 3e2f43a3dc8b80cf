import { concat, copy, randomBytes, utf8 } from "../bytes.js";
import { SecureMessagingError } from "../errors.js";
import { defer } from "../timing.js";
import type { Changes, ListOptions, Store, WriteOptions } from "./store.js";

const values = "values";
const secrets = "secrets";
/** How values are laid out. A later version's are not touched. */
const format = 1;

/**
 * A store in the browser's IndexedDB. Values are encrypted with AES-256-GCM under a WebCrypto key that cannot be exported and that IndexedDB keeps beside them:
 * a copy of the profile's files has it, a script that reads the database has only its use. Keys (ids of rooms, sequence numbers) are not encrypted.
 * A Web Lock keeps other tabs out; should one take the lock from a tab that was frozen, each write finds out, in its own transaction, and changes nothing.
 */
export class IndexedDbStore implements Store {
  /** Told when another has opened the store meanwhile. @internal */
  onLost: (() => void) | undefined;
  /** When the transaction of the last write that was asked for has begun. */
  private begun: Promise<void> = Promise.resolve();

  private constructor(private readonly database: IDBDatabase, private key: CryptoKey, /** @internal Grows with each opening. */ readonly turn: number, private readonly release: () => void) {}

  /**
   * Opens the store, or creates it.
   * @param name Of the database; one account each.
   * @throws {@link SecureMessagingError} `Conflict` when another tab uses it.
   */
  static async open(name = "secure-messaging"): Promise<IndexedDbStore> {
    return IndexedDbStore.openHeld(name, await lock(lockOf(name)));
  }

  /** Opens the store for whoever holds its lock. @internal */
  static async openHeld(name: string, release: () => void): Promise<IndexedDbStore> {
    try {
      const opening = indexedDB.open(name, 1);
      opening.onupgradeneeded = () => {
        opening.result.createObjectStore(values);
        opening.result.createObjectStore(secrets);
      };
      const database = await settled(opening);
      // An application of a later version wants the database: it goes on without this one.
      database.onversionchange = () => database.close();
      const made = await newKey();
      const transaction = database.transaction(secrets, "readwrite", { durability: "strict" });
      const store = transaction.objectStore(secrets);
      const [known, turn, laidOut] = await Promise.all(["key", "turn", "format"].map((name) => settled<unknown>(store.get(name))));
      if (typeof laidOut === "number" && laidOut > format)
        throw SecureMessagingError.of("Conflict", "The store was written by a later version.");
      const next = typeof turn === "number" ? turn + 1 : 1;
      store.put(next, "turn");
      store.put(format, "format");
      if (!known)
        store.put(made, "key");
      await completed(transaction);
      return new IndexedDbStore(database, (known as CryptoKey | undefined) ?? made, next, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const sealed = await settled<Uint8Array | undefined>(this.database.transaction(values).objectStore(values).get(key));
    return sealed && this.open(key, sealed);
  }

  async list(prefix: string, options: ListOptions = {}): Promise<[string, Uint8Array][]> {
    const end = `${prefix}\uffff`;
    const range = options.after === undefined ? IDBKeyRange.bound(prefix, end)
      : options.reverse ? IDBKeyRange.bound(prefix, options.after, false, true) : IDBKeyRange.bound(options.after, end, true, false);
    const found: [string, Uint8Array][] = [];
    const cursor = this.database.transaction(values).objectStore(values).openCursor(range, options.reverse ? "prev" : "next");
    await new Promise<void>((resolve, reject) => {
      cursor.onerror = () => reject(cursor.error as DOMException);
      cursor.onsuccess = () => {
        const at = cursor.result;
        if (!at || found.length >= (options.limit ?? Infinity)) {
          resolve();
          return;
        }
        found.push([at.key as string, at.value as Uint8Array]);
        at.continue();
      };
    });
    return Promise.all(found.map(async ([key, sealed]) => [key, await this.open(key, sealed)] as [string, Uint8Array]));
  }

  async write(changes: Changes, options: WriteOptions = {}): Promise<void> {
    // Sealed first: a transaction closes by itself while nothing is asked of it.
    const { key: secret } = this;
    const sealing = Promise.all([...changes].map(async ([key, value]) => [key, value && await this.seal(key, value)] as const));
    const begun = this.nextToBegin();
    let done: Promise<void>;
    try {
      const [sealed] = await Promise.all([sealing, begun.before]);
      if (this.key !== secret)
        throw SecureMessagingError.of("Unavailable", "The store was erased meanwhile.");
      done = this.inTurn((transaction) => {
        const store = transaction.objectStore(values);
        for (const [key, value] of sealed) {
          if (value === null)
            store.delete(key);
          else
            store.put(value, key);
        }
      }, options.relaxed ? "relaxed" : "strict");
    } finally {
      begun.resolve();
    }
    await done;
  }

  /** Takes everything away, and the key that it was encrypted under. @internal */
  async erase(): Promise<void> {
    const begun = this.nextToBegin();
    try {
      const [key] = await Promise.all([newKey(), begun.before]);
      await this.inTurn((transaction) => {
        transaction.objectStore(values).clear();
        transaction.objectStore(secrets).put(key, "key");
      });
      this.key = key;
    } finally {
      begun.resolve();
    }
  }

  async close(): Promise<void> {
    this.database.close();
    this.release();
  }

  /** Writes take effect in the order in which they were asked for, however long each is sealed: a delete is sealed at once. */
  private nextToBegin(): { before: Promise<void>; resolve(): void } {
    const before = this.begun;
    const { promise, resolve } = defer<void>();
    this.begun = promise;
    return { before, resolve: () => void before.then(resolve) };
  }

  /** A transaction that takes effect only while nobody else has opened the store since. */
  private async inTurn(work: (transaction: IDBTransaction) => void, durability: IDBTransactionDurability = "strict"): Promise<void> {
    let transaction: IDBTransaction;
    try {
      transaction = this.database.transaction([values, secrets], "readwrite", { durability });
    } catch (error) {
      throw SecureMessagingError.of("Unavailable", "The store is closed.", error);
    }
    let lost = false;
    const turn = transaction.objectStore(secrets).get("turn");
    turn.onsuccess = () => {
      lost = turn.result !== this.turn;
      if (lost)
        transaction.abort();
    };
    work(transaction);
    try {
      await completed(transaction);
    } catch (error) {
      if (!lost)
        throw error;
      this.onLost?.();
      throw SecureMessagingError.of("Conflict", "Another tab uses this store.", error);
    }
  }

  private async seal(key: string, value: Uint8Array): Promise<Uint8Array> {
    const iv = randomBytes(12);
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: utf8(key) }, this.key, copy(value));
    return concat(iv, new Uint8Array(sealed));
  }

  private async open(key: string, sealed: Uint8Array): Promise<Uint8Array> {
    const plain = await crypto.subtle.decrypt(
      { name: "AES-GCM", iv: copy(sealed.subarray(0, 12)), additionalData: utf8(key) }, this.key, copy(sealed.subarray(12)));
    return new Uint8Array(plain);
  }
}

/** @internal */
export const lockOf = (name: string): string => `secure-messaging:${name}`;

const newKey = (): Promise<CryptoKey> => crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);

/** Holds a Web Lock until told otherwise. */
function lock(name: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    navigator.locks.request(name, { ifAvailable: true }, (held) => {
      if (!held) {
        reject(SecureMessagingError.of("Conflict", "Another tab uses this store."));
        return undefined;
      }
      return new Promise<void>((release) => resolve(release));
    }).catch(reject);
  });
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error as DOMException);
  });
}

function completed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = transaction.onabort = () => reject(transaction.error as DOMException);
  });
}
