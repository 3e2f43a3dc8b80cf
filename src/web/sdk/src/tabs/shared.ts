import type { ErrorBody } from "../errors.js";
import type { Warning } from "../warnings.js";
import type { DeviceInfo, SessionInfo } from "../devices.js";
import type { PrivacySettings } from "../privacy.js";
import type { Message } from "../rooms/records.js";
import type { Role, RoomKind, SessionEndReason, Unknown } from "../wire.js";

/** How things stand; replaced as a whole when something changes. */
export interface SharedStatus {
  /** `signedOut` also when the server has ended the session; `waiting` until another of the user's devices approves this one. */
  state: "signedOut" | "waiting" | "ready";
  userId?: string;
  username?: string;
  deviceId?: string;
  /** What a waiting device shows, to be typed on the one that approves it. */
  deviceCode?: string;
  /** Another device says to have approved this waiting one: {@link SharedClient.confirmDevice} with the code that the other one shows. */
  toConfirm?: boolean;
  /** Whether the leading tab has a connection. */
  connected: boolean;
  /** Sends that have not come back in their rooms' logs. */
  unsent: number;
  /** What this device tells others beside messages; {@link SharedClient.setPrivacy} changes it. Undefined while signed out. */
  privacy?: PrivacySettings;
  /** Signed out, and not from this browser: the session was ended elsewhere, or the server takes it no more. */
  endedElsewhere?: boolean;
  /** With `endedElsewhere`: the server's reason, when it gave one. A device that was not connected then learns only that the session is over. */
  endReason?: SessionEndReason | Unknown;
  /** Why what is written on this device cannot be stored at the moment: no space, or the browser has closed the store. What is typed should stay where it is until this is gone. */
  storeError?: ErrorBody;
  /** Why others cannot write to this device: the server does not take it or its keys. It is tried again. */
  deviceError?: ErrorBody;
  /** Whether this tab holds the device's state and the connection. */
  leader: boolean;
}

/** One line of the list of conversations. */
export interface Conversation {
  id: string;
  kind: RoomKind | Unknown;
  /** A group's name, or the other person's username. */
  title: string;
  /** This user's role; undefined when the user is no longer in it: then only its history is left. */
  role?: Role | Unknown;
  unread: number;
  /** How many are in it, this user included, as last heard; 0 until that is known. */
  memberCount: number;
  /** The newest message that is shown. */
  last?: Message;
  /** Whether there are messages from before this device was added, which it cannot read. */
  earlier?: boolean;
  timeToLiveSeconds?: number;
  /** What is wrong with the group, for a warning that stays until it is right again. `joining`: this device has not been let in yet. `noReader`: no other member has a device
   * that can read what is sent; it waits. */
  problem?: "joining" | "noReader" | "broken" | "out" | "rosterMismatch" | "identityChanged" | "logRewound";
}

/** A person in a room. */
export interface SharedMember { userId: string; username: string; role: Role | Unknown; devices: number }

/** A send that is not in the log yet. */
export interface PendingSend { id: string; roomId: string; text: string; replyTo?: string; at: number; state: "waiting" | "failed"; error?: string }

/** Who has read how far, and who types. */
export interface RoomMarks {
  /** The farthest place in the log that somebody says to have read, by user. */
  read: Record<string, number>;
  /** The farthest place up to which another member's device is known to have received; undefined when nothing tells. */
  delivered?: number;
}

/** What a shared client tells. All tabs hear the same. */
export interface SharedEvents {
  status: SharedStatus;
  conversations: undefined;
  /** Messages came or changed, sends began or ended, marks moved: ask again for what is shown. */
  room: { roomId: string };
  typing: { roomId: string; userId: string; username: string };
  /** A person who was typing has written, or is no longer there. */
  typingEnded: { roomId: string; userId: string };
  /** Another's identity key is not the one known until now. */
  identityChanged: { userId: string; username: string };
  /**
   * Something failed, or should not have happened. `outdated`: a tab of a later version is open; this one can do nothing more until it is loaded anew. `gaveUp`: the client has stopped
   * trying to connect. `sendFailed`: the server has refused a send; texts are in {@link SharedClient.pending}, edits, reactions and deletions are undone by that. Other kinds are
   * for a log. What has no listener goes to the console.
   */
  warning: Warning;
}

/** Notification settings, as the server keeps them. */
export interface NotificationPreferences {
  /** Whether nothing wakes a device. */
  muted: boolean;
  /** When quiet hours begin: minutes since midnight, 0 to 1439, in `timeZone`. */
  quietFrom?: number;
  /** When they end, likewise; earlier than `quietFrom` for a night. */
  quietUntil?: number;
  /** A name of the IANA time zone database, such as `Europe/Vienna`. */
  timeZone?: string;
  /** How urgent a wake-up is to the push service (RFC 8030 section 5.3); `high` also wakes in quiet hours. */
  priority: "low" | "normal" | "high";
}

/**
 * One device, shared by all tabs of one browser: one tab leads and holds the keys and the connection, the others ask it. Which one it is does not matter to an application;
 * when the leader closes or dies, another takes over and what was asked meanwhile is asked again. Everything that goes in and out is plain data.
 *
 * Each call rejects with a `SecureMessagingError`. Beside the codes that it names, any of them may reject with `SignedOut`, with `StoreFailed`, and with the server's
 * `Unavailable`, `RateLimited`, `Overloaded` or `Internal`, whose `retryable` says whether the same call may succeed later.
 */
export interface SharedClient {
  /** How things stand now. The event `status` tells of each change. */
  readonly status: SharedStatus;
  /** Registers a listener. @returns What removes it. */
  on<K extends keyof SharedEvents>(name: K, listener: (event: SharedEvents[K]) => void): () => void;

  /** Makes an account, and this browser its first device. @throws `Conflict` when the name or the address is taken, or an account is signed in here already. */
  signUp(options: { username: string; email: string; password: string }): Promise<void>;
  /**
   * Signs in by username or e-mail address. In a store that is new to the account this is a new device, which waits for approval.
   * @throws `Unauthenticated` when name or password are wrong, `Conflict` when the store is another account's, `TooManyDevices`.
   */
  signIn(options: { username: string; password: string }): Promise<void>;
  /** @param options.wipe Whether keys and history go from this browser, too: the next sign-in is a new device. */
  signOut(options?: { wipe?: boolean }): Promise<void>;

  /** All conversations, those included that are over and still readable; the newest message first. */
  conversations(): Promise<Conversation[]>;
  /** Oldest first; without `before` the newest. */
  history(roomId: string, options?: { before?: number; limit?: number }): Promise<Message[]>;
  /** One message, by its id; undefined when this device has no such message. */
  message(roomId: string, id: string): Promise<Message | undefined>;
  /** Texts that are not in the log yet, oldest first: those that wait, and those that the server has refused. */
  pending(roomId: string): Promise<PendingSend[]>;
  /** How far each member has read, as far as this device knows. */
  marks(roomId: string): Promise<RoomMarks>;
  /**
   * Resolves with the message's id once it is in the outbox.
   * @param options.id A UUID of version 4 that names the message, when the same send may be asked for again, as by a page that was left before this resolved: it is sent once.
   */
  send(roomId: string, text: string, options?: { replyTo?: string; id?: string }): Promise<string>;
  /** Changes the text of an own message, for everyone. @param id Of the message. */
  edit(roomId: string, id: string, text: string): Promise<void>;
  /** Deletes an own message, for everyone. @throws `NotFound` when this device has no such message of this user's. */
  remove(roomId: string, id: string): Promise<void>;
  /** Sets a reaction to a message, or takes it back. @param on Whether it is there from now on. */
  react(roomId: string, id: string, emoji: string, on: boolean): Promise<void>;
  /** Takes a failed text away. */
  discard(roomId: string, sendId: string): Promise<void>;
  /** Sends a failed text again. */
  retry(roomId: string, sendId: string): Promise<void>;
  /** Tells the members who are connected that this user types, unless {@link setPrivacy} says not to. At most one signal goes out in three seconds. */
  typing(roomId: string): Promise<void>;
  /** Turns on or off what this device tells others beside messages; what is off is not shown of others either. */
  setPrivacy(settings: Partial<PrivacySettings>): Promise<void>;
  /** This user has read the log of the room up to this place. */
  markRead(roomId: string, seq: number): Promise<void>;
  /**
   * 32 random bytes that this device keeps in its encrypted store under a name, drawn when they are first asked for: the key of what an application must keep elsewhere, for instance where
   * writing does not wait. They go when the store is wiped.
   */
  secret(name: string): Promise<Uint8Array>;
  /** The text that was being written; empty when there is none. */
  draft(roomId: string): Promise<string>;
  /** Keeps the text that is being written, in this browser's encrypted store. Empty: forgets it. */
  setDraft(roomId: string, text: string): Promise<void>;

  /** The room of this user and another, made when there is none yet. @returns Its id. @throws `NotFound`, `NoDevice` when the other has no device that could read. */
  createDirect(username: string): Promise<string>;
  /** Makes a group. @returns Its id. @throws as {@link createDirect}, `TooLarge` past the server's number of members. */
  createGroup(usernames: string[], name: string): Promise<string>;
  /** Names a group. The name is encrypted. */
  rename(roomId: string, name: string): Promise<void>;
  /** How long the server keeps messages from now on, in seconds; undefined: without an end. Takes an admin. @throws `Forbidden`, `Invalid` beyond the server's limits. */
  setTimeToLive(roomId: string, seconds: number | undefined): Promise<void>;
  /** Who is in the room; without a connection, as last seen. */
  members(roomId: string): Promise<SharedMember[]>;
  /** Takes an admin. The new member reads from then on. @throws `NotFound`, `Conflict` when they are in it, `Forbidden`, `TooLarge` */
  addMember(roomId: string, username: string): Promise<void>;
  /** Takes an admin. The group gets new keys. @throws `Forbidden` */
  removeMember(roomId: string, userId: string): Promise<void>;
  /** Takes an owner. @throws `Forbidden` */
  setRole(roomId: string, userId: string, role: Role): Promise<void>;
  /** Leaves the room. Its history stays on this device. @throws `Conflict` for the last owner of a group with others in it. */
  leave(roomId: string): Promise<void>;
  /** Deletes a room for everyone, which takes an owner; of a room that is over, what this device keeps of it. @throws `Forbidden` */
  deleteRoom(roomId: string): Promise<void>;
  /** The group's epoch code: the same on all devices that are in. */
  roomCode(roomId: string): Promise<string>;
  /** What this user and another compare: 12 groups of 5 digits, the same for both. @throws `NotReady` when one of them has no device, `NotFound` */
  safetyNumber(username: string): Promise<string>;
  /** The user has looked at a problem of the room (a changed key, say). */
  acknowledge(roomId: string): Promise<void>;

  /** This user's devices. */
  devices(): Promise<DeviceInfo[]>;
  /**
   * @param code What the waiting device shows.
   * @returns What is then to be entered on the waiting device, by {@link confirmDevice}: without it a hostile server could give that device an identity of its own making.
   */
  approveDevice(deviceId: string, code: string): Promise<string>;
  /** On the waiting device, once `status.toConfirm` says so. @throws `Forbidden` when the code is not the one that belongs to what this device was given. */
  confirmDevice(code: string): Promise<void>;
  /** Takes a device out of the account: its session ends, and the groups go on without it. */
  revokeDevice(deviceId: string): Promise<void>;
  /** Gives this device new keys in every group. */
  rotateDevice(): Promise<void>;
  /** Makes a new identity key. All safety numbers change, and other devices must be approved again. */
  replaceIdentity(): Promise<void>;

  /** Sessions that last, and those that have ended within a day. */
  sessions(): Promise<SessionInfo[]>;
  /** Ends a session; its connections close within 2 s. */
  endSession(sessionId: string): Promise<void>;
  /** Ends all of the user's sessions, this one included. */
  endAllSessions(): Promise<void>;

  /** The account. `createdOn` is a day, `yyyy-mm-dd` (UTC). */
  profile(): Promise<{ username: string; email: string; createdOn: string }>;
  /** @throws `Forbidden` when the password is wrong, `Conflict` when another account has the address, `RateLimited` */
  changeEmail(password: string, email: string): Promise<void>;
  /** Ends every other session, too. @throws `Forbidden` when the password is wrong, `Invalid` when the new one is too short. */
  changePassword(password: string, newPassword: string): Promise<void>;
  /** Erases the account on the server and everything in this browser. @throws `Forbidden` when the password is wrong. */
  deleteAccount(password: string): Promise<void>;
  /** Everything the server holds on this user: `GET /v1/me/data`. */
  dataHeld(): Promise<unknown>;
  /** The server's inventory of what it stores, for how long and why: `/.well-known/data-inventory`. */
  dataInventory(): Promise<unknown>;
  /** Everything readable on this device, with what the server holds: one JSON document. */
  exportAll(): Promise<string>;

  /** When messages may wake this user's devices: everywhere, and in rooms that have settings of their own, by room id. */
  notifications(): Promise<{ everywhere: NotificationPreferences; rooms: Record<string, NotificationPreferences> }>;
  /** Without a room: everywhere. Undefined settings of a room: as everywhere. */
  setNotifications(settings: NotificationPreferences | undefined, roomId?: string): Promise<void>;
  /** The VAPID public key, base64url; undefined when the server has Web Push turned off. */
  pushKey(): Promise<string | undefined>;
  /** Whether the server wakes a browser for this session. */
  pushRegistered(): Promise<boolean>;
  /** Tells the server where to wake this browser; undefined: no longer. */
  setPushEndpoint(endpoint: string | undefined): Promise<void>;

  /** This tab takes no more part. The others go on; what it had asked for and not got fails. */
  close(): Promise<void>;
}
