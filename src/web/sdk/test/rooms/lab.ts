/* Devices that read one log entry by entry, with real MLS and a clock that stands still. A test decides what stands in the log, and what each device signs. */
import { equal, idBytes, newId, randomBytes, toHex } from "../../src/base/bytes.js";
import type { Clock } from "../../src/base/clock.js";
import type { TrustedDevice } from "../../src/account/peopleTrust.js";
import { Emitter } from "../../src/base/events.js";
import type { Warning } from "../../src/base/warnings.js";
import { encodeMessage, type ContentBody, type ContentHeader, type MessageContent } from "../../src/content/message.js";
import { groupIdOf } from "../../src/mls/group.js";
import type { EntryKind, LogEntry } from "../../src/net/wire.js";
import type { Applying, CoreEvents } from "../../src/rooms/applying.js";
import { Draft } from "../../src/rooms/draft.js";
import { applyEntry } from "../../src/rooms/entries.js";
import { mls } from "../../src/rooms/mls.js";
import type { RoomGroup } from "../../src/rooms/ports.js";
import { ReadLog } from "../../src/rooms/readLog.js";
import { named, namedHead } from "../../src/rooms/views.js";
import { toMessage, type Message, type MessageRecord, type OutboxItem, type OwnSend, type RoomState } from "../../src/rooms/records.js";
import { SignedRoom } from "../../src/rooms/signedRoom.js";
import { keys, MemoryStore, read, unpack } from "../../src/store/store.js";
import { encodeFounding } from "../../src/trust/founding.js";
import { emptyState, type RoomState as SignedState } from "../../src/trust/state.js";
import { newDevice, newUser, packageOf, type TestDevice, type TestUser } from "../people.js";

type Listed<Name extends keyof CoreEvents> = CoreEvents[Name][];

/** A device with its store. */
export class LabDevice {
  readonly store = new MemoryStore();
  readonly events = new Emitter<CoreEvents>();
  readonly warnings: Warning[] = [];
  readonly mentions: [userId: string, number: number][] = [];
  readonly undelivered: [id: string, why: string][] = [];
  readonly erased: number[] = [];
  readonly waiting: OutboxItem[] = [];
  /** The identity keys that it knows; undefined for other users. */
  readonly known = new Map<string, Uint8Array>();
  /** The newest device list that it knows of each user. */
  readonly lists = new Map<string, { number: number; hash: Uint8Array; devices: Pick<TrustedDevice, "deviceId" | "signatureKey">[] }>();
  /** Users whose device list the server withholds. */
  readonly withheld = new Set<string>();
  readLog: ReadLog;
  state: RoomState;
  signed: SignedRoom | undefined;

  constructor(
    readonly lab: Lab,
    readonly of: TestDevice,
    public group: RoomGroup,
  ) {
    this.readLog = new ReadLog(this.store, lab.room);
    this.state = { id: lab.room, kind: "group", scheme: "mls10", generation: 0, high: 0 };
  }

  get userId(): string {
    return this.of.identity.userId;
  }

  /** What has happened under this name, from the call on. */
  listen<Name extends keyof CoreEvents>(name: Name): Listed<Name> {
    const all: Listed<Name> = [];
    this.events.on(name, (event) => all.push(event));
    return all;
  }

  get applying(): Applying {
    const { lab, store, events, readLog } = this;
    return {
      clock: lab.clock,
      device: { userId: this.userId, id: this.of.identity.deviceId, identity: this.of.identity, signature: this.of.signature },
      events,
      mls,
      people: {
        isOtherIdentity: (userId: string, key: Uint8Array) => this.known.has(userId) && !equal(this.known.get(userId)!, key),
        listOf: (userId: string) => this.lists.get(userId),
        devicesOf: (userId: string) => this.lists.get(userId)?.devices ?? [],
        holdOf: (userId: string) => (this.withheld.has(userId) ? { kind: "listWithheld", detail: "" } : undefined),
        mention: async (userId: string, { number }: { number: number }) => {
          this.mentions.push([userId, number]);
          return "same" as const;
        },
        refresh: async () => undefined,
        seeLeaves: async () => undefined,
      } as unknown as Applying["people"],
      privacy: { settings: { readReceipts: true, typing: true, deliveryCursor: true } },
      readLog,
      reports: {
        warn: (warning) => this.warnings.push(warning),
        failed: (_, kind) => (error) => this.warnings.push({ area: "room", kind, retrying: false, detail: String(error) }),
      },
      sends: {
        find: (_, id) => this.waiting.find((item) => item.clientMessageId === id),
        ackedUpTo: () => [],
        passed: () => undefined,
        undelivered: (_: Draft, own: OwnSend, why: string) => this.undelivered.push([own.id, why]),
        erase: (_: Draft, _room: string, seqs: readonly number[]) => this.erased.push(...seqs),
        encryptAnew: () => undefined,
      },
      ...({ store } as object),
    };
  }

  /** Runs as a step of the room's loop does: all is stored in one write. */
  async step(work: (draft: Draft) => Promise<unknown>): Promise<void> {
    const draft = new Draft(this.store, this.state, this.group, undefined, undefined, this.signed);
    await work(draft);
    await this.store.write(draft.changes);
    this.state = draft.state;
    this.group = draft.group!;
    this.signed = draft.signed;
    for (const tell of draft.after) tell();
    await Promise.resolve();
  }

  /** The log delivers an entry. */
  read(entry: LogEntry): Promise<void> {
    return this.step(async (draft) => {
      await this.readLog.take(draft, entry);
      if (entry.kind !== "commit") await applyEntry(draft, entry, this.applying);
      draft.state.cursor = entry.seq;
      draft.state.high = Math.max(draft.state.high, entry.seq);
    });
  }

  /** A new process on the same store. */
  restart(): void {
    this.readLog = new ReadLog(this.store, this.lab.room);
  }

  async history(): Promise<Message[]> {
    return (await this.records()).map(toMessage);
  }

  async records(): Promise<MessageRecord[]> {
    return (await this.store.list(keys.messages(this.lab.room))).map(([, value]) => unpack<MessageRecord>(value));
  }

  async at(seq: number): Promise<Message | undefined> {
    const record = await read<MessageRecord>(this.store, keys.message(this.lab.room, seq));
    return record && toMessage(record);
  }

  /** Encrypts a content as this device would now. `header` replaces what it says about its view. */
  async seal(
    body: ContentBody,
    header: Partial<ContentHeader> = {},
  ): Promise<{ id: string; ciphertext: Uint8Array; content: MessageContent; padded: Uint8Array }> {
    let seen: ContentHeader["seen"];
    await this.step(async (draft) => void (seen = await this.readLog.seen(draft)));
    const { generation, epoch } = this.group;
    const view = { ...(seen ? { seen } : {}), room: namedHead(this.signed?.at({ generation, epoch })?.head), list: named(0, undefined) };
    const content: MessageContent = { id: newId(), sent: this.lab.clock.now(), ...view, ...header, ...body };
    const padded = encodeMessage(content);
    const { group, message } = await this.group.encrypt(padded);
    this.group = group;
    return { id: content.id, ciphertext: message, content, padded };
  }
}

/** One room. */
export class Lab {
  now = Date.UTC(2026, 0, 1);
  readonly log: LogEntry[] = [];
  readonly devices: LabDevice[] = [];
  private number = 0;

  private constructor(
    readonly room: string,
    private readonly founding: Uint8Array<ArrayBuffer>,
  ) {}

  readonly clock: Clock = { now: () => this.now, ticks: () => this.now, random: () => 0.5, pause: async () => undefined };

  /** A room with devices of other users each. The first one founds it; the log begins with the Commit that adds the others. */
  static async open(count: number, state: (users: TestUser[]) => Partial<SignedState> = () => ({}), deviceIds: readonly string[] = []): Promise<Lab> {
    const users = await Promise.all(Array.from({ length: count }, newUser));
    const devices = await Promise.all(users.map((user, i) => newDevice(user, deviceIds[i])));
    const founding = encodeFounding({ kind: "group", founder: users[0]!.userId, identity: users[0]!.key.publicKey, nonce: randomBytes(16) });
    const signed = await SignedRoom.begin(founding);
    const lab = new Lab(signed.id, founding);
    const packages = await Promise.all(devices.map(packageOf));
    const first = await mls.found(groupIdOf(idBytes(lab.room), 0), packages[0]!);
    const made = await first.commit({ remove: [], add: packages.slice(1).map(({ message }) => message) });
    for (const [i, device] of devices.entries()) {
      const group = i === 0 ? made.before.merge(made.after) : (await mls.join(made.welcome!, packages[i]!)).group;
      lab.devices.push(new LabDevice(lab, device, group));
    }
    await lab.enter("commit", made.commit);
    const roster = users
      .map(({ userId, key }) => ({ user: userId, identity: key.publicKey, since: 1, list: 1 }))
      .toSorted((a, b) => (a.user < b.user ? -1 : 1));
    await lab.sign({ ...emptyState, roster, roles: [{ user: users[0]!.userId, role: 3 }], ...state(users) });
    return lab;
  }

  /** All devices follow a statement in the epoch that they are in. */
  async sign(state: SignedState, devices = this.devices): Promise<void> {
    const head = { number: ++this.number, hash: randomBytes(32) };
    for (const device of devices) {
      const { generation, epoch } = device.group;
      const before = device.signed ?? (await SignedRoom.begin(this.founding));
      device.signed = await before.next({ generation, epoch }, { state, head });
    }
  }

  /** The next entry, and all devices read it. */
  async enter(kind: EntryKind, ciphertext?: Uint8Array, more: Partial<LogEntry> = {}, readers = this.devices): Promise<number> {
    const seq = this.log.length + 1;
    const entry: LogEntry = { seq, kind, createdAt: new Date(this.now), id: newId(), epoch: 0, ...(ciphertext ? { ciphertext } : {}), ...more };
    this.log.push(entry);
    for (const device of readers) await device.read(entry);
    return seq;
  }

  /** A device says something, and all others read it. */
  async say(by: LabDevice, body: ContentBody, header: Partial<ContentHeader> = {}): Promise<{ seq: number; id: string }> {
    const { id, ciphertext } = await by.seal(body, header);
    const seq = await this.enter(
      "message",
      ciphertext,
      {},
      this.devices.filter((device) => device !== by),
    );
    // Its author does not decrypt it, and has read its place.
    await by.step((draft) => by.readLog.take(draft, this.log[seq - 1]!));
    return { seq, id };
  }

  /** A device removes others, with a state for the next epoch. */
  async remove(by: LabDevice, others: LabDevice[], state: SignedState = by.signed!.state): Promise<void> {
    const keysOfOthers = new Set(others.map((each) => toHex(each.of.signature.publicKey)));
    const leaves = by.group.leaves().filter((leaf) => keysOfOthers.has(toHex(leaf.signatureKey)));
    const made = await by.group.commit({ remove: leaves.map(({ index }) => index), add: [] });
    const stay = this.devices.filter((device) => !others.includes(device));
    for (const device of stay) device.group = device === by ? made.before.merge(made.after) : (await device.group.applyCommit(made.commit)).group!;
    await this.enter("commit", made.commit, {}, stay);
    await this.sign(state, stay);
  }
}
