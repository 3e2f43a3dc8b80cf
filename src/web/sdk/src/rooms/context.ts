import type { KeyPackages } from "../account/keyPackages.js";
import type { OwnDevice } from "../account/device.js";
import type { People } from "../account/people.js";
import type { Privacy } from "../privacy.js";
import type { HubLink } from "../net/hub.js";
import type { Session } from "../net/session.js";
import type { Store } from "../store/store.js";
import type { Warn, WarningArea } from "../warnings.js";
import type { Dispatcher } from "./dispatcher.js";
import type { Outbox } from "./outbox.js";

/** What rooms share. @internal */
export interface Context {
  session: Session;
  store: Store;
  hub: HubLink;
  device: OwnDevice;
  keyPackages: KeyPackages;
  people: People;
  privacy: Privacy;
  outbox: Outbox;
  dispatcher: Dispatcher;
  /** Aborted when the client is closed. */
  closing: AbortSignal;
  /** Takes in the Welcomes that wait for this device. */
  fetchWelcomes(): Promise<void>;
  /** The group of some room cannot be followed any more: start the device anew. */
  heal(): void;
  warn: Warn;
  /** Makes what deals with a failure by saying it. What the client's own closing has stopped is no failure, and a session that is over has its own event. */
  failed(area: WarningArea, kind: string, about?: { roomId?: string; retrying?: boolean }): (error: unknown) => void;
}
