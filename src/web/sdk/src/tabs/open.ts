import type { ServerAddress } from "../net/http.js";
import type { SharedClient } from "./sharedClient.js";
import { TabCoordinator } from "./coordinator.js";
import { Tab } from "./tab.js";

/** The server, and the database to use. */
export interface SharedOptions extends ServerAddress {
  /** The name of the IndexedDB database. Each account needs its own. By default `secure-messaging`. */
  name?: string;
}

/**
 * Opens this browser's device, shared with its other tabs. Needs no connection: the stored data is there at once.
 * @throws {@link SecureMessagingError} `Conflict` when a tab with a later version is open, `UnsupportedPlatform` without IndexedDB or Web Locks,
 * `StoreFailed` when the browser does not open the database.
 */
export async function openSharedClient(options: SharedOptions): Promise<SharedClient> {
  const tab = new Tab();
  tab.coordinator = await TabCoordinator.join(options.name ?? "secure-messaging", options, tab);
  return tab;
}
