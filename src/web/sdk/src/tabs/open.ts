import type { ServerAddress } from "../net/http.js";
import { Tab } from "./tab.js";
import type { SharedClient } from "./sharedClient.js";
import { WorkerLink } from "./workerLink.js";

/** The server, and the database to use. */
export interface SharedOptions extends ServerAddress {
  /** The name of the IndexedDB database. Each account needs its own. By default `secure-messaging`. */
  name?: string;
  /** The name of this device until a person gives it one, for example the browser and the system. Encrypted for this user's devices. */
  deviceName?: string;
  /**
   * Starts a dedicated worker with the program `@secure-messaging/sdk/worker`. Encryption, store and connection then run in it, and the thread that draws the
   * page stays free. Without it, or where the worker's program cannot be loaded, they run in the page.
   */
  worker?: () => Worker;
}

/**
 * Opens this browser's device, shared with its other tabs. Needs no connection: the stored data is there at once.
 * @throws {@link SecureMessagingError} `Conflict` when a tab with a later version is open, `UnsupportedPlatform` without IndexedDB or Web Locks,
 * `StoreFailed` when the browser does not open the database.
 */
export async function openSharedClient(options: SharedOptions): Promise<SharedClient> {
  const { name = "secure-messaging", worker, ...rest } = options;
  const tab = new Tab();
  const inWorker = worker && (await WorkerLink.start(worker, name, rest, tab));
  // A page whose client runs in a worker does not load the rest of the SDK.
  tab.link = inWorker ?? (await (await import("./coordinator.js")).TabCoordinator.join(name, rest, tab));
  return tab;
}
