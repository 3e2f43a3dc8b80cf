/* One run: some people talk in a room while everything around them fails. Then the failures stop, and all devices must agree. */
import { newId, toHex } from "../../src/base/bytes.js";
import { isSignedOut } from "../../src/base/errors.js";
import type { KeyPair } from "../../src/mls/ed25519.js";
import { SimDevice } from "./device.js";
import type { ServerUser } from "./directory.js";
import { FakeServer, type ServerRoom } from "./fakeServer.js";
import { noFaults, type Faults } from "./link.js";
import { UserLists } from "./lists.js";
import { realMls, simMls, type SimMls } from "./mls.js";
import { World } from "./world.js";

export interface RunOptions {
  seed: number;
  /** Whether the server adds entries of an attacker. */
  isHostile?: boolean;
  /** Whether MLS is the real one. It is slow. */
  isReal?: boolean;
}

const usernames = ["anna", "ben", "cleo", "dora"];

export class Run {
  readonly world: World;
  readonly server: FakeServer;
  readonly devices: SimDevice[] = [];
  /** Devices that were in the group from the beginning to the end. They must have everything. */
  readonly notSteady = new Set<SimDevice>();
  /** The places of entries that no honest client has made. */
  readonly hostile = new Set<number>();
  /** The places of messages that are gone: a device may not have read them before. */
  readonly gone = new Set<number>();
  room!: ServerRoom;
  private faults: Faults = noFaults;
  private readonly mls: SimMls;
  private readonly identities = new Map<ServerUser, KeyPair>();
  private readonly lists = new Map<ServerUser, UserLists>();
  private texts = 0;

  constructor(readonly options: RunOptions) {
    const world = (this.world = new World(options.seed, options.isReal ? Date.now() : undefined));
    this.mls = options.isReal ? realMls : simMls(world);
    this.server = new FakeServer(world, this.mls, {
      entries: (room, entries, userIds) => {
        for (const link of this.links()) if (userIds.includes(link.userId)) link.pushEntries(room.id, entries);
      },
      roomChanged: (roomId, change, userId) => {
        for (const link of this.links()) if (link.userId === userId) link.push(() => link.emit("roomChanged", { roomId, change }));
      },
      welcomesWaiting: (deviceId) => {
        for (const link of this.links()) if (link.deviceId === deviceId) link.push(() => link.emit("welcomesWaiting", { deviceId }));
      },
    });
  }

  /** Sets up, lets everything happen, and waits until nothing is left to do. */
  async play(): Promise<void> {
    const { world } = this;
    const people = 2 + world.below(3);
    for (let i = 0; i < people; i++) {
      const identity = await this.mls.newKey();
      const user: ServerUser = { id: newId(), username: usernames[i]!, identityKey: identity.publicKey, devices: [], lists: [] };
      this.identities.set(user, identity);
      this.lists.set(user, new UserLists(world, user, identity));
      this.server.directory.users.set(user.id, user);
      await this.add(user);
      if (world.chance(0.35)) await this.add(user);
    }
    for (const device of this.devices) await this.start(device);
    await world.pass(500);
    if (world.chance(0.5)) this.startFaults();
    await this.found(people);
    this.startFaults();
    const actions = 6 + world.below(14);
    for (let i = 0; i < actions; i++) {
      this.act();
      await world.pass(world.random() ** 3 * 4000);
    }
    await this.calm();
  }

  /** No failure any more: all devices run and are connected, until nothing is left to do. */
  async calm(): Promise<void> {
    this.faults = noFaults;
    for (const device of this.devices) {
      if (!device.process) await this.start(device);
      // As after a new token: the server's hints about Welcomes may have been lost.
      device.process!.link.disconnect();
      device.process!.link.connect();
    }
    const end = this.world.now + 900_000;
    while (this.unsettled() !== undefined) {
      if (this.world.now > end) throw new Error(`The devices do not agree: ${this.unsettled()}`);
      await this.world.pass(1000);
    }
    if (!this.isThorough) return;
    // What still runs must not change anything.
    await this.world.pass(40_000);
    const again = this.unsettled();
    if (again !== undefined) throw new Error(`The devices do not stay in agreement: ${again}`);
  }

  /** Whether the run also waits and restarts at the end, which takes as long as the rest. */
  get isThorough(): boolean {
    return this.options.seed % 4 === 0;
  }

  isMember(device: SimDevice): boolean {
    return this.room.members.has(device.user.id);
  }

  coreOf(device: SimDevice) {
    return device.process?.rooms.core(this.room.id);
  }

  /** What is left to do; undefined when nothing is. */
  unsettled(): string | undefined {
    const { room } = this;
    const { wanted, isLost } = this;
    for (const device of this.devices) {
      const core = this.coreOf(device);
      const { name, process } = device;
      if (!process) return `${name} does not run`;
      if (device.isRotating) return `${name} replaces its keys`;
      if (!this.isMember(device)) {
        // A device that was out of the group already cannot judge the removal.
        if (core && !(core.isWithheld && (!core.group || this.isOnlySaid(device))))
          return `${name} has left, and still has the room: ${JSON.stringify(core.state)}`;
        continue;
      }
      if (!core) return `${name} does not have the room`;
      const { state, group, pending } = core;
      if (state.cursor !== room.log.length) return `${name} has read to ${state.cursor} of ${room.log.length}`;
      if (isLost) continue;
      if (core.isWithheld) return `${name} believes that the room is withheld`;
      if (state.broken || state.out || state.wasAway || !group) return `${name} cannot follow: ${JSON.stringify({ ...state, group: group?.epoch })}`;
      if (pending) return `${name} has a Commit without an outcome`;
      if (group.epoch !== room.epoch || group.generation !== room.generation) return `${name} is in epoch ${group.epoch} of ${room.epoch}`;
      const leaves = group.leaves().map(({ deviceId, signatureKey }) => `${deviceId} ${toHex(signatureKey)}`);
      if (leaves.toSorted().join() !== wanted.toSorted().join()) return `${name} has other leaves: ${leaves.length} of ${wanted.length}`;
      if (core.holds.length > 0) return `${name} holds its sends: ${core.holds.map((hold) => hold.kind).join()}`;
      if (process.outbox.count() > 0 && core.canBeRead) return `${name} has unsent messages`;
    }
    return undefined;
  }

  /**
   * Whether only the server can tell a device that its user is out: the last member has deleted the room, or another device of the user has left, with a
   * message that this one may not be able to read. The device keeps the room until the person gives it up.
   */
  private isOnlySaid({ user }: SimDevice): boolean {
    const { log, id } = this.room;
    const left = log.findLast((entry) => entry.kind === "memberLeft" && entry.userId === user.id)?.seq ?? 0;
    const before = log.slice(0, left).findLast((entry) => entry.kind !== "memberLeft");
    return !this.server.rooms.has(id) || before?.kind !== "commit";
  }

  /** Whether one user is left, and the group has none of this user's current keys. Then no member could add a device. */
  get isLost(): boolean {
    return this.room.members.size === 1 && !this.devices.some((device) => this.isInGroup(device, this.wanted));
  }

  /** The devices that should be in the group, with their keys. */
  private get wanted(): string[] {
    return [...this.room.members.keys()].flatMap((userId) =>
      this.server.directory.user(userId).devices.map(({ id, signatureKey }) => `${id} ${toHex(signatureKey)}`),
    );
  }

  private isInGroup(device: SimDevice, listed: readonly string[]): boolean {
    const group = this.isMember(device) ? this.coreOf(device)?.group : undefined;
    const own = group?.leaves().find((leaf) => leaf.index === group.ownLeafIndex);
    return own !== undefined && listed.includes(`${own.deviceId} ${toHex(own.signatureKey)}`);
  }

  private *links() {
    for (const device of this.devices) if (device.link) yield device.link;
  }

  private async add(user: ServerUser): Promise<SimDevice> {
    const { world, server, mls } = this;
    const name = `${user.username}/${user.devices.length + 1}`;
    const device = new SimDevice({
      world,
      server,
      user,
      mls,
      identityKey: this.identities.get(user)!,
      faults: () => this.faults,
      name,
      lists: this.lists.get(user)!,
    });
    await device.register();
    this.devices.push(device);
    return device;
  }

  private async start(device: SimDevice): Promise<void> {
    let started = false;
    void device.start().then(() => {
      started = true;
    });
    await this.world.until(() => started, 60_000);
  }

  private async found(people: number): Promise<void> {
    const [anna] = this.devices;
    const direct = people === 2 && this.world.chance(0.4);
    const id = newId();
    const names = usernames.slice(1, people - (people > 2 && this.world.chance(0.3) ? 1 : 0));
    for (;;) {
      let done: boolean | undefined;
      const { rooms } = anna!.process!;
      const made = direct ? rooms.direct(usernames[1]!) : rooms.create(names, { id });
      made.then(
        () => (done = true),
        () => (done = false),
      );
      await this.world.until(() => done !== undefined, 600_000);
      if (done) break;
    }
    this.room = [...this.server.rooms.values()][0]!;
    // The first Commit adds the devices of the others; those of the founder come with the next one.
    for (const device of this.devices) if (!this.isMember(device) || (device.user === anna!.user && device !== anna)) this.notSteady.add(device);
  }

  private startFaults(): void {
    const { world } = this;
    const some = (most: number) => (world.chance(0.5) ? world.random() * most : 0);
    this.faults = {
      lostRequest: some(0.1),
      lostAnswer: some(0.2),
      duplicatePush: some(0.3),
      lostPush: some(0.2),
      delayMs: 5 + world.random() ** 3 * 400,
      pushDelayMs: some(500),
    };
  }

  private act(): void {
    const { world, room, server } = this;
    const device = world.pick(this.devices);
    const { process } = device;
    const core = this.coreOf(device);
    const dice = world.below(100);
    if (dice < 45) {
      void this.say(device);
    } else if (dice < 52) {
      void this.change(device);
    } else if (dice < 62) {
      device.die(world.chance(0.3));
      world.after(world.random() * 3000, () => void device.startAgain());
    } else if (dice < 72) {
      process?.link.disconnect();
      world.after(world.random() * 5000, () => device.process?.link.connect());
    } else if (dice < 80) {
      if (room.kind === "group") this.changeRoom(device);
    } else if (dice < 83) {
      if (server.directory.user(device.user.id).devices.length < 2) {
        void this.add(device.user).then((added) => {
          this.notSteady.add(added);
          return added.startAgain();
        });
      }
    } else if (dice < 85) {
      this.notSteady.add(device);
      // New keys of a device that no group has yet are announced by another device of the user, and a room may have no member who can commit that.
      if (core?.group) process?.upkeep.heal();
    } else if (dice < 88) {
      // Who leaves by a message that the others never read stays a member until an admin removes them.
      const old = room.log.filter((entry) => entry.kind === "message" && !this.mls.isLeave(entry.ciphertext!));
      if (old.length > 0) {
        const { seq } = world.pick(old);
        this.gone.add(seq);
        server.makeGone(room, seq);
      }
    } else if (dice < 91) {
      this.startFaults();
    } else if (core && core.state.cursor) {
      if (this.options.isHostile) this.attack();
      else void this.say(device);
    }
  }

  private async say(device: SimDevice): Promise<void> {
    const number = ++this.texts;
    // Some messages have a life, which ends while the run goes on or after it.
    const life = number % 5 === 0 ? 5 * number : undefined;
    await device.send(this.room.id, `message ${number} of ${device.name}`, life).catch(this.expected);
  }

  /** Edits, deletes, reacts or reads. */
  private async change(device: SimDevice): Promise<void> {
    const room = await device.process?.rooms.get(this.room.id).catch(this.expected);
    if (!room) return;
    const message = (await room.history({ limit: 10 })).findLast((each) => each.content.type === "text" && (each.mine || this.world.chance(0.3)));
    if (!message) return;
    const dice = this.world.below(4);
    if (dice === 0) await room.react(message, this.world.pick(["👍", "❤"])).catch(this.expected);
    else if (dice === 1) await room.markRead(message).catch(this.expected);
    else if (message.mine && dice === 2) await room.edit(message, `edited ${++this.texts}`).catch(this.expected);
    else if (message.mine) await room.delete(message).catch(this.expected);
  }

  /** Signed changes of the room. */
  private changeRoom(device: SimDevice): void {
    const dice = this.world.below(10);
    if (dice < 6) this.changeMembers(device);
    else if (dice < 7) this.leave(device);
    else void this.changeState(device);
  }

  /** Renames the room, or gives a member another role. */
  private async changeState(device: SimDevice): Promise<void> {
    const open = await device.process?.rooms.get(this.room.id).catch(this.expected);
    const members = (await open?.members.list()) ?? [];
    if (!open || members.length === 0) return;
    if (this.world.chance(0.5)) await open.rename(`name ${++this.texts}`).catch(this.expected);
    else await open.members.setRole(this.world.pick(members).userId, this.world.pick(["member", "moderator", "admin", "owner"] as const)).catch(this.expected);
  }

  /** The user of the device leaves the room. */
  private leave(device: SimDevice): void {
    for (const each of this.devices) if (each.user === device.user) this.notSteady.add(each);
    void device.process?.rooms
      .get(this.room.id)
      .then((open) => open?.leave())
      .catch(this.expected);
  }

  private changeMembers(device: SimDevice): void {
    const { world, room, server } = this;
    if (!this.coreOf(device)?.group) return;
    const user = world.pick([...server.directory.users.values()].slice(1));
    for (const each of this.devices) if (each.user === user) this.notSteady.add(each);
    void device.process?.rooms
      .get(room.id)
      .then(async (open) => {
        const isMember = (await open?.members.list())?.some(({ userId }) => userId === user.id);
        await (isMember ? open?.members.remove(user.id) : open?.members.add(user.username));
      })
      .catch(this.expected);
  }

  private attack(): void {
    const { world, room, server } = this;
    const at = room.log.length + 1;
    const entries = room.log.filter((entry) => entry.ciphertext);
    this.hostile.add(at);
    const id = newId();
    switch (world.below(5)) {
      case 0:
        server.inject(room, { kind: "message", id, ciphertext: world.bytes(world.below(300)), epoch: room.epoch });
        break;
      case 1:
        // A replay, as a message of another id.
        if (entries.length > 0) server.inject(room, { kind: "message", id, ciphertext: world.pick(entries).ciphertext!, epoch: room.epoch });
        else this.hostile.delete(at);
        break;
      case 2:
        server.inject(room, { kind: "pollOfTomorrow" as "message", id });
        break;
      case 3:
        server.inject(room, { kind: "proposal", id, ciphertext: world.bytes(80), epoch: room.epoch });
        break;
      default:
        server.inject(room, { kind: "commit", id, ciphertext: world.bytes(200), epoch: room.epoch });
    }
  }

  /** The application sees the failures of its calls. What the SDK reports as a warning is checked at the end. */
  private readonly expected = (error: unknown): undefined => {
    if (isSignedOut(error)) throw error;
    return undefined;
  };
}
