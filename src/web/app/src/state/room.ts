import type { Message, PendingSend, Reference, RoomMarks, SharedClient } from "../base/sdk.js";
import { codeOf } from "../base/errors.js";
import { referenceTo } from "../base/reference.js";
import { Cell, coalesce } from "../base/cell.js";
import type { Unsent } from "./unsent.js";

/** A send of this tab that the outbox has not confirmed. It is shown at once. */
interface Echo {
  id: string;
  text: string;
  replyTo?: Reference;
  at: number;
  taken: boolean;
  error?: string;
}

/** Own changes of a message that the log has not delivered. They are shown at once. */
interface Overlay {
  text?: string;
  deleted?: boolean;
  reactions?: Record<string, boolean>;
  before: Message;
}

/** A message that is not in the log yet. */
export interface Outgoing {
  id: string;
  text: string;
  replyTo?: Reference;
  at: number;
  state: "waiting" | "failed";
  error?: string;
}

/** The visible state of a room. Each change replaces it. */
export interface RoomView {
  loaded: boolean;
  /** A part of the history without gaps, oldest first. */
  messages: readonly Message[];
  /** Whether it contains the begin of this device's history. */
  atStart: boolean;
  loadingOlder: boolean;
  outgoing: readonly Outgoing[];
  marks: RoomMarks;
}

const pageSize = 60;
const catchUpSize = 200;
/** In a burst of changes, the shown messages are read this often. The first change is read at once. */
const betweenReadsMs = 100;

/** The part of a room's history that this tab shows, kept equal to the device's store. */
export class RoomStore {
  readonly view = new Cell<RoomView>({ loaded: false, messages: [], atStart: false, loadingOlder: false, outgoing: [], marks: { read: {} } });

  private messages: Message[] = [];
  private pending: PendingSend[] = [];
  private echoes: Echo[] = [];
  private overlays = new Map<string, Overlay>();
  private atStart = false;
  private loadingOlder = false;
  private loaded = false;
  private marks: RoomMarks = { read: {} };
  /** Messages before this place were read before the last change and may be outdated. */
  private staleBefore = 0;
  private visible = { from: 0, to: 0 };

  constructor(
    private readonly client: SharedClient,
    private readonly unsent: Unsent,
    readonly roomId: string,
  ) {}

  /** Reads again what is shown. */
  readonly refresh = coalesce(async () => {
    // The outbox is read first: what has left it by then is in the history that is read afterwards.
    const known = new Set(this.echoes.filter((echo) => echo.taken).map((echo) => echo.id));
    const pending = await this.client.pending(this.roomId);
    let page = await this.client.history(this.roomId, { limit: pageSize });
    const newest = this.messages.at(-1)?.seq;
    let complete = page.length < pageSize;
    while (newest !== undefined && !complete && page[0]!.seq > newest) {
      const older = await this.client.history(this.roomId, { before: page[0]!.seq, limit: catchUpSize });
      complete = older.length < catchUpSize;
      page = [...older, ...page];
    }
    this.marks = await this.client.marks(this.roomId);
    const first = page[0]?.seq ?? 0;
    this.merge(complete ? 0 : first, Infinity, page);
    if (complete) this.atStart = true;
    this.staleBefore = Math.max(this.staleBefore, complete ? 0 : first);
    this.pending = pending;
    const there = new Set([...pending.map((send) => send.id), ...this.messages.filter((message) => message.mine).map((message) => message.id)]);
    this.echoes = this.echoes.filter((echo) => !there.has(echo.id) && !known.has(echo.id));
    this.loaded = true;
    this.publish();
    await this.refreshVisible();
  }, betweenReadsMs);

  /** Reads earlier messages. */
  async loadOlder(): Promise<void> {
    const first = this.messages[0];
    if (this.loadingOlder || this.atStart || !this.loaded || !first) return;
    this.loadingOlder = true;
    try {
      const page = await this.client.history(this.roomId, { before: first.seq, limit: pageSize * 2 });
      if (page.length < pageSize * 2) this.atStart = true;
      this.messages = [...page.filter((message) => message.seq < first.seq), ...this.messages];
    } finally {
      this.loadingOlder = false;
      this.publish();
    }
  }

  /** Sets the visible places. They are updated first. */
  setVisible(from: number, to: number): void {
    this.visible = { from, to };
    if (from < this.staleBefore) void this.refreshVisible();
  }

  /** Resolves when the outbox or this browser has stored the text. It is shown in the meantime. Rejects when it was not stored. */
  async send(text: string, replyTo?: Reference): Promise<void> {
    const options = replyTo === undefined ? {} : { replyTo };
    const echo: Echo = { id: crypto.randomUUID(), text, ...options, at: Date.now(), taken: false };
    this.echoes = [...this.echoes, echo];
    this.publish();
    await this.handOver(echo, () => this.unsent.send(this.roomId, text, { id: echo.id, ...options }));
  }

  /** Sends a failed text again. */
  async retry(id: string): Promise<void> {
    const echo = this.echoes.find((each) => each.id === id);
    if (!echo) {
      await this.client.retry(this.roomId, id);
      return;
    }
    delete echo.error;
    this.publish();
    await this.handOver(echo, () => this.unsent.retry(id));
  }

  /** Deletes a failed text. */
  async discard(id: string): Promise<void> {
    if (!this.echoes.some((echo) => echo.id === id)) {
      await this.client.discard(this.roomId, id);
      return;
    }
    this.unsent.forget(id);
    this.drop(id);
  }

  private async handOver(echo: Echo, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      echo.taken = true;
      void this.refresh();
    } catch (error) {
      if (!this.unsent.holds(echo.id)) {
        this.drop(echo.id);
        throw error;
      }
      // The browser's store fails: the text stays in `unsent`, and is shown as failed.
      echo.error = codeOf(error);
      this.publish();
    }
  }

  private drop(id: string): void {
    this.echoes = this.echoes.filter((echo) => echo.id !== id);
    this.publish();
  }

  edit(message: Message, text: string): Promise<void> {
    return this.overlay(message, { text }, () => this.client.edit(this.roomId, message.id, text));
  }

  remove(message: Message): Promise<void> {
    return this.overlay(message, { deleted: true }, () => this.client.delete(this.roomId, message.id));
  }

  react(message: Message, emoji: string, on: boolean): Promise<void> {
    const target = referenceTo(message);
    if (!target) return Promise.resolve();
    const reactions = { ...this.overlays.get(idOf(message))?.reactions, [emoji]: on };
    return this.overlay(message, { reactions }, () => this.client.react(this.roomId, target, emoji, on));
  }

  private async overlay(message: Message, change: Partial<Overlay>, work: () => Promise<void>): Promise<void> {
    const id = idOf(message);
    const before = this.messages.find((each) => idOf(each) === id) ?? message;
    this.overlays.set(id, { ...this.overlays.get(id), ...change, before });
    this.publish();
    try {
      await work();
    } catch (error) {
      this.overlays.delete(id);
      this.publish();
      throw error;
    }
  }

  private async refreshVisible(): Promise<void> {
    const { from, to } = this.visible;
    if (from >= this.staleBefore || to <= 0) return;
    const until = Math.min(to + 1, this.staleBefore);
    const shown = this.place(until) - this.place(from);
    if (shown === 0) return;
    const page = await this.client.history(this.roomId, { before: until, limit: shown });
    // Without a page, the life of all earlier messages is over.
    this.merge(page[0]?.seq ?? 0, until, page);
    this.publish();
  }

  /** Replaces the messages between two places with new ones. Equal messages keep their object. */
  private merge(from: number, until: number, page: Message[]): void {
    const begin = this.place(from);
    const end = this.place(until);
    const held = new Map(this.messages.slice(begin, end).map((message) => [message.seq, message]));
    const fresh = page.map((message) => {
      const old = held.get(message.seq);
      return old && JSON.stringify(old) === JSON.stringify(message) ? old : message;
    });
    const next = [...this.messages.slice(0, begin), ...fresh, ...this.messages.slice(end)];
    for (const message of fresh) {
      const overlay = this.overlays.get(idOf(message));
      if (overlay && JSON.stringify(overlay.before) !== JSON.stringify(message)) this.overlays.delete(idOf(message));
    }
    this.messages = next;
  }

  /** The index of the first message at or after a place. */
  private place(seq: number): number {
    let low = 0;
    let high = this.messages.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.messages[middle]!.seq < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private publish(): void {
    const ids = new Set(this.messages.filter((message) => message.mine).map((message) => message.id));
    const pending = this.pending.filter((send) => !ids.has(send.id));
    const queued = new Set(pending.map((send) => send.id));
    const echoes = this.echoes
      .filter((echo) => !ids.has(echo.id) && !queued.has(echo.id))
      .map((echo): Outgoing => ({ ...echo, state: echo.error === undefined ? "waiting" : "failed" }));
    this.view.set({
      loaded: this.loaded,
      atStart: this.atStart,
      loadingOlder: this.loadingOlder,
      marks: this.marks,
      messages: this.overlays.size === 0 ? this.messages : this.messages.map((message) => this.overlaid(message)),
      outgoing: [...pending.flatMap(toOutgoing), ...echoes],
    });
  }

  private overlaid(message: Message): Message {
    const overlay = this.overlays.get(idOf(message));
    if (!overlay) return message;
    const { content } = message;
    const next: Message = { ...message };
    if (overlay.deleted) next.deleted = true;
    else if (overlay.text !== undefined && (content.type === "text" || content.type === "reply"))
      Object.assign(next, { edited: true, content: { ...content, text: overlay.text } });
    if (overlay.reactions) next.reactions = withOwn(message.reactions ?? {}, overlay.reactions, this.client.status.userId ?? "");
    return next;
  }
}

function withOwn(reactions: Record<string, string[]>, own: Record<string, boolean>, userId: string): Record<string, string[]> {
  const all = new Map(Object.entries(reactions));
  for (const [emoji, on] of Object.entries(own)) {
    const users = (all.get(emoji) ?? []).filter((user) => user !== userId);
    if (on) users.push(userId);
    if (users.length > 0) all.set(emoji, users);
    else all.delete(emoji);
  }
  return Object.fromEntries(all);
}

/** The id together with its author: another client could repeat an id. */
const idOf = (message: Message): string => `${message.from?.userId ?? ""}/${message.id}`;

/** The app sends only texts. */
const toOutgoing = ({ content, ...send }: PendingSend): Outgoing[] =>
  content.type === "text" || content.type === "reply" ? [{ ...send, text: content.text, ...(content.type === "reply" ? { replyTo: content.to } : {}) }] : [];
