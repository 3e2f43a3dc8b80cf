import { Cell } from "./state/cell.js";

/** A newer version that waits to take over: calling it reloads every tab into it. */
export const update = new Cell<(() => void) | undefined>(undefined);

declare global {
  interface Window {
    /** Of browsers that have Trusted Types. */
    trustedTypes?: { createPolicy(name: string, rules: { createScriptURL(): string }): { createScriptURL(input: string): string } };
  }
}

/** The one address of a script that the page's policy lets the app make (`trusted-types` in Content-Security-Policy). */
const path = "/sw.js";
const policy = window.trustedTypes?.createPolicy("app", { createScriptURL: () => path });

/** Registers the service worker, which keeps the app for when there is no network. */
export function installWorker(): void {
  const { serviceWorker } = navigator;
  if (!serviceWorker)
    return;
  const hadOne = serviceWorker.controller !== null;
  let reloading = false;
  serviceWorker.addEventListener("controllerchange", () => {
    // The first worker takes over a page that is as new as it is.
    if (hadOne && !reloading) {
      reloading = true;
      location.reload();
    }
  });
  const offer = (worker: ServiceWorker): void => update.set(() => worker.postMessage("activate"));
  serviceWorker.register(policy?.createScriptURL("") ?? path, { updateViaCache: "none" }).then((registration) => {
    if (registration.waiting && hadOne)
      offer(registration.waiting);
    registration.addEventListener("updatefound", () => {
      const worker = registration.installing;
      worker?.addEventListener("statechange", () => {
        if (worker.state === "installed" && serviceWorker.controller)
          offer(worker);
      });
    });
    setInterval(() => void registration.update().catch((error: unknown) => console.warn("It is not known whether there is a newer version:", error)), 3_600_000);
  }).catch((error: unknown) => console.warn("The app will not open without a network:", error));
}
