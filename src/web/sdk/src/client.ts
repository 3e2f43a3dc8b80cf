import { safetyNumber, People, type IdentityChange } from "./account/people.js";
import { KeyPackages } from "./account/keyPackages.js";
import { OwnDevice } from "./account/device.js";
import { Account } from "./account.js";
import { Devices, Sessions } from "./devices.js";
import { reasonOf, SecureMessagingError, toBody, type ErrorBody } from "./errors.js";
import { Emitter } from "./events.js";
import { Http, type ServerAddress } from "./net/http.js";
import { HubLink, type Pushes } from "./net/hub.js";
import { Session } from "./net/session.js";
import { Privacy, type PrivacySettings } from "./privacy.js";
import { requirePlatform } from "./platform.js";
import { Rooms } from "./rooms.js";
import type { Room } from "./room.js";
import type { Context } from "./rooms/context.js";
import { Dispatcher } from "./rooms/dispatcher.js";
import { Outbox } from "./rooms/outbox.js";
import { keys, MemoryStore, pack, read, type Changes, type Store } from "./store/store.js";
import { Backoff, sleep } from "./timing.js";
import { bodyOf, toConsole, Trouble, warningOf, type Warning } from "./warnings.js";
import type { TokenResponse, UserKeys } from "./wire.js";

/** Who and where. */
export interface SignInOptions extends ServerAddress {
  /** 3 to 32 of `a-z 0-9 . _ -`; at sign-in also the e-mail address. */
  username: string;
  /** 10 characters at least. */
  password: string;
  /** Where the client keeps what must outlive it; memory by default, and then everything is gone with the process. */
  store?: Store;
  /** What this device tells others beside messages: receipts and typing. Kept in the store; {@link SecureMessaging.privacy} changes it. */
  privacy?: Partial<PrivacySettings>;
}

/** For a new account. */
export interface SignUpOptions extends SignInOptions {
  /** Kept encrypted and shown to nobody. */
  email: string;
}

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
  /** The session is over; sign in again with the same store to go on. */
  signedOut: undefined;
  /** Something failed, or should not have happened. What has no listener goes to the console. */
  warning: Warning;
  /** The client has stopped trying to connect; the error names the cause. What has no listener goes to the console. */
  error: SecureMessagingError;
}

const headsEveryMs = 30_000;
const clockMayDifferMs = 300_000;
/** After a connect, so many milliseconds, more or less, before receipts are told and asked for. */
const readsAfterMs = 2_000;

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
  private readonly background = new Set<Promise<void>>();
  /** @internal */
  readonly context: Context;
  private deviceProblem: ErrorBody | undefined;
  /** Told when {@link deviceError} is another. @internal */
  onDeviceError: (() => void) | undefined;
  private healing: Promise<void> | undefined;
  private readonly healBackoff = new Backoff(300_000);

  private constructor(private readonly session: Session, private readonly store: Store, device: OwnDevice, private readonly hub: HubLink, outbox: Outbox, privacy: Privacy, pushes: PushesTo) {
    super();
    this.privacy = privacy;
    const people = new People(store);
    people.onIdentityChange = (change) => this.emit("identityChanged", change);
    const dispatcher = new Dispatcher((roomId) => this.rooms.core(roomId));
    this.context = outbox.context = dispatcher.context = {
      session, store, hub, device, outbox, dispatcher, people, privacy, keyPackages: new KeyPackages(device, session, store), closing: this.closing.signal,
      fetchWelcomes: () => this.rooms.fetchWelcomes(), heal: () => this.heal(), warn: (warning) => this.warn(warning),
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
    this.sessions = new Sessions(this.context);
    this.account = new Account(this.context);
    outbox.onFailed = (failure) => this.emit("sendFailed", failure);
    device.onOffer = () => this.emit("approvalArrived", undefined);
    device.onApproved = () => {
      this.emit("approved", undefined);
      this.inBackground(() => this.refreshDevice());
    };
    device.onTrouble = (kind, error) => this.context.failed("device", kind)(error);
    session.onTrouble = (kind, error, retrying) => this.context.failed("session", kind, { retrying })(error);
    session.onEnd = () => this.emit("signedOut", undefined);
    pushes.to = this.pushes();
  }

  /** Makes an account, and this its first device. @throws {@link SecureMessagingError} `Conflict` when the name is taken. */
  static signUp(options: SignUpOptions): Promise<SecureMessaging> {
    return SecureMessaging.begin(options, options.email);
  }

  /**
   * Signs in. With a store that this account has used, its device goes on; with another, this is a new device, which waits until one of the user's others approves it.
   * @throws {@link SecureMessagingError} `Unauthenticated` when name or password are wrong, `Conflict` when the store is another account's.
   */
  static signIn(options: SignInOptions): Promise<SecureMessaging> {
    return SecureMessaging.begin(options);
  }

  /** Goes on with the session of a store; works without a connection, too. Undefined when there is none: sign in. */
  static async resume(options: { store: Store }): Promise<SecureMessaging | undefined> {
    const session = await Session.resume(options.store);
    if (!session)
      return undefined;
    await requirePlatform();
    const client = await SecureMessaging.start(session, options.store);
    client.hub.start();
    return client;
  }

  /** All of it, or nothing: what fails for good on the way is taken back. What only waits for an answer goes on, here or after a {@link resume}. */
  private static async begin(options: SignInOptions, email?: string): Promise<SecureMessaging> {
    await requirePlatform();
    const store = options.store ?? new MemoryStore();
    const http = new Http(options);
    const owner = await read<string>(store, "owner");
    if (email !== undefined && owner !== undefined)
      throw SecureMessagingError.of("Conflict", "The store belongs to another account.");
    const isNew = email !== undefined;
    const tokens = isNew ? await SecureMessaging.enterNew({ ...options, email }, store, http) : await SecureMessaging.enter(options, http);
    let client: SecureMessaging | undefined;
    try {
      if (owner !== undefined && owner !== tokens.userId)
        throw SecureMessagingError.of("Conflict", "The store belongs to another account.");
      client = await SecureMessaging.start(await Session.begin(tokens, options, store, http), store);
      if (options.privacy)
        await client.privacy.set(options.privacy);
      await client.untilAnswered(() => client!.context.device.reconcile());
      await client.untilAnswered(() => client!.context.keyPackages.topUp());
    } catch (error) {
      await client?.stop();
      throw await SecureMessaging.takeBack(error, tokens, http, isNew ? options.password : undefined, owner === undefined ? store : undefined, client?.session);
    }
    client.hub.start();
    return client;
  }

  private static enter({ username, password }: SignInOptions, http: Http): Promise<TokenResponse> {
    return http.call<TokenResponse>("POST", "v1/auth/token", { username, password });
  }

  /** Signs up. When an earlier attempt from this store got no answer, the name may be taken by that very attempt: then the password tells. */
  private static async enterNew(options: SignUpOptions, store: Store, http: Http): Promise<TokenResponse> {
    const { username, email, password } = options;
    const unanswered = await read<string>(store, keys.signUp) === username.toLowerCase();
    await store.write(new Map([[keys.signUp, pack(username.toLowerCase())]]));
    try {
      return await http.call<TokenResponse>("POST", "v1/auth/sign-up", { username, email, password });
    } catch (error) {
      if (!(error instanceof SecureMessagingError) || error.retryable)
        throw error;
      const taken = error;
      const tokens = unanswered && taken.code === "Conflict" ? await SecureMessaging.enter(options, http).catch((refused: unknown) => {
        if (refused instanceof SecureMessagingError && refused.code === "Unauthenticated")
          return undefined;
        throw refused;
      }) : undefined;
      if (tokens)
        return tokens;
      await store.write(new Map([[keys.signUp, null]]));
      throw taken;
    }
  }

  /**
   * Takes back what a sign-up or sign-in has done before it failed: the account, or the session. Returns the error to throw.
   * @param password Of the account that is to go.
   * @param store Where nothing of the account was before.
   * @param session What a store that knew the account has of it now.
   */
  private static async takeBack(error: unknown, tokens: TokenResponse, http: Http, password: string | undefined, store: Store | undefined, session: Session | undefined): Promise<unknown> {
    const begun = error instanceof SecureMessagingError ? error : SecureMessagingError.of("StoreFailed", `The store on this device failed: ${reasonOf(error)}.`, error);
    try {
      if (password !== undefined)
        await http.call("POST", "v1/me/delete", { password }, tokens.accessToken);
      else
        await http.call("POST", "v1/auth/logout", { refreshToken: tokens.refreshToken }, tokens.accessToken);
      if (store) {
        const gone: Changes = new Map([["owner", null], [keys.session, null], [keys.stock, null]]);
        for (const prefix of [keys.device, keys.keyPackages])
          for (const [key] of await store.list(prefix))
            gone.set(key, null);
        await store.write(gone);
      } else {
        await session?.end();
      }
      return begun;
    } catch (left) {
      const what = password !== undefined ? "The account is there; it goes on after SecureMessaging.resume, or after signing in." : "The session was not ended on the server.";
      return new SecureMessagingError({ ...toBody(begun), message: `${begun.message} ${what} (${reasonOf(left)})` }, error);
    }
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
    return this.deviceProblem;
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
    await Promise.allSettled([...this.background]);
  }

  private saidClock = false;

  private checkClock(): void {
    const ahead = Date.now() - this.session.http.now();
    if (Math.abs(ahead) < clockMayDifferMs || this.saidClock)
      return;
    this.saidClock = true;
    this.warn({ area: "device", kind: "clockWrong", retrying: false,
      detail: `This device's clock is ${Math.round(Math.abs(ahead) / 60_000)} minutes ${ahead > 0 ? "ahead of" : "behind"} the server's. By weeks, it cannot add others to a group: set it right.` });
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
          this.inBackground(() => this.context.keyPackages.topUp());
      },
      welcomesWaiting: (deviceId) => {
        if (deviceId === this.context.device.id)
          this.inBackground(() => this.rooms.fetchWelcomes());
      },
      connected: () => {
        // Of a connection that takes another's place nothing is known yet either.
        this.context.dispatcher.close();
        this.emit("connected", undefined);
        this.checkClock();
        this.inBackground(() => this.refreshDevice());
        this.inBackground(() => this.followHeads());
      },
      lost: () => {
        this.followed++;
        this.wasAway = true;
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

  private followed = 0;
  /** Whether there was a time without a connection, in which signals were missed. */
  private wasAway = true;

  /** At each connection and now and then: pushes may be lost, the log is not. */
  private async followHeads(): Promise<void> {
    const turn = ++this.followed;
    while (turn === this.followed) {
      const heads = await this.hub.heads();
      if (turn !== this.followed)
        return;
      const compared = this.rooms.compare(heads);
      this.context.dispatcher.open();
      await compared;
      if (this.wasAway) {
        this.wasAway = false;
        this.inBackground(() => this.catchUpReads());
      }
      await sleep(headsEveryMs * (0.75 + Math.random() / 2), this.closing.signal);
    }
  }

  /** Once the logs have been read to their heads: no other device can read a signal of another epoch. */
  private async catchUpReads(): Promise<void> {
    await sleep(readsAfterMs * (0.5 + Math.random()), this.closing.signal);
    await this.rooms.catchUpReads();
  }

  private refreshed = 0;

  /** Until the device is registered and can be reached: a device without KeyPackages cannot be written to. */
  private async refreshDevice(): Promise<void> {
    const turn = ++this.refreshed;
    const trouble = new Trouble(this.context.failed("device", "notReachable", { retrying: true }));
    const backoff = new Backoff(300_000);
    for (;;) {
      try {
        await this.context.device.reconcile();
        await this.context.keyPackages.topUp();
        await this.rooms.fetchWelcomes();
        break;
      } catch (error) {
        if (mayPass(error) || isSignedOut(error))
          throw error;
        this.setDeviceError(bodyOf(error));
        trouble.met(error);
      }
      await backoff.wait(2000, this.closing.signal);
      if (turn !== this.refreshed)
        return;
    }
    this.setDeviceError(undefined);
    // Nobody tells a waiting device that it has been approved.
    const patience = new Backoff(5000);
    while (!this.context.device.identity && turn === this.refreshed) {
      await patience.wait(500, this.closing.signal);
      await this.context.device.reconcile();
    }
  }

  private setDeviceError(error: ErrorBody | undefined): void {
    const changed = error?.message !== this.deviceProblem?.message;
    this.deviceProblem = error;
    if (changed)
      this.onDeviceError?.();
  }

  private heal(): void {
    this.healing ??= (async () => {
      await sleep(this.healBackoff.next(), this.closing.signal);
      this.warn({ area: "device", kind: "healing", retrying: true, detail: "The device starts anew with other keys." });
      await this.devices.rotate();
    })().catch(this.context.failed("device", "healingFailed", { retrying: true })).finally(() => { this.healing = undefined; });
  }

  /** Until it is done or the session is over. */
  private inBackground(work: () => Promise<void>): void {
    const running = this.untilAnswered(work).catch(this.context.failed("device", "failed")).finally(() => this.background.delete(running));
    this.background.add(running);
  }

  private async untilAnswered(work: () => Promise<void>): Promise<void> {
    const backoff = new Backoff();
    const trouble = new Trouble(this.context.failed("connection", "waitsForAnswer", { retrying: true }));
    for (;;) {
      try {
        await work();
        return;
      } catch (error) {
        if (this.closing.signal.aborted || !mayPass(error))
          throw error;
        trouble.met(error);
        await backoff.wait(error.retryAfterMs, this.closing.signal);
      }
    }
  }
}

const isSignedOut = (error: unknown): boolean => error instanceof SecureMessagingError && error.code === "SignedOut";

const mayPass = (error: unknown): error is SecureMessagingError => error instanceof SecureMessagingError && (error.retryable || error.code === "Unauthenticated");

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
