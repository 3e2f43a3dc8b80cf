import type { SharedClient } from "./shared.js";
import { Share } from "./share.js";
import { Tab } from "./tab.js";

/** Where and as what. */
export interface SharedOptions {
  /** The server's address, `https://…` (`http://…` on one's own machine). */
  url: string;
  /** Of the database; one account each. */
  name?: string;
}

/**
 * Opens this browser's device, together with the other tabs that have it open. Needs no connection: what the device has is there at once.
 * @throws {@link SecureMessagingError} `Conflict` when a tab of a later version is open, `Unavailable` where the browser has no Web Locks.
 */
export async function openSharedClient(options: SharedOptions): Promise<SharedClient> {
  const tab = new Tab();
  tab.share = await Share.join(options.name ?? "secure-messaging", options.url, tab);
  return tab;
}
