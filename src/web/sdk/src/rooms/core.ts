import { SecureMessagingError } from "../base/errors.js";
import type { Emitter } from "../base/events.js";
import { keys, type WriteOptions } from "../store/store.js";
import { Backoff, Mutex } from "../base/timing.js";
import { FailureReporter } from "../base/warnings.js";
import { limits, type LogEntry, type LogPage, type PendingWelcome, type RoomHead, type RoomSummary } from "../net/wire.js";
import { enforced } from "../trust/enforced.js";
import type { Applying, CoreEvents } from "./applying.js";
import { checkPage, dropUnreachable, passGap, takeBack } from "./beginning.js";
import { Draft } from "./draft.js";
import { applyEntry } from "./entries.js";
import { breakChain, breakOff, canFollow } from "./following.js";
import { acceptAcked } from "./history.js";
import { holdsOf, type NamedHold } from "./holds.js";
import { listsChanged } from "./listed.js";
import type { Ports, RoomGroup } from "./ports.js";
import type { ReadLog } from "./readLog.js";
import type { OwnSend, PendingCommit, RoomState, StoredWelcome } from "./records.js";
import { compareEnd, tellOther } from "./rewound.js";
import type { SignedRoom } from "./signedRoom.js";
import { enter, openWelcome, toStored } from "./welcome.js";
import { hasLeft, show, withhold } from "./withholding.js";

/** The ports that a room uses. @internal */
export type CorePorts = Pick<Ports, "clock" | "closing" | "device" | "hub" | "keyPackages" | "mls" | "people" | "privacy" | "reports" | "server" | "store">;

/** The maximal number of queued entries. Beyond it, entries are read from the log again. */
const queueLength = 2000;
const entriesPerWrite = 50;

/**
 * One room: its place in the log, its group, and the loop that applies entries strictly in the order of seq. Each change of the group's state runs in
 * {@link exclusively} and is stored before anything is sent. @internal
 */
export class RoomCore {
  private queue: LogEntry[] = [];
  private dirty = false;
  private running: Promise<void> | undefined;
  private readonly turn = new Mutex();
  private ended = false;
  private readers: { epoch: string; any: boolean } | undefined;
  /** The first entry that the server still has. When it lies beyond the last entry read, this user may have been out of the room. */
  private beginning = 0;
  /** Resolves when all state of an ended room is deleted. Only then the room may be opened again. */
  ending: Promise<void> = Promise.resolve();

  constructor(
    private readonly ports: CorePorts,
    private readonly applying: Applying,
    private current: RoomState,
    private currentGroup: RoomGroup | undefined,
    private currentPending: PendingCommit | undefined,
    private currentWelcome: StoredWelcome | undefined,
    private currentSigned: SignedRoom | undefined,
  ) {
    this.events.on("removed", () => this.end("left"));
  }

  get id(): string {
    return this.current.id;
  }

  get state(): Readonly<RoomState> {
    return this.current;
  }

  /** The group; undefined when this device is not in it or can no longer follow it. */
  get group(): RoomGroup | undefined {
    return canFollow({ group: this.currentGroup, state: this.current }) ? this.currentGroup : undefined;
  }

  get events(): Emitter<CoreEvents> {
    return this.applying.events;
  }

  /** The group before a reset, while this device is not in the one after it, and knows that it was the newest one. */
  get former(): RoomGroup | undefined {
    const { currentGroup, current } = this;
    return currentGroup && currentGroup.generation < current.generation ? currentGroup : undefined;
  }

  /** What the members have signed about the room; undefined before this device has founded or entered it. */
  get signed(): SignedRoom | undefined {
    return this.currentSigned;
  }

  /** What this device has read of the log. */
  get readLog(): ReadLog {
    return this.applying.readLog;
  }

  get pending(): PendingCommit | undefined {
    return this.currentPending;
  }

  /** Whether a person must decide before this device enters the room again. */
  get isReentryHeld(): boolean {
    return this.currentWelcome?.isHeld === true && !this.currentWelcome.isAgreed;
  }

  /** Whether the server does not show the room any more. Nothing is deleted because of that. */
  get isWithheld(): boolean {
    return this.current.withheld !== undefined;
  }

  /** Why messages wait, beside {@link isReady}. */
  get holds(): NamedHold[] {
    const { current: state, currentSigned: signed, currentWelcome: welcome, group } = this;
    const { people, device } = this.ports;
    return holdsOf({ state, signed, welcome, group, people, own: { userId: device.userId, deviceId: device.id } });
  }

  get isHeld(): boolean {
    return this.holds.length > 0;
  }

  get hasEnded(): boolean {
    return this.ended;
  }

  /** Whether this device can encrypt messages. */
  get isReady(): boolean {
    const { current, group } = this;
    const hasAll = this.beginning <= (current.cursor ?? 0) + 1 && !current.wasAway;
    return !this.ended && !this.isWithheld && hasAll && group !== undefined && group.epoch > 0;
  }

  /**
   * Whether another person has a device in the group that can read what is encrypted now; undefined while this device is not in the group.
   * In a group without other people it is true.
   */
  get canBeRead(): boolean | undefined {
    const { group, currentSigned: signed } = this;
    if (!group || !signed) return undefined;
    // Cached for each epoch, because it is asked often and the members change only with the epoch.
    const epoch = `${group.generation}/${group.epoch}`;
    const isOther = (userId: string) => userId !== this.ports.device.userId;
    if (this.readers?.epoch !== epoch) this.readers = { epoch, any: group.leaves().some((leaf) => isOther(leaf.userId)) };
    return this.readers.any || (signed.founding.kind === "group" && !signed.state.roster.some((member) => isOther(member.user)));
  }

  /** The group's leaves are those of the members' devices, as the log has them up to this entry. */
  async compared(upTo: number): Promise<void> {
    if (this.current.uncompared === undefined || this.ended) return;
    await this.exclusively(
      async (draft) => {
        if (draft.state.uncompared === undefined || draft.state.uncompared > upTo) return false;
        delete draft.state.uncompared;
        return true;
      },
      { relaxed: true },
    );
  }

  /** Runs alone. Stores the draft in one write, unless `work` returns false. */
  exclusively(work: (draft: Draft) => Promise<boolean | void>, options: WriteOptions = {}): Promise<void> {
    return this.turn.run(async () => {
      const draft = new Draft(this.ports.store, this.current, this.currentGroup, this.currentPending, this.currentWelcome, this.currentSigned);
      try {
        if ((await work(draft)) !== false) await this.adopt(draft, options);
      } catch (error) {
        this.readLog.forget();
        throw error;
      }
    });
  }

  push(entries: LogEntry[]): void {
    if (this.ended || this.current.scheme !== "mls10") return;
    if (this.queue.length + entries.length > queueLength) {
      this.queue = [];
      this.dirty = true;
    } else {
      this.queue.push(...entries);
    }
    void this.drain();
  }

  /** Compares this room with the server's state of its log. */
  compare({ headSeq, firstSeq }: RoomHead): void {
    this.beginning = firstSeq;
    if (this.current.cursor !== headSeq || this.isWithheld) void this.catchUp();
  }

  /** The server does not show the room. */
  async withhold(): Promise<void> {
    const { current: state, currentSigned: signed, currentWelcome: welcome } = this;
    if (!enforced.t10 || hasLeft({ state, signed, welcome }, this.ports.device.userId)) this.end("left");
    else if (!this.isWithheld && !this.ended) await withhold(this, this.ports.clock.now());
  }

  /** This user was out of the room for a while. Checks whether the group has moved on without this device. */
  settle({ epoch, generation }: RoomSummary): Promise<void> {
    return this.exclusively(async (draft) => {
      const { state, group } = draft;
      if (!state.wasAway) return false;
      delete state.wasAway;
      if (canFollow(draft) && (group!.generation < generation || (group!.generation === generation && group!.epoch < epoch)))
        breakChain(draft, state.cursor ?? 0, this.applying);
      draft.after.push(() => this.events.emit("sendable", undefined));
      return true;
    });
  }

  /** Reads the log up to its head. */
  async catchUp(): Promise<void> {
    this.dirty = true;
    // A run that was about to end at the call has not seen it.
    do await this.drain();
    while (this.dirty && this.goesOn);
  }

  end(change: "left" | "deleted"): void {
    if (this.ended) return;
    this.ended = true;
    this.queue = [];
    // The signed state stays: by it the device recognises the room when its user is added again.
    this.ending = this.exclusively(async (draft) => {
      await draft.replaceGroup(undefined);
      draft.setPending(undefined);
      // A Welcome for a later place is that of the next membership.
      if (change === "deleted" || (draft.welcome && draft.welcome.seq <= (draft.state.cursor ?? 0))) draft.setWelcome(undefined);
      draft.delete(keys.room(this.id));
    })
      .catch(this.ports.reports.failed("store", "endNotStored", { roomId: this.id }))
      .then(() => this.events.emit("ended", change));
  }

  /** Opens a Welcome and keeps the group until the log reaches its Commit. Resolves with true when the server may delete the Welcome. */
  async welcomed(pending: PendingWelcome, message: Uint8Array): Promise<boolean> {
    const { opened, used } = await openWelcome(this.ports, this.id, pending.generation, message);
    const joined = opened?.group;
    let isKept = true;
    await this.exclusively(async (draft) => {
      if (this.ended) return (isKept = false);
      if (!joined) {
        // The keys of this Welcome are gone: its sender counts this device as a member, but it cannot join this way.
        if (!canFollow(draft) && !draft.welcome && !draft.state.broken) breakOff(draft, pending.seq, "welcome", this.applying);
        return true;
      }
      const known = draft.group;
      const stale = known && known.generation === joined.generation && known.epoch >= joined.epoch && canFollow(draft);
      if (!stale && !(draft.welcome && draft.welcome.seq > pending.seq)) {
        draft.setWelcome(toStored(opened, pending.seq));
        for (const [key, value] of used) draft.changes.set(key, value);
      }
      return true;
    });
    this.dirty = true;
    void this.drain();
    return isKept;
  }

  /** What this device knows about the devices of people has changed. */
  listsChanged = (): Promise<void> => this.exclusively((draft) => listsChanged(draft, this.current, this.applying), { relaxed: true });

  /** Stores an own send that the log will not deliver any more. */
  keepOwn(find: () => OwnSend | undefined): Promise<void> {
    return this.exclusively(async (draft) => {
      const own = find();
      if (!own) return false;
      await acceptAcked(draft, own, this.applying);
      return true;
    });
  }

  /** Whether there is work that can be done. After the end of the session nothing can be read. */
  private get goesOn(): boolean {
    return (this.dirty || this.queue.length > 0) && !this.ended && !this.ports.closing.aborted && !this.ports.server.isOver;
  }

  /** Whether the entry after the last one read was pushed. */
  private get isNextQueued(): boolean {
    const next = (this.current.cursor ?? -1) + 1;
    while (this.queue.length > 0 && this.queue[0]!.seq < next) this.queue.shift();
    return this.current.cursor !== undefined && this.queue[0]?.seq === next;
  }

  private drain(): Promise<void> {
    return (this.running ??= this.loop().finally(() => {
      this.running = undefined;
      if (this.goesOn) void this.drain();
    }));
  }

  private async loop(): Promise<void> {
    const { clock, closing, reports } = this.ports;
    const backoff = new Backoff(undefined, clock);
    const reporter = new FailureReporter(reports.failed("room", "logFailed", { roomId: this.id, retrying: true }));
    while (this.goesOn) {
      const pushed = new Set(this.queue);
      try {
        await this.step(pushed);
        reporter.recovered();
        if (!this.dirty) backoff.reset();
      } catch (error) {
        this.dirty = true;
        if (error instanceof SecureMessagingError && error.code === "NotFound") {
          // What was pushed meanwhile may say why. The next heads show whether the room is there again.
          this.dirty = false;
          await this.withhold();
          if (this.isNextQueued) continue;
          // No page leads to them.
          this.queue = this.queue.filter((entry) => !pushed.has(entry));
          return;
        }
        if (error instanceof SecureMessagingError && error.code === "SignedOut") return;
        reporter.report(error);
        await backoff.pause(error instanceof SecureMessagingError ? error.retryAfterMs : undefined, closing);
      }
    }
  }

  private async step(pushed: ReadonlySet<LogEntry>): Promise<void> {
    await this.useWelcome();
    const { isNextQueued } = this;
    const welcome = this.currentWelcome;
    const before = this.current.cursor;
    let page: LogPage | undefined;
    let entries: LogEntry[];
    let hasMore = false;
    if (!this.dirty && isNextQueued) {
      entries = this.queue.splice(0, entriesPerWrite);
    } else {
      this.dirty = false;
      page = await this.ports.hub.sync(this.id, before ?? 0, limits.pageEntries);
      checkPage(page);
      // The server has pushed them before it was asked, and does not have them: no page will lead there.
      const { headSeq } = page;
      this.queue = this.queue.filter((entry) => entry.seq <= headSeq || !pushed.has(entry));
      entries = page.entries;
      hasMore = entries.length > 0 && entries[entries.length - 1]!.seq < headSeq;
      if (hasMore) this.dirty = true;
      hasMore ||= this.queue.some((entry) => pushed.has(entry));
    }
    for (let i = 0; i < Math.max(1, entries.length); i += entriesPerWrite)
      await this.take(entries.slice(i, i + entriesPerWrite), i === 0 ? page : undefined, welcome);
    // Asked at once, the server would say the same.
    if (hasMore && (this.current.cursor ?? -1) <= (before ?? -1) && !this.isNextQueued)
      throw SecureMessagingError.of("Unavailable", `The server says that the log goes on after ${before ?? 0}, and does not show the next entry.`);
    // For a user who is no longer a member, the log ends at the entry of the own leaving.
    if (page && page.headSeq === this.current.left) await this.withhold();
    else if (page && this.isWithheld) await show(this);
    await this.useWelcome();
  }

  /** @param welcome - The Welcome that waited when the page was asked for. */
  private take(entries: LogEntry[], page: LogPage | undefined, welcome: StoredWelcome | undefined): Promise<void> {
    return this.exclusively(
      async (draft) => {
        const { state } = draft;
        if (page) {
          compareEnd(draft, page, this.applying);
          await takeBack(draft, page, this.applying);
          dropUnreachable(draft, page, welcome, this.applying);
          await passGap(draft, page.firstSeq, this.applying);
        }
        for (const entry of entries) {
          if (entry.seq <= (state.cursor ?? -1)) continue;
          if (entry.seq !== (state.cursor ?? -1) + 1) break;
          const isSame = await this.readLog.take(draft, entry);
          await applyEntry(draft, entry, this.applying);
          if (!isSame) await tellOther(draft, entry, this.applying);
          state.cursor = entry.seq;
          state.high = Math.max(state.high, entry.seq);
        }
        // Acknowledged for places at which the log had something else, or no bytes any more.
        if (canFollow(draft)) for (const own of this.applying.sends.ackedUpTo(draft, state.cursor ?? 0)) await acceptAcked(draft, own, this.applying);
        // After a power failure the log delivers these entries again, and decryption needs no new key. Encryption is never written with this option.
      },
      { relaxed: true },
    );
  }

  /** Joins at a place that the log has passed. Reads the entries from there again. */
  private async useWelcome(): Promise<void> {
    if (!this.currentWelcome) return;
    await this.exclusively(async (draft) => {
      const { welcome, state } = draft;
      if (!welcome || (welcome.isHeld && !welcome.isAgreed) || state.cursor === undefined || welcome.seq > state.cursor) return false;
      if (await enter(draft, this.applying)) {
        state.cursor = welcome.seq;
        this.dirty = true;
      }
      return true;
    });
  }

  private async adopt(draft: Draft, options: WriteOptions): Promise<void> {
    if (!this.ended) draft.put(keys.room(this.id), draft.state);
    await this.ports.store.write(draft.changes, options);
    this.current = draft.state;
    this.currentGroup = draft.group;
    this.currentPending = draft.pending;
    this.currentWelcome = draft.welcome;
    this.currentSigned = draft.signed;
    for (const tell of draft.after) tell();
  }
}
