import { SecureMessagingError, type SharedClient } from "../sdk.js";

interface Entry { id: string; userId: string; roomId: string; text: string; replyTo?: string; at: number }

const prefix = "unsent/";
const retryMs = 2_000;
const attempts = 4;
/** So long a draft waits for what was left: by then it is drawn that something is on its way. */
const patienceMs = 1_000;

/**
 * Sends between Enter and the outbox. Nothing that a page can wait for is sure to end when the page is left; what is written here is, because it is written at once. So a text
 * lies here, unencrypted, for the few milliseconds until the outbox has it, which knows by its id whether it has had it already.
 */
export class Unsent {
  /** What is under way in a room: the next waits for it, so that nothing is overtaken. */
  private readonly turns = new Map<string, Promise<unknown>>();
  private recovery: Promise<unknown> = Promise.resolve();

  constructor(private readonly client: SharedClient) {}

  /** Resolves when what a page that is gone had left has been handed over, or when that takes long. */
  get recovered(): Promise<unknown> {
    return Promise.race([this.recovery, sleep(patienceMs)]);
  }

  /** Resolves once the outbox has it, and the draft that it was is gone. Rejects when the outbox will not take it; while that is not known, it is asked again. */
  send(roomId: string, text: string, options: { id: string; replyTo?: string }): Promise<void> {
    const entry: Entry = { ...options, userId: this.client.status.userId ?? "", roomId, text, at: performance.timeOrigin + performance.now() };
    try {
      localStorage.setItem(prefix + entry.id, JSON.stringify(entry));
    } catch {
      // Full, or turned off: only a page that goes in these milliseconds would have needed it.
    }
    const cleared = this.client.setDraft(roomId, "").catch(() => undefined);
    return this.inTurn(roomId, async () => {
      try {
        await this.put(entry);
        await cleared;
      } catch (error) {
        if (!isForLater(error))
          forget(entry);
        throw error;
      }
      forget(entry);
    });
  }

  /** Hands over what a page that is gone has left. That page may be another tab that is not gone: each is sent once. */
  recover(): void {
    const { userId } = this.client.status;
    this.recovery = Promise.all(left().map((entry) => {
      if (entry.userId === userId)
        return this.inTurn(entry.roomId, () => this.handOver(entry));
      forget(entry);
      return undefined;
    })).catch(() => undefined);
  }

  /** What is left belongs to nobody who is here. */
  clear(): void {
    left().forEach(forget);
  }

  private async handOver(entry: Entry): Promise<void> {
    const { roomId, text } = entry;
    if (localStorage.getItem(prefix + entry.id) === null)
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
      if (await this.client.draft(roomId).catch(() => undefined) === "")
        await this.client.setDraft(roomId, text).catch(() => undefined);
    }
    forget(entry);
  }

  private async put({ id, userId, roomId, text, replyTo }: Entry): Promise<void> {
    for (let failures = 0; ;) {
      // Meanwhile another may have signed in here.
      if ((this.client.status.userId ?? "") !== userId)
        throw new SecureMessagingError({ code: "SignedOut", message: "Whoever wrote this is signed in no more.", retryable: false });
      try {
        await this.client.send(roomId, text, { id, ...(replyTo === undefined ? {} : { replyTo }) });
        return;
      } catch (error) {
        // What goes wrong in this browser (a full disk, say) is told after some attempts; a leader that is gone is not.
        if (!(error instanceof SecureMessagingError) || !error.retryable || (error.code === "Internal" && ++failures === attempts))
          throw error;
      }
      await sleep(retryMs);
    }
  }

  private inTurn(roomId: string, work: () => Promise<void>): Promise<void> {
    const turn = (this.turns.get(roomId) ?? Promise.resolve()).catch(() => undefined).then(work);
    this.turns.set(roomId, turn);
    return turn;
  }
}

/** Nothing is wrong with the text: a tab of a newer version has taken over, or nobody is signed in. */
const isForLater = (error: unknown): boolean => error instanceof SecureMessagingError && (error.code === "Conflict" || error.code === "SignedOut");

const forget = ({ id }: Entry): void => localStorage.removeItem(prefix + id);

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** In the order of their writing. */
function left(): Entry[] {
  return Object.keys(localStorage).filter((key) => key.startsWith(prefix)).flatMap((key) => {
    try {
      return { ...JSON.parse(localStorage.getItem(key) ?? "") as Entry, id: key.slice(prefix.length) };
    } catch {
      localStorage.removeItem(key);
      return [];
    }
  }).sort((a, b) => a.at - b.at);
}
