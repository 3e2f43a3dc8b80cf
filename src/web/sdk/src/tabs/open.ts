import { IndexedDbStore } from "../store/indexedDb.js";
import { perform } from "./calls.js";
import { Host } from "./host.js";
import type { SharedClient, SharedEvents } from "./shared.js";
import { Tab } from "./tab.js";

/** Where and as what. */
export interface SharedOptions {
  /** The server's address, `https://…` (`http://…` on one's own machine). */
  url: string;
  /** Of the database; one account each. */
  name?: string;
}

/** Opens this browser's device, together with the other tabs that have it open. Needs no connection: what the device has is there at once. */
export async function openSharedClient(options: SharedOptions): Promise<SharedClient> {
  let host: Host;
  const tab = new Tab((call) => perform(host, call));
  const store = await IndexedDbStore.open(options.name);
  host = await Host.open(store, options.url, <K extends keyof SharedEvents>(name: K, event: SharedEvents[K]) => tab.receive(name, event, true));
  tab.receive("status", { ...host.status, leader: true }, true);
  return tab as unknown as SharedClient;
}
