import { lazy, type ComponentType } from "react";

/** A part of the app that could not be loaded. */
export class MissingPart extends Error {
  override readonly name = "MissingPart";
}

const key = "reloadedFor";

/**
 * A screen that is loaded when it is first shown. A newer version on the server may have replaced its file: then the page is loaded anew, once for each file and tab. What is
 * missing after that is said in its place.
 */
export const part = <P>(load: () => Promise<ComponentType<P>>) => lazy(() => load().then((component) => ({ default: component }), (error: unknown) => {
  console.warn("A part of the app could not be loaded:", error);
  if (!mayReload(String(error)))
    throw new MissingPart("A part of the app could not be loaded.", { cause: error });
  location.reload();
  return new Promise<never>(() => undefined);
}));

/** Whether the page has not yet been loaded anew for this; remembers that it is. The browser's message names the file. */
function mayReload(what: string): boolean {
  try {
    const before = JSON.parse(sessionStorage.getItem(key) ?? "[]") as string[];
    if (before.includes(what))
      return false;
    sessionStorage.setItem(key, JSON.stringify([...before, what]));
    return true;
  } catch {
    // Without a mark there is no telling how often.
    return false;
  }
}
