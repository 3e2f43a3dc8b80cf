/* The records of the wire contract. src/SecureMessaging.Protocol specifies them. */

/**
 * What a member may do: a moderator removes messages of others, an admin adds and removes members and changes the name and the settings, an owner also changes
 * roles and deletes the room.
 */
export type Role = "member" | "moderator" | "admin" | "owner";
/** A group of any number of people, or a direct room of two. */
export type RoomKind = "group" | "direct";

const roles: Role[] = ["member", "moderator", "admin", "owner"];
const roomKinds: RoomKind[] = ["group", "direct"];
const sessionEndReasons: SessionEndReason[] = ["loggedOut", "accountClosed"];

/** Stands for a value that only a later version of the server knows. */
export type Unknown = "unknown";

/** @internal */
export const readRole = (value: string): Role | Unknown => roles.find((role) => role === value) ?? "unknown";
/** @internal */
export const readRoomKind = (value: string): RoomKind | Unknown => roomKinds.find((kind) => kind === value) ?? "unknown";
/**
 * Why the server ended a session. `loggedOut`: the user signed out elsewhere, changed the password or revoked the device. `accountClosed`: the account was
 * deleted or disabled.
 */
export type SessionEndReason = "loggedOut" | "accountClosed";

/** @internal */
export const readSessionEndReason = (value: unknown): SessionEndReason | Unknown => sessionEndReasons.find((reason) => reason === value) ?? "unknown";

export type EntryKind =
  | "message"
  | "proposal"
  | "commit"
  | "retraction"
  | "memberJoined"
  | "memberLeft"
  | "roleChanged"
  | "settingsChanged"
  | "gone"
  | "devicesChanged"
  | "groupReset";

/** The settings of a room. Its admins sign them; the server applies its copy. */
export interface RoomSettings {
  /** Seconds after which devices and the server delete each new message; undefined: they keep them. */
  timeToLiveSeconds?: number;
}

/** Settings to change: an absent one stays, null clears. */
export type SettingsChange = { [Name in keyof RoomSettings]: RoomSettings[Name] | null };

// The compiler reports a setting that is missing here.
const settingNames = Object.keys({ timeToLiveSeconds: true } satisfies Record<keyof RoomSettings, true>) as (keyof RoomSettings)[];

/** @internal All settings of an object that may have other members; one that it does not have is undefined. */
export const readSettings = (from: RoomSettings | undefined): RoomSettings =>
  Object.fromEntries(settingNames.map((name) => [name, from?.[name] ?? undefined])) as RoomSettings;

export interface TokenResponse {
  userId: string;
  username: string;
  sessionId: string;
  accessToken: string;
  expiresIn: number;
  refreshToken: string;
  sessionExpiresAt: string;
}

export interface RoomSummary extends RoomSettings {
  id: string;
  kind: string;
  name?: string;
  visible: boolean;
  createdAt: string;
  epoch: number;
  role: string;
  headSeq: number;
  firstSeq: number;
  deliveredSeq: number;
  unread: number;
  scheme: string;
  generation: number;
  /** The encoded founding, in base64. */
  founding?: string;
}

export interface RoomHead {
  roomId: string;
  headSeq: number;
  firstSeq: number;
  deliveredSeq: number;
  unread: number;
}

/** In rooms of this SDK the name is an encrypted message. Other clients may set this one. */
export interface WireSettings extends RoomSettings {
  name?: Uint8Array;
}

/** As MessagePack decodes it: bytes are bytes, times are dates. A later version of the server may send other kinds, roles and fields. */
export interface LogEntry {
  seq: number;
  kind: EntryKind;
  createdAt: Date;
  id?: string;
  ciphertext?: Uint8Array;
  epoch: number;
  senderId?: string;
  targetSeq?: number;
  userId?: string;
  role?: Role;
  settings?: WireSettings;
  expiresAt?: Date;
  generation?: number;
}

export interface LogPage {
  roomId: string;
  entries: LogEntry[];
  headSeq: number;
  firstSeq: number;
}

export interface SendAck {
  roomId: string;
  clientMessageId: string;
  seq: number;
  createdAt: Date;
  duplicate: boolean;
}
export interface SendResult {
  ack?: SendAck | null;
  error?: unknown;
}

export interface WireDevice {
  id: string;
  scheme: string;
  signatureKey: string;
  linkKey: string;
  approved: boolean;
  current: boolean;
  createdOn: string;
  seenOn: string;
  name?: string;
  identityKey?: string;
  identitySignature?: string;
  sealedIdentity?: string;
}

export interface UserKeys {
  userId: string;
  username: string;
  identityKey?: string;
  devices: { deviceId: string; signatureKey: string; identitySignature: string }[];
}

/** Encoded device lists, oldest first without gaps. */
export interface WireDeviceLists {
  /** The number of the newest list, 0 without one. */
  newest: number;
  lists: string[];
}

export interface KeyPackageStock {
  available: number;
  lastResort: boolean;
  lastResortUsed: boolean;
}
export interface ClaimedKeyPackages {
  keyPackages: { userId: string; deviceId: string; keyPackage: string }[];
}
export interface CommitAck {
  roomId: string;
  id: string;
  seq: number;
  epoch: number;
  duplicate: boolean;
}
export interface PendingWelcome {
  roomId: string;
  generation: number;
  seq: number;
  message: string;
}
export interface InvalidCommitReport {
  reset: boolean;
  generation: number;
}
/** A role as the server has it, for routing alone: it has no moderators. */
export type ServerRole = Exclude<Role, "moderator">;
export interface RosterChange {
  add?: { userId: string; role: ServerRole }[];
  remove?: string[];
  roles?: { userId: string; role: ServerRole }[];
  settings?: SettingsChange;
}
export interface SessionSummary {
  id: string;
  startedAt: string;
  endedAt?: string;
  current: boolean;
  label?: string;
}

export const schemeMls10 = "mls10";

/** Limits of the contract that the SDK observes by itself. */
export const limits = {
  ciphertextBytes: 32 * 1024,
  signalBytes: 1024,
  pageEntries: 500,
  batchSends: 64,
  batchBytes: 256 * 1024,
  keyPackages: 100,
  /** Seconds. */
  leastTimeToLive: 60,
  mostTimeToLive: 366 * 86_400,
} as const;
