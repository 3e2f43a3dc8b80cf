import { equal, fromBase64, idBytes, newId, toBase64, toHex } from "../bytes.js";
import { SecureMessagingError } from "../errors.js";
import { Group, groupIdOf, type Leaf } from "../mls/group.js";
import { makeKeyPackage, readKeyPackage } from "../mls/messages.js";
import type { VerifiedDevice } from "../account/people.js";
import { Backoff, Mutex, sleep, ticks, Wakeup } from "../timing.js";
import { Trouble } from "../warnings.js";
import type { ClaimedKeyPackages, CommitAck, InvalidCommitReport, RoomSummary, RosterChange, UserKeys } from "../wire.js";
import type { Context } from "./context.js";
import type { RoomCore } from "./core.js";
import { canFollow } from "./entries.js";
import type { PendingCommit } from "./records.js";

/** What is to become of the people of a room, with the Commit that makes the group fit. */
export interface Change { add?: { username: string; role: "member" | "admin" | "owner" }[]; remove?: string[] }

const attempts = 12;
/** How long others have for a Commit that they are nearer to. */
const turnMs = 700;
/** How long a leaf with old keys is kept while there is no KeyPackage with the new ones. */
const patienceMs = 15_000;
/** How long a device that has missed a Commit waits for a Welcome before it starts anew. */
const welcomeMs = 5_000;
/** So often a server may answer a Commit with an error of its own before that is told. */
const mostInternal = 8;

/**
 * Keeps a room's group and its people's devices the same. One mechanism for founding, for people and devices that come, go, or start anew, and after a reset: compare the leaves
 * with the devices, claim KeyPackages for those that are missing, commit the difference. All members could do it; whoever caused the change does at once, the others after a
 * while that grows with their leaf's place, in case that the first is gone. @internal
 */
export class Keeper {
  private readonly turn = new Mutex();
  private readonly work = new Wakeup();
  private due: number | undefined;
  private readonly unmet = new Backoff(60_000);
  private unmetSince: number | undefined;
  /** What others' Commits have changed and has not been compared with the roster. */
  private unchecked: { leaf: Leaf; added: boolean }[] = [];

  constructor(private readonly context: Context, private readonly core: RoomCore) {
    if (core.pending)
      this.kick(0);
    void this.run().catch(context.failed("room", "reconcileStopped", { roomId: core.id }));
  }

  /** Compare at once. */
  kick(delayMs: number): void {
    const at = ticks() + delayMs;
    if (this.due === undefined || at < this.due) {
      this.due = at;
      this.work.notify();
    }
  }

  /** Compare when those who are nearer to it have had their chance. */
  kickInTurn(): void {
    const group = this.core.group;
    const rank = group ? group.leaves().findIndex((leaf) => leaf.index === group.ownLeafIndex) : 3;
    this.kick(200 + Math.max(0, rank) * turnMs + Math.random() * turnMs);
  }

  /** Compare, and say so when a Commit has let in who should not be there, or taken out who should. */
  check(added: Leaf[], removed: Leaf[]): void {
    this.unchecked.push(...added.map((leaf) => ({ leaf, added: true })), ...removed.map((leaf) => ({ leaf, added: false })));
    this.kickInTurn();
  }

  /** Makes a change of people, and the group fit it, in one transaction of the server's. */
  change(change: Change): Promise<void> {
    return this.turn.run(() => this.reconcile(change));
  }

  private async run(): Promise<void> {
    const { closing } = this.context;
    const backoff = new Backoff(60_000);
    const trouble = new Trouble(this.context.failed("room", "reconcileFailed", { roomId: this.core.id, retrying: true }));
    while (!closing.aborted && !this.core.hasEnded) {
      const wait = this.due === undefined ? 300_000 : this.due - ticks();
      if (wait > 0) {
        await this.work.wait(wait, closing);
        continue;
      }
      this.due = undefined;
      try {
        await this.turn.run(() => this.reconcile());
        trouble.over();
        backoff.reset();
      } catch (error) {
        if (error instanceof SecureMessagingError && (error.code === "SignedOut" || error.code === "NotFound"))
          return;
        if (!closing.aborted)
          trouble.met(error);
        this.kick(1000 + backoff.next(error instanceof SecureMessagingError ? error.retryAfterMs : undefined));
      }
    }
  }

  private async reconcile(change?: Change): Promise<void> {
    const backoff = new Backoff(3000);
    for (let attempt = 0; attempt < attempts; attempt++) {
      if (attempt > 0)
        await sleep(backoff.next(), this.context.closing);
      await this.core.catchUp();
      if (this.core.hasEnded || (this.context.closing.aborted))
        return;
      if (this.core.pending && !await this.submit(this.core.pending))
        continue;
      if (this.core.state.broken) {
        await this.mend();
        if (change)
          throw SecureMessagingError.of("NotReady", "This device has lost the room's group and waits to be let in again.");
        return;
      }
      if (this.core.state.wasAway) {
        const summary = await this.context.session.call<RoomSummary>("GET", `v1/rooms/${this.core.id}`);
        await this.core.catchUp();
        await this.core.settle(summary);
        continue;
      }
      const done = await this.commitDifference(change);
      if (done)
        return;
    }
    throw SecureMessagingError.of("Unavailable", "The group is too busy.");
  }

  /** One comparison and, if it finds anything, one Commit. Returns whether everything is as it should be. */
  private async commitDifference(change: Change | undefined): Promise<boolean> {
    const identity = this.context.device.identity;
    let group = this.core.group;
    let founder: Group | undefined;
    if (!group) {
      const summary = await this.context.session.call<RoomSummary>("GET", `v1/rooms/${this.core.id}`);
      if (summary.epoch > 0 || summary.generation !== this.core.state.generation || !identity) {
        if (change)
          await this.changeRosterAlone(change);
        // Others are asked to let this device in; it waits for the Welcome.
        return true;
      }
      founder = await Group.found(groupIdOf(idBytes(this.core.id), summary.generation), await makeKeyPackage(identity, this.context.device.signature, 84, this.context.session.http.now()));
    }
    const base = group ?? founder!;
    const wanted = await this.desired(change);
    const unchecked = this.unchecked.splice(0);
    const leaves = base.leaves();
    const isWanted = (leaf: Leaf) => wanted.some((device) => device.deviceId === leaf.deviceId && device.userId === leaf.userId && equal(device.signatureKey, leaf.signatureKey));
    const wrong = change ? [] : unchecked.filter(({ leaf, added }) => added !== isWanted(leaf) && added === leaves.some((each) => equal(each.signatureKey, leaf.signatureKey)));
    if (wrong.length > 0)
      this.context.warn({ area: "room", kind: "rosterMismatch", roomId: this.core.id, retrying: false, detail: wrong.map(({ leaf, added }) => `${added ? "let in" : "taken out"}: device ${leaf.deviceId} of ${leaf.userId}`).join("; ") });
    let remove = leaves.filter((leaf) => leaf.index !== base.ownLeafIndex && !isWanted(leaf));
    const missing = wanted.filter((device) => device.deviceId !== this.context.device.id
      && !leaves.some((leaf) => leaf.deviceId === device.deviceId && equal(leaf.signatureKey, device.signatureKey)));
    if (!founder && remove.length === 0 && missing.length === 0) {
      this.unmet.reset();
      if (change)
        await this.changeRosterAlone(change);
      return true;
    }
    const add = missing.length === 0 ? [] : await this.claim(missing);
    if (add.length < missing.length) {
      this.kick(1000 + this.unmet.next());
      // A device that starts anew is about to upload KeyPackages; taking it out first would cost it what is said in between.
      this.unmetSince ??= ticks();
      if (ticks() - this.unmetSince < patienceMs)
        remove = remove.filter((leaf) => !missing.some((device) => device.deviceId === leaf.deviceId));
    } else {
      this.unmetSince = undefined;
    }
    if (!founder && remove.length === 0 && add.length === 0) {
      if (change)
        await this.changeRosterAlone(change);
      return true;
    }
    const roster: RosterChange | undefined = change && { add: change.add ?? [], remove: change.remove ?? [] };
    const pending = await this.prepare(founder, group, remove.map((leaf) => leaf.index), add, roster);
    if (!pending || !await this.submit(pending))
      return false;
    if (add.length > 0)
      await this.tellName();
    return true;
  }

  /** Makes the Commit and stores it, with the state that it leads to, before anyone can see it. */
  private async prepare(founder: Group | undefined, expected: Group | undefined, remove: number[], add: Uint8Array[], roster: RosterChange | undefined): Promise<PendingCommit | undefined> {
    let made: PendingCommit | undefined;
    await this.core.exclusively(async (draft) => {
      // The log may have gone on meanwhile.
      const current = canFollow(draft) ? draft.group : undefined;
      if (draft.pending || draft.state.broken || current?.epoch !== expected?.epoch || current?.generation !== expected?.generation)
        return false;
      const group = current ?? founder!;
      const own = await group.commit({ remove, add });
      if (current)
        draft.usedKeys(own.before, own.before.epoch);
      const after = own.before.merge(own.after);
      made = {
        id: newId(), generation: group.generation, epoch: group.epoch, commit: own.commit, welcomes: own.welcome ? [own.welcome] : [],
        ...(roster ? { roster } : {}), base: after.encodeBase(), ratchets: after.epochs.map((epoch) => [epoch, after.encodeRatchet(epoch)]),
      };
      draft.setPending(made);
      return true;
    });
    return made;
  }

  /** Sends a Commit until it is known what became of it. Returns whether it won and has come back in the log. */
  private async submit(pending: PendingCommit): Promise<boolean> {
    const backoff = new Backoff();
    const trouble = new Trouble(this.context.failed("room", "commitWaits", { roomId: this.core.id, retrying: true }));
    let internal = 0;
    while (this.core.pending?.id === pending.id) {
      try {
        const ack = await this.context.session.call<CommitAck>("POST", `v1/rooms/${this.core.id}/commits`, {
          id: pending.id, epoch: pending.epoch, commit: toBase64(pending.commit), welcomes: pending.welcomes.map(toBase64),
          ...(pending.roster ? { roster: pending.roster } : {}),
        });
        await this.core.catchUp();
        if (this.core.pending?.id === pending.id && (this.core.state.cursor ?? 0) >= ack.seq)
          await this.discard(pending);
        return true;
      } catch (error) {
        if (!(error instanceof SecureMessagingError) || error.code === "SignedOut" || this.context.closing.aborted)
          throw error;
        if (!error.retryable && error.code !== "Unauthenticated") {
          await this.discard(pending);
          // Somebody else's Commit won, or a KeyPackage is no longer anybody's.
          if (error.code === "WrongEpoch" || (error.code === "Invalid" && pending.welcomes.length > 0))
            return false;
          throw error;
        }
        if (error.code === "Internal" && ++internal >= mostInternal) {
          // Its outcome is not known, so it stays; its caller does not wait without end.
          this.kick(60_000);
          throw error;
        }
        trouble.met(error);
        await backoff.wait(error.retryAfterMs, this.context.closing);
      }
    }
    // The log has told: another Commit of the epoch came by, or this one did.
    return this.core.group !== undefined && this.core.group.epoch === pending.epoch + 1 && this.core.state.generation === pending.generation && this.isMerged(pending);
  }

  /** After this Commit the group's authenticator is the one that was computed with it. */
  private isMerged(pending: PendingCommit): boolean {
    const after = Group.restore(pending.base, new Map(pending.ratchets));
    return this.core.group !== undefined && toHex(after.epochAuthenticator) === toHex(this.core.group.epochAuthenticator);
  }

  private discard(pending: PendingCommit): Promise<void> {
    return this.core.exclusively(async (draft) => {
      if (draft.pending?.id !== pending.id)
        return false;
      draft.setPending(undefined);
      return true;
    });
  }

  /** The devices that should be in the group. */
  private async desired(change: Change | undefined): Promise<VerifiedDevice[]> {
    const users = await this.context.session.call<UserKeys[]>("GET", `v1/rooms/${this.core.id}/devices`);
    await this.core.learnOthers(users.filter((user) => user.userId !== this.context.session.userId).length);
    for (const { username } of change?.add ?? []) {
      const keys = await this.context.session.call<UserKeys>("GET", `v1/users/${encodeURIComponent(username)}/devices`);
      if (!users.some((user) => user.userId === keys.userId))
        users.push(keys);
    }
    return this.context.people.verify(users.filter((user) => !change?.remove?.includes(user.userId)));
  }

  /** One KeyPackage each, of exactly these devices, as far as there are any. */
  private async claim(devices: VerifiedDevice[]): Promise<Uint8Array[]> {
    const found: Uint8Array[] = [];
    for (let i = 0; i < devices.length; i += 100) {
      const some = devices.slice(i, i + 100);
      const { keyPackages } = await this.context.session.call<ClaimedKeyPackages>("POST", "v1/key-packages/claim", {
        userIds: [...new Set(some.map((device) => device.userId))], deviceIds: some.map((device) => device.deviceId),
      });
      for (const claimed of keyPackages) {
        const message = fromBase64(claimed.keyPackage);
        const read = readKeyPackage(message, this.context.session.http.now());
        // Whatever the directory says, only what it was asked for gets in.
        // ts-mls judges what it adds by this device's own clock; how wrong that is has been said.
        if (read && !read.expired && !readKeyPackage(message, Date.now())!.expired && some.some((device) => device.deviceId === read.deviceId && device.userId === read.userId && equal(device.signatureKey, read.signatureKey)))
          found.push(message);
      }
    }
    return found;
  }

  /** For people without a device that could be added or removed. */
  private async changeRosterAlone(change: Change): Promise<void> {
    for (const add of change.add ?? [])
      await this.context.session.call("POST", `v1/rooms/${this.core.id}/members`, add);
    for (const userId of change.remove ?? [])
      await this.context.session.call("DELETE", `v1/rooms/${this.core.id}/members/${userId}`);
    await this.core.catchUp();
  }

  /** Newcomers have no way to learn the room's name but to be told again. */
  private async tellName(): Promise<void> {
    const { name } = this.core.state;
    if (name !== undefined && this.core.isReady)
      await this.context.outbox.enqueue(this.core.id, { type: "name", name });
  }

  /** The group cannot be followed any more. If that is the newest Commit's fault, the others will say so too; if not, this device starts anew. */
  private async mend(): Promise<void> {
    const broken = this.core.state.broken!;
    // Whoever was removed and added again while this device was away has a Welcome, or one on its way; starting anew would throw it away.
    if (broken.why === "chain") {
      const patience = Math.min(welcomeMs, broken.since + welcomeMs - Date.now());
      if (patience > 0) {
        this.kick(patience);
        return;
      }
      await this.context.fetchWelcomes();
      await this.core.catchUp();
      if (!this.core.state.broken)
        return;
    }
    if (broken.why === "commit" && !broken.reported) {
      try {
        const report = await this.context.session.call<InvalidCommitReport>("POST", `v1/rooms/${this.core.id}/invalid-commits`, { seq: broken.seq });
        await this.core.exclusively(async (draft) => {
          if (draft.state.broken)
            draft.state.broken.reported = true;
        });
        if (report.reset)
          await this.core.catchUp();
        else
          this.kick(10_000);
        return;
      } catch (error) {
        // Others have gone on from it: it is this device that cannot.
        if (!(error instanceof SecureMessagingError) || error.code !== "Conflict")
          throw error;
      }
    }
    this.context.heal();
    this.kick(30_000 + Math.random() * 10_000);
  }
}
