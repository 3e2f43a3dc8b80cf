import { Emitter } from "../base/events.js";
import type { Session } from "../net/session.js";
import { keys, pack, read, type Store } from "../store/store.js";

/** What this user lets others and the server know besides messages. */
export interface PrivacySettings {
  /** Whether others learn how far this user has read. Off: this device neither sends read receipts nor shows those of others. */
  readReceipts: boolean;
  /** Whether others learn that this user is typing. Off: this device neither sends typing signals nor shows those of others. */
  typing: boolean;
  /** Whether the server stores how far this account has received each room. It holds for the whole account, and the server keeps it. */
  deliveryCursor: boolean;
}

interface Stored {
  deliveryCursor: boolean;
}

/**
 * The privacy settings. `readReceipts` and `typing` are of this device: they stay in its store, the server does not learn them, and another device of the user
 * has its own. `deliveryCursor` is of the account.
 */
export class Privacy {
  /** @internal */
  readonly events = new Emitter<{ changed: undefined }>();

  private constructor(
    private readonly session: Pick<Session, "call">,
    private readonly store: Store,
    private current: PrivacySettings,
  ) {}

  /** @internal */
  static async load(session: Pick<Session, "call">, store: Store): Promise<Privacy> {
    const known = await read<Partial<PrivacySettings>>(store, keys.privacy);
    return new Privacy(session, store, { readReceipts: true, typing: true, deliveryCursor: true, ...known });
  }

  /** The current settings. All are on by default. Another device may have changed `deliveryCursor`: {@link Privacy.refresh} reads it. */
  get settings(): Readonly<PrivacySettings> {
    return this.current;
  }

  /** Changes the settings. @throws {@link SecureMessagingError} when `deliveryCursor` is among them and the server does not answer: then nothing changes. */
  async set(change: Partial<PrivacySettings>): Promise<void> {
    const { readReceipts, typing, deliveryCursor } = { ...this.current, ...change };
    if (change.deliveryCursor !== undefined) await this.session.call("PUT", "v1/me/privacy", { deliveryCursor });
    await this.keep({ readReceipts, typing, deliveryCursor });
  }

  /** Reads from the server what holds for the whole account. */
  async refresh(): Promise<void> {
    const { deliveryCursor } = await this.session.call<Stored>("GET", "v1/me/privacy");
    if (deliveryCursor !== this.current.deliveryCursor) await this.keep({ ...this.current, deliveryCursor });
  }

  private async keep(next: PrivacySettings): Promise<void> {
    await this.store.write(new Map([[keys.privacy, pack(next)]]));
    this.current = next;
    this.events.emit("changed", undefined);
  }
}
