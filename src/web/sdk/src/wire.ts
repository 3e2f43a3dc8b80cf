/* The contract's records as they travel; see src/SecureMessaging.Protocol, whose comments are the specification. */

const roles = ["member", "admin", "owner"] as const;
const roomKinds = ["group", "direct"] as const;
const sessionEndReasons = ["loggedOut", "accountClosed"] as const;

export type Role = typeof roles[number];
export type RoomKind = typeof roomKinds[number];

/** What a reader makes of a value that a later version of the server sends and this one does not know. */
export type Unknown = "unknown";

/** @internal */
export const readRole = (value: string): Role | Unknown => roles.find((role) => role === value) ?? "unknown";
/** @internal */
export const readRoomKind = (value: string): RoomKind | Unknown => roomKinds.find((kind) => kind === value) ?? "unknown";
/** Why the server has ended a session: its user did, by signing out from elsewhere, another password or the end of the device; or the account was deleted or disabled. */
export type SessionEndReason = typeof sessionEndReasons[number];

/** @internal */
export const readSessionEndReason = (value: unknown): SessionEndReason | Unknown => sessionEndReasons.find((reason) => reason === value) ?? "unknown";

export type EntryKind =
  | "message" | "proposal" | "commit" | "retraction" | "memberJoined" | "memberLeft" | "roleChanged" | "settingsChanged" | "gone" | "devicesChanged" | "groupReset";

export interface TokenResponse {
  userId: string; username: string; sessionId: string; accessToken: string; expiresIn: number; refreshToken: string; sessionExpiresAt: string;
}

export interface RoomSummary {
  id: string; kind: string; name?: string; visible: boolean; timeToLiveSeconds?: number; createdAt: string; epoch: number; role: string;
  headSeq: number; firstSeq: number; deliveredSeq: number; unread: number; scheme: string; generation: number;
}

export interface RoomHead { roomId: string; headSeq: number; firstSeq: number; deliveredSeq: number; unread: number }

export interface WireMember { userId: string; username: string; role: Role | Unknown }

/** As MessagePack brings it: bytes are bytes, times are dates. A later version of the server may send other kinds, roles and fields. */
export interface LogEntry {
  seq: number; kind: EntryKind; createdAt: Date; id?: string; ciphertext?: Uint8Array; epoch: number; senderId?: string; targetSeq?: number;
  userId?: string; role?: Role; settings?: { name?: Uint8Array; timeToLiveSeconds?: number }; expiresAt?: Date; generation?: number;
}

export interface LogPage { roomId: string; entries: LogEntry[]; headSeq: number; firstSeq: number }

export interface SendAck { roomId: string; clientMessageId: string; seq: number; createdAt: Date; duplicate: boolean }
export interface SendResult { ack?: SendAck | null; error?: unknown }

export interface WireDevice {
  id: string; scheme: string; signatureKey: string; linkKey: string; approved: boolean; current: boolean; createdOn: string; seenOn: string;
  name?: string; identityKey?: string; identitySignature?: string; sealedIdentity?: string;
}

export interface UserKeys { userId: string; username: string; identityKey?: string; devices: { deviceId: string; signatureKey: string; identitySignature: string }[] }

export interface KeyPackageStock { available: number; lastResort: boolean; lastResortUsed: boolean }
export interface ClaimedKeyPackages { keyPackages: { userId: string; deviceId: string; keyPackage: string }[] }
export interface CommitAck { roomId: string; id: string; seq: number; epoch: number; duplicate: boolean }
export interface PendingWelcome { roomId: string; generation: number; seq: number; message: string }
export interface InvalidCommitReport { reset: boolean; generation: number }
export interface RosterChange { add?: { username: string; role: Role }[]; remove?: string[] }
export interface SessionSummary { id: string; startedAt: string; endedAt?: string; current: boolean }

export const schemeMls10 = "mls10";

/** Limits of the contract that the SDK keeps to by itself. */
export const limits = { ciphertextBytes: 32 * 1024, signalBytes: 1024, pageEntries: 500, batchSends: 64, batchBytes: 256 * 1024, keyPackages: 100 } as const;
