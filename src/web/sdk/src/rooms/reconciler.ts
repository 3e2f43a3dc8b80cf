import { equal, idBytes, newId, toHex } from "../base/bytes.js";
import { SecureMessagingError } from "../base/errors.js";
import { groupIdOf } from "../mls/group.js";
import type { VerifiedDevice } from "../account/trustBook.js";
import { Backoff, Mutex, sleep, Wakeup } from "../base/timing.js";
import { FailureReporter } from "../base/warnings.js";
import type { RosterChange } from "../net/wire.js";
import type { RoomCore } from "./core.js";
import { canFollow } from "./following.js";
import type { Outbox } from "./outbox.js";
import type { Leaf, Ports, RoomGroup } from "./ports.js";
import type { PendingCommit } from "./records.js";

/** A change of the members, to be made in the same transaction as the Commit. */
export interface Change {
  add?: { username: string; role: "member" | "admin" | "owner" }[];
  remove?: string[];
}

const attempts = 12;
/** The time that each leaf with a lower index has for its Commit. */
const turnMs = 700;
/** How long a leaf with old keys stays while the device has no KeyPackage with new ones. */
const patienceMs = 15_000;
/** How long a device that has missed a Commit waits for a Welcome before it replaces its keys. */
const welcomeMs = 5_000;
/** After this many answers `Internal` to a Commit, the caller gets the error. */
const mostInternal = 8;

/** What a reconciler can ask for when this device can no longer follow the group. @internal */
export interface Repair {
  /** Processes the Welcomes that wait for this device. */
  fetchWelcomes(): Promise<void>;
  /** Replaces the device's keys. */
  replaceKeys(): void;
}

/**
 * Keeps a room's group equal to the devices of its members. The same steps create a group, add, remove and replace devices, and rebuild a group after a reset:
 * compare the leaves with the devices, claim KeyPackages for the missing ones, commit the difference. Every member can do it. The device that caused the
 * change does it at once, the others after a wait that grows with their leaf index. @internal
 */
export class GroupReconciler {
  private readonly turn = new Mutex();
  private readonly work: Wakeup;
  private due: number | undefined;
  private readonly unmet: Backoff;
  private unmetSince: number | undefined;
  /** Changes by other members' Commits that were not compared with the roster yet. */
  private unchecked: { leaf: Leaf; added: boolean }[] = [];

  constructor(
    private readonly ports: Pick<Ports, "clock" | "closing" | "device" | "mls" | "people" | "reports" | "server">,
    private readonly outbox: Outbox,
    private readonly core: RoomCore,
    private readonly repair: Repair,
  ) {
    this.work = new Wakeup(ports.clock);
    this.unmet = new Backoff(60_000, ports.clock);
    if (core.pending) this.kick(0);
    void this.run().catch(ports.reports.failed("room", "reconcileStopped", { roomId: core.id }));
  }

  /** Schedules a comparison. */
  kick(delayMs: number): void {
    const at = this.ports.clock.ticks() + delayMs;
    if (this.due === undefined || at < this.due) {
      this.due = at;
      this.work.notify();
    }
  }

  /** Schedules a comparison after the devices with a lower leaf index. */
  kickInTurn(): void {
    const group = this.core.group;
    const rank = group ? group.leaves().findIndex((leaf) => leaf.index === group.ownLeafIndex) : 3;
    this.kick(200 + Math.max(0, rank) * turnMs + this.ports.clock.random() * turnMs);
  }

  /** Schedules a comparison that reports a wrong addition or removal by another member's Commit. */
  check(added: Leaf[], removed: Leaf[]): void {
    this.unchecked.push(...added.map((leaf) => ({ leaf, added: true })), ...removed.map((leaf) => ({ leaf, added: false })));
    this.kickInTurn();
  }

  /**
   * The directory has changed after a Commit that is not compared yet, so it does not tell whether the Commit was wrong: the user may have left right after
   * being added, or a device may have other keys.
   */
  forgive(change: "joined" | "left" | "devices", userId: string | undefined): void {
    const isExplained = (added: boolean) => change === "devices" || (change === "left") === added;
    this.unchecked = this.unchecked.filter(({ leaf, added }) => (userId !== undefined && leaf.userId !== userId) || !isExplained(added));
  }

  /** Changes the members and the group in one transaction of the server. */
  change(change: Change): Promise<void> {
    return this.turn.run(() => this.reconcile(change));
  }

  private async run(): Promise<void> {
    const { clock, closing, reports } = this.ports;
    const backoff = new Backoff(60_000, clock);
    const reporter = new FailureReporter(reports.failed("room", "reconcileFailed", { roomId: this.core.id, retrying: true }));
    while (!closing.aborted && !this.core.hasEnded) {
      const wait = this.due === undefined ? 300_000 : this.due - clock.ticks();
      if (wait > 0) {
        await this.work.wait(wait, closing);
        continue;
      }
      this.due = undefined;
      try {
        await this.turn.run(() => this.reconcile());
        reporter.recovered();
        backoff.reset();
      } catch (error) {
        if (error instanceof SecureMessagingError && (error.code === "SignedOut" || error.code === "NotFound")) return;
        if (!closing.aborted) reporter.report(error);
        this.kick(1000 + backoff.next(error instanceof SecureMessagingError ? error.retryAfterMs : undefined));
      }
    }
  }

  private async reconcile(change?: Change): Promise<void> {
    const { clock, closing, server } = this.ports;
    const backoff = new Backoff(3000, clock);
    for (let attempt = 0; attempt < attempts; attempt++) {
      if (attempt > 0) await sleep(backoff.next(), closing, clock);
      await this.core.catchUp();
      if (this.core.hasEnded || closing.aborted) return;
      if (this.core.pending && !(await this.submit(this.core.pending))) continue;
      if (this.core.state.broken) {
        await this.mend();
        if (change) throw SecureMessagingError.of("NotReady", "This device has lost the room's group. Another member must add it again first.");
        return;
      }
      if (this.core.state.wasAway) {
        const summary = await server.room(this.core.id);
        await this.core.catchUp();
        await this.core.settle(summary);
        continue;
      }
      const done = await this.commitDifference(change);
      if (done) return;
    }
    throw SecureMessagingError.of("Unavailable", "Other members change the group at the same time. Try again.");
  }

  /** Compares once and, if there is a difference, commits it. Returns whether nothing is left to do. */
  private async commitDifference(change: Change | undefined): Promise<boolean> {
    const { clock, device, mls, reports, server } = this.ports;
    const { identity } = device;
    const group = this.core.group;
    let founder: RoomGroup | undefined;
    if (!group) {
      const summary = await server.room(this.core.id);
      if (summary.epoch > 0 || summary.generation !== this.core.state.generation || !identity) {
        if (change) await this.changeRosterAlone(change);
        // Another member must add this device with a Welcome.
        return true;
      }
      founder = await mls.found(groupIdOf(idBytes(this.core.id), summary.generation), await mls.makeKeyPackage(identity, device.signature, 84, server.now()));
    }
    const base = group ?? founder!;
    const upTo = this.core.state.cursor ?? 0;
    const wanted = await this.desired(change);
    if (this.unchecked.length > 0) {
      // The answer may be newer than this device's place in the log.
      await this.core.catchUp();
      if (this.core.group?.epoch !== group?.epoch || this.core.group?.generation !== group?.generation) return false;
    }
    const unchecked = this.unchecked.splice(0);
    const leaves = base.leaves();
    const isWanted = (leaf: Leaf) =>
      wanted.some((each) => each.deviceId === leaf.deviceId && each.userId === leaf.userId && equal(each.signatureKey, leaf.signatureKey));
    const wrong = change
      ? []
      : unchecked.filter(({ leaf, added }) => added !== isWanted(leaf) && added === leaves.some((each) => equal(each.signatureKey, leaf.signatureKey)));
    if (wrong.length > 0)
      reports.warn({
        area: "room",
        kind: "rosterMismatch",
        roomId: this.core.id,
        retrying: false,
        detail: wrong.map(({ leaf, added }) => `${added ? "let in" : "taken out"}: device ${leaf.deviceId} of ${leaf.userId}`).join("; "),
      });
    let remove = leaves.filter((leaf) => leaf.index !== base.ownLeafIndex && !isWanted(leaf));
    const missing = wanted.filter(
      ({ deviceId, signatureKey }) => deviceId !== device.id && !leaves.some((leaf) => leaf.deviceId === deviceId && equal(leaf.signatureKey, signatureKey)),
    );
    if (!founder && remove.length === 0 && missing.length === 0) {
      this.unmet.reset();
      await this.core.compared(upTo);
      if (change) await this.changeRosterAlone(change);
      return true;
    }
    const add = missing.length === 0 ? [] : await this.claim(missing);
    if (add.length < missing.length) {
      this.kick(1000 + this.unmet.next());
      // A device with new keys is about to upload KeyPackages. An early removal would hide the messages between from it.
      this.unmetSince ??= clock.ticks();
      if (clock.ticks() - this.unmetSince < patienceMs) remove = remove.filter((leaf) => !missing.some((each) => each.deviceId === leaf.deviceId));
    } else {
      this.unmetSince = undefined;
    }
    if (!founder && remove.length === 0 && add.length === 0) {
      if (change) await this.changeRosterAlone(change);
      return true;
    }
    const roster: RosterChange | undefined = change && { add: change.add ?? [], remove: change.remove ?? [] };
    const pending = await this.prepare(
      founder,
      group,
      remove.map((leaf) => leaf.index),
      add,
      roster,
    );
    if (!pending || !(await this.submit(pending))) return false;
    if (add.length === missing.length) await this.core.compared(upTo);
    return true;
  }

  /** Makes the Commit and stores it with the following state, before it is sent. */
  private async prepare(
    founder: RoomGroup | undefined,
    expected: RoomGroup | undefined,
    remove: number[],
    add: Uint8Array[],
    roster: RosterChange | undefined,
  ): Promise<PendingCommit | undefined> {
    let made: PendingCommit | undefined;
    await this.core.exclusively(async (draft) => {
      // The log may have moved on since the comparison.
      const current = canFollow(draft) ? draft.group : undefined;
      if (draft.pending || draft.state.broken || current?.epoch !== expected?.epoch || current?.generation !== expected?.generation) return false;
      const group = current ?? founder!;
      const own = await group.commit({ remove, add });
      if (current) draft.usedKeys(own.before, own.before.epoch);
      const after = own.before.merge(own.after);
      made = {
        id: newId(),
        generation: group.generation,
        epoch: group.epoch,
        commit: own.commit,
        welcomes: own.welcome ? [own.welcome] : [],
        ...(roster ? { roster } : {}),
        base: after.encodeBase(),
        ratchets: after.epochs.map((epoch) => [epoch, after.encodeRatchet(epoch)]),
      };
      draft.setPending(made);
      return true;
    });
    return made;
  }

  /** Sends a Commit until its outcome is known. Returns whether it was accepted and the log has delivered it. */
  private async submit(pending: PendingCommit): Promise<boolean> {
    const { clock, closing, reports, server } = this.ports;
    const backoff = new Backoff(undefined, clock);
    const reporter = new FailureReporter(reports.failed("room", "commitWaits", { roomId: this.core.id, retrying: true }));
    let internal = 0;
    while (this.core.pending?.id === pending.id) {
      try {
        const ack = await server.commit(this.core.id, pending);
        await this.core.catchUp();
        if (this.core.pending?.id === pending.id && (this.core.state.cursor ?? 0) >= ack.seq) await this.discard(pending);
        return true;
      } catch (error) {
        if (!(error instanceof SecureMessagingError) || error.code === "SignedOut" || closing.aborted) throw error;
        if (!error.retryable && error.code !== "Unauthenticated") {
          await this.discard(pending);
          // Another member's Commit was accepted first, or a KeyPackage is not valid any more.
          if (error.code === "WrongEpoch" || (error.code === "Invalid" && pending.welcomes.length > 0)) return false;
          throw error;
        }
        if (error.code === "Internal" && ++internal >= mostInternal) {
          // The outcome is unknown, so the Commit stays pending. The caller does not wait for ever.
          this.kick(60_000);
          throw error;
        }
        reporter.report(error);
        await backoff.wait(error.retryAfterMs, closing);
      }
    }
    // The log shows the outcome: it contains another Commit of the epoch, or this one.
    return (
      this.core.group !== undefined &&
      this.core.group.epoch === pending.epoch + 1 &&
      this.core.state.generation === pending.generation &&
      this.isMerged(pending)
    );
  }

  /** Whether the group's authenticator is the one computed with the pending Commit. */
  private isMerged(pending: PendingCommit): boolean {
    const after = this.ports.mls.restore(pending.base, new Map(pending.ratchets));
    return this.core.group !== undefined && toHex(after.epochAuthenticator) === toHex(this.core.group.epochAuthenticator);
  }

  private discard(pending: PendingCommit): Promise<void> {
    return this.core.exclusively(async (draft) => {
      if (draft.pending?.id !== pending.id) return false;
      draft.setPending(undefined);
      return true;
    });
  }

  /** The devices that should be in the group. */
  private async desired(change: Change | undefined): Promise<VerifiedDevice[]> {
    const { device, people, server } = this.ports;
    const users = await server.devicesOfRoom(this.core.id);
    await this.core.learnOthers(users.filter((user) => user.userId !== device.userId).length);
    for (const { username } of change?.add ?? []) {
      const keys = await server.devicesOfUser(username);
      if (!users.some((user) => user.userId === keys.userId)) users.push(keys);
    }
    return people.verify(users.filter((user) => !change?.remove?.includes(user.userId)));
  }

  /** Claims one KeyPackage for each of these devices, as far as there are any. */
  private async claim(devices: VerifiedDevice[]): Promise<Uint8Array[]> {
    const { clock, mls, server } = this.ports;
    const found: Uint8Array[] = [];
    for (let i = 0; i < devices.length; i += 100) {
      const some = devices.slice(i, i + 100);
      const claimed = await server.claim(
        [...new Set(some.map((device) => device.userId))],
        some.map((device) => device.deviceId),
      );
      for (const { keyPackage } of claimed) {
        const read = mls.readKeyPackage(keyPackage, server.now());
        // Only KeyPackages of the requested devices are accepted, whatever the directory answers.
        // ts-mls checks the lifetime with this device's clock, so both clocks must accept it.
        if (
          read &&
          !read.expired &&
          !mls.readKeyPackage(keyPackage, clock.now())!.expired &&
          some.some((device) => device.deviceId === read.deviceId && device.userId === read.userId && equal(device.signatureKey, read.signatureKey))
        )
          found.push(keyPackage);
      }
    }
    return found;
  }

  /** Changes the members when no device has to be added or removed. */
  private async changeRosterAlone(change: Change): Promise<void> {
    for (const add of change.add ?? []) await this.ports.server.addMember(this.core.id, add);
    for (const userId of change.remove ?? []) await this.ports.server.removeMember(this.core.id, userId);
    await this.core.catchUp();
  }

  /** The group cannot be followed. If the newest Commit is invalid, the other members report it too. If not, this device replaces its keys. */
  private async mend(): Promise<void> {
    const broken = this.core.state.broken!;
    // If the device was removed and added again while it was offline, its Welcome is there or on its way. New keys would make it useless.
    if (broken.why === "chain") {
      const patience = Math.min(welcomeMs, broken.since + welcomeMs - this.ports.clock.now());
      if (patience > 0) {
        this.kick(patience);
        return;
      }
      await this.repair.fetchWelcomes();
      await this.core.catchUp();
      if (!this.core.state.broken) return;
    }
    if (broken.why === "commit" && !broken.reported) {
      try {
        const report = await this.ports.server.reportInvalidCommit(this.core.id, broken.seq);
        await this.core.exclusively(async (draft) => {
          if (draft.state.broken) draft.state.broken.reported = true;
        });
        if (report.reset) await this.core.catchUp();
        else this.kick(10_000);
        return;
      } catch (error) {
        // The other members have accepted the Commit, so the fault is on this device.
        if (!(error instanceof SecureMessagingError) || error.code !== "Conflict") throw error;
      }
    }
    this.repair.replaceKeys();
    this.kick(30_000 + this.ports.clock.random() * 10_000);
  }
}
