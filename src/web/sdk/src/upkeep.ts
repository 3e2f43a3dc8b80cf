import type { Devices } from "./devices.js";
import { isSignedOut, mayPass, type ErrorBody } from "./errors.js";
import type { Rooms } from "./rooms.js";
import type { Context } from "./rooms/context.js";
import { Backoff, sleep } from "./timing.js";
import { bodyOf, Trouble } from "./warnings.js";

const headsEveryMs = 30_000;
const clockMayDifferMs = 300_000;
/** After a connect, so many milliseconds, more or less, before receipts are told and asked for. */
const readsAfterMs = 2_000;

/**
 * What a client does by itself while it runs: it compares the rooms' heads with what it has, keeps its device registered and reachable, and tries again what waits for the
 * server's answer. @internal
 */
export class Upkeep {
  /** Why the device is not registered, or has no KeyPackages; undefined while it is reachable. */
  deviceError: ErrorBody | undefined;
  /** Called when {@link deviceError} changes. */
  onDeviceError: (() => void) | undefined;
  private readonly background = new Set<Promise<void>>();
  private healing: Promise<void> | undefined;
  private readonly healBackoff = new Backoff(300_000);
  private saidClock = false;
  private refreshed = 0;
  private followed = 0;
  /** Whether there was a time without a connection, in which signals were missed. */
  private wasAway = true;

  constructor(private readonly context: Context, private readonly rooms: Rooms, private readonly devices: Devices) {}

  /** There is a connection. */
  connected(): void {
    this.checkClock();
    this.refreshDevice();
    this.inBackground(() => this.followHeads());
  }

  /** The connection is gone. */
  lost(): void {
    this.followed++;
    this.wasAway = true;
  }

  /** Registers the device, or finds out whether it has been approved. */
  refreshDevice(): void {
    this.inBackground(() => this.keepReachable());
  }

  /** What runs in the background has come to its end. Each reports its own failure. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.background]);
  }

  private checkClock(): void {
    const ahead = Date.now() - this.context.session.http.now();
    if (Math.abs(ahead) < clockMayDifferMs || this.saidClock)
      return;
    this.saidClock = true;
    this.context.warn({ area: "device", kind: "clockWrong", retrying: false,
      detail: `This device's clock is ${Math.round(Math.abs(ahead) / 60_000)} minutes ${ahead > 0 ? "ahead of" : "behind"} the server's. By weeks, it cannot add others to a group: set it right.` });
  }

  /** At each connection and now and then: pushes may be lost, the log is not. */
  private async followHeads(): Promise<void> {
    const turn = ++this.followed;
    while (turn === this.followed) {
      const heads = await this.context.hub.heads();
      if (turn !== this.followed)
        return;
      const compared = this.rooms.compare(heads);
      this.context.dispatcher.open();
      await compared;
      if (this.wasAway) {
        this.wasAway = false;
        this.inBackground(() => this.catchUpReads());
      }
      await sleep(headsEveryMs * (0.75 + Math.random() / 2), this.context.closing);
    }
  }

  /** Once the logs have been read to their heads: no other device can read a signal of another epoch. */
  private async catchUpReads(): Promise<void> {
    await sleep(readsAfterMs * (0.5 + Math.random()), this.context.closing);
    await this.rooms.catchUpReads();
  }

  /** Until the device is registered and can be reached: a device without KeyPackages cannot be written to. */
  private async keepReachable(): Promise<void> {
    const turn = ++this.refreshed;
    const trouble = new Trouble(this.context.failed("device", "notReachable", { retrying: true }));
    const backoff = new Backoff(300_000);
    for (;;) {
      try {
        await this.context.device.reconcile();
        await this.context.keyPackages.topUp();
        await this.rooms.fetchWelcomes();
        break;
      } catch (error) {
        if (mayPass(error) || isSignedOut(error))
          throw error;
        this.setDeviceError(bodyOf(error));
        trouble.met(error);
      }
      await backoff.wait(2000, this.context.closing);
      if (turn !== this.refreshed)
        return;
    }
    this.setDeviceError(undefined);
    // The server does not tell a waiting device that it has been approved.
    const patience = new Backoff(5000);
    while (!this.context.device.identity && turn === this.refreshed) {
      await patience.wait(500, this.context.closing);
      await this.context.device.reconcile();
    }
  }

  private setDeviceError(error: ErrorBody | undefined): void {
    const changed = error?.message !== this.deviceError?.message;
    this.deviceError = error;
    if (changed)
      this.onDeviceError?.();
  }

  /** The device starts anew with other keys. */
  heal(): void {
    this.healing ??= (async () => {
      await sleep(this.healBackoff.next(), this.context.closing);
      this.context.warn({ area: "device", kind: "healing", retrying: true, detail: "The device starts anew with other keys." });
      await this.devices.rotate();
    })().catch(this.context.failed("device", "healingFailed", { retrying: true })).finally(() => { this.healing = undefined; });
  }

  /** Until it is done or the session is over. */
  inBackground(work: () => Promise<void>): void {
    const running = this.untilAnswered(work).catch(this.context.failed("device", "failed")).finally(() => this.background.delete(running));
    this.background.add(running);
  }

  /** Tries again until there is an answer. Rejects with a definite failure, or when the client is closed. */
  async untilAnswered(work: () => Promise<void>): Promise<void> {
    const backoff = new Backoff();
    const trouble = new Trouble(this.context.failed("connection", "waitsForAnswer", { retrying: true }));
    for (;;) {
      try {
        await work();
        return;
      } catch (error) {
        if (this.context.closing.aborted || !mayPass(error))
          throw error;
        trouble.met(error);
        await backoff.wait(error.retryAfterMs, this.context.closing);
      }
    }
  }
}
