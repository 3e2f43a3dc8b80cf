import { Emitter } from "../base/events.js";
import { keys, pack, read, type Store } from "../store/store.js";

/**
 * The signals that this device sends besides messages. When one is off, it is neither sent nor shown: a user who does not send it does not see it of others.
 */
export interface PrivacySettings {
  /** Whether others learn how far this user has read. */
  readReceipts: boolean;
  /** Whether others learn that this user is typing. */
  typing: boolean;
}

/** The privacy settings of this device. They stay in its store: the server does not learn them, and another device of the user has its own. */
export class Privacy {
  /** @internal */
  readonly events = new Emitter<{ changed: undefined }>();

  private constructor(
    private readonly store: Store,
    private current: PrivacySettings,
  ) {}

  /** @internal */
  static async load(store: Store): Promise<Privacy> {
    return new Privacy(store, { readReceipts: true, typing: true, ...(await read<Partial<PrivacySettings>>(store, keys.privacy)) });
  }

  /** The current settings. Both are on by default. */
  get settings(): Readonly<PrivacySettings> {
    return this.current;
  }

  /** Changes the settings. */
  async set(change: Partial<PrivacySettings>): Promise<void> {
    const { readReceipts, typing } = { ...this.current, ...change };
    const next = { readReceipts, typing };
    await this.store.write(new Map([[keys.privacy, pack(next)]]));
    this.current = next;
    this.events.emit("changed", undefined);
  }
}
