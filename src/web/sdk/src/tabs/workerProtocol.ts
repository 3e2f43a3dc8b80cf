import type { ErrorBody } from "../base/errors.js";
import type { TabOptions } from "./link.js";
import type { Call } from "./methods.js";
import type { SharedEvents } from "./sharedEvents.js";
import type { SharedStatus } from "./status.js";

/** What a page tells its worker. Both come from one build, so there is no version. @internal */
export type ToWorker =
  | { kind: "open"; name: string; options: TabOptions }
  | { kind: "call"; call: Call }
  | { kind: "hidden"; hidden: boolean }
  | { kind: "leave" }
  | { kind: "close" };

/** What a worker tells its page. @internal */
export type FromWorker =
  /** The program of the worker runs. */
  | { kind: "ready" }
  | { kind: "opened"; error?: ErrorBody }
  | { kind: "status"; status: SharedStatus }
  | { kind: "event"; name: keyof SharedEvents; event: unknown }
  | { kind: "answer"; id: string; value?: unknown; error?: ErrorBody }
  | { kind: "closed" };

/** One end of the channel between a page and its worker: a `Worker`, a worker's global scope or a `MessagePort`. @internal */
export interface Channel {
  postMessage(message: unknown): void;
  onmessage: ((event: MessageEvent) => void) | null;
}
