import { SecureMessaging } from "../client/client.js";
import { SecureMessagingError, toBody, type ErrorBody } from "../base/errors.js";
import type { ServerAddress } from "../net/http.js";
import type { Room } from "../rooms/room.js";
import type { IndexedDbStore } from "../store/indexedDb.js";
import { randomBytes } from "../base/bytes.js";
import { keys, pack, read, type Store } from "../store/store.js";
import { Mutex, sleep } from "../base/timing.js";
import { warningOf, type WarningArea } from "../base/warnings.js";
import { Conversations } from "./conversations.js";
import { SharedStore } from "./sharedStore.js";
import type { SessionEndReason, Unknown } from "../net/wire.js";
import type { Notify, TabOptions } from "./link.js";
import { passOn } from "./roomEvents.js";
import type { SharedStatus } from "./status.js";

/** How long a sign-out waits for the server. */
const goodbyeMs = 5_000;

/** Stored when the session was not ended by this browser: the server's reason, or `true` without one. */
const endedKey = "endedElsewhere";
const secretKey = (name: string) => `secret/${name}`;

/** The state of the leading tab: the store and, while a user is signed in, the client. @internal */
export class Leader {
  private signedIn: { client: SecureMessaging; conversations: Conversations } | undefined;
  private current: Omit<SharedStatus, "leader"> = { state: "signedOut", connected: false, unsent: 0 };
  private readonly turn = new Mutex();
  private readonly due = new Set<string | undefined>();
  private readonly rooms = new Map<string, Mutex>();
  private notifying = false;
  private isLeaving = false;
  private storeError: ErrorBody | undefined;

  private constructor(
    readonly store: IndexedDbStore,
    readonly address: ServerAddress,
    private readonly deviceName: string | undefined,
    private readonly notify: Notify,
  ) {
    store.onState = (error) => {
      this.storeError = error && toBody(error);
      if (error) this.notify("warning", warningOf("store", "storeFailed", error, { retrying: error.retryable }));
      this.refresh();
    };
  }

  /** Continues with the content of the store. Needs no connection. */
  static async open(store: IndexedDbStore, { deviceName, ...address }: TabOptions, notify: Notify): Promise<Leader> {
    const leader = new Leader(store, address, deviceName, notify);
    const client = await SecureMessaging.resume({ store: new SharedStore(store) });
    await (client ? leader.adopt(client) : leader.refreshStatus());
    return leader;
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

  /** A room of this user. */
  async room(id: string): Promise<Room> {
    const room = this.client.rooms.list().find((each) => each.id === id) ?? (await this.client.rooms.get(id));
    if (!room) throw SecureMessagingError.of("NotFound", "This device has no room with this id.");
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
        await Promise.race([signedIn.client.signOut(), sleep(goodbyeMs, answered.signal).then(() => Promise.reject(SecureMessagingError.unreachable()))])
          .catch((error: unknown) => {
            // Without a connection, the session ends only in this browser. On the server it expires.
            if (!wipe || !(error instanceof SecureMessagingError)) throw error;
            this.failed("session", "notSignedOut")(error);
          })
          .finally(() => answered.abort(new Error("done")));
      }
      await this.drop();
      if (wipe) await this.erase();
    });
  }

  /** Runs work that ends the session at the user's request. */
  async leaving(work: () => Promise<void>): Promise<void> {
    this.isLeaving = true;
    try {
      await work();
      // The handler of the session's end runs first.
      await this.turn.run(async () => undefined);
    } finally {
      this.isLeaving = false;
    }
  }

  /** The random bytes that this device stores under a name. */
  secret(name: string): Promise<Uint8Array> {
    void this.client;
    return this.turn.run(async () => {
      const known = await this.store.get(secretKey(name));
      if (known) return known;
      const made = randomBytes(32);
      await this.store.write(new Map([[secretKey(name), made]]));
      return made;
    });
  }

  /** Deletes everything in this browser. */
  wipe(): Promise<void> {
    return this.turn.run(async () => {
      await this.drop();
      await this.erase();
    });
  }

  /** Stops, so that another tab can lead. */
  async close(): Promise<void> {
    await this.signedIn?.client.close();
    await this.store.close();
  }

  /** Computes the status again. */
  async refreshStatus(): Promise<void> {
    const { signedIn } = this;
    const known = signedIn ? undefined : await read<{ username: string }>(this.store, keys.session);
    const endedElsewhere = signedIn ? undefined : await read<true | SessionEndReason | Unknown>(this.store, endedKey);
    const isApproved = signedIn?.client.devices.isApproved ?? false;
    const deviceCode = signedIn && !isApproved ? await signedIn.client.devices.currentCode() : undefined;
    // The user has changed meanwhile: the result belongs to the former user, so it is computed again.
    if (signedIn !== this.signedIn) {
      await this.refreshStatus();
      return;
    }
    if (!signedIn) {
      this.replaceStatus({
        state: "signedOut",
        connected: false,
        unsent: 0,
        ...(known ? { username: known.username } : {}),
        ...(endedElsewhere ? { endedElsewhere: true } : {}),
        ...(typeof endedElsewhere === "string" ? { endReason: endedElsewhere } : {}),
      });
      return;
    }
    const { client } = signedIn;
    this.replaceStatus({
      state: isApproved ? "ready" : "waiting",
      userId: client.userId,
      username: client.username,
      deviceId: client.devices.currentId,
      connected: client.isConnected,
      unsent: client.unsent,
      privacy: client.privacy.settings,
      ...(client.deviceError ? { deviceError: client.deviceError } : {}),
      ...(deviceCode === undefined ? {} : { deviceCode, toConfirm: client.devices.isOffered }),
    });
  }

  /** The list has changed; with a room id, what is shown of the room too. Several changes are announced together. */
  readonly changed = (roomId?: string): void => {
    this.due.add(roomId);
    if (this.notifying) return;
    this.notifying = true;
    soon(() => {
      this.notifying = false;
      const rooms = [...this.due];
      this.due.clear();
      this.refresh();
      this.notify("conversations", undefined);
      for (const id of rooms) if (id !== undefined) this.notify("roomChanged", { roomId: id });
    });
  };

  private readonly linesChanged = (roomId: string): void => this.notify("lines", { roomId });

  /** Runs the calls for one room in the order in which they were made. */
  inOrder<T>(roomId: string, work: () => Promise<T>): Promise<T> {
    let turn = this.rooms.get(roomId);
    if (!turn) this.rooms.set(roomId, (turn = new Mutex()));
    return turn.run(work);
  }

  private enter(username: string, repeated: boolean, begin: (store: Store) => Promise<SecureMessaging>): Promise<void> {
    return this.turn.run(async () => {
      if (this.signedIn) {
        if (repeated && this.signedIn.client.username === username.toLowerCase()) return;
        throw SecureMessagingError.of("Conflict", "An account is already signed in. Sign it out first.");
      }
      await this.adopt(await begin(new SharedStore(this.store)));
      await this.store.write(new Map([[endedKey, null]]));
    });
  }

  private async adopt(client: SecureMessaging): Promise<void> {
    client.on("warning", (warning) => this.notify("warning", warning));
    client.on("error", (error) => this.notify("warning", warningOf("connection", "gaveUp", error)));
    // Rooms that arrive while the list is loaded are followed afterwards.
    let following: Conversations | undefined;
    const early: Room[] = [];
    client.on("room", (room) => {
      this.notify("room", { roomId: room.id });
      if (!following) {
        early.push(room);
        return;
      }
      passOn(room, client, this.notify);
      void following.follow(room).catch(this.failed("tabs", "notFollowed"));
    });
    for (const room of client.rooms.list()) passOn(room, client, this.notify);
    const conversations = (following = await Conversations.load(this.store, client, this.changed, this.linesChanged));
    for (const room of early) {
      passOn(room, client, this.notify);
      await conversations.follow(room);
    }
    this.signedIn = { client, conversations };
    if (this.deviceName !== undefined) await client.parts.names.suggest(this.deviceName);
    client.upkeep.inBackground(() => client.parts.names.keep());
    this.passOnEvents(client, conversations);
    await this.refreshStatus();
    this.changed();
  }

  private passOnEvents(client: SecureMessaging, conversations: Conversations): void {
    const refresh = () => this.refresh();
    client.on("roomEnded", (ended) => {
      conversations.ended(ended.roomId);
      this.notify("roomEnded", ended);
    });
    client.parts.outbox.on("changed", ({ roomId }) => this.changed(roomId));
    client.privacy.events.on("changed", () => {
      for (const id of conversations.ids()) this.changed(id);
      refresh();
    });
    client.upkeep.on("deviceError", refresh);
    client.on("connected", refresh);
    client.on("disconnected", refresh);
    client.on("approved", refresh);
    client.on("approvalArrived", refresh);
    client.on("personChanged", (change) => {
      conversations.personChanged(change.userId);
      this.notify("personChanged", change);
    });
    client.on("devicesChanged", (change) => {
      this.notify("devicesChanged", change);
      refresh();
    });
    client.on("devicesAlarm", (hold) => this.notify("devicesAlarm", hold));
    client.on("identityChanged", ({ userId, username }) => this.notify("identityChanged", { userId, username: username ?? "" }));
    client.on("sendFailed", ({ roomId, id, error }) => {
      this.notify("sendFailed", { roomId, id, error: toBody(error) });
      this.notify("warning", warningOf("outbox", "sendFailed", error, { roomId }));
      this.changed(roomId);
    });
    client.on(
      "signedOut",
      ({ reason }) =>
        void this.turn
          .run(async () => {
            if (this.signedIn?.client !== client) return;
            if (!this.isLeaving) await this.store.write(new Map([[endedKey, pack(reason ?? true)]]));
            await this.drop();
          })
          .catch(this.failed("session", "notDropped")),
    );
  }

  private failed(area: WarningArea, kind: string): (error: unknown) => void {
    return (error) => this.notify("warning", warningOf(area, kind, error));
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
    if (!this.signedIn) throw SecureMessagingError.signedOut();
    return this.signedIn;
  }

  private replaceStatus(about: Omit<SharedStatus, "leader">): void {
    const status = this.storeError ? { ...about, storeError: this.storeError } : about;
    if (JSON.stringify(status) === JSON.stringify(this.current)) return;
    this.current = status;
    this.notify("status", { ...status, leader: false });
  }
}

/** Runs work in the next task. Timers would be throttled in a hidden tab. */
function soon(work: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    work();
  };
  port2.postMessage(undefined);
}
