import { newId } from "../base/bytes.js";
import { SecureMessagingError, toBody, type ErrorBody } from "../base/errors.js";
import { lockOf, requireBrowserStore } from "../store/browserDatabase.js";
import { IndexedDbStore } from "../store/indexedDb.js";
import { Backoff, defer, pause, type Deferred } from "../base/timing.js";
import { bodyOf, FailureReporter, warningOf } from "../base/warnings.js";
import { perform } from "./calls.js";
import { Leader } from "./leader.js";
import { closed, type Listener, type TabLink, type TabOptions } from "./link.js";
import type { Call } from "./methods.js";
import { followPage, type PageListener } from "./page.js";
import type { SharedEvents } from "./sharedEvents.js";
import type { SharedStatus } from "./status.js";

/** The version of the messages between tabs. A later version may add fields and kinds that this one can ignore; any other change needs a higher number. */
export const protocolVersion = 3;

type TabMessage =
  /** A tab has started, and asks for the leader. */
  | { kind: "hello"; from: string }
  /** A tab has the lock and opens the store. */
  | { kind: "starts" }
  /** A tab leads and accepts calls. The higher term belongs to the later opening of the store; writes of the earlier leader fail. */
  | { kind: "leads"; term: number; status: Omit<SharedStatus, "leader"> }
  | { kind: "call"; from: string; term: number; call: Call }
  | { kind: "answer"; term: number; id: string; value?: unknown; error?: ErrorBody }
  | { kind: "event"; term: number; name: keyof SharedEvents; event: unknown }
  /** Asks whether the leader is alive. It answers with `starts` or `leads`. */
  | { kind: "ping" };

interface Asked {
  call: Call;
  answer: Deferred<unknown>;
  term?: number;
}

const pingEveryMs = 2_000;
/** After this many pings without an answer, the leader counts as frozen. */
const patience = 3;

/**
 * Coordinates one tab with the others. The tab that holds the store's lock leads. The asking tab keeps each call until it is answered and repeats it to each
 * new leader; by its id the leader recognises what was done already. The store rejects the writes of a leader that was wrongly considered dead. @internal
 */
export class TabCoordinator implements TabLink, PageListener {
  private readonly id = newId();
  private readonly channel: BroadcastChannel;
  private readonly inbox: BroadcastChannel;
  private readonly asked = new Map<string, Asked>();
  private readonly running = new Set<string>();
  private readonly closing = new AbortController();
  private readonly opened = defer<void>();
  private readonly over = defer<void>();
  private isOver = false;
  /** The term of the newest known leader. Only its answers count. */
  private term = 0;
  private leader: Leader | undefined;
  /** Resolves to end this tab's leadership. */
  private lead: Deferred<void> | undefined;
  private queued: AbortController | undefined;
  private silence = 0;
  private steal = false;
  private outdated = false;
  private isHidden = false;
  private status: SharedStatus = { state: "signedOut", connected: false, unsent: 0, leader: false };

  private constructor(
    private readonly name: string,
    private readonly options: TabOptions,
    private readonly listener: Listener,
    private readonly version: number,
  ) {
    this.channel = new BroadcastChannel(lockOf(name));
    this.inbox = new BroadcastChannel(`${lockOf(name)}:${this.id}`);
    this.channel.onmessage = this.inbox.onmessage = (event: MessageEvent) => this.handle(event.data as TabMessage & { v: number });
  }

  static async join(name: string, options: TabOptions, listener: Listener, version = protocolVersion): Promise<TabCoordinator> {
    requireBrowserStore();
    const coordinator = new TabCoordinator(name, options, listener, version);
    coordinator.post({ kind: "hello", from: coordinator.id });
    void coordinator.run();
    void coordinator.watch();
    followPage(coordinator, coordinator.closing.signal);
    try {
      await coordinator.opened.promise;
    } catch (error) {
      await coordinator.close();
      throw error;
    }
    return coordinator;
  }

  ask(call: Call): Promise<unknown> {
    if (this.outdated) return Promise.reject(outdated());
    if (this.closing.signal.aborted) return Promise.reject(closed());
    const asked: Asked = { call, answer: defer() };
    this.asked.set(call.id, asked);
    this.put(asked);
    return asked.answer.promise;
  }

  setHidden(hidden: boolean): void {
    this.isHidden = hidden;
  }

  leave(): void {
    this.lead?.resolve();
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
    const reporter = new FailureReporter((error) => this.listener.event("warning", warningOf("store", "storeFailed", error, { retrying: true })));
    while (!this.closing.signal.aborted && !this.outdated) {
      const { steal } = this;
      this.steal = false;
      this.queued = new AbortController();
      try {
        await navigator.locks.request(lockOf(this.name), steal ? { steal } : { signal: this.queued.signal }, () => this.leadUntilLost());
      } catch (error) {
        // AbortError: the lock was stolen, or this tab shall steal it. Any other error comes from the store.
        if (!(error instanceof DOMException && error.name === "AbortError")) {
          this.opened.reject(error);
          reporter.report(error);
          this.tellStatus({ ...this.status, connected: false, leader: false, storeError: bodyOf(error) });
          await backoff.pause(500, this.closing.signal);
        }
      }
      await this.stepDown();
    }
    this.over.resolve();
  }

  private tellStatus(status: SharedStatus): void {
    this.listener.statusChanged((this.status = status));
  }

  private async leadUntilLost(): Promise<void> {
    if (this.closing.signal.aborted || this.outdated) return;
    const lead = (this.lead = defer<void>());
    this.post({ kind: "starts" });
    const store = await IndexedDbStore.openHeld(this.name, () => undefined);
    const { turn: term } = store;
    store.onLost = (why) => {
      if (this.lead !== lead) return;
      if (why.code === "StoreFailed") this.listener.event("warning", warningOf("store", "storeDeleted", why));
      void this.stepDown();
    };
    let leader: Leader;
    // Warnings during the opening of the store are kept until there is a listener.
    const early: SharedEvents["warning"][] = [];
    try {
      leader = await Leader.open(store, this.options, (name, event) => {
        if (this.lead === lead && !this.leader && name === "warning") early.push(event as SharedEvents["warning"]);
        else this.notify(term, name, event);
      });
    } catch (error) {
      await store.close();
      throw error;
    }
    if (this.lead !== lead) {
      await leader.close();
      return;
    }
    this.leader = leader;
    this.beReady(term, leader.status);
    this.post({ kind: "leads", term, status: leader.status });
    for (const warning of early) this.notify(term, "warning", warning);
    await lead.promise;
    await this.stepDown();
  }

  /** Another tab leads, or will lead. */
  private async stepDown(): Promise<void> {
    const { leader } = this;
    if (!this.lead) return;
    this.lead.resolve();
    this.lead = this.leader = undefined;
    this.running.clear();
    await leader?.close().catch((error: unknown) => this.listener.event("warning", warningOf("tabs", "notClosed", error)));
    this.post({ kind: "hello", from: this.id });
  }

  private handle(message: TabMessage & { v: number }): void {
    if (this.closing.signal.aborted || this.outdated) return;
    if (message.v > this.version) {
      this.giveUp();
      return;
    }
    if (message.v < this.version) {
      // The other tab learns from this that it is outdated.
      if (message.kind !== "answer") this.post({ kind: "hello", from: this.id });
      return;
    }
    switch (message.kind) {
      case "hello":
      case "ping":
        if (this.leader) this.post({ kind: "leads", term: this.term, status: this.leader.status });
        else if (this.lead) this.post({ kind: "starts" });
        break;
      case "starts":
        this.silence = 0;
        break;
      case "leads":
        // A former leader may not know yet that it has lost the lock. Its messages are ignored.
        if (message.term < this.term) break;
        this.silence = 0;
        if (this.leader && message.term > this.term) void this.stepDown();
        if (!this.leader) this.beReady(message.term, message.status);
        break;
      case "call":
        if (this.leader && message.term === this.term) void this.serve(message.from, message.call, this.leader, message.term);
        break;
      case "answer": {
        const asked = this.asked.get(message.id);
        if (!asked || asked.term !== message.term) break;
        this.silence = 0;
        this.asked.delete(message.id);
        if (message.error) asked.answer.reject(new SecureMessagingError(message.error));
        else asked.answer.resolve(message.value);
        break;
      }
      case "event":
        if (message.term !== this.term || this.leader) break;
        this.silence = 0;
        this.receive(message.name, message.event as never);
        break;
    }
  }

  /** A leader accepts calls: sends it all calls without an answer. */
  private beReady(term: number, status: Omit<SharedStatus, "leader">): void {
    if (this.term !== term) {
      this.term = term;
      this.tellStatus({ ...status, leader: this.leader !== undefined });
      for (const asked of this.asked.values()) this.put(asked);
    }
    this.opened.resolve();
  }

  private put(asked: Asked): void {
    if (this.term === 0) return;
    if (asked.term !== undefined) asked.call = { ...asked.call, repeated: true };
    const term = (asked.term = this.term);
    if (this.leader) {
      void this.carryOut(asked.call, this.leader).then((answer) => {
        if (this.leader && this.term === term) this.handle({ v: this.version, kind: "answer", term, id: asked.call.id, ...answer });
      });
      return;
    }
    try {
      this.post({ kind: "call", from: this.id, term, call: asked.call });
    } catch (error) {
      this.asked.delete(asked.call.id);
      asked.answer.reject(SecureMessagingError.of("Invalid", "Only plain data can be passed between tabs.", error));
    }
  }

  private async serve(from: string, call: Call, leader: Leader, term: number): Promise<void> {
    if (this.running.has(call.id)) return;
    this.running.add(call.id);
    const answer = await this.carryOut(call, leader);
    this.running.delete(call.id);
    // After a change of the leader, the tab asks the new one.
    if (this.leader !== leader) return;
    const to = new BroadcastChannel(`${lockOf(this.name)}:${from}`);
    const message = { v: this.version, kind: "answer", term, id: call.id };
    try {
      to.postMessage({ ...message, ...answer });
    } catch (error) {
      // An answer that cannot be cloned becomes an error, so that the caller does not wait.
      to.postMessage({ ...message, error: bodyOf(error) });
    }
    to.close();
  }

  private async carryOut(call: Call, leader: Leader): Promise<{ value?: unknown; error?: ErrorBody }> {
    try {
      return { value: await perform(leader, call) };
    } catch (error) {
      return {
        error: toBody(
          error instanceof SecureMessagingError ? error : SecureMessagingError.of("Internal", error instanceof Error ? error.message : String(error)),
        ),
      };
    }
  }

  private notify<K extends keyof SharedEvents>(term: number, name: K, event: SharedEvents[K]): void {
    if (!this.leader || this.term !== term) return;
    this.post({ kind: "event", term, name, event });
    this.receive(name, event);
  }

  private receive<K extends keyof SharedEvents>(name: K, event: SharedEvents[K]): void {
    if (name === "status") this.tellStatus({ ...(event as SharedStatus), leader: this.leader !== undefined });
    else this.listener.event(name, event);
  }

  private post(message: TabMessage): void {
    if (!this.isOver) this.channel.postMessage({ v: this.version, ...message });
  }

  /** Counts its own wake-ups: a tab that was asleep has not waited. */
  private async watch(): Promise<void> {
    for (;;) {
      await pause(pingEveryMs * (0.9 + Math.random() / 5), this.closing.signal);
      if (this.closing.signal.aborted || this.outdated) return;
      if (this.lead || (this.asked.size === 0 && this.isHidden)) {
        this.silence = 0;
        continue;
      }
      if (++this.silence > patience) {
        this.silence = 0;
        this.steal = true;
        this.queued?.abort();
      } else {
        this.post({ kind: "ping" });
      }
    }
  }

  /** A tab of a later version has started. */
  private giveUp(): void {
    this.outdated = true;
    this.queued?.abort();
    this.lead?.resolve();
    this.failAll(outdated());
    this.opened.reject(outdated());
    this.listener.event("warning", warningOf("tabs", "outdated", outdated()));
  }

  private failAll(error: SecureMessagingError): void {
    for (const { answer } of this.asked.values()) answer.reject(error);
    this.asked.clear();
  }
}

const outdated = () => SecureMessagingError.of("Conflict", "A tab with a later version of the app is open. Reload this page.");
