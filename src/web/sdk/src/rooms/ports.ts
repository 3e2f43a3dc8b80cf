/*
 * What the rooms need of the rest of the client, as interfaces. `client/client.ts` gives the real ones. Tests of the rooms give others: a server in memory, a
 * clock without waits, a group without cryptography.
 */
import type { PeopleTrust } from "../account/peopleTrust.js";
import type { PrivacySettings } from "../account/privacy.js";
import type { Bytes } from "../base/bytes.js";
import type { Clock } from "../base/clock.js";
import type { Warn, WarningArea } from "../base/warnings.js";
import type { DeviceIdentity } from "../mls/credential.js";
import type { KeyPair } from "../mls/ed25519.js";
import type { Joined as JoinedGroup, Leaf, Opened as OpenedMessage, OpenedCommit } from "../mls/group.js";
import type { Header, OwnKeyPackage } from "../mls/messages.js";
import type {
  CommitAck,
  InvalidCommitReport,
  LogPage,
  PendingWelcome,
  RoomHead,
  RoomSettings,
  RoomSummary,
  RosterChange,
  SendAck,
  SendResult,
  UserKeys,
} from "../net/wire.js";
import type { Store } from "../store/store.js";

export type { Clock, Leaf, OpenedCommit, OwnKeyPackage, Store };

type Opened = Omit<OpenedMessage, "group">;
type Joined = Omit<JoinedGroup, "group">;

/** All ports. Each class names those that it uses. @internal */
export interface Ports {
  server: Server;
  hub: Hub;
  store: Store;
  clock: Clock;
  device: Device;
  people: KnownPeople;
  keyPackages: OwnKeyPackages;
  privacy: { readonly settings: Readonly<PrivacySettings> };
  reports: Reports;
  mls: Mls;
  /** Aborts when the client is closed. */
  closing: AbortSignal;
}

/** The server's calls, without those of the hub. Each rejects with a SecureMessagingError. @internal */
export interface Server {
  /** Whether the session has ended: then no call succeeds any more. */
  readonly isOver: boolean;
  /** The time of the server's clock, as far as it is known. */
  now(): number;
  createRoom(room: NewRoom): Promise<RoomSummary>;
  room(roomId: string): Promise<RoomSummary>;
  deleteRoom(roomId: string): Promise<void>;
  removeMember(roomId: string, userId: string): Promise<void>;
  /** The members and their devices, as the server has them: a hint which device lists to fetch, and nothing more. */
  devicesOfRoom(roomId: string): Promise<UserKeys[]>;
  /** Takes one KeyPackage of each device out of the directory. */
  claim(userIds: string[], deviceIds: string[]): Promise<{ userId: string; deviceId: string; keyPackage: Bytes }[]>;
  commit(roomId: string, commit: NewCommit): Promise<CommitAck>;
  reportInvalidCommit(roomId: string, seq: number): Promise<InvalidCommitReport>;
  /** The Welcomes that wait for a device. */
  welcomes(deviceId: string): Promise<PendingWelcome[]>;
  deleteWelcome(deviceId: string, welcome: { roomId: string; seq: number }): Promise<void>;
}

/** @internal */
export interface NewRoom extends RoomSettings {
  kind: "group" | "direct";
  /** The encoded founding, from which the room's id is computed. */
  founding: Uint8Array;
  /** The other members. */
  userIds: string[];
}

/** @internal */
export interface NewCommit {
  id: string;
  epoch: number;
  commit: Uint8Array;
  welcomes: Uint8Array[];
  roster?: RosterChange;
}

/** A message to store. Repeated sends with the same id are stored once. @internal */
export interface NewSend {
  roomId: string;
  clientMessageId: string;
  ciphertext: Uint8Array | undefined;
  timeToLiveSeconds: number | null;
  epoch: number | undefined;
}

/** The hub's calls. Without a connection they wait for one; a lost answer is `Unavailable`. @internal */
export interface Hub {
  readonly isConnected: boolean;
  sync(roomId: string, afterSeq: number, limit: number): Promise<LogPage>;
  heads(): Promise<RoomHead[]>;
  sendBatch(sends: NewSend[]): Promise<SendResult[]>;
  retract(roomId: string, seq: number): Promise<SendAck>;
  signal(roomId: string, signal: Uint8Array): Promise<void>;
  markDelivered(roomId: string, seq: number): Promise<void>;
}

/** This user and device. @internal */
export interface Device {
  readonly userId: string;
  readonly id: string;
  /** Undefined until the device is approved. */
  readonly identity: DeviceIdentity | undefined;
  readonly signature: KeyPair;
}

/** What this device believes about people: their names, identity keys and device lists. @internal */
export interface KnownPeople extends PeopleTrust {
  /** Compares the identity keys of leaves with the known ones. */
  seeLeaves(leaves: Pick<Leaf, "userId" | "identityKey">[]): Promise<void>;
}

/** The private keys of this device's KeyPackages. @internal */
export interface OwnKeyPackages {
  find(reference: string): Promise<(OwnKeyPackage & { lastResort: boolean }) | undefined>;
}

/** Reports failures and anomalies. @internal */
export interface Reports {
  warn: Warn;
  /** Makes a handler that reports a failure. It ignores failures after the client was closed, and the end of the session, which has its own event. */
  failed(area: WarningArea, kind: string, about?: { roomId?: string; retrying?: boolean }): (error: unknown) => void;
}

/** The MLS state of one room, as `Group` of `mls/` has it: immutable, each change returns a new one. @internal */
export interface RoomGroup {
  readonly id: Bytes;
  readonly generation: number;
  readonly epoch: number;
  /** The epochs that can be decrypted. */
  readonly epochs: number[];
  /** The number of messages that this device has encrypted in this epoch. */
  readonly encrypted: number;
  readonly ownLeafIndex: number;
  /** Differs in each epoch and is equal for all members. */
  readonly epochAuthenticator: Bytes;
  leaves(): Leaf[];
  ownSignatureSeed(): Bytes;
  /** The MLS exporter: bytes that only members of this epoch can compute. */
  export(label: string, context: Uint8Array, length: number): Promise<Bytes>;
  encodeBase(): Bytes;
  encodeRatchet(epoch: number): Bytes;
  encrypt(plaintext: Uint8Array): Promise<{ group: RoomGroup; message: Bytes }>;
  decrypt(message: Uint8Array): Promise<Omit<Opened, "group"> & { group: RoomGroup }>;
  /** Decrypts another member's Commit of the current epoch and checks its signature. Nothing has changed yet. */
  openCommit(message: Uint8Array): Promise<OpenedCommit>;
  applyCommit(message: Uint8Array): Promise<{ group: RoomGroup | undefined }>;
  /** Makes a Commit. `authenticatedData` is signed with it and the server can read it; `roomInfo` goes to the added devices, inside the Welcome. */
  commit(change: {
    remove: number[];
    add: Uint8Array[];
    authenticatedData?: Uint8Array;
    roomInfo?: Uint8Array;
  }): Promise<{ before: RoomGroup; after: RoomGroup; commit: Bytes; welcome: Bytes | undefined }>;
  merge(after: RoomGroup): RoomGroup;
  inherit(former: RoomGroup): RoomGroup;
}

/** Makes groups and reads MLS messages. @internal */
export interface Mls {
  found(groupId: Uint8Array, own: OwnKeyPackage): Promise<RoomGroup>;
  join(welcome: Uint8Array, own: OwnKeyPackage): Promise<Omit<Joined, "group"> & { group: RoomGroup }>;
  restore(base: Uint8Array, ratchets: Map<number, Uint8Array>): RoomGroup;
  /** The header of a PrivateMessage; undefined for any other bytes. */
  readHeader(message: Uint8Array): Header | undefined;
  /** The references (hex) of the KeyPackages that a Welcome is for. */
  welcomeReferences(welcome: Uint8Array): string[];
  makeKeyPackage(identity: DeviceIdentity, signature: KeyPair, days: number, nowMs: number): Promise<OwnKeyPackage>;
  /** The owner of a KeyPackage; undefined when it cannot be decoded. */
  readKeyPackage(message: Uint8Array, nowMs: number): (DeviceIdentity & { signatureKey: Bytes; expired: boolean }) | undefined;
  /** Which of these KeyPackages a group can get, when these leaves are removed: valid ones, and no key may stand in it twice. */
  addable(keyPackages: readonly Uint8Array[], group: RoomGroup | undefined, leaving: readonly number[]): Promise<boolean[]>;
  sealSignal(group: RoomGroup, content: Uint8Array): Promise<Bytes>;
  /** Undefined for a signal that is not of a member, or of another epoch. */
  openSignal(group: RoomGroup, signal: Uint8Array): Promise<{ sender: Leaf; content: Uint8Array } | undefined>;
}
