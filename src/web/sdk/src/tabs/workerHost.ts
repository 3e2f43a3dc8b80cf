import { bodyOf } from "../base/warnings.js";
import { TabCoordinator } from "./coordinator.js";
import type { Listener, TabOptions } from "./link.js";
import type { Channel, FromWorker, ToWorker } from "./workerProtocol.js";

/** The worker's end: runs one tab's coordinator and passes on its status, events and answers. @internal */
export class WorkerHost implements Listener {
  /** Undefined when the store could not be opened. The page learns it from `opened`. */
  private joined: Promise<TabCoordinator | undefined> = Promise.resolve(undefined);

  private constructor(private readonly channel: Channel) {
    channel.onmessage = ({ data }: MessageEvent) => void this.handle(data as ToWorker);
    this.post({ kind: "ready" });
  }

  static serve(channel: Channel): WorkerHost {
    return new WorkerHost(channel);
  }

  statusChanged: Listener["statusChanged"] = (status) => this.post({ kind: "status", status });

  event: Listener["event"] = (name, event) => this.post({ kind: "event", name, event });

  private async handle(message: ToWorker): Promise<void> {
    if (message.kind === "open") {
      this.joined = this.open(message.name, message.options);
      return;
    }
    const coordinator = await this.joined;
    switch (message.kind) {
      case "call": {
        const { id } = message.call;
        if (!coordinator) break;
        try {
          this.post({ kind: "answer", id, value: await coordinator.ask(message.call) });
        } catch (error) {
          this.post({ kind: "answer", id, error: bodyOf(error) });
        }
        break;
      }
      case "hidden":
        coordinator?.setHidden(message.hidden);
        break;
      case "leave":
        coordinator?.leave();
        break;
      case "close":
        await coordinator?.close();
        this.post({ kind: "closed" });
        break;
    }
  }

  private async open(name: string, options: TabOptions): Promise<TabCoordinator | undefined> {
    try {
      const coordinator = await TabCoordinator.join(name, options, this);
      this.post({ kind: "opened" });
      return coordinator;
    } catch (error) {
      this.post({ kind: "opened", error: bodyOf(error) });
      return undefined;
    }
  }

  private post(message: FromWorker): void {
    this.channel.postMessage(message);
  }
}
