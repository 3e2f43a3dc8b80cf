import { toBase64, toHex } from "../base/bytes.js";
import type { Clock } from "../base/clock.js";
import type { DeviceIdentity } from "../mls/credential.js";
import { makeKeyPackage, type OwnKeyPackage } from "../mls/messages.js";
import type { Session } from "../net/session.js";
import { keys, pack, read, unpack, type Changes, type Store } from "../store/store.js";
import { Mutex } from "../base/timing.js";
import type { KeyPackageStock } from "../net/wire.js";
import type { OwnDevice } from "./device.js";

const wanted = 50;
const low = 25;
const firstFew = 5;
const lifetimeDays = 84;
const dayMs = 86_400_000;
/** A claim can use up the last-resort KeyPackage at any time, and each new one is stored for months. So it is replaced at most once in this time. */
const lastResortEveryMs = 3_600_000;

export interface StoredKeyPackage extends OwnKeyPackage {
  lastResort: boolean;
  /** By the server's clock. */
  madeAt: number;
  /** By this device's clock. */
  madeAtHere: number;
}

/** This device's KeyPackages in the server's directory. The store has the private keys before the server has the public ones. @internal */
export class KeyPackages {
  private readonly turn = new Mutex();

  constructor(
    private readonly device: OwnDevice,
    private readonly session: Session,
    private readonly store: Store,
    private readonly clock: Pick<Clock, "now">,
  ) {}

  /** Uploads the missing KeyPackages. */
  topUp(): Promise<void> {
    return this.turn.run(async () => {
      const identity = this.device.identity;
      if (!identity) return;
      const path = `v1/devices/${this.device.id}/key-packages`;
      const stock = await this.session.call<KeyPackageStock>("GET", path);
      const remembered = await read<{ lastResortAt: number }>(this.store, keys.stock);
      const now = this.session.http.now();
      // A KeyPackage from the future was made with a wrong clock.
      const age = remembered && remembered.lastResortAt < now + 3_600_000 ? now - remembered.lastResortAt : Infinity;
      const needsLastResort = !stock.lastResort || (stock.lastResortUsed && age > lastResortEveryMs) || age > (lifetimeDays / 3) * dayMs;
      const count = stock.available < low ? wanted - Math.max(0, stock.available) : 0;
      if (count === 0 && !needsLastResort) return;
      // A few first, because others may wait for them.
      await this.upload(identity, Math.min(count, firstFew), needsLastResort);
      if (count > firstFew) await this.upload(identity, count - firstFew, false);
    });
  }

  private async upload(identity: DeviceIdentity, count: number, withLastResort: boolean): Promise<void> {
    const changes: Changes = new Map();
    // Others compare the lifetime with their clocks, so the server's time counts. This device's clock may be wrong.
    const now = this.session.http.now();
    const madeAtHere = this.clock.now();
    const make = async (lastResort: boolean) => {
      const made: StoredKeyPackage = { ...(await makeKeyPackage(identity, this.device.signature, lifetimeDays, now)), lastResort, madeAt: now, madeAtHere };
      changes.set(keys.keyPackage(toHex(made.reference)), pack(made));
      return toBase64(made.message);
    };
    const keyPackages: string[] = [];
    for (let i = 0; i < count; i++) keyPackages.push(await make(false));
    const lastResort = withLastResort ? await make(true) : undefined;
    if (withLastResort) changes.set(keys.stock, pack({ lastResortAt: now }));
    await this.forgetExpired(changes, now, madeAtHere);
    await this.store.write(changes);
    await this.session.call<KeyPackageStock>("POST", `v1/devices/${this.device.id}/key-packages`, { keyPackages, ...(lastResort ? { lastResort } : {}) });
  }

  async find(reference: string): Promise<StoredKeyPackage | undefined> {
    return read<StoredKeyPackage>(this.store, keys.keyPackage(reference));
  }

  /**
   * Deletes KeyPackages that have expired. A Welcome may be late, so they stay one month longer. Both clocks must say so: without the private keys this device
   * cannot enter by a Welcome that waits for it, and one false time of the server must not cost them.
   */
  private async forgetExpired(changes: Changes, now: number, nowHere: number): Promise<void> {
    const keptMs = (lifetimeDays + 30) * dayMs;
    for (const [key, value] of await this.store.list(keys.keyPackages)) {
      const { madeAt, madeAtHere } = unpack<StoredKeyPackage>(value);
      if (now - madeAt > keptMs && nowHere - madeAtHere > keptMs) changes.set(key, null);
    }
  }
}
