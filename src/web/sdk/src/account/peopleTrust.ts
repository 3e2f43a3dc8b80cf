/* What the rooms need to know about people: rules T5 and T6. Everything here comes from pins and verified device lists, never from one answer of the server. */
import type { Bytes } from "../base/bytes.js";

/** Why sends to a user wait. */
export type HoldKind = "identityChanged" | "listFork" | "nameChanged" | "listWithheld";

/**
 * Why this device sends nothing to a user.
 * `identityChanged`: a verified user has another identity key that the earlier one has not signed.
 * `listFork`: there are two device lists of one number, both signed by the user.
 * `nameChanged`: the server says that a known username belongs to this user now.
 * `listWithheld`: the user's device list, or a newer one that the user has mentioned, cannot be fetched.
 */
export interface Hold {
  /** The reason. */
  kind: HoldKind;
  /** A sentence for a person. */
  detail: string;
}

/** A device of a verified device list. */
export interface TrustedDevice {
  /** The device's id. */
  deviceId: string;
  /** The Ed25519 key of its leaves and messages. */
  signatureKey: Uint8Array<ArrayBuffer>;
  /** The X25519 key to which others encrypt for it. */
  linkKey: Uint8Array<ArrayBuffer>;
}

/** A change that people see in the timeline of the rooms that they share with the user. */
export interface TrustLine {
  /** The user. */
  userId: string;
  /** When this device noticed it: milliseconds since 1970. */
  at: number;
  /**
   * `devices`: a signed list has changed the devices. `identityRenewed`: the user has another identity key, signed by the earlier one.
   * `identityChanged`: the user has another identity key, and the earlier one has not signed it. `renamed`: a signed list has another username.
   * The others are holds, see {@link Hold}.
   */
  kind: "devices" | "identityRenewed" | "renamed" | HoldKind;
  /** The devices that the list has added. */
  added?: string[];
  /** The devices that it has removed. */
  removed?: string[];
  /** The devices to which it has given other keys. */
  newKeys?: string[];
  /** The device that has signed the list. */
  signer?: string;
  /** The number of the list. */
  number?: number;
  /** The username in the list or in the server's answer. */
  username?: string;
}

/** A change of the signed list of this user's devices. */
export interface DevicesChange {
  /** The devices that the list has added. */
  added: string[];
  /** The devices that it has removed. */
  removed: string[];
  /** The devices to which it has given other keys. */
  newKeys: string[];
  /** Whether the user has another identity key now. */
  identity: boolean;
  /** The device that has signed the list. */
  signer: string;
  /** The number of the list. */
  number: number;
}

/** A user as this device has pinned them. @internal */
export interface ResolvedUser {
  userId: string;
  username: string;
  identityKey: Bytes;
  /** The number of the newest verified device list; 0 when there is none. */
  list: number;
}

/** The newest verified device list of a user. @internal */
export interface KnownDeviceList {
  number: number;
  hash: Bytes;
  encoded: Bytes;
}

/** What this device knows about a user, for people. @internal */
export interface KnownPerson {
  username?: string;
  /** Whether a person has compared the keys; `again` when they were replaced since. */
  verified: "no" | "yes" | "again";
}

/** How a list that a user has mentioned, in a message or a statement, compares with the known one. @internal */
export type ListComparison = "same" | "older" | "newer" | "fork";

/** What a person has seen when deciding. Something else may have come meanwhile. @internal */
export interface DecidedAbout {
  /** The only kind of hold that is answered. */
  kind?: HoldKind;
  /** The identity key that was compared. @throws `Conflict` when it is another one by now. */
  identity?: Uint8Array;
}

/** The port of the rooms. @internal */
export interface PeopleTrust {
  /**
   * The pinned user of a name; pins it at first sight. Throws `NameChanged` when the server says that the name belongs to another user than before, until a
   * person calls `people.acceptName`, and `NoDevice` for a user without an identity key.
   */
  resolve(username: string): Promise<ResolvedUser>;
  /** The devices of the newest verified list. Empty without one. */
  devicesOf(userId: string): TrustedDevice[];
  listOf(userId: string): KnownDeviceList | undefined;
  /** The verified lists of a user that this device has kept, the newest first. */
  listsOf(userId: string): KnownDeviceList[];
  knownOf(userId: string): KnownPerson | undefined;
  /** The pinned identity key. */
  identityKeyOf(userId: string): Bytes | undefined;
  /** Whether an identity key is none of those that this device knows of the user, from first sight and signed renewals. False for an unknown user. */
  isOtherIdentity(userId: string, identityKey: Uint8Array): boolean;
  /** Fetches and verifies the lists of these users. A list that is needed and cannot be fetched becomes the hold `listWithheld`. Rejects without an answer. */
  refresh(userIds: readonly string[]): Promise<void>;
  holdOf(userId: string): Hold | undefined;
  /** A person has answered the holds of a user; `compared` when the keys were compared. */
  decide(userId: string, compared: boolean, about?: DecidedAbout): Promise<void>;
  /**
   * Compares a list that a user has mentioned with the known one. `hash` may be its first 16 bytes. A fork becomes a hold; for a newer list the caller calls
   * {@link refresh}, and it is withheld when that does not bring it.
   */
  mention(userId: string, list: { number: number; hash: Uint8Array }): Promise<ListComparison>;
  /** What was noticed about a user, oldest first. */
  linesOf(userId: string): Promise<TrustLine[]>;
  /** Calls the listener after each change of pins, lists or holds; `line` is what people see of it. Returns a function that removes the listener. */
  onChange(listener: (change: { userId: string; line?: TrustLine }) => void): () => void;
}
