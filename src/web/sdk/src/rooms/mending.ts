/* What a device does when it cannot follow the room's group any more, or the newest Commit is not valid. */
import { SecureMessagingError } from "../base/errors.js";
import type { RoomCore } from "./core.js";
import type { Ports } from "./ports.js";

/** How long a device that has missed a Commit waits for a Welcome before it replaces its keys. */
const welcomeMs = 5_000;

/**
 * How long a device with new keys waits for a Welcome before it replaces them again. After some attempts it waits twice as long each time, because no member
 * may be left who could add it.
 */
const patience = { ms: 30_000, attempts: 6, longestMs: 3_600_000 } as const;

/** What a room can ask for when this device can no longer follow the group. @internal */
export interface Repair {
  /** Processes the Welcomes that wait for this device. */
  fetchWelcomes(): Promise<void>;
  /** Replaces the device's keys. The others then add it again. */
  replaceKeys(): void;
}

/** @internal */
export class Mending {
  private attempts = 0;
  /** The keys are not replaced again before this time. */
  private until = -Infinity;

  constructor(
    private readonly ports: Pick<Ports, "clock" | "server">,
    private readonly core: RoomCore,
    private readonly repair: Repair,
    private readonly later: (delayMs: number) => void,
  ) {}

  /** The group cannot be followed. If the newest Commit is not valid, the other members report it too. If not, this device asks to be added again. */
  async mend(): Promise<void> {
    const { clock } = this.ports;
    const broken = this.core.state.broken!;
    // If the device was removed and added again while it was offline, its Welcome is there or on its way. New keys would make it useless.
    if (broken.why === "chain") {
      const left = Math.min(welcomeMs, broken.since + welcomeMs - clock.now());
      if (left > 0) {
        this.later(left);
        return;
      }
      await this.repair.fetchWelcomes();
      await this.core.catchUp();
      if (!this.core.state.broken) return;
    }
    // A person decides whether this device enters by the Welcome that it has.
    if (this.core.isReentryHeld) return;
    // A reset that does not continue the group before it is like a Commit that is not valid.
    const isInvalid = broken.why === "commit" || (broken.why === "welcome" && this.core.former !== undefined);
    if (isInvalid && (await this.report(broken.seq, broken.reported === true))) return;
    const waits = this.until - clock.ticks();
    if (waits > 0) {
      this.later(waits);
      return;
    }
    this.repair.replaceKeys();
    const longer = 2 ** Math.max(0, ++this.attempts - patience.attempts);
    this.until = clock.ticks() + Math.min(longer * patience.ms, patience.longestMs) * (1 + clock.random() / 3);
    this.later(this.until - clock.ticks());
  }

  /** Reports a Commit that is not valid. Returns false when the others have accepted it: then the fault is on this device. */
  private async report(seq: number, isReported: boolean): Promise<boolean> {
    try {
      // Repeated, so that a report without an effect is not the last one: members who have not read the Commit yet report it later.
      const { reset } = await this.ports.server.reportInvalidCommit(this.core.id, seq);
      if (!isReported)
        await this.core.exclusively(async (draft) => {
          if (!draft.state.broken) return false;
          draft.state.broken.reported = true;
          return true;
        });
      if (reset) await this.core.catchUp();
      else this.later(10_000);
      return true;
    } catch (error) {
      if (!(error instanceof SecureMessagingError) || error.code !== "Conflict") throw error;
      return false;
    }
  }
}
