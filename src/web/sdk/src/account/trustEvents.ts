/* What the trust book reports. */
import type { Bytes } from "../base/bytes.js";
import type { TrustLine } from "./peopleTrust.js";

/** A user's identity key differs from the key that this device knew. */
export interface IdentityChange {
  /** The user's id. */
  userId: string;
  /** The username; undefined when this device does not know it. */
  username: string | undefined;
  /** The new key. */
  identityKey: Uint8Array;
  /** The old key. */
  previousKey: Uint8Array;
  /** Whether the old key has signed the new one. */
  signed: boolean;
  /** Whether sends to this user wait until a person has compared the keys or accepted the new one. */
  blocksSending: boolean;
}

/** A device that is approved and signed by its user's identity. @internal */
export interface VerifiedDevice {
  userId: string;
  deviceId: string;
  signatureKey: Bytes;
}

/** @internal */
export interface TrustEvents {
  identityChanged: IdentityChange;
  /** A pin, list or hold has changed; `line` is what people see of it. */
  changed: { userId: string; line?: TrustLine };
  /** A value from the server cannot be used. */
  trouble: { kind: string; error: unknown };
}
