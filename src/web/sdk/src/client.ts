import { signIn, signUp, takeBack, type SignInOptions, type SignUpOptions } from "./account/entry.js";
import { safetyNumber, People, type IdentityChange } from "./account/people.js";
import { KeyPackages } from "./account/keyPackages.js";
import { OwnDevice } from "./account/device.js";
import { Account } from "./account.js";
import { Devices, Sessions } from "./devices.js";
import { isSignedOut, SecureMessagingError, type ErrorBody } from "./errors.js";
import { Emitter } from "./events.js";
import { Http } from "./net/http.js";
import { HubLink, type Pushes } from "./net/hub.js";
import { Session } from "./net/session.js";
import { Privacy } from "./privacy.js";
import { requirePlatform } from "./platform.js";
import { Rooms } from "./rooms.js";
import type { Room } from "./room.js";
import type { Context } from "./rooms/context.js";
import { Dispatcher } from "./rooms/dispatcher.js";
import { Outbox } from "./rooms/outbox.js";
import { MemoryStore, read, type Store } from "./store/store.js";
import { Upkeep } from "./upkeep.js";
import { toConsole, warningOf, type Warning } from "./warnings.js";
import type { SessionEndReason, Unknown, UserKeys } from "./wire.js";

export type { SignInOptions, SignUpOptions };

/** The stores that clients use now. */
const inUse = new WeakSet<Store>();

/** What a client tells. */
export interface ClientEvents {
  /** There is a connection to the server. */
  connected: undefined;
  /** There is none now; another is being made. */
  disconnected: undefined;
  /** This user is in a room that was not known here. */
  room: Room;
  /** This user is no longer in a room. */
  roomEnded: { roomId: string; change: "left" | "deleted" };
  /** Another's identity key is not the one known until now: a new phone without the old, or somebody in between. Compare safety numbers. */
  identityChanged: IdentityChange;
  /** Another device has approved this one: `devices.confirm` with the code that it shows. */
  approvalArrived: undefined;
  /** This device has been approved, and that confirmed: it takes part from now on. */
  approved: undefined;
  /** The server has refused a send for good. */
  sendFailed: { roomId: string; id: string; error: SecureMessagingError };
  /** The session is over; sign in again with the same store to go on. `reason` is the server's; undefined when it was ended from here, or the server just no longer accepts it. */
  signedOut: { reason?: SessionEndReason | Unknown };
  /** Something failed, or should not have happened. What has no listener goes to the console. */
  warning: Warning;
  /** The client has stopped trying to connect; the error names the cause. What has no listener goes to the console. */
  error: SecureMessagingError;
}

/**
 * A signed-in user on one device. Connects by itself, for ever; what it sends and receives survives restarts when its store does. One store is for one client at a time.
 */
export class SecureMessaging extends Emitter<ClientEvents> {
  /** The rooms this user is in. */
  readonly rooms: Rooms;
  /** This user's devices. */
  readonly devices: Devices;
  /** This user's sessions. */
  readonly sessions: Sessions;
  /** This user's account. */
  readonly account: Account;
  /** What this device tells others beside messages. */
  readonly privacy: Privacy;

  private readonly closing = new AbortController();
  /** @internal */
  readonly context: Context;
  /** @internal */
  readonly upkeep: Upkeep;

  private constructor(private readonly session: Session, private readonly store: Store, device: OwnDevice, private readonly hub: HubLink, outbox: Outbox, privacy: Privacy, pushes: PushesTo) {
    super();
    this.privacy = privacy;
    const people = new People(store);
    people.onIdentityChange = (change) => this.emit("identityChanged", change);
    const dispatcher = new Dispatcher((roomId) => this.rooms.core(roomId));
    this.context = outbox.context = dispatcher.context = {
      session, store, hub, device, outbox, dispatcher, people, privacy, keyPackages: new KeyPackages(device, session, store), closing: this.closing.signal,
      fetchWelcomes: () => this.rooms.fetchWelcomes(), heal: () => this.upkeep.heal(), warn: (warning) => this.warn(warning),
      failed: (area, kind, about) => (error) => {
        // What fails with the connection is said once, by the connection.
        const withConnection = about?.retrying && area !== "connection" && !this.hub.isConnected && error instanceof SecureMessagingError && error.code === "Unavailable";
        if (!this.closing.signal.aborted && !isSignedOut(error) && !withConnection)
          this.warn(warningOf(area, kind, error, about));
      },
    };
    this.rooms = new Rooms(this.context);
    this.rooms.onRoom = (room) => this.emit("room", room);
    this.rooms.onEnded = (roomId, change) => this.emit("roomEnded", { roomId, change });
    this.devices = new Devices(this.context, this.rooms);
    this.upkeep = new Upkeep(this.context, this.rooms, this.devices);
    this.sessions = new Sessions(this.context);
    this.account = new Account(this.context);
    outbox.onFailed = (failure) => this.emit("sendFailed", failure);
    device.onOffer = () => this.emit("approvalArrived", undefined);
    device.onApproved = () => {
      this.emit("approved", undefined);
      this.upkeep.refreshDevice();
    };
    device.onTrouble = (kind, error) => this.context.failed("device", kind)(error);
    session.onTrouble = (kind, error, retrying) => this.context.failed("session", kind, { retrying })(error);
    session.onEnd = (reason) => this.emit("signedOut", reason === undefined ? {} : { reason });
    pushes.to = this.pushes();
  }

  /** Makes an account, and this its first device. @throws {@link SecureMessagingError} `Conflict` when the name is taken. */
  static signUp(options: SignUpOptions): Promise<SecureMessaging> {
    return SecureMessaging.begin(options, true);
  }

  /**
   * Signs in. With a store that this account has used, its device goes on; with another, this is a new device, which waits until one of the user's others approves it.
   * @throws {@link SecureMessagingError} `Unauthenticated` when name or password are wrong, `Conflict` when the store is another account's.
   */
  static signIn(options: SignInOptions): Promise<SecureMessaging> {
    return SecureMessaging.begin(options, false);
  }

  /** Goes on with the session of a store; works without a connection, too. Undefined when there is none: sign in. */
  static async resume(options: { store: Store }): Promise<SecureMessaging | undefined> {
    const store = ({ ...options } as { store?: Store }).store;
    if (!store)
      throw SecureMessagingError.of("Invalid", "store must be the store of the session that is to go on.");
    return SecureMessaging.using(store, async () => {
      const session = await Session.resume(store);
      if (!session)
        return undefined;
      await requirePlatform();
      const client = await SecureMessaging.start(session, store);
      client.hub.start();
      return client;
    });
  }

  /** One client at a time uses a store: two would encrypt with the same keys, and each would overwrite what the other has read. */
  private static async using(store: Store, open: () => Promise<SecureMessaging | undefined>): Promise<SecureMessaging | undefined> {
    if (inUse.has(store))
      throw SecureMessagingError.of("Conflict", "Another client uses this store. Close that client first, or give each client a store of its own.");
    inUse.add(store);
    let client: SecureMessaging | undefined;
    try {
      return client = await open();
    } finally {
      if (!client)
        inUse.delete(store);
    }
  }

  /** @throws {@link SecureMessagingError} `Conflict` when another client uses the store. */
  private static async begin(options: SignInOptions | SignUpOptions, isNew: boolean): Promise<SecureMessaging> {
    // What a program without types leaves out. A sign-up without an address must not look like a sign-in.
    for (const field of isNew ? ["username", "email", "password"] : ["username", "password"])
      if (typeof ({ ...options } as Record<string, unknown>)[field] !== "string")
        throw SecureMessagingError.of("Invalid", `${field} must be a string.`);
    await requirePlatform();
    const store = options.store ?? new MemoryStore();
    return (await SecureMessaging.using(store, () => SecureMessaging.enter(options, isNew, store)))!;
  }

  /** All of it, or nothing: what fails for good on the way is taken back. What only waits for an answer goes on, here or after a {@link resume}. */
  private static async enter(options: SignInOptions | SignUpOptions, isNew: boolean, store: Store): Promise<SecureMessaging> {
    const http = new Http(options);
    const owner = await read<string>(store, "owner");
    if (isNew && owner !== undefined)
      throw SecureMessagingError.of("Conflict", "The store belongs to another account.");
    const tokens = isNew ? await signUp(options as SignUpOptions, store, http) : await signIn(options, http);
    let client: SecureMessaging | undefined;
    try {
      if (owner !== undefined && owner !== tokens.userId)
        throw SecureMessagingError.of("Conflict", "The store belongs to another account.");
      client = await SecureMessaging.start(await Session.begin(tokens, options, store, http), store);
      if (options.privacy)
        await client.privacy.set(options.privacy);
      await client.upkeep.untilAnswered(() => client!.context.device.reconcile());
      await client.upkeep.untilAnswered(() => client!.context.keyPackages.topUp());
    } catch (error) {
      await client?.stop();
      throw await takeBack(error, tokens, http, isNew ? options.password : undefined, owner === undefined ? store : undefined, client?.session);
    }
    client.hub.start();
    return client;
  }

  private static async start(session: Session, store: Store): Promise<SecureMessaging> {
    const device = await OwnDevice.load(session, store);
    const pushes = new PushesTo();
    const hub = new HubLink(session, pushes);
    const outbox = new Outbox(store);
    await outbox.load();
    const client = new SecureMessaging(session, store, device, hub, outbox, await Privacy.load(store), pushes);
    await client.rooms.load();
    return client;
  }

  /** This user's id. */
  get userId(): string {
    return this.session.userId;
  }

  /** This user's name. */
  get username(): string {
    return this.session.username;
  }

  /** Whether there is a connection now. */
  get isConnected(): boolean {
    return this.hub.isConnected;
  }

  /** The name of somebody this device has met: looked up in the rooms when it is not known yet. */
  async usernameOf(userId: string): Promise<string | undefined> {
    const known = await this.context.people.nameOf(userId);
    if (known !== undefined)
      return known;
    for (const room of this.rooms.list()) {
      const member = (await room.members.list()).find((each) => each.userId === userId);
      if (member)
        return member.username;
    }
    return undefined;
  }

  /**
   * What this user and another compare, on a channel that is not this one, to know that nobody stands between them: 12 groups of 5 digits, the same for both.
   * @throws {@link SecureMessagingError} `NotReady` when one of them has no device.
   */
  async safetyNumber(username: string): Promise<string> {
    const other = await this.session.call<UserKeys>("GET", `v1/users/${encodeURIComponent(username)}/devices`);
    await this.context.people.verify([other]);
    const theirs = await this.context.people.identityOf(other.userId);
    const own = this.context.device.identityKey;
    if (!own || !theirs)
      throw SecureMessagingError.of("NotReady", "There is no identity key yet.");
    return safetyNumber({ userId: this.userId, identityKey: own }, { userId: other.userId, identityKey: theirs });
  }

  /** Why this device is not registered, or has no KeyPackages, so that others cannot write to it. It is tried again; undefined while all is well. */
  get deviceError(): ErrorBody | undefined {
    return this.upkeep.deviceError;
  }

  /** How many sends have not come back in their rooms' logs. */
  get unsent(): number {
    return this.context.outbox.count();
  }

  /** Ends the session. Keys and history stay in the store for the same account's next sign-in. */
  async signOut(): Promise<void> {
    const refreshToken = this.session.refreshToken;
    if (refreshToken !== undefined)
      await this.session.call("POST", "v1/auth/logout", { refreshToken });
    await this.session.end();
    await this.close();
  }

  /** Stops. Nothing is lost: a later client on the same store goes on. */
  async close(): Promise<void> {
    if (this.closing.signal.aborted)
      return;
    await this.stop();
    await this.store.close();
  }

  private async stop(): Promise<void> {
    this.closing.abort(SecureMessagingError.of("Unavailable", "The client is closed."));
    await this.hub.close();
    await this.session.close();
    await this.upkeep.settled();
    inUse.delete(this.store);
  }

  private warn(warning: Warning): void {
    if (this.hears("warning"))
      this.emit("warning", warning);
    else
      toConsole(warning);
  }

  private pushes(): Pushes {
    return {
      received: (roomId, entries) => this.rooms.received(roomId, entries),
      signaled: (roomId, signal) => this.rooms.signaled(roomId, signal),
      roomChanged: (roomId, change) => this.rooms.changed(roomId, change),
      resync: (roomId) => this.rooms.resync(roomId),
      keyPackagesLow: (deviceId) => {
        if (deviceId === this.context.device.id)
          this.upkeep.inBackground(() => this.context.keyPackages.topUp());
      },
      welcomesWaiting: (deviceId) => {
        if (deviceId === this.context.device.id)
          this.upkeep.inBackground(() => this.rooms.fetchWelcomes());
      },
      connected: () => {
        // Of a connection that takes another's place nothing is known yet either.
        this.context.dispatcher.close();
        this.emit("connected", undefined);
        this.upkeep.connected();
      },
      lost: () => {
        this.upkeep.lost();
        this.context.dispatcher.close();
        this.emit("disconnected", undefined);
      },
      failed: (kind, error, retrying) => this.context.failed("connection", kind, { retrying })(error),
      gaveUp: (error) => {
        if (this.hears("error"))
          this.emit("error", error);
        else
          console.error(error);
      },
    };
  }

}

/** The hub is made before the client that it tells. */
class PushesTo implements Pushes {
  to: Pushes | undefined;
  received: Pushes["received"] = (...args) => this.to?.received(...args);
  signaled: Pushes["signaled"] = (...args) => this.to?.signaled(...args);
  roomChanged: Pushes["roomChanged"] = (...args) => this.to?.roomChanged(...args);
  resync: Pushes["resync"] = (...args) => this.to?.resync(...args);
  keyPackagesLow: Pushes["keyPackagesLow"] = (...args) => this.to?.keyPackagesLow(...args);
  welcomesWaiting: Pushes["welcomesWaiting"] = (...args) => this.to?.welcomesWaiting(...args);
  connected: Pushes["connected"] = () => this.to?.connected();
  lost: Pushes["lost"] = () => this.to?.lost();
  failed: Pushes["failed"] = (...args) => this.to?.failed(...args);
  gaveUp: Pushes["gaveUp"] = (error) => this.to?.gaveUp(error);
}
