import { useEffect } from "react";

/** Asks the browser not to clear keys and history by itself when it runs out of space: once there is something to lose, because some browsers ask the person. */
export function usePersistence(wanted: boolean): void {
  useEffect(() => {
    if (wanted)
      persist().catch((error: unknown) => console.warn("The browser was not asked to keep the app's data:", error));
  }, [wanted]);
}

async function persist(): Promise<void> {
  const { storage } = navigator;
  if (storage?.persist && !await storage.persisted())
    await storage.persist();
}
