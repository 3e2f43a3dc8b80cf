import { keys, pack, read, type Store } from "./store/store.js";

/** What this device tells others beside messages. What is off is neither sent nor shown: who does not tell does not see others tell either. */
export interface PrivacySettings {
  /** How far this user has read. */
  readReceipts: boolean;
  /** That this user types. */
  typing: boolean;
}

/** The settings of this device for what others learn beside messages. They stay in its store and are not told to the server; another device of the user has its own. */
export class Privacy {
  /** @internal */
  onChanged: (() => void) | undefined;

  private constructor(private readonly store: Store, private current: PrivacySettings) {}

  /** @internal */
  static async load(store: Store): Promise<Privacy> {
    return new Privacy(store, { readReceipts: true, typing: true, ...await read<Partial<PrivacySettings>>(store, keys.privacy) });
  }

  /** As they are now; both are on until they are turned off. */
  get settings(): Readonly<PrivacySettings> {
    return this.current;
  }

  /** Turns them on or off, from now on. */
  async set(change: Partial<PrivacySettings>): Promise<void> {
    const { readReceipts, typing } = { ...this.current, ...change };
    const next = { readReceipts, typing };
    await this.store.write(new Map([[keys.privacy, pack(next)]]));
    this.current = next;
    this.onChanged?.();
  }
}
