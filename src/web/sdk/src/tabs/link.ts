import { SecureMessagingError } from "../base/errors.js";
import type { ServerAddress } from "../net/http.js";
import type { Call } from "./methods.js";
import type { SharedEvents } from "./sharedEvents.js";
import type { SharedStatus } from "./status.js";

/** Receives the status and events for a tab. @internal */
export interface Listener {
  statusChanged(status: SharedStatus): void;
  event<K extends keyof SharedEvents>(name: K, event: SharedEvents[K]): void;
}

/** Sends an event to all tabs. @internal */
export type Notify = Listener["event"];

/** What a tab needs to open its client. @internal */
export interface TabOptions extends ServerAddress {
  deviceName?: string;
}

/** Where a tab's calls go: to the coordinator in the page, or to a worker. @internal */
export interface TabLink {
  ask(call: Call): Promise<unknown>;
  close(): Promise<void>;
}

/** The sentence of a call that was not answered before the client was closed. @internal */
export const closed = () => SecureMessagingError.of("Unavailable", "The client is closed.");
