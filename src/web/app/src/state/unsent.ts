import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { SecureMessagingError, type SharedClient } from "../sdk.js";

interface Entry { id: string; userId: string; roomId: string; text: string; replyTo?: string; at: number }

const prefix = "unsent/";
const retryMs = 2_000;
const attempts = 4;
/** So long a draft waits for what was left: by then it is drawn that something is on its way. */
const patienceMs = 1_000;
const nonceBytes = 24;

/**
 * Sends between Enter and the outbox. Nothing that a page can wait for is sure to end when the page is left; what is written to local storage is, because it is written at once. So for the
 * few milliseconds until the outbox has a text, it lies there, encrypted under a key that the SDK keeps in its store, which nothing but this account's device can read. The outbox knows by
 * its id whether it has had it already. What the outbox cannot take, because the store fails, stays here until it can.
 */
export class Unsent {
  /** What is under way in a room: the next waits for it, so that nothing is overtaken. */
  private readonly turns = new Map<string, Promise<unknown>>();
  private recovery: Promise<unknown> = Promise.resolve();
  private key: Uint8Array | undefined;

  /** @param account Tells the accounts of this browser apart. */
  constructor(private readonly client: SharedClient, private readonly account: string) {}

  /** Resolves when what a page that is gone had left has been handed over, or when that takes long. */
  get recovered(): Promise<unknown> {
    return Promise.race([this.recovery, sleep(patienceMs)]);
  }

  /**
   * Resolves once the outbox has it, and the draft that it was is gone. While it is not known whether the outbox takes it, it is asked again. Rejects when it does not; {@link holds} tells
   * whether the text is kept here.
   */
  send(roomId: string, text: string, options: { id: string; replyTo?: string }): Promise<void> {
    const entry: Entry = { ...options, userId: this.client.status.userId ?? "", roomId, text, at: performance.timeOrigin + performance.now() };
    this.write(entry);
    const cleared = this.client.setDraft(roomId, "").catch((error: unknown) => console.warn("The draft of a message that is being sent stays:", error));
    return this.deliver(entry, cleared);
  }

  /** @param cleared The draft that the text was is gone. */
  private deliver(entry: Entry, cleared?: Promise<void>): Promise<void> {
    return this.inTurn(entry.roomId, async () => {
      try {
        await this.put(entry);
        await cleared;
      } catch (error) {
        if (!isForLater(error))
          this.forget(entry.id);
        throw error;
      }
      this.forget(entry.id);
    });
  }

  /** Whether a text that the outbox has not taken is still here. */
  holds(id: string): boolean {
    return this.read(id) !== undefined;
  }

  /** Tries once more what is held. The draft stays: it is another text by now. */
  retry(id: string): Promise<void> {
    const entry = this.read(id);
    return entry ? this.deliver(entry) : Promise.resolve();
  }

  /** Hands over what a page that is gone has left. That page may be another tab that is not gone: each is sent once. */
  recover(): void {
    this.recovery = this.handOverAll().catch((error: unknown) => console.warn("What was being sent when a page was left waits for the next start:", error));
  }

  /** Takes a text away. */
  forget(id: string): void {
    localStorage.removeItem(this.nameOf(id));
  }

  /** The account's data leave this browser. */
  forgetAll(): void {
    for (const name of this.names())
      localStorage.removeItem(name);
  }

  private async handOverAll(): Promise<void> {
    this.key = await this.client.secret("unsent");
    for (const entry of takePlain())
      if (entry.userId === this.client.status.userId)
        this.write(entry);
    const entries = this.names().map((name) => this.read(name.slice(this.nameOf("").length)));
    const left = entries.filter((entry) => entry !== undefined).sort((a, b) => a.at - b.at);
    await Promise.all(left.map((entry) => this.inTurn(entry.roomId, () => this.handOver(entry))));
  }

  private async handOver(entry: Entry): Promise<void> {
    const { roomId, text } = entry;
    if (localStorage.getItem(this.nameOf(entry.id)) === null)
      return;
    try {
      await this.put(entry);
      // What was kept while it was being written.
      const draft = (await this.client.draft(roomId)).trim();
      if (draft !== "" && text.startsWith(draft))
        await this.client.setDraft(roomId, "");
    } catch (error) {
      if (isForLater(error))
        return;
      // Where it was written, for whoever looks.
      if (await this.client.draft(roomId) === "")
        await this.client.setDraft(roomId, text);
    }
    this.forget(entry.id);
  }

  private async put({ id, userId, roomId, text, replyTo }: Entry): Promise<void> {
    for (let failures = 0; ;) {
      // Meanwhile another may have signed in here.
      if ((this.client.status.userId ?? "") !== userId)
        throw new SecureMessagingError({ code: "SignedOut", message: "The author of this text is not signed in any more.", retryable: false });
      try {
        await this.client.send(roomId, text, { id, ...(replyTo === undefined ? {} : { replyTo }) });
        return;
      } catch (error) {
        // What goes wrong in this browser (a full disk, say) is told after some attempts; a leader that is gone is not.
        if (!(error instanceof SecureMessagingError) || !error.retryable || ((error.code === "Internal" || error.code === "StoreFailed") && ++failures === attempts))
          throw error;
      }
      await sleep(retryMs);
    }
  }

  private inTurn(roomId: string, work: () => Promise<void>): Promise<void> {
    const turn = (this.turns.get(roomId) ?? Promise.resolve()).then(work, work);
    this.turns.set(roomId, turn);
    return turn;
  }

  private nameOf(id: string): string {
    return `${prefix}${this.account}/${id}`;
  }

  /** In no order. */
  private names(): string[] {
    return Object.keys(localStorage).filter((name) => name.startsWith(this.nameOf("")));
  }

  private write(entry: Entry): void {
    // In the first moments of a page there is no key yet; then a page that is left at once can lose a text, and nothing is written in the clear.
    if (!this.key)
      return;
    const nonce = crypto.getRandomValues(new Uint8Array(nonceBytes));
    const sealed = xchacha20poly1305(this.key, nonce, encoder.encode(entry.id)).encrypt(encoder.encode(JSON.stringify(entry)));
    try {
      localStorage.setItem(this.nameOf(entry.id), toText(nonce) + toText(sealed));
    } catch (error) {
      console.warn("A text that is being sent is not kept for the case that this page is left at once:", error);
    }
  }

  private read(id: string): Entry | undefined {
    const text = localStorage.getItem(this.nameOf(id));
    if (text === null || !this.key)
      return undefined;
    try {
      const bytes = fromText(text);
      const opened = xchacha20poly1305(this.key, bytes.subarray(0, nonceBytes), encoder.encode(id)).decrypt(bytes.subarray(nonceBytes));
      return JSON.parse(new TextDecoder().decode(opened)) as Entry;
    } catch (error) {
      // Written under the keys of before the account's data were removed here.
      console.warn("A text that was being sent cannot be read any more:", error);
      localStorage.removeItem(this.nameOf(id));
      return undefined;
    }
  }
}

/** Nothing is wrong with the text: a tab of a newer version has taken over, the session has ended, or the store fails. */
const isForLater = (error: unknown): boolean => !(error instanceof SecureMessagingError) || error.retryable || ["Conflict", "SignedOut", "StoreFailed"].includes(error.code);

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const encoder = new TextEncoder();

/** One character a byte: local storage holds text. */
const toText = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
const fromText = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));

/** What earlier versions have left in the clear. It is taken away. */
function takePlain(): Entry[] {
  return Object.keys(localStorage).filter((name) => /^unsent\/[0-9a-f-]{36}$/.test(name)).flatMap((name) => {
    const text = localStorage.getItem(name) ?? "";
    localStorage.removeItem(name);
    try {
      return [{ ...JSON.parse(text) as Entry, id: name.slice(prefix.length) }];
    } catch (error) {
      console.warn("A text that an earlier version was sending cannot be read:", error);
      return [];
    }
  });
}
