import { newId } from "../bytes.js";
import { Emitter } from "../events.js";
import { methods, type Call, type Method } from "./calls.js";
import type { SharedClient, SharedEvents, SharedStatus } from "./shared.js";

/** A tab's side: every call becomes a message to whoever leads, who may be this tab. @internal */
export class Tab extends Emitter<SharedEvents> {
  status: SharedStatus = { state: "signedOut", connected: false, unsent: 0, leader: false };

  constructor(ask: (call: Call) => Promise<unknown>) {
    super();
    for (const method of methods)
      Object.defineProperty(this, method, { value: (...args: unknown[]) => ask({ id: newId(), method, args, repeated: false }) });
  }

  /** @internal */
  receive<K extends keyof SharedEvents>(name: K, event: SharedEvents[K], leads: boolean): void {
    if (name === "status")
      this.emit("status", this.status = { ...event as SharedStatus, leader: leads });
    else
      this.emit(name, event);
  }
}

/** @internal The calls are there by name. */
export interface Tab extends Pick<SharedClient, Method> {}
