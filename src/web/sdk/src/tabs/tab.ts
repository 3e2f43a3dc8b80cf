import { newId } from "../base/bytes.js";
import { Emitter } from "../base/events.js";
import { toConsole } from "../base/warnings.js";
import type { Listener, TabLink } from "./link.js";
import { methods, type Method } from "./methods.js";
import type { SharedClient } from "./sharedClient.js";
import type { SharedEvents } from "./sharedEvents.js";
import type { SharedStatus } from "./status.js";

/** One tab's client: each call becomes a message to the leader, which may be in this tab. @internal */
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- the constructor defines each of these methods
export class Tab extends Emitter<SharedEvents> implements Listener {
  link!: TabLink;
  private current: SharedStatus = { state: "signedOut", connected: false, unsent: 0, leader: false };

  constructor() {
    super();
    for (const method of methods)
      Object.defineProperty(this, method, {
        value: (...args: unknown[]) =>
          this.link.ask({
            id: newId(),
            method,
            args,
            repeated: false,
            ...(this.current.userId === undefined ? {} : { userId: this.current.userId }),
          }),
      });
  }

  get status(): SharedStatus {
    return this.current;
  }

  /** Called by the link. */
  statusChanged(status: SharedStatus): void {
    this.emit("status", (this.current = status));
  }

  event<K extends keyof SharedEvents>(name: K, event: SharedEvents[K]): void {
    if (name === "warning" && !this.hasListener(name)) toConsole(event as SharedEvents["warning"]);
    else this.emit(name, event);
  }

  close(): Promise<void> {
    return this.link.close();
  }
}

/** The methods that the constructor defines. @internal */
export interface Tab extends Pick<SharedClient, Method> {}
