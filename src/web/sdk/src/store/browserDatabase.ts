/* IndexedDB and Web Locks, as promises with this SDK's errors. */
import { SecureMessagingError } from "../base/errors.js";

/** The object store of the values. @internal */
export const values = "values";
/** The object store of the key, and of what a later opening compares. @internal */
export const secrets = "secrets";

/** A browser that has not opened the database after this time will not open it: Safari does so at times, and another tab may block it. */
const openWithinMs = 10_000;

/** @internal @throws `UnsupportedPlatform` */
export function requireBrowserStore(): void {
  if (typeof indexedDB === "undefined" || typeof navigator === "undefined" || !navigator.locks)
    throw SecureMessagingError.of(
      "UnsupportedPlatform",
      `This platform cannot keep a store: it lacks ${typeof indexedDB === "undefined" ? "IndexedDB" : "Web Locks"}. ` +
        "In a browser, open the page with https:// or from localhost. Elsewhere, use another store.",
    );
}

/** Whether an exception of the browser has one of these names. @internal */
export const isNamed = (error: unknown, ...names: string[]): boolean =>
  typeof error === "object" && error !== null && names.includes((error as { name?: string }).name ?? "");

/** The failure as a sentence. @internal */
export function failure(error: unknown): SecureMessagingError {
  if (error instanceof SecureMessagingError) return error;
  if (isNamed(error, "QuotaExceededError"))
    return SecureMessagingError.store("There is no space left for this page's data: free some on the device or in the browser's settings.", error);
  if (isNamed(error, "VersionError")) return SecureMessagingError.of("Conflict", "The store was written by a later version.", error);
  if (isNamed(error, "AbortError", "InvalidStateError")) return SecureMessagingError.store("The browser has closed the store.", error);
  const why = error instanceof Error || isNamed(error, "UnknownError") ? (error as Error).message || (error as Error).name : String(error);
  return SecureMessagingError.store(`The browser's store failed: ${why}.`, error);
}

/** @internal */
export function openDatabase(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    let blocked = false;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      reject(
        SecureMessagingError.store(
          blocked
            ? "Another tab with an earlier version keeps the store open. Close that tab."
            : "The browser does not open its database. Load the page again, or restart the browser.",
        ),
      );
    }, openWithinMs);
    const opening = indexedDB.open(name, 1);
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore(values);
      opening.result.createObjectStore(secrets);
    };
    opening.onblocked = () => {
      blocked = true;
    };
    opening.onsuccess = () => {
      clearTimeout(timer);
      if (late) opening.result.close();
      else resolve(opening.result);
    };
    opening.onerror = () => {
      clearTimeout(timer);
      reject(opening.error);
    };
  });
}

/** @internal */
export const lockOf = (name: string): string => `secure-messaging:${name}`;

/** @internal */
export const newKey = (): Promise<CryptoKey> => crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);

/** Holds a Web Lock until the returned function is called. @internal */
export function lock(name: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, { ifAvailable: true }, (held) => {
        if (!held) {
          reject(SecureMessagingError.of("Conflict", "Another tab uses this store."));
          return undefined;
        }
        return new Promise<void>((release) => resolve(release));
      })
      .catch(reject);
  });
}

/** @internal */
export function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @internal */
export function completed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}
