/** The server's part for devices and lists of one account, in memory, with the checks of the real one that matter here. */
import { fromBase64, newId, toBase64, type Bytes } from "../../src/base/bytes.js";
import { SecureMessagingError } from "../../src/base/errors.js";
import { Mutex } from "../../src/base/timing.js";
import { OwnDevice } from "../../src/account/device.js";
import { isOwnEntry } from "../../src/trust/deviceList.js";
import { Pins } from "../../src/account/pins.js";
import { TrustBook } from "../../src/account/trustBook.js";
import type { Directory } from "../../src/account/directory.js";
import { verifyDevice } from "../../src/mls/credential.js";
import type { WireDevice } from "../../src/net/wire.js";
import { keys, MemoryStore, pack, type Changes } from "../../src/store/store.js";
import { checkDeviceList, type KnownList } from "../../src/trust/deviceList.js";
import { waitingOf } from "../../src/account/devices.js";

type Row = WireDevice & { session: string };

const refuse = (code: "NotFound" | "Conflict" | "Invalid", message: string = code): SecureMessagingError => SecureMessagingError.of(code, message);

/** Where a run of a client breaks off: before or after the n-th step that the outside can see. */
export class Crash {
  steps = 0;
  constructor(private readonly at = Infinity) {}

  /** Runs a step. At the place of the crash it is not run, or its answer is lost. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const before = this.steps++;
    if (before >= this.at) throw new Crashed();
    const result = await work();
    const after = this.steps++;
    if (after >= this.at) throw new Crashed();
    return result;
  }
}

export class Crashed extends SecureMessagingError {
  constructor() {
    super({ code: "Unavailable", message: "The process has ended.", retryable: true });
  }
}

export class AccountServer {
  readonly userId = newId();
  readonly username = "anna";
  rows: Row[] = [];
  lists: { encoded: Bytes; known: KnownList }[] = [];
  identityKey: string | undefined;
  private readonly turn = new Mutex();
  /** What the server hides. */
  hidesDevices = false;

  async call(session: string, method: string, path: string, body: Record<string, unknown>): Promise<unknown> {
    const [what, id, part] = path.replace("v1/", "").split("/");
    if (what === "me") return this.replaceIdentity(body);
    const row = this.rows.find((each) => each.id === id);
    if (method === "GET") return this.hidesDevices ? [] : this.rows.map((each) => this.show(each, session));
    if (method === "POST") return this.register(session, body);
    if (!row) throw refuse("NotFound");
    switch (`${method} ${part ?? ""}`) {
      case "PUT session":
        row.session = session;
        return;
      case "PUT approval":
        await this.requireSigned(row.id, row.signatureKey, body.identitySignature);
        if (row.identitySignature !== undefined && row.identitySignature !== body.identitySignature) throw refuse("Conflict");
        Object.assign(row, { identitySignature: body.identitySignature, sealedIdentity: body.sealedIdentity });
        return;
      case "PUT keys":
        await this.requireSigned(row.id, body.signatureKey as string, body.identitySignature);
        Object.assign(row, { signatureKey: body.signatureKey, linkKey: body.linkKey, identitySignature: body.identitySignature });
        if (row.session !== session) throw refuse("Conflict");
        return;
      case "DELETE sealed-identity":
        delete row.sealedIdentity;
        return;
      case "DELETE ":
        this.rows = this.rows.filter((each) => each !== row);
        return;
      default:
        throw refuse("Invalid", `${method} ${path}`);
    }
  }

  publish(list: Bytes): Promise<void> {
    return this.turn.run(() => this.append(list));
  }

  private async append(list: Bytes): Promise<void> {
    const newest = this.lists.at(-1);
    if (newest && toBase64(newest.encoded) === toBase64(list)) return;
    const checked = await checkDeviceList(list, this.userId, newest?.known);
    if (!checked.ok) throw refuse(checked.rule === "number" || checked.rule === "previous" ? "Conflict" : "Invalid", checked.rule);
    this.lists.push({ encoded: list, known: checked });
  }

  /** The ids of the devices in the newest list, and of the approved ones, sorted. */
  listed(): string[] {
    return (this.lists.at(-1)?.known.list.devices ?? []).map((each) => each.device).toSorted();
  }

  approved(): string[] {
    return this.rows
      .filter((each) => each.identitySignature !== undefined)
      .map((each) => each.id)
      .toSorted();
  }

  row(id: string): Row {
    return this.rows.find((each) => each.id === id)!;
  }

  private async register(session: string, body: Record<string, unknown>): Promise<WireDevice> {
    const earlier = this.rows.find((each) => each.id === body.id);
    if (earlier) {
      if (earlier.signatureKey !== body.signatureKey) throw refuse("Conflict");
      return this.show(earlier, session);
    }
    if (this.rows.length === 0) {
      if (typeof body.identityKey !== "string") throw refuse("Invalid");
      this.found(body.identityKey);
    } else if (body.identityKey !== undefined && body.identityKey !== this.identityKey) throw refuse("Conflict");
    await this.requireSigned(body.id as string, body.signatureKey as string, body.identitySignature);
    const { id, signatureKey, linkKey, name, identitySignature } = body as Record<string, string>;
    const row = { id, signatureKey, linkKey, name, identitySignature, scheme: "mls10", session, createdOn: "2026-01-01", seenOn: "2026-01-01" } as Row;
    this.rows.push(row);
    return this.show(row, session);
  }

  private async replaceIdentity(body: Record<string, unknown>): Promise<void> {
    const row = this.row(body.deviceId as string);
    if (this.identityKey === body.identityKey && row.identitySignature === body.identitySignature) return;
    this.found(body.identityKey as string);
    for (const each of this.rows) {
      delete each.identitySignature;
      delete each.sealedIdentity;
    }
    row.identitySignature = body.identitySignature as string;
  }

  /** A chain that does not end with the identity goes. */
  private found(identityKey: string): void {
    this.identityKey = identityKey;
    const newest = this.lists.at(-1);
    if (newest && toBase64(newest.known.list.identity) !== identityKey) this.lists = [];
  }

  private async requireSigned(deviceId: string, signatureKey: string, signature: unknown): Promise<void> {
    if (typeof signature !== "string") return;
    const identity = { userId: this.userId, deviceId, identityKey: fromBase64(this.identityKey!), identitySignature: fromBase64(signature) };
    if (!(await verifyDevice(identity, fromBase64(signatureKey)))) throw refuse("Invalid", "signature");
  }

  private show(row: Row, session: string): WireDevice {
    const { session: bound, sealedIdentity, ...rest } = row;
    return {
      ...rest,
      approved: row.identitySignature !== undefined,
      current: bound === session,
      ...(this.identityKey === undefined ? {} : { identityKey: this.identityKey }),
      ...(sealedIdentity !== undefined && bound === session ? { sealedIdentity } : {}),
    };
  }
}

/** One device of the account: its store survives, its process may end. */
export class DeviceProcess {
  readonly store = new MemoryStore();
  readonly session = newId();
  device!: OwnDevice;
  book!: TrustBook;
  crash = new Crash();
  offers = 0;
  readonly troubles: string[] = [];

  constructor(private readonly server: AccountServer) {}

  /** Starts a process, after the end of the one before. */
  async start(crash = new Crash()): Promise<this> {
    this.crash = crash;
    const { server, session, store } = this;
    const directory: Directory = {
      user: () => Promise.reject(refuse("NotFound")),
      lists: (userId, after) =>
        crash.run(async () => ({
          newest: userId === server.userId ? server.lists.length : 0,
          lists: userId === server.userId ? server.lists.slice(after, after + 3).map((each) => each.encoded) : [],
        })),
      publish: (list) => crash.run(() => server.publish(new Uint8Array(list))),
    };
    const slow = {
      get: (key: string) => store.get(key),
      list: (prefix: string) => store.list(prefix),
      write: (changes: Changes) => crash.run(() => store.write(changes)),
      close: () => Promise.resolve(),
    };
    this.book = new TrustBook(await Pins.load(slow), directory, server.userId);
    const caller = {
      userId: server.userId,
      username: server.username,
      call: <T>(method: string, path: string, body?: unknown) =>
        crash.run(async () => structuredClone((await server.call(session, method, path, (body ?? {}) as Record<string, unknown>)) as T)),
    };
    this.device = await OwnDevice.load(caller, slow, this.book, directory);
    this.device.on("offered", () => this.offers++);
    this.device.on("trouble", ({ kind }) => this.troubles.push(kind));
    return this;
  }

  /** As after a sign-up. */
  async mayFound(): Promise<void> {
    await this.store.write(new Map([[keys.mayFound, pack(true)]]));
  }

  /** The waiting device as another one sees it. */
  async waiting() {
    const waiting = waitingOf(this.server.row(this.device.id));
    if (!(await isOwnEntry(this.server.userId, waiting))) throw new Error("not own");
    return waiting;
  }

  get isApproved(): boolean {
    return this.device.identity !== undefined;
  }
}
