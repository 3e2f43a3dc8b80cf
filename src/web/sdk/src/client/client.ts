import { signIn, signUp, takeBack, type SignInOptions, type SignUpOptions } from "../account/entry.js";
import { People, type IdentityChange } from "../account/people.js";
import { Pins } from "../account/pins.js";
import { TrustBook } from "../account/trustBook.js";
import { directoryOf } from "../account/directory.js";
import type { DevicesChange, Hold, TrustLine } from "../account/peopleTrust.js";
import { KeyPackages } from "../account/keyPackages.js";
import { OwnDevice } from "../account/device.js";
import { DeviceNames } from "../account/deviceNames.js";
import { Account } from "../account/account.js";
import { Devices } from "../account/devices.js";
import { Sessions } from "../account/sessions.js";
import { systemClock } from "../base/clock.js";
import { isSignedOut, SecureMessagingError, type ErrorBody } from "../base/errors.js";
import { Emitter } from "../base/events.js";
import { Http } from "../net/http.js";
import { HubLink } from "../net/hub.js";
import { Session } from "../net/session.js";
import { Privacy } from "../account/privacy.js";
import { requirePlatform } from "../net/platform.js";
import type { Rooms } from "../rooms/rooms.js";
import type { Room } from "../rooms/room.js";
import { mls } from "../rooms/mls.js";
import type { Outbox } from "../rooms/outbox.js";
import type { Reports } from "../rooms/ports.js";
import { serverOf } from "../rooms/server.js";
import { MemoryStore, read, type Store } from "../store/store.js";
import type { Upkeep } from "./upkeep.js";
import { wireRooms } from "./wiring.js";
import { toConsole, warningOf, type Warning } from "../base/warnings.js";
import type { SessionEndReason, Unknown } from "../net/wire.js";

export type { SignInOptions, SignUpOptions };

/** The stores that clients of this process use. */
const inUse = new WeakSet<Store>();

/** The events of a client. */
export interface ClientEvents {
  /** The client is connected to the server. */
  connected: undefined;
  /** The connection is lost. The client connects again by itself. */
  disconnected: undefined;
  /** This user has a new room, or has joined one. */
  room: Room;
  /**
   * This user has left or forgotten a room, or was removed from it by a signed statement (`left`), or has deleted it on this device (`deleted`). A room that
   * the server just does not show any more is withheld and does not end: see {@link RoomBase.isWithheld}.
   */
  roomEnded: { roomId: string; change: "left" | "deleted" };
  /** The identity key of a user has changed: after the loss of a device, or because of an attacker. `signed` says which is likely. Compare safety numbers. */
  identityChanged: IdentityChange;
  /** What this device knows about a user has changed. `line` is what to show in the rooms with this user; undefined when there is nothing to show. */
  personChanged: { userId: string; line?: TrustLine };
  /** The signed list of this user's devices has changed, also by this device. Show it on all devices: an attacker may have added one. */
  devicesChanged: DevicesChange;
  /** The server shows device lists of this user that contradict each other. Someone else may have the user's keys. Nothing is changed until it is clear. */
  devicesAlarm: Hold;
  /** Another device has approved this one. Call `devices.confirm` with the code that it shows. */
  approvalArrived: undefined;
  /** This device was approved and the approval was confirmed. It can take part now. */
  approved: undefined;
  /** The server has rejected a send, or it did not count where it reached the room (`NotDelivered`). The client does not send it again by itself. */
  sendFailed: { roomId: string; id: string; error: SecureMessagingError };
  /**
   * The session has ended. Sign in again with the same store to continue. `reason` is the server's; undefined when this client ended it, or the server gave
   * none.
   */
  signedOut: { reason?: SessionEndReason | Unknown };
  /** A failure or an anomaly. Without a listener it is logged to the console. */
  warning: Warning;
  /** The client has stopped connecting. The error names the cause. Without a listener it is logged to the console. */
  error: SecureMessagingError;
}

/** A signed-in user on one device. It connects by itself and continues after restarts when its store does. Only one client at a time may use a store. */
export class SecureMessaging extends Emitter<ClientEvents> {
  /** The rooms of this user. */
  readonly rooms: Rooms;
  /** This user's devices. */
  readonly devices: Devices;
  /** The people whom this device knows: their keys, and whether a person has compared them. */
  readonly people: People;
  /** This user's sessions. */
  readonly sessions: Sessions;
  /** This user's account. */
  readonly account: Account;
  /** Which signals this device sends besides messages. */
  readonly privacy: Privacy;

  private readonly closing = new AbortController();
  private readonly hub: HubLink;
  /** @internal */
  readonly parts: {
    session: Session;
    store: Store;
    device: OwnDevice;
    keyPackages: KeyPackages;
    names: DeviceNames;
    people: TrustBook;
    hub: HubLink;
    outbox: Outbox;
  };
  /** @internal */
  readonly reports: Reports;
  /** @internal */
  readonly upkeep: Upkeep;

  /** The one place where the parts of a client are put together. */
  private constructor(
    private readonly session: Session,
    private readonly store: Store,
    device: OwnDevice,
    privacy: Privacy,
    people: TrustBook,
  ) {
    super();
    const closing = this.closing.signal;
    const hub = (this.hub = new HubLink(session));
    const keyPackages = new KeyPackages(device, session, store, systemClock);
    const reports: Reports = (this.reports = {
      warn: (warning) => this.warn(warning),
      failed: (area, kind, about) => (error) => {
        // A failure because of a lost connection is reported once, by the connection.
        const withConnection =
          about?.retrying && area !== "connection" && !hub.isConnected && error instanceof SecureMessagingError && error.code === "Unavailable";
        if (!closing.aborted && !isSignedOut(error) && !withConnection) this.warn(warningOf(area, kind, error, about));
      },
    });
    const ports = { server: serverOf(session), hub, store, clock: systemClock, device, people, keyPackages, privacy, reports, mls, closing };
    const names = new DeviceNames(session, device, store);
    this.devices = new Devices(session, device, keyPackages, names);
    this.people = new People(people, device);
    const { outbox, rooms, upkeep } = wireRooms(ports, { device, keyPackages, devices: this.devices, names });
    this.parts = { session, store, device, keyPackages, names, people, hub, outbox };
    this.rooms = rooms;
    this.upkeep = upkeep;
    this.sessions = new Sessions(session, names);
    this.account = new Account(session, () => rooms.signOff());
    this.privacy = privacy;
    this.followParts();
  }

  /** What the parts report to the application. */
  private followParts(): void {
    const { session, device, people, hub, outbox } = this.parts;
    hub.on("connected", () => this.emit("connected", undefined));
    hub.on("lost", () => this.emit("disconnected", undefined));
    hub.on("failed", ({ kind, error, retrying }) => this.reports.failed("connection", kind, { retrying })(error));
    hub.on("gaveUp", ({ error }) => {
      if (this.hasListener("error")) this.emit("error", error);
      else console.error(error);
    });
    people.on("identityChanged", (change) => this.emit("identityChanged", change));
    people.on("changed", (change) => this.personChanged(change));
    people.on("trouble", ({ kind, error }) => this.reports.failed("people", kind)(error));
    device.acts.rooms = async () => this.rooms.forTransfer();
    this.rooms.events.on("room", (room) => this.emit("room", room));
    this.rooms.events.on("ended", (ended) => this.emit("roomEnded", ended));
    this.devices.events.on("changed", () => {
      this.rooms.reconcileAll();
      this.upkeep.refreshDevice();
    });
    outbox.on("failed", (failure) => this.emit("sendFailed", failure));
    device.on("offered", () => this.emit("approvalArrived", undefined));
    device.on("approved", () => {
      this.emit("approved", undefined);
      this.upkeep.refreshDevice();
    });
    device.on("trouble", ({ kind, error }) => this.reports.failed("device", kind)(error));
    session.on("trouble", ({ kind, error, retrying }) => this.reports.failed("session", kind, { retrying })(error));
    session.on("ended", ({ reason }) => this.emit("signedOut", reason === undefined ? {} : { reason }));
  }

  private personChanged(change: { userId: string; line?: TrustLine }): void {
    const { line, userId } = change;
    this.rooms.personChanged(userId, line?.kind === "devices" || line?.kind === "identityRenewed");
    if (userId !== this.userId) {
      this.emit("personChanged", change);
      return;
    }
    const hold = this.parts.people.holdOf(userId);
    if (line?.kind === "devices" || line?.kind === "identityRenewed" || line?.kind === "renamed")
      this.emit("devicesChanged", {
        added: line.added ?? [],
        removed: line.removed ?? [],
        newKeys: line.newKeys ?? [],
        identity: line.kind === "identityRenewed",
        signer: line.signer ?? "",
        number: line.number ?? 0,
      });
    else if (line && hold) this.emit("devicesAlarm", hold);
  }

  /** Creates an account, with this as its first device. @throws {@link SecureMessagingError} `Conflict` when the name is taken. */
  static signUp(options: SignUpOptions): Promise<SecureMessaging> {
    return SecureMessaging.begin(options, true);
  }

  /**
   * Signs in. With a store of this account, its device continues. With another store this is a new device, which waits for the approval of another one.
   * @throws {@link SecureMessagingError} `Unauthenticated` when the name or the password is wrong, `Conflict` when the store belongs to another account.
   */
  static signIn(options: SignInOptions): Promise<SecureMessaging> {
    return SecureMessaging.begin(options, false);
  }

  /** Continues the session in a store. Needs no connection. Undefined when the store has no session: sign in. */
  static async resume(options: { store: Store }): Promise<SecureMessaging | undefined> {
    const store = ({ ...options } as { store?: Store }).store;
    if (!store) throw SecureMessagingError.of("Invalid", "store is required: resume continues the session in it.");
    return SecureMessaging.using(store, async () => {
      const session = await Session.resume(store);
      if (!session) return undefined;
      await requirePlatform();
      const client = await SecureMessaging.start(session, store);
      client.hub.start();
      return client;
    });
  }

  /** Ensures that one client uses a store. Two clients would use the same message keys, and each would overwrite the other's state. */
  private static async using(store: Store, open: () => Promise<SecureMessaging | undefined>): Promise<SecureMessaging | undefined> {
    if (inUse.has(store))
      throw SecureMessagingError.of("Conflict", "Another client uses this store. Close that client first, or give each client a store of its own.");
    inUse.add(store);
    let client: SecureMessaging | undefined;
    try {
      return (client = await open());
    } finally {
      if (!client) inUse.delete(store);
    }
  }

  /** @throws {@link SecureMessagingError} `Conflict` when another client uses the store. */
  private static async begin(options: SignInOptions | SignUpOptions, isNew: boolean): Promise<SecureMessaging> {
    // Programs without types may omit a field. A sign-up without an address must not become a sign-in.
    for (const field of isNew ? ["username", "email", "password"] : ["username", "password"])
      if (typeof ({ ...options } as Record<string, unknown>)[field] !== "string") throw SecureMessagingError.of("Invalid", `${field} must be a string.`);
    await requirePlatform();
    const store = options.store ?? new MemoryStore();
    return (await SecureMessaging.using(store, () => SecureMessaging.enter(options, isNew, store)))!;
  }

  /** Signs up or in completely, or undoes it. A step without an answer is retried, here or after {@link SecureMessaging.resume}. */
  private static async enter(options: SignInOptions | SignUpOptions, isNew: boolean, store: Store): Promise<SecureMessaging> {
    const http = new Http(options);
    const owner = await read<string>(store, "owner");
    if (isNew && owner !== undefined) throw SecureMessagingError.of("Conflict", "The store belongs to another account.");
    const tokens = isNew ? await signUp(options as SignUpOptions, store, http) : await signIn(options, http);
    let client: SecureMessaging | undefined;
    try {
      if (owner !== undefined && owner !== tokens.userId) throw SecureMessagingError.of("Conflict", "The store belongs to another account.");
      client = await SecureMessaging.start(await Session.begin(tokens, options, store, http, isNew), store);
      if (options.privacy) await client.privacy.set(options.privacy);
      // Without a device, the client has its history, and a person decides what to do.
      const isKnown = await client.upkeep.untilAnswered(() => client!.parts.device.reconcile()).then(() => true, isDeviceUnknown);
      if (isKnown) await client.upkeep.untilAnswered(() => client!.parts.keyPackages.topUp());
      else client.upkeep.refreshDevice();
    } catch (error) {
      await client?.stop();
      throw await takeBack(error, tokens, http, isNew ? options.password : undefined, owner === undefined ? store : undefined, client?.session);
    }
    client.hub.start();
    return client;
  }

  private static async start(session: Session, store: Store): Promise<SecureMessaging> {
    const directory = directoryOf(session);
    const people = new TrustBook(await Pins.load(store), directory, session.userId);
    const device = await OwnDevice.load(session, store, people, directory);
    const client = new SecureMessaging(session, store, device, await Privacy.load(session, store), people);
    await client.parts.outbox.load();
    await client.rooms.load();
    return client;
  }

  /** The user's id. */
  get userId(): string {
    return this.session.userId;
  }

  /** The username. */
  get username(): string {
    return this.session.username;
  }

  /** Whether there is a connection. */
  get isConnected(): boolean {
    return this.hub.isConnected;
  }

  /** The username of a user whom this device knows; undefined for others, and while it has not seen a name of the user. */
  async usernameOf(userId: string): Promise<string | undefined> {
    return this.people.get(userId)?.username;
  }

  /**
   * The safety number with a user, see `people.safetyNumber`. An unknown name is pinned to the user that the server answers.
   * @throws {@link SecureMessagingError} `NotReady` when one of them has no device, `NameChanged` when the server answers another user than before.
   */
  async safetyNumber(username: string): Promise<string> {
    const { people } = this.parts;
    const userId = people.pins.userOf(username) ?? (await people.resolve(username).catch(noDevice)).userId;
    if (!people.identityKeyOf(userId)) await people.resolve(username).catch(noDevice);
    return this.people.safetyNumber(userId);
  }

  /** Why others cannot write to this device: it is not registered, or has no KeyPackages. The client retries; undefined without a problem. */
  get deviceError(): ErrorBody | undefined {
    return this.upkeep.deviceError;
  }

  /** How many sends the rooms' logs have not delivered yet. */
  get unsent(): number {
    return this.parts.outbox.count();
  }

  /** Ends the session. Keys and history stay in the store for the next sign-in of this account. */
  async signOut(): Promise<void> {
    const refreshToken = this.session.refreshToken;
    if (refreshToken !== undefined) await this.session.call("POST", "v1/auth/logout", { refreshToken });
    await this.session.end();
    await this.close();
  }

  /** Closes the client. No data is lost: a later client with the same store continues. */
  async close(): Promise<void> {
    if (this.closing.signal.aborted) return;
    await this.stop();
    await this.store.close();
  }

  private async stop(): Promise<void> {
    this.closing.abort(SecureMessagingError.of("Unavailable", "The client is closed."));
    // Together: a connect of the hub may wait for a call of the session.
    await Promise.all([this.session.close(), this.hub.close()]);
    await this.upkeep.settled();
    inUse.delete(this.store);
  }

  private warn(warning: Warning): void {
    if (this.hasListener("warning")) this.emit("warning", warning);
    else toConsole(warning);
  }
}

function noDevice(error: unknown): never {
  throw error instanceof SecureMessagingError && error.code === "NoDevice" ? SecureMessagingError.of("NotReady", error.message, error) : error;
}

/** False for `DeviceUnknown`. Throws each other error. */
function isDeviceUnknown(error: unknown): false {
  if (error instanceof SecureMessagingError && error.code === "DeviceUnknown") return false;
  throw error;
}
