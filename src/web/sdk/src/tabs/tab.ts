import { newId } from "../bytes.js";
import { Emitter } from "../events.js";
import { toConsole } from "../warnings.js";
import { methods, type Method } from "./calls.js";
import type { Listener, Share } from "./share.js";
import type { SharedClient, SharedEvents, SharedStatus } from "./shared.js";

/** A tab's side: every call becomes a message to whoever leads, who may be this tab. @internal */
export class Tab extends Emitter<SharedEvents> implements Listener {
  share!: Share;
  private current: SharedStatus = { state: "signedOut", connected: false, unsent: 0, leader: false };

  constructor() {
    super();
    for (const method of methods)
      Object.defineProperty(this, method, { value: (...args: unknown[]) => this.share.ask({
        id: newId(), method, args, repeated: false, ...(this.current.userId === undefined ? {} : { userId: this.current.userId }),
      }) });
  }

  get status(): SharedStatus {
    return this.current;
  }

  /** Told by the share. */
  told(status: SharedStatus): void {
    this.emit("status", this.current = status);
  }

  event<K extends keyof SharedEvents>(name: K, event: SharedEvents[K]): void {
    if (name === "warning" && !this.hears(name))
      toConsole(event as SharedEvents["warning"]);
    else
      this.emit(name, event);
  }

  close(): Promise<void> {
    return this.share.close();
  }
}

/** The calls are there by name. @internal */
export interface Tab extends Pick<SharedClient, Method> {}
