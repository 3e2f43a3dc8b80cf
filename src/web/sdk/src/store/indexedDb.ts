import { concat, copy, randomBytes, utf8 } from "../bytes.js";
import { SecureMessagingError } from "../errors.js";
import type { Changes, ListOptions, Store } from "./store.js";

const values = "values";
const secrets = "secrets";

/**
 * A store in the browser's IndexedDB. Values are encrypted with AES-256-GCM under a WebCrypto key that cannot be exported and that IndexedDB keeps beside them:
 * a copy of the profile's files has it, a script that reads the database has only its use. Keys (ids of rooms, sequence numbers) are not encrypted.
 * A Web Lock keeps other tabs out.
 */
export class IndexedDbStore implements Store {
  private constructor(private readonly database: IDBDatabase, private readonly key: CryptoKey, private readonly release: () => void) {}

  /**
   * Opens the store, or creates it.
   * @param name Of the database; one account each.
   * @throws {@link SecureMessagingError} `Conflict` when another tab uses it.
   */
  static async open(name = "secure-messaging"): Promise<IndexedDbStore> {
    const release = await lock(`secure-messaging:${name}`);
    try {
      const opening = indexedDB.open(name, 1);
      opening.onupgradeneeded = () => {
        opening.result.createObjectStore(values);
        opening.result.createObjectStore(secrets);
      };
      const database = await settled(opening);
      let key = await settled<CryptoKey | undefined>(database.transaction(secrets).objectStore(secrets).get("key"));
      if (!key) {
        key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
        const transaction = database.transaction(secrets, "readwrite", { durability: "strict" });
        transaction.objectStore(secrets).put(key, "key");
        await completed(transaction);
      }
      return new IndexedDbStore(database, key, release);
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

  async write(changes: Changes): Promise<void> {
    // Sealed first: a transaction closes by itself while nothing is asked of it.
    const sealed = await Promise.all([...changes].map(async ([key, value]) => [key, value && await this.seal(key, value)] as const));
    const transaction = this.database.transaction(values, "readwrite", { durability: "strict" });
    const store = transaction.objectStore(values);
    for (const [key, value] of sealed) {
      if (value === null)
        store.delete(key);
      else
        store.put(value, key);
    }
    await completed(transaction);
  }

  async close(): Promise<void> {
    this.database.close();
    this.release();
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
