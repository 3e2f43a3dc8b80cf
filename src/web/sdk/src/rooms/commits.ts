/* Makes own Commits, stores them before they are sent, and sends them until their outcome is known. */
import { newId } from "../base/bytes.js";
import { SecureMessagingError } from "../base/errors.js";
import { Backoff } from "../base/timing.js";
import { FailureReporter } from "../base/warnings.js";
import { judgeCommit, type CommitFacts } from "../trust/commit.js";
import { seal } from "../trust/sealed.js";
import { encodeState } from "../trust/state.js";
import type { RawChange } from "../trust/statement.js";
import type { RosterChange } from "../net/wire.js";
import type { RoomCore } from "./core.js";
import type { Draft } from "./draft.js";
import { canCommit } from "./following.js";
import { isOff, sealContext, toDevice } from "./judge.js";
import { roomInfoSince } from "./newMembers.js";
import { linesOfCommit } from "./notices.js";
import type { Leaf, Ports, RoomGroup } from "./ports.js";
import type { PendingCommit } from "./records.js";
import type { SignedRoom } from "./signedRoom.js";
import { makeStatement, refusal } from "./statements.js";

/** After this many answers `Internal` to a Commit, the caller gets the error. */
const mostInternal = 8;

/** What a Commit shall do. @internal */
export interface CommitOf {
  /** The group that it founds; undefined for a Commit of the room's group. */
  founder?: RoomGroup | undefined;
  /** The place of the room's group when the Commit was planned. */
  expected: { generation: number; epoch: number } | undefined;
  changes: RawChange[];
  remove: readonly Leaf[];
  /** KeyPackages of the devices to add. */
  add: Uint8Array[];
  added: readonly Leaf[];
  /** The statement since which the added devices get all. `own`: that of this Commit. */
  since: number | "own" | undefined;
  roster?: RosterChange | undefined;
}

/** @internal */
export class Commits {
  /** The own Commits that the log has delivered. */
  private readonly followed = new Set<string>();

  constructor(
    private readonly ports: Pick<Ports, "clock" | "closing" | "mls" | "reports" | "server">,
    private readonly core: RoomCore,
    /** Schedules another look at a Commit without an outcome. */
    private readonly later: (delayMs: number) => void,
  ) {
    core.events.on("committed", ({ id }) => this.followed.add(id));
  }

  /** Makes the Commit and stores it with what follows it. Undefined when the room has changed since it was planned. */
  async prepare(of: CommitOf): Promise<PendingCommit | undefined> {
    let made: PendingCommit | undefined;
    await this.core.exclusively(async (draft) => {
      const { signed, group, state } = draft;
      const current = canCommit(draft) ? group : undefined;
      // The log may have moved on since the comparison.
      if (draft.pending || state.broken || !signed || current?.epoch !== of.expected?.epoch || current?.generation !== of.expected?.generation) return false;
      made = await this.make(draft, signed, of);
      draft.setPending(made);
      return true;
    });
    return made;
  }

  private async make(draft: Draft, signed: SignedRoom, { founder, ...of }: CommitOf): Promise<PendingCommit> {
    const group = founder ?? draft.group!;
    const former = founder && draft.group ? draft.group.leaves() : undefined;
    const made = of.changes.length > 0 ? await makeStatement(signed, group, of.changes, former) : undefined;
    const since = of.since === "own" ? made!.head.number : of.since;
    const roomInfo = of.add.length > 0 && since !== undefined ? await roomInfoSince(signed, since, made?.statement) : undefined;
    const own = await group.commit({
      remove: of.remove.map((leaf) => leaf.index),
      add: of.add,
      ...(made ? { authenticatedData: await seal(made.statement, await sealContext(group)) } : {}),
      ...(roomInfo ? { roomInfo } : {}),
    });
    const room = made ?? { state: signed.state, head: signed.head! };
    await this.judge(factsOf(signed, group, own.after, { ...of, statement: made?.statement, former }), signed);
    if (!founder) draft.usedKeys(own.before, own.before.epoch);
    const after = own.before.merge(own.after);
    const committer = group.leaves().find((leaf) => leaf.index === group.ownLeafIndex)!;
    return {
      id: newId(),
      generation: group.generation,
      epoch: group.epoch,
      commit: own.commit,
      welcomes: own.welcome ? [own.welcome] : [],
      ...(of.roster && Object.keys(of.roster).length > 0 ? { roster: of.roster } : {}),
      signed: { state: encodeState(room.state), head: room.head, ...(made ? { statement: made.statement } : {}) },
      lines: linesOfOwn(signed, { committer, removed: of.remove, added: founder ? [] : of.added, statement: made?.statement, before: signed.state }, founder),
      base: after.encodeBase(),
      ratchets: after.epochs.map((epoch) => [epoch, after.encodeRatchet(epoch)]),
    };
  }

  /** The members judge the Commit in the same way. A plan that they would refuse is not sent. */
  private async judge(facts: CommitFacts, signed: SignedRoom): Promise<void> {
    const judged = await judgeCommit(facts);
    if (!judged.ok && !isOff(judged.rule, signed)) throw refusal(judged.rule);
  }

  /** Sends a Commit until its outcome is known. Returns whether it was accepted and the log has delivered it. */
  async submit(pending: PendingCommit): Promise<boolean> {
    const { clock, closing, reports, server } = this.ports;
    const backoff = new Backoff(undefined, clock);
    const reporter = new FailureReporter(reports.failed("room", "commitWaits", { roomId: this.core.id, retrying: true }));
    let internal = 0;
    while (this.core.pending?.id === pending.id) {
      try {
        const ack = await server.commit(this.core.id, pending);
        await this.core.catchUp();
        if (this.core.pending?.id !== pending.id) break;
        // Only the log says that the members have it. When something else stands there, the acknowledgement was false.
        if ((this.core.state.cursor ?? 0) < ack.seq)
          throw SecureMessagingError.of("Unavailable", "The server has acknowledged a change that its log does not show yet.");
        await this.discard(pending);
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
          this.later(60_000);
          throw error;
        }
        reporter.report(error);
        await backoff.wait(error.retryAfterMs, closing);
      }
    }
    // The log shows the outcome: it contains another Commit of the epoch, or this one.
    return this.followed.delete(pending.id);
  }

  private discard(pending: PendingCommit): Promise<void> {
    return this.core.exclusively(async (draft) => {
      if (draft.pending?.id !== pending.id) return false;
      draft.setPending(undefined);
      return true;
    });
  }
}

type Judged = Pick<CommitOf, "remove" | "added"> & { statement: Uint8Array | undefined; former: readonly Leaf[] | undefined };

function factsOf(signed: SignedRoom, group: RoomGroup, after: RoomGroup, { remove, added, statement, former }: Judged): CommitFacts {
  const leafOf = (of: RoomGroup) => toDevice(of.leaves().find((leaf) => leaf.index === group.ownLeafIndex)!);
  return {
    room: signed.id,
    founding: signed.founding,
    foundingHash: signed.foundingHash,
    generation: group.generation,
    epoch: group.epoch,
    state: signed.state,
    head: signed.head,
    ...(statement ? { statement } : {}),
    before: group.leaves().map(toDevice),
    after: after.leaves().map(toDevice),
    committer: leafOf(group),
    committerAfter: leafOf(after),
    isPrivate: true,
    proposals: [
      ...remove.map((leaf) => ({ kind: "remove" as const, leaf: toDevice(leaf) })),
      ...added.map((leaf) => ({ kind: "add" as const, leaf: toDevice(leaf) })),
    ],
    hasPath: true,
    ...(former ? { groupBefore: former.map(toDevice) } : {}),
  };
}

/** A first Commit has one line in place of those of its devices. */
function linesOfOwn(signed: SignedRoom, shown: Parameters<typeof linesOfCommit>[0], founder: RoomGroup | undefined): ReturnType<typeof linesOfCommit> {
  const lines = linesOfCommit(shown);
  if (!founder) return lines;
  const { userId, deviceId } = shown.committer;
  return [{ index: lines.length, kind: signed.head ? "reset" : "founded", by: { userId, deviceId } }, ...lines];
}
