import type { SharedClient, TrustLine } from "../base/sdk.js";
import { Cell, coalesce } from "../base/cell.js";
import { keep, recall } from "../browser/storage.js";

/** A change of this user's devices that another device has made, and that the user has not looked at here. */
export interface DeviceNews {
  at: number;
  kind: "added" | "removed" | "newKeys" | "identity";
  /** The last known names of the devices that it is about. */
  devices: string[];
  /** The last known name of the device that has made it. */
  by?: string;
}

/**
 * Changes of this user's devices, for a notice on each other device: an attacker who has added a device must be seen. A change stays until the user has looked
 * at it in this browser.
 */
export class OwnDevices {
  readonly news = new Cell<readonly DeviceNews[]>([]);

  /** Where the browser blocks storage, what was seen is known until the page is closed. */
  private seenHere: number | undefined;

  /** @param store - The name of the account's store. */
  constructor(
    private readonly client: SharedClient,
    private readonly store: string,
    private readonly now: () => number = Date.now,
  ) {
    client.on("devicesChanged", () => void this.refresh());
  }

  readonly refresh = coalesce(async () => {
    const { state, userId, deviceId } = this.client.status;
    if (state !== "ready" || userId === undefined || deviceId === undefined) return;
    const seen = this.seen;
    // What happened before this device took part is no news to it.
    if (seen === undefined) {
      this.setSeen(this.now());
      return;
    }
    const lines = await this.client.personLines(userId);
    const fresh = lines.filter((line) => line.at > seen && line.signer !== deviceId && !line.added?.includes(deviceId));
    const names = fresh.length > 0 ? await this.names() : {};
    this.news.set(fresh.flatMap((line) => newsOf(line, names)));
  });

  /** The newest names; without a connection, the last known ones. */
  private async names(): Promise<Record<string, string>> {
    await this.client.sessions().catch((error: unknown) => console.warn("The names of the devices could not be read:", error));
    return this.client.deviceNames();
  }

  /** The user has looked at the news. */
  acknowledge(): void {
    this.setSeen(Math.max(this.seen ?? 0, ...this.news.get().map(({ at }) => at)));
    this.news.set([]);
  }

  private get key(): string {
    return `devicesSeen-${this.store}`;
  }

  private get seen(): number | undefined {
    const stored = recall(localStorage, this.key);
    return stored === undefined ? this.seenHere : Number(stored);
  }

  private setSeen(at: number): void {
    this.seenHere = at;
    keep(localStorage, this.key, String(at));
  }
}

function newsOf({ at, kind, added = [], removed = [], newKeys = [], signer }: TrustLine, names: Record<string, string>): DeviceNews[] {
  const named = (ids: string[]): string[] => ids.flatMap((id) => names[id] ?? []);
  const by = signer === undefined ? undefined : names[signer];
  const about = { at, ...(by === undefined ? {} : { by }) };
  if (kind === "identityRenewed") return [{ ...about, kind: "identity", devices: [] }];
  if (kind !== "devices") return [];
  const all: [DeviceNews["kind"], string[]][] = [
    ["added", added],
    ["removed", removed],
    ["newKeys", newKeys],
  ];
  return all.flatMap(([change, ids]) => (ids.length > 0 ? [{ ...about, kind: change, devices: named(ids) }] : []));
}
