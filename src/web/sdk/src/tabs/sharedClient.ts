import type { NotificationPreferences } from "../account/account.js";
import type { TrustLine } from "../account/peopleTrust.js";
import type { Person } from "../account/people.js";
import type { DeviceInfo } from "../account/devices.js";
import type { SessionInfo } from "../account/sessions.js";
import type { PrivacySettings } from "../account/privacy.js";
import type { RoomHoldKind } from "../rooms/holds.js";
import type { RoomLine } from "../rooms/line.js";
import type { PendingSend } from "../rooms/pending.js";
import type { MessageProof } from "../rooms/proofs.js";
import type { Message, Reference, Sender } from "../rooms/records.js";
import type { Role, RoomSettings, SettingsChange } from "../net/wire.js";
import type { Conversation, RoomMarks, SharedMember } from "./conversation.js";
import type { SharedEvents } from "./sharedEvents.js";
import type { SharedStatus } from "./status.js";

/** Options of a send. */
export interface SharedSendOptions {
  /** The id of the message: a random UUID, version 4. With it, repeated calls send the message once. By default the SDK draws one. */
  id?: string;
  /** Seconds until all devices and the server delete the message, see {@link SendOptions.timeToLiveSeconds}. */
  timeToLiveSeconds?: number;
}

/**
 * One device, shared by all tabs of a browser. One tab leads: it holds the keys and the connection, and the others send it their calls. When it closes or
 * crashes, another tab leads and repeats the calls without an answer. An application does not notice which tab leads. All values are plain data.
 *
 * Each call rejects with a `SecureMessagingError`. Besides the listed codes, each call may reject with `SignedOut`, with `StoreFailed`, and with `Unavailable`,
 * `RateLimited`, `Overloaded` or `Internal` of the server, where `retryable` says whether the same call can succeed later.
 */
export interface SharedClient {
  /** The current status. The event `status` reports each change. */
  readonly status: SharedStatus;
  /** Adds a listener. Returns a function that removes it. */
  on<K extends keyof SharedEvents>(name: K, listener: (event: SharedEvents[K]) => void): () => void;

  /**
   * Creates an account, with this browser as its first device. @throws `Conflict` when the name or the address is taken, or a user is already signed in here.
   */
  signUp(options: { username: string; email: string; password: string }): Promise<void>;
  /**
   * Signs in by username or e-mail address. With a store that does not know the account, this is a new device, which waits for approval.
   * @throws `Unauthenticated` when the name or the password is wrong, `Conflict` when the store belongs to another account, `TooManyDevices`.
   */
  signIn(options: { username: string; password: string }): Promise<void>;
  /** Ends the session. With `wipe`, also deletes keys and history from this browser: the next sign-in is a new device. */
  signOut(options?: { wipe?: boolean }): Promise<void>;

  /** All conversations, the newest message first. Includes rooms that the user has left and that can still be read here. */
  conversations(): Promise<Conversation[]>;
  /** Messages before a place in the log, oldest first; without `before`, the newest ones. At most 50 by default, 500 with `limit`. */
  history(roomId: string, options?: { before?: number; limit?: number }): Promise<Message[]>;
  /** A message by its id; undefined when this device does not have it. */
  message(roomId: string, message: Reference): Promise<Message | undefined>;
  /** The messages of a room that are not in the log yet, oldest first. */
  pending(roomId: string): Promise<PendingSend[]>;
  /** The read positions of a room. */
  marks(roomId: string): Promise<RoomMarks>;
  /**
   * Sends a text. Resolves with its id when the outbox has stored it.
   *
   * `options.id` is a random UUID, version 4. With it, repeated calls send the text once, for example after a page was left before the call resolved.
   */
  send(roomId: string, text: string, options?: { replyTo?: Reference } & SharedSendOptions): Promise<string>;
  /** Sends content that the application defines: any JSON value. Resolves like {@link SharedClient.send}. */
  sendCustom(roomId: string, kind: string, data: unknown, options?: SharedSendOptions): Promise<string>;
  /** Sends up to about 800 bytes of JSON to the connected members. It arrives at most once and is not stored. */
  signal(roomId: string, data: unknown): Promise<void>;
  /** Replaces the text of an own message, for all members. */
  edit(roomId: string, id: string, text: string): Promise<void>;
  /** Deletes an own message, for all members. @throws `NotFound` when this device has no own message with this id. */
  delete(roomId: string, id: string): Promise<void>;
  /** Adds a reaction to a message (`on` is true), or removes it. */
  react(roomId: string, message: Reference, emoji: string, on: boolean): Promise<void>;
  /** Removes a message of another user on all devices. Counts only when the state of the room allows it to this user. */
  moderate(roomId: string, message: Reference): Promise<void>;
  /** Pins a message for all members, or unpins it. Counts only when the state of the room allows it to this user. */
  pin(roomId: string, message: Reference, on: boolean): Promise<void>;
  /** Deletes a failed message. */
  discard(roomId: string, sendId: string): Promise<void>;
  /** Sends a failed message again, with the same id. */
  retry(roomId: string, sendId: string): Promise<void>;
  /** Tells the connected members that this user is typing, unless {@link SharedClient.setPrivacy} turned that off. Sends at most one signal in 3 s. */
  typing(roomId: string): Promise<void>;
  /** Changes privacy settings: {@link Privacy.set}. */
  setPrivacy(settings: Partial<PrivacySettings>): Promise<void>;
  /** Reads the privacy settings of the account from the server; another device may have changed them. */
  refreshPrivacy(): Promise<void>;
  /** What proves to a third person who has written a message and its edits, see {@link Room.proofOf}. @throws `NotFound` */
  proofOf(roomId: string, message: Reference): Promise<MessageProof[]>;
  /** This user has read the room's log up to this place, see {@link Room.markRead}. */
  markRead(roomId: string, seq: number): Promise<void>;
  /**
   * 32 random bytes that this device stores encrypted under a name, created by the first call. With them an application can encrypt what it stores elsewhere,
   * for example where a write is synchronous. They are deleted with the store.
   */
  secret(name: string): Promise<Uint8Array>;
  /** The draft of a room; empty when there is none. */
  draft(roomId: string): Promise<string>;
  /** Stores the draft of a room in this browser, encrypted. An empty text deletes it. */
  setDraft(roomId: string, text: string): Promise<void>;

  /**
   * Returns the id of the direct room with another user, created when there is none. @throws `NotFound`, `NoDevice` when the user has no device that can read.
   */
  createDirect(username: string): Promise<string>;
  /** Creates a group and returns its id. @throws `NotFound`, `NoDevice`, `TooLarge` above the server's limit of members. */
  createGroup(usernames: string[], name: string, settings?: RoomSettings): Promise<string>;
  /** Changes a group's name. The server does not learn it. Needs the role admin. @throws `Forbidden`, `Invalid`, `NotReady` */
  rename(roomId: string, name: string): Promise<void>;
  /** Changes the settings of a room that are given; null clears. Needs the role admin. @throws `Forbidden`, `Invalid`, `NotReady` */
  changeSettings(roomId: string, change: SettingsChange): Promise<void>;
  /** The members of a room, as they have signed it; of a room that has ended, as last known. */
  members(roomId: string): Promise<SharedMember[]>;
  /** Adds a member, who reads only later messages. Needs the role admin. @throws `NotFound`, `Conflict` for a member, `Forbidden`, `TooLarge` */
  addMember(roomId: string, username: string, role?: Role): Promise<void>;
  /** Removes a member. The group gets new keys. An admin removes members and moderators, an owner everyone. @throws `Forbidden` */
  removeMember(roomId: string, userId: string): Promise<void>;
  /** Changes the role of a member. Needs the role owner. @throws `Forbidden` */
  setRole(roomId: string, userId: string, role: Role): Promise<void>;
  /** A person has seen why sends wait, and wants to send, see {@link RoomBase.answerHold}. */
  answerHold(roomId: string, kind: RoomHoldKind): Promise<void>;
  /** A person agrees that this device enters the room again, see {@link RoomBase.agreeToEnter}. */
  agreeToEnter(roomId: string): Promise<void>;
  /** A person gives up a room that the server does not show any more. Its history stays on this device. @throws `Conflict` while the server shows the room. */
  forgetRoom(roomId: string): Promise<void>;
  /**
   * Tries to repair the room's MLS group now. After a Commit that is not valid, it asks the server for a new group: an admin gets it at once, and otherwise
   * more than half of the members must ask. The SDK does it by itself, again and again.
   */
  reconcileRoom(roomId: string): Promise<void>;
  /**
   * What people see between the messages: what the members of a room have changed, and what this device has noticed about it and about their keys and names.
   * Those with a place in the log have `seq`, and come in its order; the others, in the order of their time.
   */
  lines(roomId: string): Promise<(RoomLine | TrustLine)[]>;
  /** Leaves a room. Its history stays on this device. @throws `Conflict` for the last owner of a group with other members. */
  leave(roomId: string): Promise<void>;
  /** Deletes a room for all members, which needs the role owner. For a room that has ended, deletes its history on this device. @throws `Forbidden` */
  deleteRoom(roomId: string): Promise<void>;
  /** The devices in the room's group, as MLS has authenticated them. Empty while this device is not in it. */
  roomDevices(roomId: string): Promise<Sender[]>;
  /**
   * A code that is equal on all devices in the same epoch of the group (RFC 9420 section 8.7), see {@link Room.code}. @throws `NotReady` while this device is
   * not in the group.
   */
  roomCode(roomId: string): Promise<string>;
  /** The code that this user and another compare: 12 groups of 5 digits, equal for both. @throws `NotReady` when one of them has no device, `NotFound` */
  safetyNumber(username: string): Promise<string>;
  /** The username of a user whom this device knows; undefined for others. */
  usernameOf(userId: string): Promise<string | undefined>;
  /** The people whom this device knows. */
  people(): Promise<Person[]>;
  /** What this device has noticed about a user's keys, devices and name, oldest first. */
  personLines(userId: string): Promise<TrustLine[]>;
  /** The safety number with a user by id, see {@link People.safetyNumber}. @throws `NotReady` */
  numberWith(userId: string): Promise<string>;
  /** A person has compared the safety number, and it was equal. @throws `NotFound` */
  verifyPerson(userId: string, number?: string): Promise<void>;
  /** Removes the mark that a person has compared the keys. @throws `NotFound` */
  unverifyPerson(userId: string): Promise<void>;
  /** A person has seen why sends to this user wait, and wants to send. @throws `NotFound` */
  acceptPerson(userId: string): Promise<void>;
  /** A person knows that a username belongs to another user than before. @throws `NotFound` */
  acceptName(username: string): Promise<void>;
  /** The text of the QR code that shows this user's keys. @throws `NotReady` */
  contactQr(): Promise<string>;
  /** Compares the keys in the QR code of another person, and marks the person as verified. @throws `Invalid`, `Forbidden`, `Conflict` */
  verifyByQr(text: string, expected?: string): Promise<Person>;
  /** The user has seen the problem `logRewound` of a room. */
  acknowledge(roomId: string): Promise<void>;

  /** This user's devices. */
  devices(): Promise<DeviceInfo[]>;
  /** The last known names of this user's devices, by device id. Needs no connection. */
  deviceNames(): Promise<Record<string, string>>;
  /** Names a device, for this user alone. The server cannot read it. @throws `NotFound` when the device is not signed in, `Invalid`, `TooLarge`. */
  nameDevice(deviceId: string, name: string): Promise<void>;
  /** Signs the username in the device list, after it was changed. */
  signUsername(username: string): Promise<void>;
  /**
   * Approves a waiting device. Returns the code to type on it, see {@link SharedClient.confirmDevice}: without that, a hostile server could give the device
   * an identity that the server invented.
   * @param code - The code that the waiting device shows.
   * @throws `Forbidden` when the code is wrong, `NotReady` when this device does not have the identity's private key.
   */
  approveDevice(deviceId: string, code: string): Promise<string>;
  /**
   * Accepts the approval on the waiting device, when `status.toConfirm` is true. @throws `Forbidden` when the code does not belong to the delivered identity.
   */
  confirmDevice(code: string): Promise<void>;
  /** The text of the QR code that this device shows while it waits. The own device that scans it approves it without a code. @throws `Conflict` */
  deviceQr(): Promise<string>;
  /** Approves the waiting device whose QR code was scanned. @throws `Invalid`, `Forbidden`, `NotReady` */
  approveDeviceByQr(text: string): Promise<void>;
  /**
   * Revokes a device: its session ends, and the other members remove it from all groups. With `lost`, the user also gets a new identity, because another person
   * may have the device.
   */
  revokeDevice(deviceId: string, options?: { lost?: boolean }): Promise<void>;
  /**
   * Makes this device a new one, when `status.deviceError` has the code `DeviceUnknown` and a person wants it. History stays. @throws `Conflict` when the
   * server knows this device.
   */
  startOver(): Promise<void>;
  /** Replaces this device's keys in all groups. */
  rotateDevice(): Promise<void>;
  /** Replaces the user's identity key. All safety numbers change. See {@link Devices.replaceIdentity}. */
  replaceIdentity(): Promise<void>;

  /** The sessions that last, and those that have ended within 24 hours. */
  sessions(): Promise<SessionInfo[]>;
  /** Ends a session. Its connections close within 2 s. */
  endSession(sessionId: string): Promise<void>;
  /** Ends all sessions of the user, this one included. */
  endAllSessions(): Promise<void>;

  /** The account. `createdOn` is a day, `yyyy-mm-dd` (UTC). */
  profile(): Promise<{ username: string; email: string; createdOn: string }>;
  /** Changes the e-mail address. @throws `Forbidden` when the password is wrong, `Conflict` when another account has the address. */
  changeEmail(password: string, email: string): Promise<void>;
  /** Changes the password and ends all other sessions. @throws `Forbidden` when the current password is wrong, `Invalid` when the new one is too short. */
  changePassword(password: string, newPassword: string): Promise<void>;
  /** Deletes the account on the server and everything in this browser. @throws `Forbidden` when the password is wrong. */
  deleteAccount(password: string): Promise<void>;
  /** Everything that the server stores about this user: `GET /v1/me/data`. */
  dataHeld(): Promise<unknown>;
  /** What the server stores, for how long and why: `/.well-known/data-inventory`. */
  dataInventory(): Promise<unknown>;
  /** Everything readable on this device, with the data that the server stores: one JSON document. */
  exportAll(): Promise<string>;

  /** When messages may wake this user's devices: the general settings, and those of rooms that have their own, by room id. */
  notifications(): Promise<{ everywhere: NotificationPreferences; rooms: Record<string, NotificationPreferences> }>;
  /** Changes the general settings, or those of one room. Undefined settings of a room: the room uses the general ones. */
  setNotifications(settings: NotificationPreferences | undefined, roomId?: string): Promise<void>;
  /** The VAPID public key, base64url; undefined when the server has Web Push turned off. */
  pushKey(): Promise<string | undefined>;
  /** Whether the server wakes a browser for this session. */
  pushRegistered(): Promise<boolean>;
  /** Registers the push endpoint of this browser; undefined removes it. */
  setPushEndpoint(endpoint: string | undefined): Promise<void>;

  /** Closes this tab's client. Other tabs continue. Calls of this tab without an answer reject. */
  close(): Promise<void>;
}
