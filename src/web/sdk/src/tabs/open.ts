import type { ServerAddress } from "../net/http.js";
import type { SharedClient } from "./shared.js";
import { Share } from "./share.js";
import { Tab } from "./tab.js";

/** Where and as what. */
export interface SharedOptions extends ServerAddress {
  /** Of the database; one account each. */
  name?: string;
}

/**
 * Opens this browser's device, together with the other tabs that have it open. Needs no connection: what the device has is there at once.
 * @throws {@link SecureMessagingError} `Conflict` when a tab of a later version is open, `UnsupportedPlatform` where the browser lacks IndexedDB or Web Locks,
 * `StoreFailed` when it does not open its store.
 */
export async function openSharedClient(options: SharedOptions): Promise<SharedClient> {
  const tab = new Tab();
  tab.share = await Share.join(options.name ?? "secure-messaging", options, tab);
  return tab;
}
