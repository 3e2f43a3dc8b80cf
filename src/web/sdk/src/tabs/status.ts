import type { PrivacySettings } from "../account/privacy.js";
import type { ErrorBody } from "../base/errors.js";
import type { SessionEndReason, Unknown } from "../net/wire.js";

/** The state of the shared client. Each change replaces the whole object. */
export interface SharedStatus {
  /** `signedOut`: also when the server has ended the session. `waiting`: another device of the user must approve this one first. */
  state: "signedOut" | "waiting" | "ready";
  /** The user's id; undefined while signed out. */
  userId?: string;
  /** The username. While signed out, the one of the last session. */
  username?: string;
  /** This device's id; undefined while signed out. */
  deviceId?: string;
  /** While `waiting`: the code to type on the device that approves this one. */
  deviceCode?: string;
  /** While `waiting`: whether another device has approved this one. Then call {@link SharedClient.confirmDevice} with the code that it shows. */
  toConfirm?: boolean;
  /** Whether the leading tab is connected to the server. */
  connected: boolean;
  /** How many sends the rooms' logs have not delivered yet. */
  unsent: number;
  /** What this user lets others and the server know besides messages; undefined while signed out. {@link SharedClient.setPrivacy} changes it. */
  privacy?: PrivacySettings;
  /** Whether the session was not ended by this browser, but elsewhere or by the server. */
  endedElsewhere?: boolean;
  /** With `endedElsewhere`: the server's reason. Undefined when the device was offline at that time. */
  endReason?: SessionEndReason | Unknown;
  /** Why this browser cannot store anything at the moment. Keep typed text on the screen until this is undefined again. */
  storeError?: ErrorBody;
  /** Why others cannot write to this device: the server rejects it or its keys. The client retries. */
  deviceError?: ErrorBody;
  /** Whether this tab holds the device's state and the connection. */
  leader: boolean;
}
