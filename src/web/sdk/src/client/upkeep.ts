import { clockDifference } from "../base/clock.js";
import { Emitter } from "../base/events.js";
import { isSignedOut, mayPass, type ErrorBody } from "../base/errors.js";
import type { Ports } from "../rooms/ports.js";
import type { Rooms } from "../rooms/rooms.js";
import type { Dispatcher } from "../rooms/dispatcher.js";
import { Backoff, sleep } from "../base/timing.js";
import { bodyOf, FailureReporter } from "../base/warnings.js";

const headsEveryMs = 30_000;
const clockMayDifferMs = 300_000;
/** After a connect, read positions are announced and asked for after about this time. */
const readsAfterMs = 2_000;

/** What keeps this device registered and reachable. @internal */
export interface Keeping {
  /** Registers the device, or reads whether it was approved. */
  device: { reconcile(): Promise<void> };
  keyPackages: { topUp(): Promise<void> };
  /** Replaces the device's keys. */
  devices: { rotate(): Promise<void> };
  /** Labels this session with the device's name. */
  names: { keep(): Promise<void> };
}

/**
 * The background work of a client: it compares the rooms' logs with the server, keeps the device registered and reachable, and retries calls without an
 * answer. @internal
 */
export class Upkeep extends Emitter<{ deviceError: undefined }> {
  /** Why the device is not registered, or has no KeyPackages; undefined without a problem. */
  deviceError: ErrorBody | undefined;
  private readonly background = new Set<Promise<void>>();
  private healing: Promise<void> | undefined;
  private readonly healBackoff: Backoff;
  private saidClock = false;
  private refreshed = 0;
  private followed = 0;
  /** Whether the client was offline and may have missed signals. */
  private wasAway = true;

  constructor(
    private readonly ports: Pick<Ports, "clock" | "closing" | "device" | "hub" | "reports" | "server">,
    private readonly keeping: Keeping,
    private readonly dispatcher: Dispatcher,
    private readonly rooms: Rooms,
  ) {
    super();
    this.healBackoff = new Backoff(300_000, ports.clock);
  }

  /** The connection is there. */
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

  /** Registers the device, or reads whether it was approved. */
  refreshDevice(): void {
    this.inBackground(() => this.keepReachable());
  }

  /** Waits until the background work has ended. Each part reports its own failure. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.background]);
  }

  private sleep(ms: number): Promise<void> {
    return sleep(ms, this.ports.closing, this.ports.clock);
  }

  private checkClock(): void {
    const [own, server] = [this.ports.clock.now(), this.ports.server.now()];
    if (Math.abs(own - server) < clockMayDifferMs || this.saidClock) return;
    this.saidClock = true;
    this.ports.reports.warn({
      area: "device",
      kind: "clockWrong",
      retrying: false,
      detail: `${clockDifference(own, server)} If it is wrong by weeks, this device cannot add others to a group. Correct the clock.`,
    });
  }

  /** Compares the rooms with the server after each connect and about every 30 s, because pushes may be lost. */
  private async followHeads(): Promise<void> {
    const turn = ++this.followed;
    while (turn === this.followed) {
      const heads = await this.ports.hub.heads();
      if (turn !== this.followed) return;
      const compared = this.rooms.compare(heads);
      this.dispatcher.open();
      await compared;
      if (this.wasAway) {
        this.wasAway = false;
        this.inBackground(() => this.catchUpReads());
      }
      await this.sleep(headsEveryMs * (0.75 + this.ports.clock.random() / 2));
    }
  }

  /** Runs after the logs were read to their heads: signals of another epoch cannot be read. */
  private async catchUpReads(): Promise<void> {
    await this.sleep(readsAfterMs * (0.5 + this.ports.clock.random()));
    await this.rooms.catchUpReads();
  }

  /** Retries until the device is registered and has KeyPackages: without them others cannot write to it. */
  private async keepReachable(): Promise<void> {
    const turn = ++this.refreshed;
    const reporter = new FailureReporter(this.ports.reports.failed("device", "notReachable", { retrying: true }));
    const backoff = new Backoff(300_000, this.ports.clock);
    for (;;) {
      try {
        await this.keeping.device.reconcile();
        await this.keeping.keyPackages.topUp();
        await this.rooms.fetchWelcomes();
        break;
      } catch (error) {
        if (mayPass(error) || isSignedOut(error)) throw error;
        this.setDeviceError(bodyOf(error));
        reporter.report(error);
      }
      await backoff.wait(2000, this.ports.closing);
      if (turn !== this.refreshed) return;
    }
    this.setDeviceError(undefined);
    this.inBackground(() => this.keeping.names.keep());
    // The server does not push an approval.
    const patience = new Backoff(5000, this.ports.clock);
    while (!this.ports.device.identity && turn === this.refreshed) {
      await patience.wait(500, this.ports.closing);
      await this.keeping.device.reconcile();
    }
  }

  private setDeviceError(error: ErrorBody | undefined): void {
    const changed = error?.message !== this.deviceError?.message;
    this.deviceError = error;
    if (changed) this.emit("deviceError", undefined);
  }

  /** Replaces the device's keys. */
  heal(): void {
    this.healing ??= (async () => {
      await this.sleep(this.healBackoff.next());
      this.ports.reports.warn({ area: "device", kind: "healing", retrying: true, detail: "This device replaces its keys, because it cannot follow a group." });
      await this.keeping.devices.rotate();
    })()
      .catch(this.ports.reports.failed("device", "healingFailed", { retrying: true }))
      .finally(() => {
        this.healing = undefined;
      });
  }

  /** Retries until the work is done or the session has ended. */
  inBackground(work: () => Promise<void>): void {
    const running = this.untilAnswered(work)
      .catch(this.ports.reports.failed("device", "failed"))
      .finally(() => this.background.delete(running));
    this.background.add(running);
  }

  /** Retries while there is no answer. Rejects when the server rejects, or when the client is closed. */
  async untilAnswered(work: () => Promise<void>): Promise<void> {
    const backoff = new Backoff(undefined, this.ports.clock);
    const reporter = new FailureReporter(this.ports.reports.failed("connection", "waitsForAnswer", { retrying: true }));
    for (;;) {
      try {
        await work();
        return;
      } catch (error) {
        if (this.ports.closing.aborted || !mayPass(error)) throw error;
        reporter.report(error);
        await backoff.wait(error.retryAfterMs, this.ports.closing);
      }
    }
  }
}
