import { copy, equal, fromBase64, randomBytes, toBase64, type Bytes } from "../base/bytes.js";
import { SecureMessagingError } from "../base/errors.js";
import { Emitter } from "../base/events.js";
import { signDevice, verifyDevice, type DeviceIdentity } from "../mls/credential.js";
import { generateSigningKey, type KeyPair } from "../mls/ed25519.js";
import { keys, pack, read, type Changes, type Store } from "../store/store.js";
import { Mutex } from "../base/timing.js";
import type { WireDevice } from "../net/wire.js";
import { DeviceActs } from "./deviceActs.js";
import {
  confirmationCode,
  deviceCode,
  DeviceState,
  entryOf,
  forgetGroups,
  hasKeysOf,
  newRecord,
  onlyDigits,
  type DeviceRecord,
  type DeviceServer,
} from "./deviceRecord.js";
import type { Directory } from "./directory.js";
import { OwnList } from "./ownList.js";
import { accept, encodeDeviceQr, open, type Opened, type WaitingDevice } from "./transfers.js";
import type { TrustBook } from "./trustBook.js";

/** The events of {@link OwnDevice}. @internal */
export interface DeviceEvents {
  /** The device can take part in groups. */
  approved: undefined;
  /** An approval waits for {@link OwnDevice.confirm}. */
  offered: undefined;
  /** A value from the server cannot be used. */
  trouble: { kind: string; error: unknown };
}

/** An approval that the server has delivered. */
interface Offer {
  identityKey: Bytes;
  identitySignature: Bytes;
  opened: Opened;
}

/** This device: its registration, approval and key rotation. @internal */
export class OwnDevice extends Emitter<DeviceEvents> {
  readonly list: OwnList;
  readonly acts: DeviceActs;
  private readonly turn = new Mutex();
  private offer: Offer | undefined;

  private constructor(
    private readonly state: DeviceState,
    private readonly book: TrustBook,
    directory: Directory,
  ) {
    super();
    this.list = new OwnList(book, directory, state.server);
    this.acts = new DeviceActs(state, this.list, book);
  }

  static async load(server: DeviceServer, store: Store, book: TrustBook, directory: Directory): Promise<OwnDevice> {
    return new OwnDevice(await DeviceState.load(server, store), book, directory);
  }

  get userId(): string {
    return this.state.userId;
  }

  get id(): string {
    return this.state.record.deviceId;
  }

  get signature(): KeyPair {
    return this.state.record.signature;
  }

  get identityKey(): Bytes | undefined {
    const { identityKey } = this.state.record;
    return identityKey && copy(identityKey);
  }

  /** The identity's private key; undefined until the device is approved. */
  get identitySeed(): Bytes | undefined {
    const { identitySeed } = this.state.record;
    return this.identity && identitySeed && copy(identitySeed);
  }

  /** The content of this device's credential; undefined until the device is approved. */
  get identity(): DeviceIdentity | undefined {
    return this.state.identity;
  }

  code(): Promise<string> {
    return deviceCode(codeKeys(this.state.record));
  }

  /** Whether an approval waits for {@link confirm}. */
  get isOffered(): boolean {
    return this.offer !== undefined;
  }

  /** The text of the QR code that this device shows while it waits. */
  qrText(): Promise<string> {
    return this.turn.run(async () => {
      const { record } = this.state;
      if (this.identity) throw SecureMessagingError.of("Conflict", "This device is approved already.");
      const secret = record.secret ?? randomBytes(32);
      if (!record.secret) await this.state.adopt({ ...record, secret });
      return encodeDeviceQr(this.userId, record, secret);
    });
  }

  /** Accepts the identity of an approval, when the code is the one that the approving device computed for it. */
  confirm(code: string): Promise<void> {
    return this.turn.run(async () => {
      const { offer } = this;
      if (!offer) {
        if (this.identity) return;
        throw SecureMessagingError.of("NotReady", "No other device has approved this one.");
      }
      const expected = await confirmationCode(this.userId, codeKeys(this.state.record), offer.identityKey);
      if (onlyDigits(code) !== onlyDigits(expected))
        throw SecureMessagingError.of("Forbidden", "The code does not match the approval. An attacker may have replaced it.");
      await this.take(offer, true);
      this.offer = undefined;
      this.emit("approved", undefined);
    });
  }

  /** Makes the server and this record agree: registers the device, binds the session to it, reads its approval, completes interrupted acts. */
  reconcile(): Promise<void> {
    return this.turn.run(async () => {
      const devices = await this.devices();
      const own = devices.find((device) => device.id === this.id);
      if (own) await this.takeNote(own);
      else await this.missing(devices);
      await this.settle();
    });
  }

  /** Replaces the device's keys, so that it can join its groups again. */
  rotate(): Promise<void> {
    return this.turn.run(async () => this.finishRotation(await this.acts.rotate()));
  }

  /** Gives the user a new identity, without the devices in `without`. */
  replaceIdentity(without: string[], attempt?: string): Promise<void> {
    return this.turn.run(async () => {
      const earlier = attempt === undefined ? undefined : await read<Bytes>(this.state.store, keys.attempt(attempt));
      const own = (await this.devices()).find((device) => device.id === this.id);
      if (earlier) {
        if (own) await this.takeNote(own);
        if (this.identityKey && equal(this.identityKey, earlier)) return;
      }
      const made = await this.acts.replaceIdentity(without, own?.identityKey, attempt);
      const rotated = await this.acts.finishIdentity(made, own?.identityKey);
      if (rotated) await this.finishRotation(rotated);
    });
  }

  approve(device: WaitingDevice): Promise<string> {
    return this.turn.run(() => this.acts.approve(device));
  }

  revoke(deviceId: string): Promise<void> {
    return this.turn.run(() => this.acts.revoke(deviceId));
  }

  rename(username: string): Promise<void> {
    return this.turn.run(() => this.acts.rename(username));
  }

  /**
   * A person wants this device to become a new one, because the server does not know it, or another device has revoked it. Only the keys of its groups are
   * deleted. In an account without devices it founds another identity.
   */
  startOver(): Promise<void> {
    return this.turn.run(async () => {
      const devices = await this.devices();
      const isListed = !this.list.newest || this.list.entry(this.id) !== undefined;
      if (this.state.record.registered && isListed && devices.some((device) => device.id === this.id))
        throw SecureMessagingError.of("Conflict", "The server knows this device. Revoke it from another device first.");
      this.offer = undefined;
      await this.state.adopt(await newRecord(), (await forgetGroups(this.state.store)).set(keys.mayFound, pack(true)));
      await this.register(devices.length === 0);
      await this.settle();
    });
  }

  private sign(identitySeed: Bytes): Promise<Bytes> {
    return signDevice(identitySeed, this.userId, this.id, this.signature.publicKey);
  }

  private devices(): Promise<WireDevice[]> {
    return this.state.server.call<WireDevice[]>("GET", "v1/devices");
  }

  /** The server does not show this device. Nothing is forgotten, and no identity is founded, unless a person wants it. */
  private async missing(devices: WireDevice[]): Promise<void> {
    const { record } = this.state;
    if (!record.registered) {
      if (devices.length === 0 && !(await read<boolean>(this.state.store, keys.mayFound)))
        throw SecureMessagingError.of("DeviceUnknown", "The server shows no device of this account. If all are lost, begin with devices.startOver.");
      return this.register(devices.length === 0);
    }
    await this.list.refresh();
    if (!this.identity || !hasKeysOf(this.list.entry(this.id), record)) throw this.unknown();
    // The user's signed list still has this device: the server has deleted it, for example because it was not seen for long.
    await this.register(devices.length === 0);
    this.emit("trouble", {
      kind: "registeredAgain",
      error: SecureMessagingError.of("DeviceUnknown", "The server had deleted this device. It was registered again with the same keys."),
    });
  }

  private unknown(): SecureMessagingError {
    const revoked = this.list.newest && !this.list.entry(this.id);
    const why = revoked ? "Another device of this account has revoked this one." : "The server does not know this device any more.";
    return SecureMessagingError.of("DeviceUnknown", `${why} Its keys and history are kept. devices.startOver makes it a new device.`);
  }

  private async register(first: boolean): Promise<void> {
    if (first && !this.state.record.identitySeed) {
      const identity = await generateSigningKey();
      const made = { identitySeed: identity.privateKey, identityKey: identity.publicKey, identitySignature: await this.sign(identity.privateKey) };
      await this.state.adopt({ ...this.state.record, ...made, founded: true });
    }
    const { record } = this.state;
    const { identityKey, identitySignature } = record;
    try {
      const registered = await this.post(identityKey && identitySignature ? { identityKey, identitySignature } : undefined);
      await this.state.adopt({ ...this.state.record, registered: true }, new Map([[keys.mayFound, null]]));
      await this.takeNote(registered);
    } catch (error) {
      if (error instanceof SecureMessagingError && error.code === "TooLarge") throw SecureMessagingError.of("TooManyDevices", error.message, error);
      if (!(error instanceof SecureMessagingError) || (error.code !== "Conflict" && error.code !== "Invalid") || !identityKey) throw error;
      if (record.registered) throw this.unknown();
      // Another device was registered first, with its own identity. This one waits for its approval.
      await this.state.adopt({ ...(await newRecord()), deviceId: this.id });
      await this.register(false);
    }
  }

  /** The server does not interpret the name: it has the device's own signature over its keys, which the list needs. */
  private async post(identity: { identityKey: Bytes; identitySignature: Bytes } | undefined): Promise<WireDevice> {
    const { record, server } = this.state;
    return server.call<WireDevice>("POST", "v1/devices", {
      id: record.deviceId,
      signatureKey: toBase64(record.signature.publicKey),
      linkKey: toBase64(record.link.publicKey),
      scheme: "mls10",
      name: toBase64((await entryOf(this.userId, record, 1)).own),
      ...(identity ? { identityKey: toBase64(identity.identityKey), identitySignature: toBase64(identity.identitySignature) } : {}),
    });
  }

  /** Compares the signed list with this device, and completes interrupted acts. */
  private async settle(): Promise<void> {
    const { record } = this.state;
    if (!this.identity || !record.registered) return;
    if (record.founded && !this.list.newest) await this.list.begin(record.identityKey!);
    await this.list.refresh();
    await this.acts.ensureList();
    if (this.list.newest && !this.list.entry(this.id)) throw this.unknown();
    await this.acts.finish((error) => this.emit("trouble", { kind: "actNotCompleted", error }));
  }

  private async takeNote(own: WireDevice): Promise<void> {
    if (!own.current) await this.state.server.call("PUT", `v1/devices/${this.id}/session`);
    const next = await read<DeviceRecord>(this.state.store, keys.nextDevice);
    const nextIdentity = await this.acts.nextIdentity();
    if (next) {
      if (own.identityKey === (next.identityKey && toBase64(next.identityKey))) return this.finishRotation(next);
      // Another device has replaced the identity: this one needs its approval first. Of its own keys it uses those that the server has.
      const used = own.signatureKey === toBase64(next.signature.publicKey) ? next : this.state.record;
      await this.state.adopt({ ...used, identitySignature: undefined }, new Map([[keys.nextDevice, null]]));
    } else if (nextIdentity) {
      const rotated = await this.acts.finishIdentity(nextIdentity, own.identityKey);
      if (rotated) return this.finishRotation(rotated);
    }
    const { record } = this.state;
    const isSame = record.identityKey !== undefined && own.identityKey === toBase64(record.identityKey);
    if (!own.approved) {
      this.offer = undefined;
      // Another device has replaced the identity, so this one waits. It keeps its identity key: only an approval replaces it.
      if (own.identityKey && this.identity && !isSame) await this.state.adopt({ ...record, identitySignature: undefined });
      return;
    }
    if (record.registered && isSame && (this.identity || record.identitySeed)) {
      // The server said before that another device had replaced the identity, and does not say it any more.
      if (!this.identity) await this.state.adopt({ ...record, identitySignature: await this.sign(record.identitySeed!) });
      if (own.sealedIdentity) await this.acknowledge();
      return;
    }
    if (own.identityKey && own.identitySignature && own.sealedIdentity)
      await this.offered(fromBase64(own.identityKey), fromBase64(own.identitySignature), fromBase64(own.sealedIdentity));
  }

  /** An approval has arrived. The server may have invented the identity, so it needs a proof, or a person who confirms it. */
  private async offered(identityKey: Bytes, identitySignature: Bytes, sealed: Bytes): Promise<void> {
    const { record } = this.state;
    const opened = await open(sealed, this.userId, record);
    const credential = { userId: this.userId, deviceId: this.id, identityKey, identitySignature };
    if (!opened || !equal(opened.identity, identityKey) || !(await verifyDevice(credential, record.signature.publicKey))) {
      const error = SecureMessagingError.of("Invalid", "The server's approval of this device is not valid.");
      this.emit("trouble", { kind: "approvalNotValid", error });
      return;
    }
    const offer: Offer = { identityKey, identitySignature, opened };
    await this.list.refresh();
    const renewed = this.list.newest !== undefined && equal(this.list.newest.list.identity, identityKey);
    const wasSame = record.identityKey !== undefined && equal(record.identityKey, identityKey);
    if (!opened.scanned && !renewed && !wasSame) {
      const isNews = !this.offer || !equal(this.offer.identityKey, identityKey);
      this.offer = offer;
      if (isNews) this.emit("offered", undefined);
      return;
    }
    await this.take(offer, opened.scanned);
    this.offer = undefined;
    // The leaves of a device that was in groups before have the old identity.
    if (record.registered && record.identityKey && !wasSame) await this.finishRotation(await this.acts.rotate());
    else this.emit("approved", undefined);
  }

  /** @param confirmed - Whether a person has confirmed the identity, so that another chain of lists than before is accepted. */
  private async take({ identityKey, identitySignature, opened }: Offer, confirmed: boolean): Promise<void> {
    const { record } = this.state;
    const known = confirmed ? undefined : this.list.newest;
    const { transfer, lists } = await accept(opened, identityKey, { userId: this.userId, record, list: this.list, known });
    await this.book.trustOwn(identityKey, lists);
    await this.book.takePins(transfer.pins);
    const changes: Changes = new Map();
    for (const room of transfer.rooms) changes.set(keys.transferredRoom(room.room), pack(room));
    await this.state.adopt(
      { ...record, registered: true, founded: false, identitySeed: copy(transfer.identitySeed), identityKey, identitySignature, secret: undefined },
      changes,
    );
    await this.acknowledge();
  }

  /** The server deletes what the approving device left. */
  private async acknowledge(): Promise<void> {
    try {
      await this.state.server.call("DELETE", `v1/devices/${this.id}/sealed-identity`);
    } catch (error) {
      // A later comparison repeats it.
      if (!(error instanceof SecureMessagingError) || error.code !== "NotFound") this.emit("trouble", { kind: "notAcknowledged", error });
    }
  }

  private async finishRotation(next: DeviceRecord): Promise<void> {
    this.offer = undefined;
    if (await this.acts.finishRotation(next)) this.emit("approved", undefined);
  }
}

const codeKeys = ({ deviceId, signature, link }: DeviceRecord) => ({ id: deviceId, signatureKey: signature.publicKey, linkKey: link.publicKey });
