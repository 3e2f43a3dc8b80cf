import { SecureMessagingError } from "../base/errors.js";
import { defer, type Deferred } from "../base/timing.js";
import { warningOf } from "../base/warnings.js";
import { closed, type Listener, type TabLink, type TabOptions } from "./link.js";
import type { Call } from "./methods.js";
import { followPage } from "./page.js";
import type { Channel, FromWorker, ToWorker } from "./workerProtocol.js";

/** A worker, or in tests one end of a `MessageChannel`. @internal */
export interface WorkerChannel extends Channel {
  onerror?: ((event: ErrorEvent) => void) | null;
  terminate?(): void;
}

/** The page's end: a coordinator that runs in a worker. @internal */
export class WorkerLink implements TabLink {
  private readonly asked = new Map<string, Deferred<unknown>>();
  private readonly ready = defer<void>();
  private readonly opened = defer<void>();
  private readonly over = defer<void>();
  private readonly closing = new AbortController();

  private constructor(
    private readonly worker: WorkerChannel,
    private readonly listener: Listener,
  ) {
    worker.onmessage = ({ data }: MessageEvent) => this.handle(data as FromWorker);
    worker.onerror = (event) => {
      const error = new Error(event.message || "The worker's program could not be loaded.");
      this.ready.reject(error);
      // After the start, an exception ends one task of the worker and not the worker.
      this.listener.event("warning", warningOf("tabs", "workerFailed", error));
    };
  }

  /**
   * Starts the worker and opens the store in it. Undefined when the worker's program does not run here: then the page runs the client itself.
   * @throws {@link SecureMessagingError} as `openSharedClient`.
   */
  static async start(create: () => WorkerChannel, name: string, options: TabOptions, listener: Listener): Promise<WorkerLink | undefined> {
    let link: WorkerLink;
    try {
      link = new WorkerLink(create(), listener);
    } catch (error) {
      listener.event("warning", warningOf("tabs", "workerFailed", error));
      return undefined;
    }
    try {
      await link.ready.promise;
    } catch {
      // The handler of the worker's error has reported it.
      link.worker.terminate?.();
      return undefined;
    }
    const { signal } = link.closing;
    link.post({ kind: "open", name, options });
    followPage({ setHidden: (hidden) => link.post({ kind: "hidden", hidden }), leave: () => link.post({ kind: "leave" }) }, signal);
    try {
      await link.opened.promise;
    } catch (error) {
      link.closing.abort();
      link.worker.terminate?.();
      throw error;
    }
    return link;
  }

  ask(call: Call): Promise<unknown> {
    if (this.closing.signal.aborted) return Promise.reject(closed());
    const answer = defer<unknown>();
    this.asked.set(call.id, answer);
    try {
      this.post({ kind: "call", call });
    } catch (error) {
      this.asked.delete(call.id);
      answer.reject(SecureMessagingError.of("Invalid", "Only plain data can be passed between tabs.", error));
    }
    return answer.promise;
  }

  async close(): Promise<void> {
    if (!this.closing.signal.aborted) {
      this.closing.abort();
      for (const answer of this.asked.values()) answer.reject(closed());
      this.asked.clear();
      this.post({ kind: "close" });
    }
    await this.over.promise;
    this.worker.terminate?.();
  }

  private handle(message: FromWorker): void {
    switch (message.kind) {
      case "ready":
        this.ready.resolve();
        break;
      case "opened":
        if (message.error) this.opened.reject(new SecureMessagingError(message.error));
        else this.opened.resolve();
        break;
      case "status":
        this.listener.statusChanged(message.status);
        break;
      case "event":
        this.listener.event(message.name, message.event as never);
        break;
      case "answer": {
        const answer = this.asked.get(message.id);
        this.asked.delete(message.id);
        if (message.error) answer?.reject(new SecureMessagingError(message.error));
        else answer?.resolve(message.value);
        break;
      }
      case "closed":
        this.over.resolve();
        break;
    }
  }

  private post(message: ToWorker): void {
    this.worker.postMessage(message);
  }
}
