/* The signed device lists of one user of a run. The user's devices make them here, so that a run needs no approvals. */
import type { KeyPair } from "../../src/mls/ed25519.js";
import { Mutex } from "../../src/base/timing.js";
import {
  decodeDeviceList,
  deviceListHash,
  encodeDeviceList,
  noPrevious,
  reasons,
  signDeviceList,
  signListedDevice,
  type ListedDevice,
} from "../../src/trust/deviceList.js";
import { equal } from "../../src/base/bytes.js";
import type { ServerUser } from "./directory.js";
import type { World } from "./world.js";

export class UserLists {
  private readonly turn = new Mutex();
  /** The key of the device that signs for the others: the first one in the newest list. */
  private readonly seeds = new Map<string, Uint8Array>();

  constructor(
    private readonly world: World,
    private readonly user: ServerUser,
    private readonly identity: KeyPair,
  ) {}

  /** A device of the user approves a new one. */
  add(device: string, keys: KeyPair): Promise<void> {
    return this.turn.run(async () => {
      const before = this.newest;
      const signer = before?.devices[0]?.device ?? device;
      const seed = before ? this.seeds.get(signer)! : keys.privateKey;
      const entry = await this.entry(device, keys, this.user.lists.length + 1);
      await this.publish(before ? reasons.added : reasons.first, [...(before?.devices ?? []), entry], signer, seed);
      this.seeds.set(device, keys.privateKey);
    });
  }

  /** A device signs its own new keys with the old ones. */
  replaceKeys(device: string, old: KeyPair, keys: KeyPair): Promise<void> {
    return this.turn.run(async () => {
      const before = this.newest!.devices;
      const listed = before.find((each) => each.device === device)!;
      if (equal(listed.signatureKey, keys.publicKey)) return;
      const entry = await this.entry(device, keys, listed.since);
      const devices = before.map((each) => (each === listed ? entry : each));
      await this.publish(reasons.newKeys, devices, device, old.privateKey);
      this.seeds.set(device, keys.privateKey);
    });
  }

  private get newest() {
    const encoded = this.user.lists.at(-1);
    return encoded && decodeDeviceList(encoded);
  }

  private entry(device: string, keys: KeyPair, since: number): Promise<ListedDevice> {
    return signListedDevice(this.user.id, { device, signatureKey: keys.publicKey, linkKey: this.world.bytes(32), since }, keys.privateKey);
  }

  private async publish(reason: number, devices: ListedDevice[], signer: string, seed: Uint8Array): Promise<void> {
    const { id, username, identityKey, lists } = this.user;
    const last = lists.at(-1);
    const content = {
      user: id,
      username,
      number: lists.length + 1,
      previous: last ? await deviceListHash(last) : noPrevious,
      identity: identityKey,
      devices,
      reason,
      signer,
    };
    lists.push(encodeDeviceList(await signDeviceList(content, { identity: this.identity.privateKey, device: seed })));
  }
}
