import { newId } from "../bytes.js";
import { SecureMessagingError, toBody, type ErrorBody } from "../errors.js";
import type { ServerAddress } from "../net/http.js";
import { IndexedDbStore, lockOf, requireBrowserStore } from "../store/indexedDb.js";
import { Backoff, defer, pause, type Deferred } from "../timing.js";
import { bodyOf, Trouble, warningOf } from "../warnings.js";
import { perform, type Call } from "./calls.js";
import { Host } from "./host.js";
import type { SharedEvents, SharedStatus } from "./shared.js";

/** What tabs say to each other. A later version may add to it only what this one may leave unheard; for anything else it takes a higher number. */
export const shareVersion = 2;

type Word =
  /** A tab is there, and asks who leads. */
  | { kind: "hello"; from: string }
  /** Somebody has the lock and opens the store. */
  | { kind: "starts" }
  /** Who leads, and takes calls. Of two, the higher term is the later opening of the store, and the other one's writes fail. */
  | { kind: "leads"; term: number; status: Omit<SharedStatus, "leader"> }
  | { kind: "call"; from: string; term: number; call: Call }
  | { kind: "answer"; term: number; id: string; value?: unknown; error?: ErrorBody }
  | { kind: "event"; term: number; name: keyof SharedEvents; event: unknown }
  /** Is the leader alive? It answers with `starts` or `leads`. */
  | { kind: "ping" };

interface Asked { call: Call; answer: Deferred<unknown>; term?: number }

const pingEveryMs = 2_000;
/** So often nobody answers before the leader is taken for frozen. */
const patience = 3;

/** What a tab is told. @internal */
export interface Listener {
  told(status: SharedStatus): void;
  event<K extends keyof SharedEvents>(name: K, event: SharedEvents[K]): void;
}

/**
 * One tab's part. Whoever holds the store's lock leads. Calls are remembered by the tab that asks until they are answered, and asked again of each new leader; they carry an id
 * by which the leader knows what it has done already. The store itself refuses the writes of a leader that was thought dead and is not. @internal
 */
export class Share {
  private readonly id = newId();
  private readonly channel: BroadcastChannel;
  private readonly inbox: BroadcastChannel;
  private readonly asked = new Map<string, Asked>();
  private readonly running = new Set<string>();
  private readonly closing = new AbortController();
  private readonly opened = defer<void>();
  private readonly over = defer<void>();
  private isOver = false;
  /** Whose calls are answered: the newest leader's that was heard of. */
  private term = 0;
  private host: Host | undefined;
  /** Ends this tab's leadership. */
  private lead: Deferred<void> | undefined;
  private queued: AbortController | undefined;
  private silence = 0;
  private steal = false;
  private outdated = false;
  private status: SharedStatus = { state: "signedOut", connected: false, unsent: 0, leader: false };

  private constructor(private readonly name: string, private readonly address: ServerAddress, private readonly listener: Listener, private readonly version: number) {
    this.channel = new BroadcastChannel(lockOf(name));
    this.inbox = new BroadcastChannel(`${lockOf(name)}:${this.id}`);
    this.channel.onmessage = this.inbox.onmessage = (event: MessageEvent) => this.hear(event.data as Word & { v: number });
  }

  static async join(name: string, address: ServerAddress, listener: Listener, version = shareVersion): Promise<Share> {
    requireBrowserStore();
    const share = new Share(name, address, listener, version);
    share.say({ kind: "hello", from: share.id });
    void share.run();
    void share.watch();
    share.mindThePage();
    try {
      await share.opened.promise;
    } catch (error) {
      await share.close();
      throw error;
    }
    return share;
  }

  ask(call: Call): Promise<unknown> {
    if (this.outdated)
      return Promise.reject(outdated());
    if (this.closing.signal.aborted)
      return Promise.reject(closed());
    const asked: Asked = { call, answer: defer() };
    this.asked.set(call.id, asked);
    this.put(asked);
    return asked.answer.promise;
  }

  async close(): Promise<void> {
    this.closing.abort(closed());
    this.queued?.abort();
    this.failAll(closed());
    this.lead?.resolve();
    await this.over.promise;
    this.isOver = true;
    this.channel.close();
    this.inbox.close();
  }

  /** Waits for the lock, leads, and waits again. */
  private async run(): Promise<void> {
    const backoff = new Backoff(30_000);
    const trouble = new Trouble((error) => this.listener.event("warning", warningOf("store", "storeFailed", error, { retrying: true })));
    while (!this.closing.signal.aborted && !this.outdated) {
      const { steal } = this;
      this.steal = false;
      this.queued = new AbortController();
      try {
        await navigator.locks.request(lockOf(this.name), steal ? { steal } : { signal: this.queued.signal }, () => this.leadUntilLost());
      } catch (error) {
        // Stolen, or told to wait in another way. Anything else is the store's.
        if (!(error instanceof DOMException && error.name === "AbortError")) {
          this.opened.reject(error);
          trouble.met(error);
          this.tellStatus({ ...this.status, connected: false, leader: false, storeError: bodyOf(error) });
          await backoff.pause(500, this.closing.signal);
        }
      }
      await this.stepDown();
    }
    this.over.resolve();
  }

  private tellStatus(status: SharedStatus): void {
    this.listener.told(this.status = status);
  }

  private async leadUntilLost(): Promise<void> {
    if (this.closing.signal.aborted || this.outdated)
      return;
    const lead = this.lead = defer<void>();
    this.say({ kind: "starts" });
    const store = await IndexedDbStore.openHeld(this.name, () => undefined);
    const { turn: term } = store;
    store.onLost = (why) => {
      if (this.lead !== lead)
        return;
      if (why.code === "StoreFailed")
        this.listener.event("warning", warningOf("store", "storeDeleted", why));
      void this.stepDown();
    };
    let host: Host;
    // What goes wrong while the store is being opened is reported once a listener is there.
    const early: SharedEvents["warning"][] = [];
    try {
      host = await Host.open(store, this.address, (name, event) => {
        if (this.lead === lead && !this.host && name === "warning")
          early.push(event as SharedEvents["warning"]);
        else
          this.tell(term, name, event);
      });
    } catch (error) {
      await store.close();
      throw error;
    }
    if (this.lead !== lead) {
      await host.close();
      return;
    }
    this.host = host;
    this.beReady(term, host.status);
    this.say({ kind: "leads", term, status: host.status });
    for (const warning of early)
      this.tell(term, "warning", warning);
    await lead.promise;
    await this.stepDown();
  }

  /** Another leads, or soon will. */
  private async stepDown(): Promise<void> {
    const { host } = this;
    if (!this.lead)
      return;
    this.lead.resolve();
    this.lead = this.host = undefined;
    this.running.clear();
    await host?.close().catch((error: unknown) => this.listener.event("warning", warningOf("tabs", "notClosed", error)));
    this.say({ kind: "hello", from: this.id });
  }

  private hear(word: Word & { v: number }): void {
    if (this.closing.signal.aborted || this.outdated)
      return;
    if (word.v > this.version) {
      this.giveUp();
      return;
    }
    if (word.v < this.version) {
      // It hears from this that it is outdated.
      if (word.kind !== "answer")
        this.say({ kind: "hello", from: this.id });
      return;
    }
    switch (word.kind) {
      case "hello":
      case "ping":
        if (this.host)
          this.say({ kind: "leads", term: this.term, status: this.host.status });
        else if (this.lead)
          this.say({ kind: "starts" });
        break;
      case "starts":
        this.silence = 0;
        break;
      case "leads":
        // Of somebody whom the lock was taken from and who does not know it yet, nothing is believed.
        if (word.term < this.term)
          break;
        this.silence = 0;
        if (this.host && word.term > this.term)
          void this.stepDown();
        if (!this.host)
          this.beReady(word.term, word.status);
        break;
      case "call":
        if (this.host && word.term === this.term)
          void this.serve(word.from, word.call, this.host, word.term);
        break;
      case "answer": {
        const asked = this.asked.get(word.id);
        if (!asked || asked.term !== word.term)
          break;
        this.silence = 0;
        this.asked.delete(word.id);
        if (word.error)
          asked.answer.reject(new SecureMessagingError(word.error));
        else
          asked.answer.resolve(word.value);
        break;
      }
      case "event":
        if (word.term !== this.term || this.host)
          break;
        this.silence = 0;
        this.receive(word.name, word.event as never);
        break;
    }
  }

  /** There is a leader that takes calls: what was asked of another is asked again. */
  private beReady(term: number, status: Omit<SharedStatus, "leader">): void {
    if (this.term !== term) {
      this.term = term;
      this.tellStatus({ ...status, leader: this.host !== undefined });
      for (const asked of this.asked.values())
        this.put(asked);
    }
    this.opened.resolve();
  }

  private put(asked: Asked): void {
    if (this.term === 0)
      return;
    if (asked.term !== undefined)
      asked.call = { ...asked.call, repeated: true };
    const term = asked.term = this.term;
    if (this.host) {
      void this.carryOut(asked.call, this.host).then((answer) => {
        if (this.host && this.term === term)
          this.hear({ v: this.version, kind: "answer", term, id: asked.call.id, ...answer });
      });
      return;
    }
    try {
      this.say({ kind: "call", from: this.id, term, call: asked.call });
    } catch (error) {
      this.asked.delete(asked.call.id);
      asked.answer.reject(SecureMessagingError.of("Invalid", "What is passed between tabs is plain data.", error));
    }
  }

  private async serve(from: string, call: Call, host: Host, term: number): Promise<void> {
    if (this.running.has(call.id))
      return;
    this.running.add(call.id);
    const answer = await this.carryOut(call, host);
    this.running.delete(call.id);
    // Whoever leads by now is asked again.
    if (this.host !== host)
      return;
    const to = new BroadcastChannel(`${lockOf(this.name)}:${from}`);
    const word = { v: this.version, kind: "answer", term, id: call.id };
    try {
      to.postMessage({ ...word, ...answer });
    } catch (error) {
      // The caller learns of it, instead of waiting.
      to.postMessage({ ...word, error: bodyOf(error) });
    }
    to.close();
  }

  private async carryOut(call: Call, host: Host): Promise<{ value?: unknown; error?: ErrorBody }> {
    try {
      return { value: await perform(host, call) };
    } catch (error) {
      return { error: toBody(error instanceof SecureMessagingError ? error : SecureMessagingError.of("Internal", error instanceof Error ? error.message : String(error))) };
    }
  }

  private tell<K extends keyof SharedEvents>(term: number, name: K, event: SharedEvents[K]): void {
    if (!this.host || this.term !== term)
      return;
    this.say({ kind: "event", term, name, event });
    this.receive(name, event);
  }

  private receive<K extends keyof SharedEvents>(name: K, event: SharedEvents[K]): void {
    if (name === "status")
      this.tellStatus({ ...event as SharedStatus, leader: this.host !== undefined });
    else
      this.listener.event(name, event);
  }

  private say(word: Word): void {
    if (!this.isOver)
      this.channel.postMessage({ v: this.version, ...word });
  }

  /** Counts by its own clock's ticks: a tab that was itself asleep has not waited. */
  private async watch(): Promise<void> {
    for (;;) {
      await pause(pingEveryMs * (0.9 + Math.random() / 5), this.closing.signal);
      if (this.closing.signal.aborted || this.outdated)
        return;
      if (this.lead || (this.asked.size === 0 && typeof document !== "undefined" && document.visibilityState === "hidden")) {
        this.silence = 0;
        continue;
      }
      if (++this.silence > patience) {
        this.silence = 0;
        this.steal = true;
        this.queued?.abort();
      } else {
        this.say({ kind: "ping" });
      }
    }
  }

  /** A page that is put away, but not gone, lets another lead. */
  private mindThePage(): void {
    if (typeof document === "undefined")
      return;
    const leave = () => this.lead?.resolve();
    document.addEventListener("freeze", leave, { signal: this.closing.signal });
    addEventListener("pagehide", leave, { signal: this.closing.signal });
  }

  /** A tab of a later version is there. */
  private giveUp(): void {
    this.outdated = true;
    this.queued?.abort();
    this.lead?.resolve();
    this.failAll(outdated());
    this.opened.reject(outdated());
    this.listener.event("warning", warningOf("tabs", "outdated", outdated()));
  }

  private failAll(error: SecureMessagingError): void {
    for (const { answer } of this.asked.values())
      answer.reject(error);
    this.asked.clear();
  }
}

const closed = () => SecureMessagingError.of("Unavailable", "The client is closed.");
const outdated = () => SecureMessagingError.of("Conflict", "A tab of a later version is open: load this one anew.");
