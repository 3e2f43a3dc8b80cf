import { safetyNumber, People, type IdentityChange } from "./account/people.js";
import { KeyPackages } from "./account/keyPackages.js";
import { OwnDevice } from "./account/device.js";
import { Account } from "./account.js";
import { Devices, Sessions } from "./devices.js";
import { SecureMessagingError } from "./errors.js";
import { Emitter } from "./events.js";
import { Http } from "./net/http.js";
import { HubLink, type Pushes } from "./net/hub.js";
import { Session } from "./net/session.js";
import { Privacy, type PrivacySettings } from "./privacy.js";
import { Rooms } from "./rooms.js";
import type { Room } from "./room.js";
import type { Context } from "./rooms/context.js";
import { Dispatcher } from "./rooms/dispatcher.js";
import { Outbox } from "./rooms/outbox.js";
import { keys, MemoryStore, pack, read, type Store } from "./store/store.js";
import { Backoff, sleep } from "./timing.js";
import type { TokenResponse, UserKeys } from "./wire.js";

/** Who and where. */
export interface SignInOptions {
  /** The server's address, `https://…` (`http://…` on one's own machine). */
  url: string;
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
  /** Something that should not happen did, and was dealt with. For a log. */
  warning: { kind: string; roomId?: string; detail?: string };
}

const headsEveryMs = 30_000;
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
      fetchWelcomes: () => this.rooms.fetchWelcomes(), heal: () => this.heal(), warn: (warning) => this.emit("warning", warning),
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
    session.onEnd = () => this.emit("signedOut", undefined);
    pushes.to = this.pushes();
  }

  /** Makes an account, and this its first device. @throws {@link SecureMessagingError} `Conflict` when the name is taken. */
  static signUp(options: SignUpOptions): Promise<SecureMessaging> {
    return SecureMessaging.begin(options, "v1/auth/sign-up", { username: options.username, email: options.email, password: options.password });
  }

  /**
   * Signs in. With a store that this account has used, its device goes on; with another, this is a new device, which waits until one of the user's others approves it.
   * @throws {@link SecureMessagingError} `Unauthenticated` when name or password are wrong, `Conflict` when the store is another account's.
   */
  static signIn(options: SignInOptions): Promise<SecureMessaging> {
    return SecureMessaging.begin(options, "v1/auth/token", { username: options.username, password: options.password });
  }

  /** Goes on with the session of a store; works without a connection, too. Undefined when there is none: sign in. */
  static async resume(options: { store: Store }): Promise<SecureMessaging | undefined> {
    const session = await Session.resume(options.store, (url) => new Http(url));
    if (!session)
      return undefined;
    const client = await SecureMessaging.start(session, options.store);
    client.hub.start();
    return client;
  }

  private static async begin(options: SignInOptions, path: string, body: unknown): Promise<SecureMessaging> {
    const store = options.store ?? new MemoryStore();
    const http = new Http(options.url);
    const owner = await read<string>(store, "owner");
    const tokens = await http.call<TokenResponse>("POST", path, body);
    if (owner !== undefined && owner !== tokens.userId)
      throw SecureMessagingError.of("Conflict", "The store belongs to another account.");
    await store.write(new Map([["owner", pack(tokens.userId)]]));
    const client = await SecureMessaging.start(await Session.begin(tokens, options.url, store, http), store);
    if (options.privacy)
      await client.privacy.set(options.privacy);
    await client.untilAnswered(() => client.context.device.reconcile());
    await client.untilAnswered(() => client.context.keyPackages.topUp());
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
    this.closing.abort(SecureMessagingError.of("Unavailable", "The client is closed."));
    await this.hub.close();
    await this.session.close();
    await Promise.allSettled([...this.background]);
    await this.store.close();
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
        this.inBackground(() => this.refreshDevice());
        this.inBackground(() => this.followHeads());
      },
      lost: () => {
        this.followed++;
        this.wasAway = true;
        this.context.dispatcher.close();
        this.emit("disconnected", undefined);
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

  /** Once the logs have been read to their heads: a signal of another epoch is read by nobody. */
  private async catchUpReads(): Promise<void> {
    await sleep(readsAfterMs * (0.5 + Math.random()), this.closing.signal);
    await this.rooms.catchUpReads();
  }

  private refreshed = 0;

  private async refreshDevice(): Promise<void> {
    const turn = ++this.refreshed;
    await this.context.device.reconcile();
    await this.context.keyPackages.topUp();
    await this.rooms.fetchWelcomes();
    // Nobody tells a waiting device that it has been approved.
    const backoff = new Backoff(5000);
    while (!this.context.device.identity && turn === this.refreshed) {
      await backoff.wait(500, this.closing.signal);
      await this.context.device.reconcile();
    }
  }

  private heal(): void {
    this.healing ??= (async () => {
      await sleep(this.healBackoff.next(), this.closing.signal);
      this.emit("warning", { kind: "healing", detail: "The device starts anew with other keys." });
      await this.devices.rotate();
    })().catch((error: unknown) => this.emit("warning", { kind: "healingFailed", detail: String(error) })).finally(() => { this.healing = undefined; });
  }

  /** Until it is done or the session is over. */
  private inBackground(work: () => Promise<void>): void {
    const running = this.untilAnswered(work).catch(() => undefined).finally(() => this.background.delete(running));
    this.background.add(running);
  }

  private async untilAnswered(work: () => Promise<void>): Promise<void> {
    const backoff = new Backoff();
    for (;;) {
      try {
        await work();
        return;
      } catch (error) {
        if (this.closing.signal.aborted || !(error instanceof SecureMessagingError) || (!error.retryable && error.code !== "Unauthenticated")) {
          if (!this.closing.signal.aborted && !(error instanceof SecureMessagingError && error.code === "SignedOut"))
            this.emit("warning", { kind: "failed", detail: error instanceof Error ? error.stack ?? error.message : String(error) });
          throw error;
        }
        await backoff.wait(error.retryAfterMs, this.closing.signal);
      }
    }
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
}
