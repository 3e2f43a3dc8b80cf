import { Cell } from "../base/cell.js";
import { urlOf } from "./scripts.js";

/** A waiting new version of the app. A call reloads all tabs with it. */
export const update = new Cell<(() => void) | undefined>(undefined);

/** Registers the service worker, which keeps the app for offline use. */
export function installWorker(): void {
  const { serviceWorker } = navigator;
  if (!serviceWorker) return;
  const hadOne = serviceWorker.controller !== null;
  let reloading = false;
  serviceWorker.addEventListener("controllerchange", () => {
    // The first worker takes control of a page of the same version.
    if (hadOne && !reloading) {
      reloading = true;
      location.reload();
    }
  });
  const offer = (worker: ServiceWorker): void => update.set(() => worker.postMessage("activate"));
  serviceWorker
    .register(urlOf("shell"), { updateViaCache: "none" })
    .then((registration) => {
      if (registration.waiting && hadOne) offer(registration.waiting);
      registration.addEventListener("updatefound", () => {
        const worker = registration.installing;
        worker?.addEventListener("statechange", () => {
          if (worker.state === "installed" && serviceWorker.controller) offer(worker);
        });
      });
      setInterval(() => void registration.update().catch((error: unknown) => console.warn("The check for a new version failed:", error)), 3_600_000);
    })
    .catch((error: unknown) => console.warn("The service worker was not registered. The app does not open offline:", error));
}
