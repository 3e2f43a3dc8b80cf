import { SecureMessaging } from "../client.js";
import { SecureMessagingError, toBody, type ErrorBody } from "../errors.js";
import type { ServerAddress } from "../net/http.js";
import type { Room } from "../room.js";
import type { IndexedDbStore } from "../store/indexedDb.js";
import { randomBytes } from "../bytes.js";
import { keys, pack, read, type Store } from "../store/store.js";
import { Mutex, sleep } from "../timing.js";
import { warningOf, type WarningArea } from "../warnings.js";
import { Conversations } from "./conversations.js";
import { LentStore } from "./lent.js";
import type { SessionEndReason, Unknown } from "../wire.js";
import type { SharedEvents, SharedStatus } from "./shared.js";

/** Told to all tabs. @internal */
export type Tell = <K extends keyof SharedEvents>(name: K, event: SharedEvents[K]) => void;

/** So long the server is waited for when somebody signs out. */
const goodbyeMs = 5_000;

/** That the last session was not ended from here: the server's reason, or `true` without one. */
const endedKey = "endedElsewhere";
const secretKey = (name: string) => `secret/${name}`;

/** What the leader has and the other tabs ask for: the store and, while somebody is signed in, the client. @internal */
export class Host {
  private signedIn: { client: SecureMessaging; conversations: Conversations } | undefined;
  private current: Omit<SharedStatus, "leader"> = { state: "signedOut", connected: false, unsent: 0 };
  private readonly turn = new Mutex();
  private readonly due = new Set<string | undefined>();
  private readonly rooms = new Map<string, Mutex>();
  private telling = false;
  private isLeaving = false;
  private storeError: ErrorBody | undefined;

  private constructor(readonly store: IndexedDbStore, readonly address: ServerAddress, private readonly tell: Tell) {
    store.onState = (error) => {
      this.storeError = error && toBody(error);
      if (error)
        this.tell("warning", warningOf("store", "storeFailed", error, { retrying: error.retryable }));
      this.refresh();
    };
  }

  /** Goes on with what the store holds; needs no connection. */
  static async open(store: IndexedDbStore, address: ServerAddress, tell: Tell): Promise<Host> {
    const host = new Host(store, address, tell);
    const client = await SecureMessaging.resume({ store: new LentStore(store) });
    await (client ? host.adopt(client) : host.refreshStatus());
    return host;
  }

  get status(): Omit<SharedStatus, "leader"> {
    return this.current;
  }

  /** @throws `SignedOut` */
  get client(): SecureMessaging {
    return this.require().client;
  }

  get conversations(): Conversations {
    return this.require().conversations;
  }

  get isSignedIn(): boolean {
    return this.signedIn !== undefined;
  }

  /** The room, which this user is in. */
  async room(id: string): Promise<Room> {
    const room = this.client.rooms.list().find((each) => each.id === id) ?? await this.client.rooms.get(id);
    if (!room)
      throw SecureMessagingError.of("NotFound", "There is no room with this id on this device.");
    return room;
  }

  signUp(options: { username: string; email: string; password: string }, repeated: boolean): Promise<void> {
    return this.enter(options.username, repeated, (store) => SecureMessaging.signUp({ ...options, ...this.address, store }));
  }

  signIn(options: { username: string; password: string }, repeated: boolean): Promise<void> {
    return this.enter(options.username, repeated, (store) => SecureMessaging.signIn({ ...options, ...this.address, store }));
  }

  signOut(wipe: boolean): Promise<void> {
    return this.turn.run(async () => {
      const { signedIn } = this;
      if (signedIn) {
        const answered = new AbortController();
        await Promise.race([
          signedIn.client.signOut(), sleep(goodbyeMs, answered.signal).then(() => Promise.reject(SecureMessagingError.unreachable())),
        ]).catch((error: unknown) => {
          // Without a connection the session ends here alone; the server forgets it in time.
          if (!wipe || !(error instanceof SecureMessagingError))
            throw error;
          this.failed("session", "notSignedOut")(error);
        }).finally(() => answered.abort(new Error("done")));
      }
      await this.drop();
      if (wipe)
        await this.erase();
    });
  }

  /** Runs what ends the session because the user of this browser wants it to. */
  async leaving(work: () => Promise<void>): Promise<void> {
    this.isLeaving = true;
    try {
      await work();
      // What the end of the session has set off comes first.
      await this.turn.run(async () => undefined);
    } finally {
      this.isLeaving = false;
    }
  }

  /** The bytes that this device keeps under a name. */
  secret(name: string): Promise<Uint8Array> {
    void this.client;
    return this.turn.run(async () => {
      const known = await this.store.get(secretKey(name));
      if (known)
        return known;
      const made = randomBytes(32);
      await this.store.write(new Map([[secretKey(name), made]]));
      return made;
    });
  }

  /** Takes everything from this browser. */
  wipe(): Promise<void> {
    return this.turn.run(async () => {
      await this.drop();
      await this.erase();
    });
  }

  /** Stops, for another to go on. */
  async close(): Promise<void> {
    await this.signedIn?.client.close();
    await this.store.close();
  }

  /** Looks again at how things stand. */
  async refreshStatus(): Promise<void> {
    const { signedIn } = this;
    const known = signedIn ? undefined : await read<{ username: string }>(this.store, keys.session);
    const endedElsewhere = signedIn ? undefined : await read<true | SessionEndReason | Unknown>(this.store, endedKey);
    const isApproved = signedIn?.client.devices.isApproved ?? false;
    const deviceCode = signedIn && !isApproved ? await signedIn.client.devices.currentCode() : undefined;
    // Somebody came or went meanwhile: what was found out is about another, and must not stand after what is right.
    if (signedIn !== this.signedIn) {
      await this.refreshStatus();
      return;
    }
    if (!signedIn) {
      this.replaceStatus({
        state: "signedOut", connected: false, unsent: 0, ...(known ? { username: known.username } : {}), ...(endedElsewhere ? { endedElsewhere: true } : {}), ...(typeof endedElsewhere === "string" ? { endReason: endedElsewhere } : {}),
      });
      return;
    }
    const { client } = signedIn;
    this.replaceStatus({
      state: isApproved ? "ready" : "waiting", userId: client.userId, username: client.username, deviceId: client.devices.currentId, connected: client.isConnected,
      unsent: client.unsent, privacy: client.privacy.settings, ...(client.deviceError ? { deviceError: client.deviceError } : {}), ...(deviceCode === undefined ? {} : { deviceCode, toConfirm: client.devices.isOffered }),
    });
  }

  /** The list, and with a room what is shown of it, is another. Told soon: many changes come at once. */
  readonly changed = (roomId?: string): void => {
    this.due.add(roomId);
    if (this.telling)
      return;
    this.telling = true;
    soon(() => {
      this.telling = false;
      const rooms = [...this.due];
      this.due.clear();
      this.refresh();
      this.tell("conversations", undefined);
      for (const id of rooms)
        if (id !== undefined)
          this.tell("room", { roomId: id });
    });
  };

  /** What one tab asks for in a room takes effect in the order of its asking. */
  inOrder<T>(roomId: string, work: () => Promise<T>): Promise<T> {
    let turn = this.rooms.get(roomId);
    if (!turn)
      this.rooms.set(roomId, turn = new Mutex());
    return turn.run(work);
  }

  private enter(username: string, repeated: boolean, begin: (store: Store) => Promise<SecureMessaging>): Promise<void> {
    return this.turn.run(async () => {
      if (this.signedIn) {
        if (repeated && this.signedIn.client.username === username.toLowerCase())
          return;
        throw SecureMessagingError.of("Conflict", "An account is already signed in. Sign it out first.");
      }
      await this.adopt(await begin(new LentStore(this.store)));
      await this.store.write(new Map([[endedKey, null]]));
    });
  }

  private async adopt(client: SecureMessaging): Promise<void> {
    const offs: (() => void)[] = [];
    const refresh = () => this.refresh();
    offs.push(client.on("warning", (warning) => {
      if (warning.roomId !== undefined && (warning.kind === "rosterMismatch" || warning.kind === "logRewound"))
        following?.report(warning.roomId, warning.kind);
      this.tell("warning", warning);
    }));
    offs.push(client.on("error", (error) => this.tell("warning", warningOf("connection", "gaveUp", error))));
    // Rooms that come while the list is being read are followed after it.
    let following: Conversations | undefined;
    const early: Room[] = [];
    offs.push(client.on("room", (room) => {
      if (!following) {
        early.push(room);
        return;
      }
      this.follow(room);
      void following.follow(room).catch(this.failed("tabs", "notFollowed"));
    }));
    for (const room of client.rooms.list())
      this.follow(room);
    const conversations = following = await Conversations.load(this.store, client, this.changed);
    for (const room of early) {
      this.follow(room);
      await conversations.follow(room);
    }
    this.signedIn = { client, conversations };
    client.on("roomEnded", ({ roomId }) => conversations.ended(roomId));
    client.context.outbox.onChanged = this.changed;
    client.privacy.onChanged = () => {
      for (const id of conversations.ids())
        this.changed(id);
    };
    client.upkeep.onDeviceError = refresh;
    client.on("connected", refresh);
    client.on("disconnected", refresh);
    client.on("approved", refresh);
    client.on("approvalArrived", refresh);
    client.on("identityChanged", ({ userId, username }) => {
      conversations.identityChanged(userId);
      this.tell("identityChanged", { userId, username: username ?? "" });
    });
    client.on("sendFailed", ({ roomId, error }) => {
      this.tell("warning", warningOf("outbox", "sendFailed", error, { roomId }));
      this.changed(roomId);
    });
    client.on("signedOut", ({ reason }) => void this.turn.run(async () => {
      if (this.signedIn?.client !== client)
        return;
      if (!this.isLeaving)
        await this.store.write(new Map([[endedKey, pack(reason ?? true)]]));
      await this.drop();
    }).catch(this.failed("session", "notDropped")));
    await this.refreshStatus();
    this.changed();
  }

  private follow(room: Room): void {
    // A person's name may be known only after their message has come.
    const latest = new Map<string, object>();
    room.on("typing", ({ userId }) => {
      const typing = {};
      latest.set(userId, typing);
      void this.client.usernameOf(userId).then((username) => {
        if (userId !== this.signedIn?.client.userId && latest.get(userId) === typing)
          this.tell("typing", { roomId: room.id, userId, username: username ?? "" });
      }).catch(this.client.context.failed("tabs", "typistUnknown", { roomId: room.id, retrying: true }));
    });
    room.on("typingEnded", ({ userId }) => {
      latest.delete(userId);
      this.tell("typingEnded", { roomId: room.id, userId });
    });
  }

  private failed(area: WarningArea, kind: string): (error: unknown) => void {
    return (error) => this.tell("warning", warningOf(area, kind, error));
  }

  private refresh(): void {
    void this.refreshStatus().catch(this.failed("tabs", "statusNotRead"));
  }

  private async drop(): Promise<void> {
    const gone = this.signedIn;
    this.signedIn = undefined;
    await gone?.client.close();
    await this.refreshStatus();
    this.changed();
  }

  private async erase(): Promise<void> {
    await this.store.erase();
    await this.refreshStatus();
  }

  private require(): { client: SecureMessaging; conversations: Conversations } {
    if (!this.signedIn)
      throw SecureMessagingError.signedOut();
    return this.signedIn;
  }

  private replaceStatus(about: Omit<SharedStatus, "leader">): void {
    const status = this.storeError ? { ...about, storeError: this.storeError } : about;
    if (JSON.stringify(status) === JSON.stringify(this.current))
      return;
    this.current = status;
    this.tell("status", { ...status, leader: false });
  }
}

/** In the next task. Timers of a tab that nobody looks at may wait for a minute. */
function soon(work: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    work();
  };
  port2.postMessage(undefined);
}
