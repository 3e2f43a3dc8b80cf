import type { Person, SharedClient, SharedEvents, SharedStatus, TrustLine } from "../src/base/sdk.js";

/** The part of a browser's storage that the state uses. */
class MemoryStorage {
  [name: string]: unknown;

  getItem(name: string): string | null {
    return Object.hasOwn(this, name) ? (this[name] as string) : null;
  }

  setItem(name: string, value: string): void {
    this[name] = value;
  }

  removeItem(name: string): void {
    delete this[name];
  }
}

/** Defines the globals of a page. With `keep`, the page has the local storage of the former one. */
export function newPage(keep: boolean): Record<string, string> {
  const target = globalThis as unknown as Record<string, unknown>;
  if (!keep) target.localStorage = new MemoryStorage();
  Object.defineProperty(target, "navigator", { value: { languages: ["en-GB"] }, configurable: true });
  Object.assign(target, {
    sessionStorage: new MemoryStorage(),
    window: { addEventListener: () => undefined },
    location: { origin: "https://chat.example.org", hash: "" },
    history: { replaceState: () => undefined, pushState: () => undefined },
  });
  return target.localStorage as Record<string, string>;
}

// Some modules use the globals when they are loaded.
newPage(false);

/** A client whose behaviour a test controls. */
export class FakeClient {
  status: SharedStatus = { state: "signedOut", connected: false, unsent: 0, leader: true };
  readonly calls: string[] = [];
  readonly drafts = new Map<string, string>();
  readonly sent = new Map<string, string>();
  /** Whether `send` never resolves, as for a closed page. */
  hangs = false;
  /** The errors of the next calls of `send`. */
  readonly failures: unknown[] = [];
  readonly key = new Uint8Array(32).fill(7);
  private readonly listeners: ((status: SharedStatus) => void)[] = [];

  get shared(): SharedClient {
    return this as unknown as SharedClient;
  }

  on(name: keyof SharedEvents, listener: (event: never) => void): () => void {
    if (name === "status") this.listeners.push(listener as (status: SharedStatus) => void);
    return () => undefined;
  }

  become(status: Partial<SharedStatus>): void {
    this.status = { state: "signedOut", connected: false, unsent: 0, leader: true, ...status };
    for (const listener of this.listeners) listener(this.status);
  }

  async signIn({ username }: { username: string }): Promise<void> {
    this.become({ state: "ready", userId: username, username: username.split("@")[0]! });
  }

  async signOut(options?: { wipe?: boolean }): Promise<void> {
    const { username } = this.status;
    this.become(options?.wipe || username === undefined ? {} : { username });
  }

  async send(_: string, text: string, { id }: { id: string }): Promise<string> {
    if (this.hangs) return new Promise(() => undefined);
    if (this.failures.length > 0) throw this.failures.shift();
    this.sent.set(id, text);
    return id;
  }

  async secret(): Promise<Uint8Array> {
    return this.key;
  }

  async draft(roomId: string): Promise<string> {
    return this.drafts.get(roomId) ?? "";
  }

  async setDraft(roomId: string, text: string): Promise<void> {
    this.drafts.set(roomId, text);
  }

  async conversations(): Promise<never[]> {
    return [];
  }

  async people(): Promise<Person[]> {
    return [];
  }

  /** What this device has noticed about the user's own devices. */
  readonly ownLines: TrustLine[] = [];
  readonly names: Record<string, string> = {};

  async personLines(): Promise<TrustLine[]> {
    return [...this.ownLines];
  }

  async sessions(): Promise<never[]> {
    return [];
  }

  async deviceNames(): Promise<Record<string, string>> {
    return { ...this.names };
  }

  async close(): Promise<void> {
    this.calls.push("close");
  }
}
