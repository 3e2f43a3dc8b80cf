import { idBytes, toHex } from "../bytes.js";
import { SecureMessagingError } from "../errors.js";
import { Group, groupIdOf, type Leaf } from "../mls/group.js";
import { welcomeReferences } from "../mls/messages.js";
import { keys, read, unpack, type Changes, type WriteOptions } from "../store/store.js";
import { Backoff, Mutex } from "../timing.js";
import { Trouble } from "../warnings.js";
import { limits, readRole, readRoomKind, type LogEntry, type LogPage, type PendingWelcome, type RoomHead, type RoomSummary } from "../wire.js";
import type { Context } from "./context.js";
import { Draft, loadGroup } from "./draft.js";
import { acceptOwn, applyEntry, breakChain, canFollow, enter, type OwnSend } from "./entries.js";
import type { Message, MessageRecord, PendingCommit, RoomState, StoredWelcome } from "./records.js";

/** What a room tells the rest of the client. */
export interface CoreListener {
  /** A message has its place. */
  message(message: Message): void;
  /** An earlier message is another now. */
  changed(message: Message): void;
  read(userId: string, upTo: number): void;
  /** A member has written or left, and types no longer. */
  spoke(userId: string): void;
  roster(): void;
  settings(): void;
  /** The group's members, or its epoch, are others now. */
  group(group: Group | undefined): void;
  /** Another's Commit has changed who is in the group. The server cannot look into it, so members see whether it was right to. */
  committed(added: Leaf[], removed: Leaf[]): void;
  /** Whether the group's leaves should be compared with the devices. */
  reconcile(cause: "roster" | "devices" | "reset" | "joined" | "away" | "broken"): void;
  ended(change: "left" | "deleted"): void;
}

/** Entries that wait in memory; past it they are read from the log again. */
const queueLength = 2000;
const entriesPerWrite = 50;

/**
 * One room: its place in the log, its group, and the one loop that deals with entries strictly in order of seq. Whoever touches the group's state does so
 * in {@link exclusively}, and stores it before anything is sent. @internal
 */
export class RoomCore {
  private queue: LogEntry[] = [];
  private dirty = false;
  private running: Promise<void> | undefined;
  private readonly turn = new Mutex();
  private ended = false;
  private readers: { epoch: string; any: boolean } | undefined;
  /** Where the server has said that the log begins. When that is past what has been read, this user may have been out of the room. */
  private beginning = 0;
  /** Resolves when nothing is left of a room that has ended; only then it may be opened again. */
  ending: Promise<void> = Promise.resolve();

  private constructor(
    readonly context: Context, private current: RoomState, private currentGroup: Group | undefined,
    private currentPending: PendingCommit | undefined, private currentWelcome: StoredWelcome | undefined, readonly listener: CoreListener,
  ) {}

  static async open(context: Context, summary: RoomSummary | undefined, id: string, makeListener: (core: () => RoomCore) => CoreListener): Promise<RoomCore | undefined> {
    let state = await read<RoomState>(context.store, keys.room(id));
    if (!state) {
      if (!summary)
        return undefined;
      state = {
        id, kind: readRoomKind(summary.kind), scheme: summary.scheme, role: readRole(summary.role), generation: summary.generation, high: 0,
        ...(summary.timeToLiveSeconds === undefined ? {} : { timeToLiveSeconds: summary.timeToLiveSeconds }),
      };
      const draft = new Draft(context.store, state, undefined, undefined, undefined);
      draft.put(keys.room(id), state);
      await context.store.write(draft.changes);
    }
    let group: Group | undefined;
    try {
      group = await loadGroup(context.store, id);
    } catch (error) {
      if (error instanceof SecureMessagingError)
        throw error;
      context.failed("store", "groupUnreadable", { roomId: id, retrying: true })(error);
      state = { ...state, broken: { seq: state.cursor ?? 0, why: "chain", since: Date.now() } };
    }
    const core: RoomCore = new RoomCore(
      context, state, group, await read<PendingCommit>(context.store, keys.pending(id)), await read<StoredWelcome>(context.store, keys.welcome(id)), makeListener(() => core));
    return core;
  }

  get id(): string {
    return this.current.id;
  }

  get state(): Readonly<RoomState> {
    return this.current;
  }

  /** The group, while this device is in it and can follow it. */
  get group(): Group | undefined {
    return canFollow({ group: this.currentGroup, state: this.current }) ? this.currentGroup : undefined;
  }

  get pending(): PendingCommit | undefined {
    return this.currentPending;
  }

  /** Whether this device has been let in at a place that the log has not come to. */
  get isWelcome(): boolean {
    return this.currentWelcome !== undefined;
  }

  get hasEnded(): boolean {
    return this.ended;
  }

  /** Whether messages can be encrypted. */
  get isReady(): boolean {
    return !this.ended && this.beginning <= (this.current.cursor ?? 0) + 1 && !this.current.wasAway && this.group !== undefined && this.group.epoch > 0;
  }

  /** The place of this user's newest message, when it is among the last ones. */
  async newestOwn(): Promise<number | undefined> {
    const newest = await this.context.store.list(keys.messages(this.id), { reverse: true, limit: 20 });
    return newest.map(([, value]) => unpack<MessageRecord>(value)).find((record) => record.mine && record.content.type !== "name")?.seq;
  }

  /**
   * Whether another person has a device in the group that can read what is encrypted now; undefined until it is known who is in the room. In a group of one's own no other person
   * shall read it.
   */
  get canBeRead(): boolean | undefined {
    const { group, current: { kind, others } } = this;
    if (!group)
      return undefined;
    // Who is in a group changes with its epoch, and this is asked often.
    const epoch = `${group.generation}/${group.epoch}`;
    if (this.readers?.epoch !== epoch)
      this.readers = { epoch, any: group.leaves().some((leaf) => leaf.userId !== this.context.session.userId) };
    return this.readers.any || (others === undefined ? undefined : others === 0 && kind === "group");
  }

  /** How many other people are in the room, as the directory says. */
  async learnOthers(count: number): Promise<void> {
    if (this.current.others === count || this.ended)
      return;
    await this.exclusively(async (draft) => {
      draft.state.others = count;
      draft.after.push(() => this.listener.roster(), () => this.context.dispatcher.wake(this.id));
    });
  }

  /** Runs alone, with a draft that is stored as a whole when `work` returns true. */
  exclusively(work: (draft: Draft) => Promise<boolean | void>, options: WriteOptions = {}): Promise<void> {
    return this.turn.run(async () => {
      const draft = new Draft(this.context.store, this.current, this.currentGroup, this.currentPending, this.currentWelcome);
      if (await work(draft) !== false)
        await this.adopt(draft, options);
    });
  }

  push(entries: LogEntry[]): void {
    if (this.ended || this.current.scheme !== "mls10")
      return;
    if (this.queue.length + entries.length > queueLength) {
      this.queue = [];
      this.dirty = true;
    } else {
      this.queue.push(...entries);
    }
    void this.drain();
  }

  /** What the server says of the log, when there is a connection again. */
  compare({ headSeq, firstSeq }: RoomHead): void {
    this.beginning = firstSeq;
    if (this.current.cursor !== headSeq)
      void this.catchUp();
  }

  /** This user was out of the room for a while, and the room is in this epoch now: has the group gone on without this device? */
  settle({ epoch, generation }: RoomSummary): Promise<void> {
    return this.exclusively(async (draft) => {
      const { state, group } = draft;
      if (!state.wasAway)
        return false;
      delete state.wasAway;
      if (canFollow(draft) && (group!.generation < generation || (group!.generation === generation && group!.epoch < epoch)))
        breakChain(draft, state.cursor ?? 0, this.listener);
      draft.after.push(() => this.context.dispatcher.wake(this.id));
      return true;
    });
  }

  /** Reads the log to its head. */
  async catchUp(): Promise<void> {
    this.dirty = true;
    // A run that was just over when this was asked for has not looked.
    do
      await this.drain();
    while (this.dirty && this.goesOn);
  }

  end(change: "left" | "deleted"): void {
    if (this.ended)
      return;
    this.ended = true;
    this.queue = [];
    this.ending = this.exclusively(async (draft) => {
      await draft.replaceGroup(undefined);
      draft.setPending(undefined);
      draft.setWelcome(undefined);
      draft.delete(keys.room(this.id));
    }).catch(this.context.failed("store", "endNotStored", { roomId: this.id })).then(() => this.listener.ended(change));
  }

  /**
   * Opens a Welcome and keeps the group until the log has come to its Commit. Returns whether the Welcome is dealt with: then the server may forget it.
   */
  async welcomed(pending: PendingWelcome, message: Uint8Array): Promise<boolean> {
    let joined: Group | undefined;
    const used: Changes = new Map();
    let references: string[] = [];
    try {
      references = welcomeReferences(message);
    } catch (error) {
      // It can be read by nobody.
      this.context.failed("room", "welcomeUnreadable", { roomId: this.id })(error);
    }
    for (const reference of references) {
      const own = await this.context.keyPackages.find(reference);
      if (!own)
        continue;
      try {
        joined = await Group.join(message, own);
        if (!own.lastResort)
          used.set(keys.keyPackage(reference), null);
        break;
      } catch (error) {
        this.context.failed("room", "welcomeRefused", { roomId: this.id })(error);
      }
    }
    if (joined && toHex(joined.id) !== toHex(groupIdOf(idBytes(this.id), pending.generation)))
      joined = undefined;
    await this.exclusively(async (draft) => {
      if (!joined) {
        // A Welcome for keys that are gone: whoever sent it takes this device for a member, which it cannot become this way.
        if (!canFollow(draft) && !draft.welcome && !draft.state.broken) {
          draft.state.broken = { seq: pending.seq, why: "welcome", since: Date.now() };
          draft.after.push(() => this.listener.reconcile("broken"));
        }
        return;
      }
      const known = draft.group;
      const stale = known && known.generation === joined.generation && known.epoch >= joined.epoch && canFollow(draft);
      if (!stale && !(draft.welcome && draft.welcome.seq > pending.seq)) {
        draft.setWelcome({ generation: pending.generation, seq: pending.seq, base: joined.encodeBase(), epoch: joined.epoch, ratchet: joined.encodeRatchet(joined.epoch) });
        for (const [key, value] of used)
          draft.changes.set(key, value);
      }
    });
    await this.context.people.seeLeaves(joined?.leaves() ?? []);
    this.dirty = true;
    void this.drain();
    return true;
  }

  /** A send of one's own that the log will not bring any more. */
  keepOwn(find: () => OwnSend | undefined): Promise<void> {
    return this.exclusively(async (draft) => {
      const own = find();
      if (!own)
        return false;
      await acceptOwn(this, draft, own, this.listener);
      return true;
    });
  }

  /** Whether there is something to do and a way to do it: nothing can be read once the session is over. */
  private get goesOn(): boolean {
    return (this.dirty || this.queue.length > 0) && !this.ended && !this.context.closing.aborted && !this.context.session.isOver;
  }

  private drain(): Promise<void> {
    return this.running ??= this.loop().finally(() => {
      this.running = undefined;
      if (this.goesOn)
        void this.drain();
    });
  }

  private async loop(): Promise<void> {
    const backoff = new Backoff();
    const trouble = new Trouble(this.context.failed("room", "logFailed", { roomId: this.id, retrying: true }));
    while (this.goesOn) {
      try {
        await this.step();
        trouble.over();
        backoff.reset();
      } catch (error) {
        this.dirty = true;
        if (error instanceof SecureMessagingError && error.code === "NotFound") {
          this.end("left");
          return;
        }
        if (error instanceof SecureMessagingError && error.code === "SignedOut")
          return;
        trouble.met(error);
        await backoff.pause(error instanceof SecureMessagingError ? error.retryAfterMs : undefined, this.context.closing);
      }
    }
  }

  private async step(): Promise<void> {
    await this.useWelcome();
    const next = (this.current.cursor ?? -1) + 1;
    while (this.queue.length > 0 && this.queue[0]!.seq < next)
      this.queue.shift();
    let page: LogPage | undefined;
    let entries: LogEntry[];
    if (!this.dirty && this.current.cursor !== undefined && this.queue[0]?.seq === next) {
      entries = this.queue.splice(0, entriesPerWrite);
    } else {
      this.dirty = false;
      page = await this.context.hub.sync(this.id, this.current.cursor ?? 0, limits.pageEntries);
      entries = page.entries;
      if (entries.length > 0 && entries[entries.length - 1]!.seq < page.headSeq)
        this.dirty = true;
    }
    for (let i = 0; i < Math.max(1, entries.length); i += entriesPerWrite)
      await this.take(entries.slice(i, i + entriesPerWrite), i === 0 ? page : undefined);
    await this.useWelcome();
  }

  private take(entries: LogEntry[], page: LogPage | undefined): Promise<void> {
    return this.exclusively(async (draft) => {
      const { state } = draft;
      if (page) {
        if (state.cursor !== undefined && page.headSeq < state.cursor)
          this.context.warn({ area: "room", kind: "logRewound", roomId: this.id, retrying: false, detail: `The server's log ends at ${page.headSeq}; this device has read it to ${state.cursor}.` });
        if (state.cursor !== undefined && page.firstSeq > state.high + 1)
          await this.passGap(draft, page.firstSeq);
        // What lies between has expired, or stems from before this user came.
        if ((state.cursor ?? -1) < page.firstSeq - 1) {
          state.cursor = page.firstSeq - 1;
          state.high = Math.max(state.high, state.cursor);
          draft.after.push(() => this.context.dispatcher.wake(this.id));
        }
      }
      for (const entry of entries) {
        if (entry.seq <= (state.cursor ?? -1))
          continue;
        if (entry.seq !== (state.cursor ?? -1) + 1)
          break;
        await applyEntry(this, draft, entry, this.listener);
        state.cursor = entry.seq;
        state.high = Math.max(state.high, entry.seq);
      }
      // The log brings again what a power cut undoes, and decrypting again uses no key for anything else. What is encrypted after it is not written so.
    }, { relaxed: true });
  }

  /** What lies between has expired, or this user was out of the room: then the group may have gone on without this device, and what it encrypts would be for an epoch of before. */
  private async passGap(draft: Draft, firstSeq: number): Promise<void> {
    for (const own of this.context.outbox.ackedUpTo(this.id, firstSeq - 1))
      await acceptOwn(this, draft, own, this.listener);
    this.context.outbox.encryptAnew(draft);
    if (!canFollow(draft))
      return;
    draft.state.wasAway = true;
    draft.after.push(() => this.listener.reconcile("away"));
  }

  /** Joins where the log has been already. Entries that came by before the Welcome was here are read again. */
  private async useWelcome(): Promise<void> {
    if (!this.currentWelcome)
      return;
    await this.exclusively(async (draft) => {
      const { welcome, state } = draft;
      if (!welcome || state.cursor === undefined || welcome.seq > state.cursor)
        return false;
      await enter(this, draft, this.listener);
      state.cursor = welcome.seq;
      this.dirty = true;
      return true;
    });
  }

  private async adopt(draft: Draft, options: WriteOptions): Promise<void> {
    if (!this.ended)
      draft.put(keys.room(this.id), draft.state);
    await this.context.store.write(draft.changes, options);
    this.current = draft.state;
    this.currentGroup = draft.group;
    this.currentPending = draft.pending;
    this.currentWelcome = draft.welcome;
    for (const tell of draft.after)
      tell();
  }
}
