import { useSyncExternalStore } from "react";

export const settingsPages = ["profile", "people", "devices", "sessions", "notifications", "privacy", "appearance", "data"] as const;
export type SettingsPage = (typeof settingsPages)[number];

/** The place in the app. It is in the fragment of the address, which browsers do not send: servers and proxies do not learn which conversation is open. */
export type Route = { at: "list" } | { at: "new"; group: boolean } | { at: "room"; roomId: string; details: boolean } | { at: "settings"; page?: SettingsPage };

export function readRoute(hash: string): Route {
  const [first, second, third] = hash.replace(/^#\/?/, "").split("/");
  if (first === "c" && second) return { at: "room", roomId: second, details: third === "details" };
  if (first === "new") return { at: "new", group: second === "group" };
  if (first === "settings") {
    const page = settingsPages.find((each) => each === second);
    return page ? { at: "settings", page } : { at: "settings" };
  }
  return { at: "list" };
}

export function hrefOf(route: Route): string {
  switch (route.at) {
    case "list":
      return "#/";
    case "new":
      return route.group ? "#/new/group" : "#/new";
    case "room":
      return `#/c/${route.roomId}${route.details ? "/details" : ""}`;
    case "settings":
      return route.page ? `#/settings/${route.page}` : "#/settings";
  }
}

const listeners = new Set<() => void>();

export function go(route: Route, options: { replace?: boolean } = {}): void {
  const href = hrefOf(route);
  if (href === location.hash) return;
  if (options.replace) history.replaceState(null, "", href);
  else history.pushState(null, "", href);
  for (const listener of [...listeners]) listener();
}

let current: { hash: string; route: Route } | undefined;

function read(): Route {
  if (current?.hash !== location.hash) current = { hash: location.hash, route: readRoute(location.hash) };
  return current.route;
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  window.addEventListener("hashchange", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
    window.removeEventListener("hashchange", listener);
  };
}

export const useRoute = (): Route => useSyncExternalStore(subscribe, read);
