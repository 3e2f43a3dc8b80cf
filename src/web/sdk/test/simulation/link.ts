/* The network between one process of a device and the server: delays, lost requests, lost answers, broken connections, pushes that come late or twice. */
import { SecureMessagingError } from "../../src/base/errors.js";
import { Emitter } from "../../src/base/events.js";
import type { Directory } from "../../src/account/directory.js";
import { defer, type Deferred } from "../../src/base/timing.js";
import type { HubEvents } from "../../src/net/hub.js";
import type { LogEntry, LogPage, RoomHead, SendAck, SendResult } from "../../src/net/wire.js";
import type { Hub, NewSend, Server } from "../../src/rooms/ports.js";
import { keysOf } from "./directory.js";
import type { FakeServer } from "./fakeServer.js";
import type { World } from "./world.js";

/** How often the network fails. */
export interface Faults {
  lostRequest: number;
  lostAnswer: number;
  duplicatePush: number;
  lostPush: number;
  /** The longest delay of a message in one direction. */
  delayMs: number;
  /** The longest additional delay of a push. With more than 0, pushes overtake each other. */
  pushDelayMs: number;
}

export const noFaults: Faults = { lostRequest: 0, lostAnswer: 0, duplicatePush: 0, lostPush: 0, delayMs: 5, pushDelayMs: 0 };

const lost = (): SecureMessagingError => SecureMessagingError.unreachable(undefined, "The answer was lost");

export class Link extends Emitter<HubEvents> implements Hub {
  private connection = 0;
  private live: number | undefined;
  private ready: Deferred<void> = defer();
  private readonly inFlight = new Set<(error: Error) => void>();
  private isDead = false;
  private lastPushAt = 0;

  constructor(
    private readonly world: World,
    private readonly server: FakeServer,
    readonly userId: string,
    readonly deviceId: string,
    /** The faults of now. They end before the run is checked. */
    private readonly faults: () => Faults,
  ) {
    super();
  }

  get isConnected(): boolean {
    return this.live !== undefined;
  }

  connect(): void {
    if (this.isDead || this.live !== undefined) return;
    this.live = ++this.connection;
    this.ready.resolve();
    this.emit("connected", undefined);
  }

  /** The connection breaks. The calls that wait for an answer fail. */
  disconnect(): void {
    if (this.live === undefined) return;
    this.live = undefined;
    this.ready = defer();
    this.emit("lost", undefined);
    for (const fail of [...this.inFlight]) fail(lost());
  }

  /** The process has died: nothing reaches it any more. */
  die(): void {
    this.isDead = true;
    this.live = undefined;
    this.ready = defer();
  }

  /** The server sends something, without waiting for an answer. */
  push(send: () => void): void {
    const faults = this.faults();
    const { live } = this;
    if (live === undefined) return;
    const times = this.world.chance(faults.lostPush) ? 0 : this.world.chance(faults.duplicatePush) ? 2 : 1;
    for (let i = 0; i < times; i++) {
      let at = this.world.now + this.world.random() * faults.delayMs + this.world.random() * faults.pushDelayMs;
      if (faults.pushDelayMs === 0) this.lastPushAt = at = Math.max(at, this.lastPushAt);
      this.world.after(at - this.world.now, () => {
        if (this.live === live && !this.isDead) send();
      });
    }
  }

  pushEntries(roomId: string, entries: LogEntry[]): void {
    this.push(() => this.emit("received", { roomId, entries }));
  }

  // The hub's calls wait for a connection, and fail when it breaks.

  sync(roomId: string, afterSeq: number, limit: number): Promise<LogPage> {
    return this.invoke(() => this.server.sync(this.userId, roomId, afterSeq, Math.min(limit, 1 + this.world.below(20))));
  }

  heads(): Promise<RoomHead[]> {
    return this.invoke(() => this.server.heads(this.userId));
  }

  sendBatch(sends: NewSend[]): Promise<SendResult[]> {
    return this.invoke(() => this.server.sendBatch(this.userId, sends));
  }

  retract(roomId: string, seq: number): Promise<SendAck> {
    return this.invoke(() => this.server.retract(this.userId, roomId, seq));
  }

  async signal(): Promise<void> {
    // Signals are not part of the history.
  }

  markDelivered(): Promise<void> {
    return this.invoke(() => undefined);
  }

  /** A call over HTTP: it needs no connection of the hub. */
  call<T>(work: () => T): Promise<T> {
    return this.roundTrip(work, undefined);
  }

  /** The port with the server's other calls. */
  asServer(): Server {
    const { server, userId, world } = this;
    return {
      isOver: false,
      now: () => world.now,
      createRoom: (room) => this.call(() => server.createRoom(userId, room)).then((summary) => summary),
      room: (roomId) => this.call(() => server.summary(userId, roomId)),
      deleteRoom: () => this.call(() => undefined),
      removeMember: (roomId, removed) => this.call(() => server.removeMember(userId, roomId, removed)),
      devicesOfRoom: (roomId) => this.call(() => server.devicesOfRoom(userId, roomId)),
      claim: (_, deviceIds) => this.call(() => server.directory.claim(deviceIds)),
      commit: (roomId, commit) => this.call(() => server.commit(userId, roomId, commit)),
      reportInvalidCommit: (roomId, seq) => this.call(() => server.reportInvalidCommit(userId, roomId, seq)),
      welcomes: (deviceId) => this.call(() => server.welcomes(userId, deviceId)),
      deleteWelcome: (deviceId, { roomId, seq }) => this.call(() => server.deleteWelcome(deviceId, roomId, seq)),
    };
  }

  /** The port with the device lists. */
  asDirectory(): Directory {
    const { directory } = this.server;
    return {
      user: (username) => this.call(() => keysOf(directory.named(username))),
      lists: (userId, after) => this.call(() => ({ newest: directory.user(userId).lists.length, lists: directory.user(userId).lists.slice(after) })),
      publish: () => Promise.reject(new TypeError("The lists of a run are made by lists.ts.")),
    };
  }

  private async invoke<T>(work: () => T): Promise<T> {
    for (;;) {
      const { ready } = this;
      await ready.promise;
      if (this.live !== undefined) return this.roundTrip(work, this.live);
    }
  }

  private roundTrip<T>(work: () => T, connection: number | undefined): Promise<T> {
    const { world } = this;
    return new Promise<T>((resolve, reject) => {
      const { delayMs, lostRequest, lostAnswer } = this.faults();
      const fail = (error: Error) => {
        this.inFlight.delete(fail);
        if (!this.isDead) reject(error);
      };
      if (connection !== undefined) this.inFlight.add(fail);
      if (world.chance(lostRequest)) {
        world.after(delayMs, () => fail(lost()));
        return;
      }
      world.after(world.random() * delayMs, () => {
        let settle: () => void;
        try {
          const result = structuredCloneOf(work());
          settle = () => resolve(result);
        } catch (error) {
          settle = () => reject(error);
        }
        const answerIsLost = world.chance(lostAnswer);
        world.after(world.random() * delayMs, () => {
          if (answerIsLost) {
            fail(lost());
            return;
          }
          if (this.isDead || (connection !== undefined && !this.inFlight.delete(fail))) return;
          settle();
        });
      });
    });
  }
}

/** Processes do not share objects. Entries are copied; bytes are never changed by a client. */
function structuredCloneOf<T>(value: T): T {
  return Array.isArray(value) ? (value.map((each: unknown) => (typeof each === "object" ? { ...each } : each)) as T) : value;
}
