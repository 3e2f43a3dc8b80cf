/* Small values in the browser's storage, which a browser may block. */

/** Returns undefined when there is no such value, or storage is blocked. */
export function recall(storage: Storage, key: string): string | undefined {
  try {
    return storage.getItem(key) ?? undefined;
  } catch (error) {
    console.warn("This browser's storage cannot be read:", error);
    return undefined;
  }
}

export function keep(storage: Storage, key: string, value: string): void {
  try {
    storage.setItem(key, value);
  } catch (error) {
    console.warn(`${key} could not be stored in this browser:`, error);
  }
}
