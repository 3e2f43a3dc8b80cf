import { lazy, type ComponentType } from "react";

/** A part of the app could not be loaded. */
export class MissingPart extends Error {
  override readonly name = "MissingPart";
}

const key = "reloadedFor";

/**
 * A screen that is loaded when it is first shown. If its file is missing, a newer version on the server may have replaced it: then the page reloads, once
 * for each file and tab. If the file is still missing, the screen shows an error.
 */
export const part = <P>(load: () => Promise<ComponentType<P>>) =>
  lazy(() =>
    load().then(
      (component) => ({ default: component }),
      (error: unknown) => {
        console.warn("A part of the app could not be loaded:", error);
        if (!mayReload(String(error))) throw new MissingPart("A part of the app could not be loaded.", { cause: error });
        location.reload();
        return new Promise<never>(() => undefined);
      },
    ),
  );

/** Whether the page has not yet been reloaded for this file. Stores that it is. The browser's message contains the file name. */
function mayReload(what: string): boolean {
  try {
    const before = JSON.parse(sessionStorage.getItem(key) ?? "[]") as string[];
    if (before.includes(what)) return false;
    sessionStorage.setItem(key, JSON.stringify([...before, what]));
    return true;
  } catch {
    // Without storage the reloads cannot be counted, so there is none.
    return false;
  }
}
