import { deviceCode, onlyDigits } from "./account/device.js";
import { fromBase64 } from "./bytes.js";
import { SecureMessagingError } from "./errors.js";
import type { Context } from "./rooms/context.js";
import type { Rooms } from "./rooms.js";
import type { SessionSummary, WireDevice } from "./wire.js";

/** One of this user's devices. */
export interface DeviceInfo {
  /** The device's id. */
  id: string;
  /** Whether it is this one. */
  current: boolean;
  /** Whether the identity has signed it; until then nobody encrypts for it. */
  approved: boolean;
  /** The day of registration, `yyyy-mm-dd` (UTC). */
  createdOn: string;
  /** The day it was last seen (UTC). */
  seenOn: string;
  /** What both devices show: compare before approving. 6 groups of 5 digits. */
  code: string;
}

/** This user's devices. The first one makes the identity; each further one waits until a device that holds the identity's private key has approved it. */
export class Devices {
  /** @internal */
  constructor(private readonly context: Context, private readonly rooms: Rooms) {}

  /** This device's id. */
  get currentId(): string {
    return this.context.device.id;
  }

  /** Whether this device may take part: it is the first, or has been approved. */
  get isApproved(): boolean {
    return this.context.device.identity !== undefined;
  }

  /** This device's code, which needs no connection: see {@link DeviceInfo.code}. */
  currentCode(): Promise<string> {
    return this.context.device.code();
  }

  /** All of them. */
  async list(): Promise<DeviceInfo[]> {
    const devices = await this.context.session.call<WireDevice[]>("GET", "v1/devices");
    return Promise.all(devices.map(async (device) => ({
      id: device.id, current: device.id === this.context.device.id, approved: device.approved,
      createdOn: device.createdOn.slice(0, 10), seenOn: device.seenOn.slice(0, 10), code: await codeOf(device),
    })));
  }

  /**
   * Approves a waiting device: signs its key and hands it the identity's private key, sealed to it. From then on it can do what this one can.
   * The new device does not believe it yet: it asks for the code that this returns, see {@link Devices.confirm}. Approving again returns the same.
   * @param code What the waiting device shows. The server hands out its keys; only the code, read from the device itself, tells that they are its own.
   * @returns 6 groups of 5 digits, to be entered on the new device.
   * @throws {@link SecureMessagingError} `Forbidden` when the code is another, `NotReady` when this device does not hold the identity's private key.
   */
  async approve(deviceId: string, code: string): Promise<string> {
    const device = (await this.context.session.call<WireDevice[]>("GET", "v1/devices")).find((each) => each.id === deviceId);
    if (!device)
      throw SecureMessagingError.of("NotFound", "There is no device with this id.");
    if (onlyDigits(code) !== onlyDigits(await codeOf(device)))
      throw SecureMessagingError.of("Forbidden", "The code is not this device's. Somebody may be in between.");
    const confirmation = await this.context.device.approve(device);
    this.rooms.reconcileAll();
    return confirmation;
  }

  /** Whether this device has been approved and waits for {@link confirm}. */
  get isOffered(): boolean {
    return this.context.device.isOffered;
  }

  /**
   * On the new device: takes over the identity that it was approved for.
   * @param code What the approving device shows. The server brings the identity; only the code, read from the device that holds it, tells that it is the user's.
   * @throws {@link SecureMessagingError} `Forbidden` when the code is another: then the identity is not the approving device's. `NotReady` before an approval has arrived.
   */
  confirm(code: string): Promise<void> {
    return this.context.device.confirm(code);
  }

  /** Takes a device out: its session ends, and the groups go on without it. */
  async revoke(deviceId: string): Promise<void> {
    await this.context.session.call("DELETE", `v1/devices/${deviceId}`);
    this.rooms.reconcileAll();
  }

  /** Gives this device new keys. Other members replace its leaf in every group; until they have, it reads on with the old ones. */
  async rotate(): Promise<void> {
    await this.context.device.rotate();
    await this.context.keyPackages.topUp();
  }

  /**
   * For a user whose identity key is lost: this device goes on under a new one, and all contacts are told that the key has changed.
   * @param attempt Names the call, when it may be made again: the identity is replaced once.
   */
  async replaceIdentity(attempt?: string): Promise<void> {
    await this.context.device.replaceIdentity(attempt);
    await this.context.keyPackages.topUp();
  }
}

const codeOf = (device: WireDevice): Promise<string> =>
  deviceCode({ id: device.id, signatureKey: fromBase64(device.signatureKey), linkKey: fromBase64(device.linkKey) });

/** A sign-in of this user. */
export interface SessionInfo {
  id: string;
  /** To the hour (UTC). */
  startedAt: string;
  /** To the hour (UTC); undefined while it lasts. */
  endedAt?: string;
  /** Whether it is this client's. */
  current: boolean;
}

/** This user's sessions. */
export class Sessions {
  /** @internal */
  constructor(private readonly context: Context) {}

  /** Those that last, and those that ended within the day. */
  list(): Promise<SessionInfo[]> {
    return this.context.session.call<SessionSummary[]>("GET", "v1/me/sessions");
  }

  /** Ends one: its connections are gone within seconds. */
  async end(sessionId: string): Promise<void> {
    await this.context.session.call("DELETE", `v1/me/sessions/${sessionId}`);
  }

  /** Ends all, this one included. */
  async endAll(): Promise<void> {
    await this.context.session.call("POST", "v1/auth/logout-everywhere");
    await this.context.session.end();
  }
}
