/* A device with its store, and the processes of the client that run on it one after another. A process can die at any of its waits. */
import { newId, toHex } from "../../src/base/bytes.js";
import { warningOf, type Warning } from "../../src/base/warnings.js";
import type { SecureMessagingError } from "../../src/base/errors.js";
import { wireRooms, type RoomParts } from "../../src/client/wiring.js";
import type { DeviceIdentity } from "../../src/mls/credential.js";
import type { KeyPair } from "../../src/mls/ed25519.js";
import type { Device, OwnKeyPackage, Ports } from "../../src/rooms/ports.js";
import type { OutboxItem } from "../../src/rooms/records.js";
import type { Room } from "../../src/rooms/room.js";
import { Mutex } from "../../src/base/timing.js";
import { Pins } from "../../src/account/pins.js";
import { TrustBook } from "../../src/account/trustBook.js";
import { keys, MemoryStore, pack, read, unpack, type Changes, type ListOptions, type Store, type WriteOptions } from "../../src/store/store.js";
import type { ServerUser } from "./directory.js";
import type { UserLists } from "./lists.js";
import type { FakeServer } from "./fakeServer.js";
import { Link, type Faults } from "./link.js";
import type { SimMls } from "./mls.js";
import { clockOf, type World } from "./world.js";

/** What stays when a process dies. */
export class Disk extends MemoryStore {
  /** What undoes the writes that a power failure may undo, the newest last. */
  private readonly undo: Changes[] = [];

  put(changes: Changes, relaxed: boolean): void {
    if (relaxed) this.undo.push(new Map([...changes.keys()].map((key) => [key, this.values.get(key) ?? null])));
    else this.undo.length = 0;
    this.apply(changes);
  }

  /** The newest relaxed writes are lost, as many as `count` at most. */
  losePower(count: number): void {
    for (let i = 0; i < count && this.undo.length > 0; i++) this.apply(this.undo.pop()!);
    this.undo.length = 0;
  }

  /** Whether the outbox or the history has the send. */
  has({ roomId, userId, id }: { roomId: string; userId: string; id: string }): boolean {
    if (this.values.has(keys.messageId(roomId, `${userId}/${id}`)) || this.values.has(keys.failed(roomId, id))) return true;
    for (const [key, value] of this.values) if (key.startsWith(keys.outboxes) && unpack<OutboxItem>(value).id === id) return true;
    return false;
  }
}

/** The store as one process sees it. A process that has died neither writes nor hears of a result. */
class DiskOf implements Store {
  constructor(
    private readonly world: World,
    private readonly disk: Disk,
    private readonly isAlive: () => boolean,
    private readonly isSlow: () => boolean,
  ) {}

  get(key: string): Promise<Uint8Array | undefined> {
    return this.disk.get(key);
  }

  list(prefix: string, options?: ListOptions): Promise<[string, Uint8Array][]> {
    return this.disk.list(prefix, options);
  }

  write(changes: Changes, options: WriteOptions = {}): Promise<void> {
    const copy = new Map(changes);
    const put = () => {
      if (this.isAlive()) this.disk.put(copy, options.relaxed === true);
    };
    if (!this.isSlow()) {
      put();
      return this.isAlive() ? Promise.resolve() : new Promise(() => undefined);
    }
    return new Promise((resolve) => {
      this.world.after(this.world.random() * 3, () => {
        put();
        this.world.after(this.world.random() * 3, () => {
          if (this.isAlive()) resolve();
        });
      });
    });
  }

  async close(): Promise<void> {
    // The disk stays.
  }
}

/** A send that the application has asked for. */
export interface Asked {
  id: string;
  roomId: string;
  userId: string;
  text: string;
  /** Whether all devices delete it at the end of its life. */
  expires: boolean;
  /** Whether the outbox has stored it. */
  isKept?: boolean;
  /** Whether a power failure may have undone the write that stored it. */
  mayBeLost?: boolean;
  /** The place in the log, as the outbox has reported it. */
  seq?: number;
  error?: SecureMessagingError;
}

interface Process extends RoomParts {
  link: Link;
  closing: AbortController;
}

interface DeviceKeys {
  signature: KeyPair;
  identitySignature: Uint8Array<ArrayBuffer>;
}

export interface DeviceOptions {
  world: World;
  server: FakeServer;
  user: ServerUser;
  mls: SimMls;
  identityKey: KeyPair;
  faults: () => Faults;
  name: string;
  /** The signed device lists of the user. */
  lists: UserLists;
}

export class SimDevice {
  readonly id: string;
  readonly name: string;
  readonly user: ServerUser;
  readonly disk = new Disk();
  private keys!: DeviceKeys;
  private nextKeys: DeviceKeys | undefined;
  readonly warnings: Warning[] = [];
  /** By how much the clock of the next process is ahead. */
  aheadMs = 0;
  /** Whether the person agrees at once to enter a room again. */
  agrees = true;
  /** The sends of the application, in the order of the calls. */
  readonly asked: Asked[] = [];
  /** What this device has seen that must not be. */
  readonly complaints: string[] = [];
  process: Process | undefined;
  /** What the running process believes about people. */
  people: TrustBook | undefined;
  link: Link | undefined;
  private generation = 0;
  private isStarting = false;
  private readonly isSlow: boolean;

  constructor(private readonly of: DeviceOptions) {
    const { world, name, user } = of;
    this.id = world.uuid();
    this.name = name;
    this.user = user;
    this.isSlow = world.chance(0.7);
  }

  get identity(): DeviceIdentity {
    return {
      userId: this.user.id,
      deviceId: this.id,
      identityKey: this.user.identityKey,
      identitySignature: this.keys.identitySignature,
    };
  }

  /** The server knows the device, and its user's other devices have approved it. */
  async register(): Promise<void> {
    this.keys = await this.newKeys();
    await this.of.lists.add(this.id, this.keys.signature);
    this.of.server.changeDevice(this.user.id, {
      id: this.id,
      userId: this.user.id,
      signatureKey: this.keys.signature.publicKey,
      identitySignature: this.keys.identitySignature,
      packages: new Map(),
      lastResort: undefined,
      claimed: new Set(),
    });
  }

  /** Starts a process of the client with what the disk has. */
  async start(): Promise<void> {
    this.isStarting = true;
    const turn = ++this.generation;
    const isAlive = () => this.generation === turn;
    const { world, server, user, mls, faults } = this.of;
    const link = (this.link = new Link(world, server, user.id, this.id, faults));
    const closing = new AbortController();
    const identity = () => this.identity;
    const signature = () => this.keys.signature;
    const store = new DiskOf(world, this.disk, isAlive, () => this.isSlow);
    const people = (this.people = new TrustBook(await Pins.load(store), link.asDirectory(), user.id, () => world.now));
    if (!people.identityKeyOf(user.id)) await people.trustOwn(user.identityKey, undefined);
    if (!isAlive()) return;
    const own: Device = {
      userId: user.id,
      id: this.id,
      get identity() {
        return identity();
      },
      get signature() {
        return signature();
      },
    };
    const ports: Ports & { hub: Link } = {
      hub: link,
      server: link.asServer(),
      store,
      clock: clockOf(world, isAlive, this.aheadMs),
      device: own,
      mls,
      people,
      keyPackages: { find: (reference) => read(store, keys.keyPackage(reference)) },
      privacy: { settings: { readReceipts: true, typing: true, deliveryCursor: true } },
      reports: {
        warn: (warning) => {
          if (isAlive()) this.warnings.push(warning);
        },
        failed: (area, kind, about) => (error) => {
          if (isAlive()) this.warnings.push(warningOf(area, kind, error, about));
        },
      },
      closing: closing.signal,
    };
    const topUp = () => this.topUp(link, store);
    // As in a product, one act at a time: a second one would delete the KeyPackages that the first one has made.
    const keysTurn = new Mutex();
    const parts = wireRooms(ports, {
      device: { reconcile: () => keysTurn.run(() => this.finishRotation(link, store, isAlive)) },
      keyPackages: { topUp },
      names: { keep: () => Promise.resolve() },
      devices: {
        rotate: async () => {
          await keysTurn.run(async () => {
            // A rotation that is not finished goes on with its keys: their list may be published.
            this.nextKeys ??= await this.newKeys();
            await this.finishRotation(link, store, isAlive);
          });
          await topUp();
        },
      },
    });
    people.on("changed", ({ userId, line }) => parts.rooms.personChanged(userId, line?.kind === "devices" || line?.kind === "identityRenewed"));
    people.on("identityChanged", () => this.complaints.push("an identity key has changed"));
    parts.rooms.events.on("room", (room) => this.watch(room));
    await parts.outbox.load();
    await parts.rooms.load();
    if (!isAlive()) return;
    this.isStarting = false;
    this.process = { ...parts, link, closing };
    link.connect();
  }

  /** Starts a process, unless one runs. */
  startAgain(): Promise<void> {
    return this.process || this.isStarting ? Promise.resolve() : this.start();
  }

  /** The process dies at once. @param losesPower - Whether the newest relaxed writes are lost. */
  die(losesPower = false): void {
    this.generation++;
    this.isStarting = false;
    this.link?.die();
    this.link = this.process = undefined;
    if (!losesPower) return;
    this.disk.losePower(this.of.world.below(4));
    for (const asked of this.asked) asked.mayBeLost ||= !this.disk.has(asked) && asked.seq === undefined;
  }

  /** Sends as an application does, and notes what becomes of it. */
  async send(roomId: string, text: string, timeToLiveSeconds?: number): Promise<void> {
    const { process } = this;
    const room = await process?.rooms.get(roomId);
    if (!room || !process || this.process !== process) return;
    const life = timeToLiveSeconds === undefined ? {} : { timeToLiveSeconds };
    const asked: Asked = { id: newId(), roomId, text, userId: this.user.id, expires: timeToLiveSeconds !== undefined };
    this.asked.push(asked);
    const { stored } = await room.send(text, { id: asked.id, ...life });
    asked.isKept = true;
    stored.then(
      ({ seq }) => {
        asked.seq = seq;
      },
      (error: unknown) => {
        asked.error = error as SecureMessagingError;
      },
    );
  }

  private watch(room: Room): void {
    let last = 0;
    // A person asks another member, and agrees to enter again.
    const agree = () => {
      if (this.agrees && room.holds().some((hold) => hold.kind === "reentryHeld")) void room.agreeToEnter().catch(() => undefined);
    };
    room.on("holds", agree);
    agree();
    room.on("message", ({ seq, mine }) => {
      // The place of an own message may become known only when the server answers a repeated send.
      if (mine) return;
      if (seq <= last) this.complaints.push(`message ${seq} came after ${last}`);
      last = seq;
    });
  }

  private async newKeys(): Promise<DeviceKeys> {
    const { identityKey, mls, user } = this.of;
    const signature = await mls.newKey();
    return { signature, identitySignature: await mls.sign(identityKey, user.id, this.id, signature.publicKey) };
  }

  private async topUp(link: Link, store: Store): Promise<void> {
    const { available, lastResort } = await link.call(() => this.of.server.directory.stock(this.user.id, this.id));
    if (available >= 3 && lastResort) return;
    const changes: Changes = new Map();
    const { signature } = this.keys;
    const make = async (isLastResort: boolean) => {
      const made: OwnKeyPackage = await this.of.mls.makeKeyPackage(this.identity, signature, 84, this.of.world.now);
      const reference = toHex(made.reference);
      changes.set(keys.keyPackage(reference), pack({ ...made, lastResort: isLastResort }));
      return { reference, message: made.message };
    };
    const packages = [await make(false), await make(false), await make(false), await make(false)];
    const last = lastResort ? undefined : await make(true);
    await store.write(changes);
    await link.call(() => this.of.server.directory.upload(this.user.id, this.id, signature.publicKey, packages, last));
  }

  /** Whether new keys are published that this device does not use yet. */
  get isRotating(): boolean {
    return this.nextKeys !== undefined;
  }

  private async finishRotation(link: Link, store: Store, isAlive: () => boolean): Promise<void> {
    const next = this.nextKeys;
    if (!next) return;
    await link.call(() => this.of.lists.replaceKeys(this.id, this.keys.signature, next.signature));
    await link.call(() => this.of.server.rotateKeys(this.user.id, this.id, next.signature.publicKey, next.identitySignature));
    const gone: Changes = new Map((await store.list(keys.keyPackages)).map(([key]) => [key, null]));
    await store.write(gone);
    if (!isAlive()) return;
    this.keys = next;
    this.nextKeys = undefined;
  }
}
