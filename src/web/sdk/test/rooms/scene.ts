/* Some people in one room, with the server in memory, a virtual clock and MLS without cryptography. Nothing fails by itself: a test lets the server lie. */
import { vi } from "vitest";
import { newId, toHex } from "../../src/base/bytes.js";
import type { KeyPair } from "../../src/mls/ed25519.js";
import { seal } from "../../src/trust/sealed.js";
import { encodeState, stateHash } from "../../src/trust/state.js";
import { signStatement, type RawChange } from "../../src/trust/statement.js";
import { sealContext } from "../../src/rooms/judge.js";
import { makeStatement, signerOf } from "../../src/rooms/statements.js";
import type { Room } from "../../src/rooms/room.js";
import { SimDevice } from "../simulation/device.js";
import type { ServerUser } from "../simulation/directory.js";
import { FakeServer, type ServerRoom } from "../simulation/fakeServer.js";
import { noFaults } from "../simulation/link.js";
import { UserLists } from "../simulation/lists.js";
import { simMls } from "../simulation/mls.js";
import { cryptoAtOnce } from "../simulation/subtle.js";
import { World } from "../simulation/world.js";

export class Scene {
  readonly world = new World(7);
  readonly mls = simMls(this.world);
  readonly server: FakeServer;
  readonly devices: SimDevice[] = [];
  room!: ServerRoom;
  private readonly people = new Map<string, { user: ServerUser; lists: UserLists; identity: KeyPair }>();
  private readonly restore: (() => void)[] = [];

  constructor() {
    const links = () => this.devices.flatMap(({ link }) => (link ? [link] : []));
    this.server = new FakeServer(this.world, this.mls, {
      entries: (room, entries, userIds) => {
        for (const link of links()) if (userIds.includes(link.userId)) link.pushEntries(room.id, entries);
      },
      roomChanged: (roomId, change, userId) => {
        for (const link of links()) if (link.userId === userId) link.push(() => link.emit("roomChanged", { roomId, change }));
      },
      welcomesWaiting: (deviceId) => {
        for (const link of links()) if (link.deviceId === deviceId) link.push(() => link.emit("welcomesWaiting", { deviceId }));
      },
    });
    this.restore.push(cryptoAtOnce());
    const ids = vi.spyOn(crypto, "randomUUID").mockImplementation(() => this.world.uuid());
    this.restore.push(() => ids.mockRestore());
  }

  end(): void {
    for (const device of this.devices) device.die();
    for (const each of this.restore) each();
  }

  /** A person with one device that runs. */
  async person(username: string): Promise<SimDevice> {
    const identity = await this.mls.newKey();
    const user: ServerUser = { id: newId(), username, identityKey: identity.publicKey, devices: [], lists: [] };
    this.people.set(username, { user, identity, lists: new UserLists(this.world, user, identity) });
    this.server.directory.users.set(user.id, user);
    return this.device(username);
  }

  /** Another device of a person. */
  async device(username: string): Promise<SimDevice> {
    const { user, identity, lists } = this.people.get(username)!;
    const { world, server, mls } = this;
    const device = new SimDevice({
      world,
      server,
      user,
      mls,
      identityKey: identity,
      lists,
      faults: () => noFaults,
      name: `${username}/${user.devices.length + 1}`,
    });
    await device.register();
    this.devices.push(device);
    await this.run(device.start());
    return device;
  }

  /** A room of these people, with all their devices in the group. */
  async found(by: SimDevice, usernames: string[], options: { name?: string; direct?: boolean } = {}): Promise<void> {
    const { rooms } = by.process!;
    const made = options.direct ? rooms.direct(usernames[0]!) : rooms.create(usernames, options.name === undefined ? {} : { name: options.name });
    const { id } = await this.run(made);
    this.room = this.server.rooms.get(id)!;
    await this.world.pass(5_000);
  }

  /** Lets time pass until the work is done. */
  async run<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const end = () => {
      isDone = true;
    };
    work.then(end, end);
    await this.world.until(() => isDone, 900_000);
    if (!isDone) throw new Error("The work does not end.");
    return work;
  }

  async roomOf(device: SimDevice): Promise<Room> {
    const room = await this.run(device.process!.rooms.get(this.room.id));
    if (!room) throw new Error(`${device.name} does not have the room.`);
    return room;
  }

  coreOf(device: SimDevice) {
    return device.process?.rooms.core(this.room.id);
  }

  async membersOf(device: SimDevice): Promise<string[]> {
    return (await (await this.roomOf(device)).members.list()).map(({ username, role }) => `${username} ${role}`).toSorted();
  }

  async linesOf(device: SimDevice): Promise<string[]> {
    return (await (await this.roomOf(device)).lines()).map(({ kind }) => kind);
  }

  /**
   * Makes a Commit as a hostile member does: with proposals and changes of its choice, and without asking whether they are valid. The hash of the state after
   * the changes is that of the state before.
   */
  async commitAs(device: SimDevice, of: { changes?: RawChange[]; remove?: string[]; add?: Uint8Array[] }): Promise<void> {
    const { group, signed } = this.coreOf(device)!;
    const { head, state } = signed!;
    const before = await stateHash(encodeState(state));
    const content = {
      room: this.room.id,
      generation: group!.generation,
      epoch: group!.epoch,
      number: head!.number + 1,
      previous: head!.hash,
      before,
      state: before,
    };
    const statement = of.changes && (await signStatement({ ...content, changes: of.changes }, signerOf(group!)));
    const made = await group!.commit({
      remove: (of.remove ?? []).map((deviceId) => group!.leaves().find((leaf) => leaf.deviceId === deviceId)!.index),
      add: of.add ?? [],
      ...(statement ? { authenticatedData: await seal(statement, await sealContext(group!)) } : {}),
    });
    const welcomes = made.welcome ? [made.welcome] : [];
    this.server.commit(device.user.id, this.room.id, { id: newId(), epoch: group!.epoch, commit: made.commit, welcomes });
    await this.world.pass(3_000);
  }

  /** Makes a valid Commit with these changes. */
  async changeAs(device: SimDevice, changes: RawChange[]): Promise<void> {
    const core = this.coreOf(device)!;
    const { statement } = await makeStatement(core.signed!, core.group!, changes);
    const made = await core.group!.commit({ remove: [], add: [], authenticatedData: await seal(statement, await sealContext(core.group!)) });
    this.server.commit(device.user.id, this.room.id, { id: newId(), epoch: core.group!.epoch, commit: made.commit, welcomes: [] });
    await this.world.pass(3_000);
  }

  /** A KeyPackage of a device that no list has, approved by this person's identity. */
  async packageOf(username: string, about: { userId?: string }): Promise<Uint8Array> {
    const { user, identity } = this.people.get(username)!;
    const [keys, deviceId, userId] = [await this.mls.newKey(), newId(), about.userId ?? user.id];
    const identitySignature = await this.mls.sign(identity, userId, deviceId, keys.publicKey);
    const made = await this.mls.makeKeyPackage({ userId, deviceId, identityKey: identity.publicKey, identitySignature }, keys, 84, this.world.now);
    // The server delivers the Welcome to a device of the person.
    this.server.directory.device(user.id, user.devices[0]!.id).claimed.add(toHex(made.reference));
    return made.message;
  }

  async textsOf(device: SimDevice): Promise<string[]> {
    const history = await (await this.roomOf(device)).history();
    return history.flatMap(({ content }) => (content.type === "text" ? [content.text] : []));
  }
}
