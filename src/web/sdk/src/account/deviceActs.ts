import { copy, equal, toBase64, type Bytes } from "../base/bytes.js";
import { mayPass, SecureMessagingError } from "../base/errors.js";
import { signDevice } from "../mls/credential.js";
import { generateSigningKey, publicKeyOf } from "../mls/ed25519.js";
import { keys, pack, read, unpack, type Changes } from "../store/store.js";
import { reasons, type ListedDevice } from "../trust/deviceList.js";
import type { TransferredRoom } from "../trust/transfer.js";
import { confirmationCode, entryOf, hasKeysOf, newLinkKey, type DeviceRecord, type DeviceState } from "./deviceRecord.js";
import type { Verified } from "./lists.js";
import type { NextList, OwnList } from "./ownList.js";
import { sealFor, type WaitingDevice } from "./transfers.js";
import type { TrustBook } from "./trustBook.js";

/** An act on another device. The store has it until all its steps are done. */
type DeviceAct = { kind: "approve"; of: WaitingDevice } | { kind: "revoke"; device: string };

/** A new identity until all steps of its replacement are done. */
interface NextIdentity {
  record: DeviceRecord;
  /** The devices that the list loses with the identity. */
  without: string[];
  /** Whether the old identity signs the new one. */
  signed: boolean;
  /** The identity key that the server had before, in base64. */
  before?: string | undefined;
}

/**
 * What this device does to the user's devices. Each act first signs the next device list and then changes the server's devices, step by step. Each step can be
 * repeated, so an act that was interrupted is completed at the next start. @internal
 */
export class DeviceActs {
  /** The rooms that a new device learns of. */
  rooms: () => Promise<TransferredRoom[]> = () => Promise.resolve([]);

  constructor(
    private readonly state: DeviceState,
    private readonly list: OwnList,
    private readonly book: TrustBook,
  ) {}

  /** Makes list number 1, when this device has founded the identity and there is none. */
  async ensureList(): Promise<void> {
    const { record } = this.state;
    if (!record.founded || !record.identitySeed || this.list.newest) return;
    await this.list.begin(record.identityKey!);
    await this.list.publish(async (before) => (before ? undefined : this.next(reasons.first, [await entryOf(this.state.userId, record, 1)])));
  }

  /** Completes the acts that were interrupted. An act that cannot be completed is reported, and does not stop the others. */
  async finish(report: (error: unknown) => void): Promise<void> {
    for (const [, value] of await this.state.store.list(keys.deviceActs)) {
      const act = unpack<DeviceAct>(value);
      try {
        if (act.kind === "revoke") await this.finishRevocation(act.device);
        else await this.finishApproval(act.of);
      } catch (error) {
        if (mayPass(error)) throw error;
        report(error);
      }
    }
  }

  /** Adds a waiting device to the list, signs it and gives it what it needs. Returns the code that it asks for. */
  async approve(of: WaitingDevice): Promise<string> {
    const seed = this.requireSeed();
    await this.state.store.write(new Map([[keys.deviceAct(of.device), pack({ kind: "approve", of } satisfies DeviceAct)]]));
    await this.finishApproval(of);
    return confirmationCode(this.state.userId, { id: of.device, signatureKey: of.signatureKey, linkKey: of.linkKey }, await publicKeyOf(seed));
  }

  /** Removes a device from the list and from the server. */
  async revoke(device: string): Promise<void> {
    // A list is signed by a device that stays in it.
    if (device !== this.state.record.deviceId) {
      if (this.list.entry(device)) this.requireSeed();
      await this.state.store.write(new Map([[keys.deviceAct(device), pack({ kind: "revoke", device } satisfies DeviceAct)]]));
    }
    await this.finishRevocation(device);
  }

  /** Signs the username in the next list. */
  async rename(username: string): Promise<void> {
    this.requireSeed();
    await this.list.publish(async (before) => (!before || before.username === username ? undefined : { ...this.next(reasons.name, before.devices), username }));
  }

  /** Replaces this device's keys. */
  async rotate(): Promise<DeviceRecord> {
    const next = await this.withNewKeys(this.state.record);
    // The store keeps both records until the server answers, because the answer may be lost.
    await this.state.store.write(new Map([[keys.nextDevice, pack(next)]]));
    return next;
  }

  /** Signs and sends the new keys. Returns whether the device is approved with them. */
  async finishRotation(next: DeviceRecord): Promise<boolean> {
    const { record, server, store, userId } = this.state;
    const approved = next.identitySignature !== undefined;
    if (approved && next.identitySeed && this.list.newest)
      await this.list.publish(async (before) => {
        const listed = before?.devices.find((each) => each.device === record.deviceId);
        if (!before || !listed || hasKeysOf(listed, next)) return undefined;
        const entry = await entryOf(userId, next, listed.since);
        return this.next(reasons.newKeys, replaced(before.devices, entry));
      });
    await server.call("PUT", `v1/devices/${record.deviceId}/keys`, {
      signatureKey: toBase64(next.signature.publicKey),
      linkKey: toBase64(next.link.publicKey),
      ...(approved ? { identitySignature: toBase64(next.identitySignature!) } : {}),
    });
    const gone: Changes = new Map([
      [keys.nextDevice, null],
      [keys.stock, null],
    ]);
    for (const [key] of await store.list(keys.keyPackages)) gone.set(key, null);
    await this.state.adopt(next, gone);
    return approved;
  }

  /**
   * Makes a new identity of the user. The old identity signs it, when this device has it, and then the other devices stay, without those in `without`.
   * Otherwise a new chain of lists begins, and the other devices must be approved again.
   */
  async replaceIdentity(without: string[], before: string | undefined, attempt: string | undefined): Promise<NextIdentity> {
    const { record, store, userId } = this.state;
    await this.list.refresh();
    const identity = await generateSigningKey();
    const signed = record.identitySeed !== undefined && hasKeysOf(this.list.entry(record.deviceId), record) && !this.book.holdOf(userId);
    const made: NextIdentity = {
      record: {
        ...record,
        identitySeed: identity.privateKey,
        identityKey: identity.publicKey,
        identitySignature: await signDevice(identity.privateKey, userId, record.deviceId, record.signature.publicKey),
        founded: !signed || record.founded === true,
      },
      without,
      signed,
      before,
    };
    const changes: Changes = new Map([[keys.nextIdentity, pack(made)]]);
    if (attempt !== undefined) changes.set(keys.attempt(attempt), pack(identity.publicKey));
    await store.write(changes);
    return made;
  }

  /** The new identity that is not complete. */
  nextIdentity(): Promise<NextIdentity | undefined> {
    return read<NextIdentity>(this.state.store, keys.nextIdentity);
  }

  /** Completes a new identity, up to new keys of this device. Returns them. Another identity that replaced the old one meanwhile ends it: undefined. */
  async finishIdentity({ record: next, without, signed, before }: NextIdentity, serverIdentity: string | undefined): Promise<DeviceRecord | undefined> {
    const { record, server } = this.state;
    const isThere = serverIdentity === toBase64(next.identityKey!);
    if (!isThere && serverIdentity !== before) {
      await this.state.adopt(record, new Map([[keys.nextIdentity, null]]));
      return undefined;
    }
    if (signed) await this.renewList(next, without);
    if (!isThere)
      await server.call("PUT", "v1/me/identity", {
        deviceId: next.deviceId,
        identityKey: toBase64(next.identityKey!),
        identitySignature: toBase64(next.identitySignature!),
      });
    if (signed) {
      for (const device of without) await this.finishRevocation(device);
      await this.approveAgain(next);
    } else {
      await this.book.trustOwn(next.identityKey!, []);
    }
    // The device's leaves still have the old identity: new keys make the other members replace them.
    const rotated = await this.withNewKeys(next);
    await this.state.adopt(
      next,
      new Map([
        [keys.nextIdentity, null],
        [keys.nextDevice, pack(rotated)],
      ]),
    );
    await this.ensureList();
    return rotated;
  }

  /** Other keys for a device with this identity. */
  async withNewKeys(record: DeviceRecord): Promise<DeviceRecord> {
    const signature = await generateSigningKey();
    return {
      ...record,
      signature,
      link: await newLinkKey(),
      identitySignature: record.identitySeed && (await signDevice(record.identitySeed, this.state.userId, record.deviceId, signature.publicKey)),
    };
  }

  private async renewList(next: DeviceRecord, without: string[]): Promise<void> {
    const { record } = this.state;
    await this.list.publish(async (before) => {
      if (!before) throw SecureMessagingError.of("Conflict", "The account has no device list that could name the new identity.");
      if (equal(before.identity, next.identityKey!)) return undefined;
      return {
        ...this.next(
          reasons.lost,
          before.devices.filter((each) => !without.includes(each.device)),
        ),
        identity: next.identityKey!,
        seeds: { identity: next.identitySeed!, device: record.signature.privateKey, identityBefore: record.identitySeed! },
      };
    });
  }

  /** The other devices of the list get the new identity. */
  private async approveAgain(next: DeviceRecord): Promise<void> {
    const list = this.list.newest!;
    for (const each of list.list.devices) {
      if (each.device === next.deviceId) continue;
      try {
        await this.sendApproval({ ...each }, next, list);
      } catch (error) {
        // The server has no such device, or it has other keys by now: it must be approved again.
        if (!(error instanceof SecureMessagingError) || !["NotFound", "Invalid", "Conflict"].includes(error.code)) throw error;
      }
    }
  }

  private async finishApproval(of: WaitingDevice): Promise<void> {
    const { store } = this.state;
    const done: Changes = new Map([[keys.deviceAct(of.device), null]]);
    const list = await this.list.publish(async (before) => {
      if (!before) throw SecureMessagingError.of("NotReady", "The account has no device list that this device knows.");
      const listed = before.devices.find((each) => each.device === of.device);
      const entry: ListedDevice = {
        device: of.device,
        signatureKey: of.signatureKey,
        linkKey: of.linkKey,
        own: of.own,
        since: listed?.since ?? before.number + 1,
      };
      if (!listed) return this.next(reasons.added, [...before.devices, entry]);
      if (equal(listed.signatureKey, of.signatureKey) && equal(listed.linkKey, of.linkKey)) return undefined;
      return this.next(reasons.newKeys, replaced(before.devices, entry));
    });
    try {
      await this.sendApproval(of, this.state.record, list!);
    } catch (error) {
      if (mayPass(error)) throw error;
      // When there is no such device any more, the list must not name it.
      if (error instanceof SecureMessagingError && error.code === "NotFound") await this.unlist(of.device);
      await store.write(done);
      throw error;
    }
    await store.write(done);
  }

  private async sendApproval(to: WaitingDevice, record: DeviceRecord, list: Verified): Promise<void> {
    const { server, userId } = this.state;
    const sealed = await sealFor(to, { record, userId, list, book: this.book, rooms: await this.rooms() });
    await server.call("PUT", `v1/devices/${to.device}/approval`, {
      identitySignature: toBase64(await signDevice(record.identitySeed!, userId, to.device, to.signatureKey)),
      sealedIdentity: toBase64(sealed),
    });
  }

  private async finishRevocation(device: string): Promise<void> {
    const { server, store, record } = this.state;
    if (device !== record.deviceId && this.list.newest) await this.unlist(device);
    try {
      await server.call("DELETE", `v1/devices/${device}`);
    } catch (error) {
      if (!(error instanceof SecureMessagingError) || error.code !== "NotFound") throw error;
    }
    await store.write(new Map([[keys.deviceAct(device), null]]));
  }

  private async unlist(device: string): Promise<void> {
    await this.list.publish(async (before) => {
      if (!before?.devices.some((each) => each.device === device)) return undefined;
      return this.next(
        reasons.revoked,
        before.devices.filter((each) => each.device !== device),
      );
    });
  }

  private next(reason: number, devices: readonly ListedDevice[]): NextList {
    const { record } = this.state;
    return {
      reason,
      devices,
      signer: record.deviceId,
      identity: copy(record.identityKey!),
      seeds: { identity: this.requireSeed(), device: record.signature.privateKey },
    };
  }

  private requireSeed(): Bytes {
    const seed = this.state.record.identitySeed;
    if (!seed) throw SecureMessagingError.of("NotReady", "This device does not have the identity's private key.");
    return seed;
  }
}

const replaced = (devices: readonly ListedDevice[], by: ListedDevice) => devices.map((each) => (each.device === by.device ? by : each));
