import { equal, idBytes } from "../base/bytes.js";
import { clockDifference } from "../base/clock.js";
import { SecureMessagingError } from "../base/errors.js";
import { Backoff, Mutex, sleep, Wakeup } from "../base/timing.js";
import { FailureReporter } from "../base/warnings.js";
import { groupIdOf, messagesPerEpoch } from "../mls/group.js";
import type { RosterChange, UserKeys } from "../net/wire.js";
import { believedMembers, serverUsers } from "./believed.js";
import { admin, memberOf, roleOf } from "../trust/state.js";
import { changes, type RawChange } from "../trust/statement.js";
import { RosterAlarm } from "./alarms.js";
import { Commits, type CommitOf } from "./commits.js";
import type { RoomCore } from "./core.js";
import { toDevice } from "./judge.js";
import { Mending, type Repair } from "./mending.js";
import { oneChain } from "./newMembers.js";
import { claim, type Claimed } from "./packages.js";
import { devicesIn, isDevice, newestList, planDevices, planLeaves, planReset, type ListedLeaf, type Step } from "./plan.js";
import type { Leaf, Ports, RoomGroup } from "./ports.js";
import type { SignedRoom } from "./signedRoom.js";
import { hasSameKey } from "../trust/device.js";
import { changesFor, type Wanted } from "./wanted.js";
import { findStale } from "./staleLists.js";

export type { Repair } from "./mending.js";

const attempts = 12;
/** The time that each leaf with a lower index has for its Commit. */
const turnMs = 700;
/** How long a leaf with old keys stays while the device has no KeyPackage with new ones. */
const patienceMs = 15_000;

/**
 * Keeps a room's group equal to what its members have signed: the devices in the newest lists of the members. The same steps create a group, add, remove and
 * replace devices, and rebuild a group after a reset. Every member can do it. The device that caused the change does it at once, the others after a wait that
 * grows with their leaf index. What the server says about members and devices is only a hint when to compare. @internal
 */
export class GroupReconciler {
  private readonly turn = new Mutex();
  private readonly work: Wakeup;
  private readonly commits: Commits;
  private readonly mending: Mending;
  private readonly rosterAlarm: RosterAlarm;
  private due: number | undefined;
  private readonly unmet: Backoff;
  private unmetSince: number | undefined;
  private stuckSince: number | undefined;
  private needsOtherSince: number | undefined;
  private isClockWrong = false;
  /** Users whose device lists may have changed. */
  private readonly stale = new Set<string>();

  constructor(
    private readonly ports: Pick<Ports, "clock" | "closing" | "device" | "mls" | "people" | "reports" | "server">,
    private readonly core: RoomCore,
    private readonly repair: Repair,
  ) {
    this.work = new Wakeup(ports.clock);
    this.unmet = new Backoff(60_000, ports.clock);
    this.commits = new Commits(ports, core, (delayMs) => this.kick(delayMs));
    this.mending = new Mending(ports, core, repair, (delayMs) => this.kick(delayMs));
    this.rosterAlarm = new RosterAlarm(ports, core, (delayMs) => this.kick(delayMs));
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

  /** The device list of a user may have changed. */
  refresh(userId: string | undefined): void {
    if (userId !== undefined) this.stale.add(userId);
  }

  /** Makes a signed change of the room, by a Commit. */
  change(wanted: Wanted): Promise<void> {
    return this.turn.run(() => this.reconcile(wanted));
  }

  /** Compares the group with the lists now, and commits the difference. */
  compare(): Promise<void> {
    return this.turn.run(() => this.reconcile());
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
        if (error instanceof SecureMessagingError && error.code === "SignedOut") return;
        // The server does not show the room. When it does again, the room is compared.
        if (error instanceof SecureMessagingError && error.code === "NotFound") continue;
        if (!closing.aborted) reporter.report(error);
        this.kick(1000 + backoff.next(error instanceof SecureMessagingError ? error.retryAfterMs : undefined));
      }
    }
  }

  private async reconcile(wanted?: Wanted): Promise<void> {
    const { clock, closing, server } = this.ports;
    const backoff = new Backoff(3000, clock);
    for (let attempt = 0; attempt < attempts; attempt++) {
      if (attempt > 0) await sleep(backoff.next(), closing, clock);
      await this.core.catchUp();
      if (this.core.hasEnded || closing.aborted) return;
      if (this.core.isWithheld) {
        if (wanted) throw SecureMessagingError.of("NotReady", "The server does not show this room.");
        return;
      }
      if (this.core.pending && !(await this.commits.submit(this.core.pending))) continue;
      if (this.core.state.broken) {
        await this.mending.mend();
        if (wanted)
          throw SecureMessagingError.of("NotReady", "This device cannot change the room's group. Another member must add it again, or reset the group.");
        return;
      }
      if (this.core.state.wasAway) {
        const summary = await server.room(this.core.id);
        await this.core.catchUp();
        await this.core.settle(summary);
        continue;
      }
      if (await this.commitOnce(wanted)) return;
    }
    throw SecureMessagingError.of("Unavailable", "Other members change the group at the same time. Try again.");
  }

  /** Compares once and, if there is a difference, commits it. Returns whether nothing is left to do. */
  private async commitOnce(wanted: Wanted | undefined): Promise<boolean> {
    const { signed } = this.core;
    const group = this.core.group;
    if (!signed || !group) {
      const done = await this.found();
      if (wanted && !this.core.group) throw SecureMessagingError.of("NotReady", "This device is not in the room's group. Another member must add it first.");
      return done;
    }
    const upTo = this.core.state.cursor ?? 0;
    if (wanted) return this.commitWanted(wanted, signed, group);
    const hints = await this.refreshLists(signed);
    await this.core.catchUp();
    // The answers may be newer than the comparison.
    if (this.core.group?.epoch !== group.epoch || this.core.group.generation !== group.generation || this.core.signed !== signed) return false;
    return this.commitDevices(signed, group, { upTo, hints });
  }

  /** A change that a person wants, with the devices of the users whom it adds. */
  private async commitWanted(wanted: Wanted, signed: SignedRoom, group: RoomGroup): Promise<boolean> {
    const { changes: made, roster } = changesFor(wanted, signed.state);
    if (made.length === 0) return true;
    const removed = new Set(wanted.remove);
    const added = (wanted.add ?? []).flatMap(({ userId }) => this.devicesOf(userId));
    const packages = await this.claim(added);
    const pending = await this.commits.prepare({
      expected: group,
      changes: made,
      remove: group.leaves().filter((leaf) => removed.has(leaf.userId)),
      ...toAdd(packages),
      since: "own",
      roster,
    });
    if (!pending || !(await this.commits.submit(pending))) return false;
    // Devices without a KeyPackage, and differences of other users.
    if (packages.length < added.length || this.core.state.uncompared !== undefined) this.kick(1000);
    return true;
  }

  private async commitDevices(signed: SignedRoom, group: RoomGroup, { upTo, hints }: { upTo: number; hints: readonly UserKeys[] }): Promise<boolean> {
    const { device, people } = this.ports;
    const own = { userId: device.userId, deviceId: device.id };
    const isReachable = (userId: string) => hints.some((user) => user.userId === userId);
    const members = believedMembers(signed, hints, people);
    const of = {
      state: signed.state,
      members,
      leaves: group.leaves(),
      own,
      isDirect: signed.founding.kind === "direct",
      people,
      isReachable,
      isPatient: false,
    };
    const leaves = await planLeaves(of, this.core.state.leaves ?? {});
    if (leaves.length > 0) {
      // Only admins may tell the server who leaves. The others leave that to the leaver.
      const roster = roleOf(signed.state, device.userId) >= admin ? { remove: leaves.map((step) => step.userId) } : undefined;
      await this.commitSteps({ steps: leaves, since: undefined, roster }, [], group);
      return false;
    }
    const wished = await planDevices({ ...of, canAdd: () => true });
    // The others must replace this device's leaf then, so there must be others.
    this.watchStuck(wished.isStuck && group.leaves().some((leaf) => leaf.userId !== device.userId));
    if (wished.steps.length === 0) {
      this.unmet.reset();
      this.unmetSince = undefined;
      if (group.encrypted >= messagesPerEpoch.soon && !(await this.commitSteps({ steps: [], since: undefined }, [], group))) return false;
      await this.core.compared(upTo);
      return true;
    }
    const packages = await this.claim(wished.steps.flatMap((step) => step.add));
    const isMissing = wished.missing.some((each) => !has(packages, each));
    this.unmetSince = isMissing ? (this.unmetSince ?? this.ports.clock.ticks()) : undefined;
    // A device with new keys is about to upload KeyPackages. An early removal would hide the messages between from it.
    const isPatient = this.unmetSince !== undefined && this.ports.clock.ticks() - this.unmetSince < patienceMs;
    const plan = await planDevices({ ...of, isPatient, canAdd: (each) => has(packages, each) });
    const chosen = await oneChain(plan.steps, signed, this.isAlone() || members !== signed.state.roster);
    this.needsOtherSince = chosen.needsOther ? (this.needsOtherSince ?? this.ports.clock.ticks()) : undefined;
    if (chosen.needsOther) this.kick(patienceMs);
    if (isMissing) this.kick(1000 + this.unmet.next());
    const isNothing = chosen.steps.every((step) => step.remove.length === 0 && step.add.length === 0);
    if (isNothing) return true;
    if (!(await this.commitSteps(chosen, packages, group))) return false;
    if (chosen.isPart) return false;
    if (!isMissing) this.kick(0);
    return true;
  }

  private async commitSteps(
    { steps, since, roster }: { steps: Step[]; since: number | undefined; roster?: RosterChange | undefined },
    packages: Claimed[],
    group: RoomGroup,
  ): Promise<boolean> {
    const add = steps.flatMap((step) => step.add);
    const pending = await this.commits.prepare({
      expected: group,
      changes: steps.flatMap((step) => (step.change ? [step.change] : [])),
      remove: steps.flatMap((step) => step.remove),
      ...toAdd(packages.filter(({ leaf }) => add.some((device) => isDevice(device, leaf)))),
      since,
      roster,
    });
    return pending !== undefined && (await this.commits.submit(pending));
  }

  /** Creates the room's group, or rebuilds it after a reset. Returns whether there is nothing to do here. */
  private async found(): Promise<boolean> {
    const { device, mls, server, people } = this.ports;
    const { signed, state, former } = this.core;
    const { identity } = device;
    const isFirst = signed !== undefined && !signed.head && state.initial !== undefined;
    if (!signed || !identity || (!isFirst && !former)) return true;
    const own = { ...identity, signatureKey: device.signature.publicKey, index: 0 };
    if (former && !this.mayFound(signed, former, own)) return true;
    const summary = await server.room(this.core.id);
    if (summary.epoch > 0 || summary.generation !== state.generation || (isFirst && state.generation > 0)) return true;
    const founder = await mls.found(groupIdOf(idBytes(this.core.id), state.generation), await mls.makeKeyPackage(identity, device.signature, 84, server.now()));
    const users = isFirst ? state.initial.users.map((user) => user.userId) : former!.leaves().map((leaf) => leaf.userId);
    await people.refresh([...new Set([device.userId, ...users])]);
    const of = isFirst ? await this.first(signed) : await this.rebuild(signed, former!);
    const pending = await this.commits.prepare({ founder, expected: undefined, remove: [], ...of });
    if (pending) await this.commits.submit(pending);
    // The other devices come with the next Commits.
    return false;
  }

  /** The founder of a reset was a leaf with the same key, of a user of the state. */
  private mayFound(signed: SignedRoom, former: RoomGroup, own: Leaf): boolean {
    const member = memberOf(signed.state, own.userId);
    return !!signed.head && !!member && equal(member.identity, own.identityKey) && former.leaves().some((leaf) => hasSameKey(toDevice(leaf), toDevice(own)));
  }

  private async first(signed: SignedRoom): Promise<Omit<CommitOf, "founder" | "expected" | "remove">> {
    const { device, people } = this.ports;
    const { users, name, timeToLiveSeconds } = this.core.state.initial!;
    const { founding } = signed;
    const wanted: Wanted = {
      add: users.map((user) => ({ ...user, role: 0 as const })),
      ...(name === undefined ? {} : { name }),
      ...(timeToLiveSeconds === undefined ? {} : { timeToLiveSeconds }),
    };
    const ownList = people.listOf(device.userId)?.number ?? 0;
    const made: RawChange[] = [
      changes.add(founding.founder, founding.identity, founding.kind === "direct" ? 0 : 3, ownList),
      ...changesFor(wanted, signed.state).changes,
    ];
    // The founder's other devices are announced by a later statement: the first one only adds users.
    const packages = await this.claim(users.flatMap(({ userId }) => this.devicesOf(userId)));
    return { changes: made, ...toAdd(packages), since: "own" };
  }

  private async rebuild(signed: SignedRoom, former: RoomGroup): Promise<Omit<CommitOf, "founder" | "expected" | "remove">> {
    const { device, people, server } = this.ports;
    const own = { userId: device.userId, deviceId: device.id };
    const hints = await server.devicesOfRoom(this.core.id);
    // The server delivers no Welcome to others.
    const canAdd = ({ userId }: ListedLeaf) => hints.some((user) => user.userId === userId);
    const wished = planReset({ state: signed.state, leaves: former.leaves(), own, people, canAdd });
    return { changes: [], ...toAdd(await this.claim(wished)), since: signed.head!.number };
  }

  /** The devices in the newest list of a user, without this one. */
  private devicesOf(userId: string): ListedLeaf[] {
    const list = newestList(this.ports.people, userId);
    return list ? devicesIn(list).filter((each) => each.deviceId !== this.ports.device.id) : [];
  }

  private async claim(devices: readonly ListedLeaf[]): Promise<Claimed[]> {
    if (devices.length === 0) return [];
    const { clock, people, reports, server } = this.ports;
    const { found, isClockWrong } = await claim(this.ports, devices, (userId) => newestList(people, userId)?.identity, this.core.group);
    if (isClockWrong && !this.isClockWrong) {
      const detail = `${clockDifference(clock.now(), server.now())} Until it is right, this device cannot add all devices to the group.`;
      reports.warn({ area: "room", kind: "clockWrong", roomId: this.core.id, retrying: true, detail });
    }
    this.isClockWrong = isClockWrong;
    return found;
  }

  /** Fetches the lists that may have changed, and compares the server's members with the signed ones. Returns the users whom the server lists. */
  private async refreshLists(signed: SignedRoom): Promise<readonly UserKeys[]> {
    const { people, server } = this.ports;
    const hints = await server.devicesOfRoom(this.core.id);
    this.rosterAlarm.compare(hints.map((user) => user.userId));
    const inGroup = this.core.group?.leaves().map((leaf) => leaf.userId) ?? [];
    const all = new Set([...believedMembers(signed, hints, people).map((member) => member.user), ...inGroup, ...serverUsers(hints)]);
    const users = findStale([...all], hints, people, this.stale);
    this.stale.clear();
    try {
      await people.refresh(users);
    } catch (error) {
      for (const user of users) this.stale.add(user);
      throw error;
    }
    return hints;
  }

  /** Whether no other member has added the devices that need more statements than this device has followed. */
  private isAlone(): boolean {
    return this.needsOtherSince !== undefined && this.ports.clock.ticks() - this.needsOtherSince >= patienceMs;
  }

  /** No member can announce the newest list of this user's devices, so this device signs another one: it gets new keys. */
  private watchStuck(isStuck: boolean): void {
    const { clock } = this.ports;
    if (!isStuck) {
      this.stuckSince = undefined;
      return;
    }
    this.stuckSince ??= clock.ticks();
    if (clock.ticks() - this.stuckSince >= patienceMs) {
      this.stuckSince = undefined;
      this.repair.replaceKeys();
    } else {
      this.kick(patienceMs);
    }
  }
}

const has = (packages: readonly Claimed[], device: ListedLeaf): boolean => packages.some(({ leaf }) => isDevice(leaf, device));

const toAdd = (packages: readonly Claimed[]): Pick<CommitOf, "add" | "added"> => ({
  add: packages.map(({ message }) => message),
  added: packages.map(({ leaf }) => leaf),
});
