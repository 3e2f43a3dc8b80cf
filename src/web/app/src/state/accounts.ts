import { go } from "../browser/routes.js";
import { startClientWorker } from "../browser/scripts.js";
import { keep, recall } from "../browser/storage.js";
import { thisDeviceName } from "../browser/deviceName.js";
import { openSharedClient, SecureMessagingError, type SharedClient } from "../base/sdk.js";
import { AppState } from "./app.js";
import { Cell } from "../base/cell.js";

/** An account with data in this browser. */
export interface Account {
  store: string;
  username: string;
}

interface Entry {
  store: string;
  username?: string | undefined;
}

const listKey = "accounts";
const lastKey = "account";
/** The store name of earlier versions, which had one account for each browser. */
const firstStore = "secure-messaging";

/**
 * The accounts of this browser. Each has its own store: keys, history, lock and tabs. Local storage lists them by username, so that the sign-in screen can
 * show them before a store is opened. A tab keeps its account; a new tab opens the one that was used last.
 */
export class Accounts {
  /** The state of the shown account. */
  readonly app = new Cell<AppState | undefined>(undefined);
  /** The accounts to choose from. */
  readonly list = new Cell<readonly Account[]>([]);
  /** Whether the sign-in screen is shown to choose another account, although one is signed in. */
  readonly choosing = new Cell(false);
  private entries: readonly Entry[] = [];

  constructor(
    private readonly open = (store: string): Promise<SharedClient> =>
      openSharedClient({ url: location.origin, name: store, deviceName: thisDeviceName(), worker: startClientWorker }),
  ) {
    this.load();
    window.addEventListener("storage", (event) => {
      if (event.key === listKey) this.load();
    });
  }

  /** Opens the last account of this tab, or else of this browser. */
  async start(): Promise<void> {
    const last = recall(sessionStorage, lastKey) ?? recall(localStorage, lastKey);
    const entry = this.entries.find(({ store }) => store === last) ?? this.entries[0];
    this.show(await this.openApp(entry?.store ?? firstStore));
  }

  /** Shows an account. It asks for the password when the account is signed out. */
  async choose(store: string): Promise<void> {
    if (store !== this.app.get()?.store) this.show(await this.openApp(store));
    this.choosing.set(false);
  }

  /** Signs in or up. An account that is new in this browser gets its own store, and is shown when the call succeeds. */
  async enter(username: string | undefined, work: (client: SharedClient) => Promise<void>): Promise<void> {
    const known = this.entries.find((entry) => entry.username !== undefined && entry.username === username);
    const store = known?.store ?? this.entries.find((entry) => entry.username === undefined)?.store ?? newStore(this.entries);
    const shown = this.app.get();
    if (shown?.store === store) {
      await work(shown.client);
    } else {
      const app = await this.openApp(store);
      try {
        if (app.client.status.state === "signedOut") await work(app.client);
        // The user has signed in by e-mail to an account that already has a store in this browser.
        const name = app.client.status.username;
        if (known === undefined && this.entries.some((entry) => entry.store !== store && entry.username !== undefined && entry.username === name)) {
          await app.client.signOut({ wipe: true });
          throw new SecureMessagingError({ code: "Conflict", message: "The account already has a store in this browser.", retryable: false });
        }
      } catch (error) {
        await app.close();
        throw error;
      }
      this.show(app);
    }
    this.choosing.set(false);
  }

  /** Deletes all data of an account from this browser, and ends its session. */
  async remove(store: string): Promise<void> {
    const shown = this.app.get();
    const app = shown?.store === store ? shown : await this.openApp(store);
    try {
      await app.client.signOut({ wipe: true });
      app.unsent.forgetAll();
    } finally {
      if (app !== shown) await app.close();
    }
    this.remember(store, undefined);
  }

  private async openApp(store: string): Promise<AppState> {
    const app = new AppState(await this.open(store), store);
    app.status.subscribe(() => this.remember(store, app.status.get().username));
    this.remember(store, app.status.get().username);
    return app;
  }

  private show(app: AppState): void {
    const before = this.app.get();
    keep(sessionStorage, lastKey, app.store);
    keep(localStorage, lastKey, app.store);
    if (before) go({ at: "list" }, { replace: true });
    this.app.set(app);
    before?.close().catch((error: unknown) => console.warn("The former account could not be closed:", error));
  }

  /** @param username - The account with data in the store; undefined when there is none. */
  private remember(store: string, username: string | undefined): void {
    this.load();
    const known = this.entries.find((entry) => entry.store === store);
    if (known && known.username === username) return;
    this.entries = known ? this.entries.map((entry) => (entry === known ? { store, username } : entry)) : [...this.entries, { store, username }];
    keep(localStorage, listKey, JSON.stringify(this.entries));
    this.publish();
  }

  private load(): void {
    const stored = recall(localStorage, listKey);
    if (stored === undefined) return;
    try {
      const value: unknown = JSON.parse(stored);
      this.entries = Array.isArray(value) ? value.filter(isEntry) : [];
    } catch (error) {
      console.warn("The list of accounts could not be read. It is empty now:", error);
      this.entries = [];
    }
    this.publish();
  }

  private publish(): void {
    const next = this.entries.filter((entry): entry is Account => entry.username !== undefined);
    if (JSON.stringify(next) !== JSON.stringify(this.list.get())) this.list.set(next);
  }
}

const isEntry = (value: unknown): value is Entry =>
  typeof value === "object" &&
  value !== null &&
  "store" in value &&
  typeof value.store === "string" &&
  (!("username" in value) || typeof value.username === "string");

const newStore = (entries: readonly Entry[]): string => (entries.length === 0 ? firstStore : `${firstStore}-${crypto.randomUUID()}`);
