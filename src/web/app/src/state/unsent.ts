import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { SecureMessagingError, type Reference, type SharedClient } from "../base/sdk.js";

interface Entry {
  id: string;
  userId: string;
  roomId: string;
  text: string;
  replyTo?: Reference;
  at: number;
}

const prefix = "unsent/";
const retryMs = 2_000;
const attempts = 4;
/** How long a draft waits for the recovery of unsent texts. After it, they are visible in the room anyway. */
const patienceMs = 1_000;
const nonceBytes = 24;

/**
 * Texts between Enter and the outbox. An asynchronous write may not finish when the user leaves the page; a write to local storage is synchronous. So a text is
 * kept there for the milliseconds until the outbox has it, encrypted with a key from the SDK's store. The outbox recognises a repeated text by its id.
 * If the outbox cannot store it, it stays here until it can.
 */
export class Unsent {
  /** The running work for each room: sends keep their order. */
  private readonly turns = new Map<string, Promise<unknown>>();
  private recovery: Promise<unknown> = Promise.resolve();
  private key: Uint8Array | undefined;

  /** @param account - The name of the account's store. */
  constructor(
    private readonly client: SharedClient,
    private readonly account: string,
  ) {}

  /** Resolves when the texts of a closed page are in the outbox, or after a timeout. */
  get recovered(): Promise<unknown> {
    return Promise.race([this.recovery, sleep(patienceMs)]);
  }

  /**
   * Resolves when the outbox has the text and its draft is deleted. Retries while the outcome is unknown. Rejects when the outbox does not store it; {@link
   * holds} says whether the text is still here.
   */
  send(roomId: string, text: string, options: { id: string; replyTo?: Reference }): Promise<void> {
    const entry: Entry = { ...options, userId: this.client.status.userId ?? "", roomId, text, at: performance.timeOrigin + performance.now() };
    this.write(entry);
    const cleared = this.client.setDraft(roomId, "").catch((error: unknown) => console.warn("The draft of a sent message could not be deleted:", error));
    return this.deliver(entry, cleared);
  }

  /** @param cleared - Resolves when the draft of the text is deleted. */
  private deliver(entry: Entry, cleared?: Promise<void>): Promise<void> {
    return this.inTurn(entry.roomId, async () => {
      try {
        await this.put(entry);
        await cleared;
      } catch (error) {
        if (!isForLater(error)) this.forget(entry.id);
        throw error;
      }
      this.forget(entry.id);
    });
  }

  /** Whether a text is here that the outbox has not stored. */
  holds(id: string): boolean {
    return this.read(id) !== undefined;
  }

  /** Tries to send a text again. The draft stays: it is another text by now. */
  retry(id: string): Promise<void> {
    const entry = this.read(id);
    return entry ? this.deliver(entry) : Promise.resolve();
  }

  /** Sends the texts that a closed page has left. If that page is still open in another tab, each text is sent once all the same. */
  recover(): void {
    this.recovery = this.handOverAll().catch((error: unknown) =>
      console.warn("The texts of a closed page could not be sent. They wait for the next start:", error),
    );
  }

  /** Deletes a text. */
  forget(id: string): void {
    localStorage.removeItem(this.nameOf(id));
  }

  /** Deletes all texts, when the account's data is removed from this browser. */
  forgetAll(): void {
    for (const name of this.names()) localStorage.removeItem(name);
  }

  private async handOverAll(): Promise<void> {
    this.key = await this.client.secret("unsent");
    for (const entry of takePlain()) if (entry.userId === this.client.status.userId) this.write(entry);
    const entries = this.names().map((name) => this.read(name.slice(this.nameOf("").length)));
    const left = entries.filter((entry) => entry !== undefined).toSorted((a, b) => a.at - b.at);
    await Promise.all(left.map((entry) => this.inTurn(entry.roomId, () => this.handOver(entry))));
  }

  private async handOver(entry: Entry): Promise<void> {
    const { roomId, text } = entry;
    if (localStorage.getItem(this.nameOf(entry.id)) === null) return;
    try {
      await this.put(entry);
      // The draft may still contain the begin of this text.
      const draft = (await this.client.draft(roomId)).trim();
      if (draft !== "" && text.startsWith(draft)) await this.client.setDraft(roomId, "");
    } catch (error) {
      if (isForLater(error)) return;
      // The text becomes a draft again, where the user finds it.
      if ((await this.client.draft(roomId)) === "") await this.client.setDraft(roomId, text);
    }
    this.forget(entry.id);
  }

  private async put({ id, userId, roomId, text, replyTo }: Entry): Promise<void> {
    for (let failures = 0; ;) {
      // Another user may have signed in meanwhile.
      if ((this.client.status.userId ?? "") !== userId)
        throw new SecureMessagingError({ code: "SignedOut", message: "The author of this text is no longer signed in.", retryable: false });
      try {
        await this.client.send(roomId, text, { id, ...(replyTo === undefined ? {} : { replyTo }) });
        return;
      } catch (error) {
        // A failure of this browser, for example a full disk, is reported after some attempts. A lost leader is replaced, so that is retried.
        if (
          !(error instanceof SecureMessagingError) ||
          !error.retryable ||
          ((error.code === "Internal" || error.code === "StoreFailed") && ++failures === attempts)
        )
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

  /** In no particular order. */
  private names(): string[] {
    return Object.keys(localStorage).filter((name) => name.startsWith(this.nameOf("")));
  }

  private write(entry: Entry): void {
    // A new page has no key at first. A text of that moment can be lost, but is never stored in plaintext.
    if (!this.key) return;
    const nonce = crypto.getRandomValues(new Uint8Array(nonceBytes));
    const sealed = xchacha20poly1305(this.key, nonce, encoder.encode(entry.id)).encrypt(encoder.encode(JSON.stringify(entry)));
    try {
      localStorage.setItem(this.nameOf(entry.id), toText(nonce) + toText(sealed));
    } catch (error) {
      console.warn("A text could not be kept. It is lost if this page is closed now:", error);
    }
  }

  private read(id: string): Entry | undefined {
    const text = localStorage.getItem(this.nameOf(id));
    if (text === null || !this.key) return undefined;
    try {
      const bytes = fromText(text);
      const opened = xchacha20poly1305(this.key, bytes.subarray(0, nonceBytes), encoder.encode(id)).decrypt(bytes.subarray(nonceBytes));
      return JSON.parse(new TextDecoder().decode(opened)) as Entry;
    } catch (error) {
      // It was encrypted with a key that was deleted with the account's data.
      console.warn("A kept text cannot be decrypted any more. It was deleted:", error);
      localStorage.removeItem(this.nameOf(id));
      return undefined;
    }
  }
}

/** Whether the text can be sent later: a newer version runs in another tab, the session has ended, or the store fails. */
const isForLater = (error: unknown): boolean =>
  !(error instanceof SecureMessagingError) || error.retryable || ["Conflict", "SignedOut", "StoreFailed"].includes(error.code);

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const encoder = new TextEncoder();

/** One character for each byte: local storage holds text. */
const toText = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
const fromText = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));

/** Texts that earlier versions have left in plaintext. They are removed. */
function takePlain(): Entry[] {
  return Object.keys(localStorage)
    .filter((name) => /^unsent\/[0-9a-f-]{36}$/.test(name))
    .flatMap((name) => {
      const text = localStorage.getItem(name) ?? "";
      localStorage.removeItem(name);
      try {
        return [{ ...(JSON.parse(text) as Entry), id: name.slice(prefix.length) }];
      } catch (error) {
        console.warn("A text that an earlier version has kept cannot be read:", error);
        return [];
      }
    });
}
