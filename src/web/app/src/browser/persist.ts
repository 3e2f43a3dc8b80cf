import { useEffect } from "react";

/** Asks the browser to keep the app's data when space is low. Asks only when there is data, because some browsers show a question. */
export function usePersistence(wanted: boolean): void {
  useEffect(() => {
    if (wanted) persist().catch((error: unknown) => console.warn("The browser was not asked to keep the app's data:", error));
  }, [wanted]);
}

async function persist(): Promise<void> {
  const { storage } = navigator;
  if (storage?.persist && !(await storage.persisted())) await storage.persist();
}
