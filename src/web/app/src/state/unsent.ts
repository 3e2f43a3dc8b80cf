import { SecureMessagingError, type SharedClient } from "../sdk.js";

interface Entry { id: string; userId: string; roomId: string; text: string; replyTo?: string; at: number }

const prefix = "unsent/";

/**
 * Sends between Enter and the outbox. Nothing that a page can wait for is sure to end when the page is left; what is written here is, because it is written at once. So a text
 * lies here, unencrypted, for the few milliseconds until the outbox has it, which knows by its id whether it has had it already.
 */
export class Unsent {
  /** Resolves when what was left by a page that is gone has been handed over. */
  recovered: Promise<void> = Promise.resolve();

  constructor(private readonly client: SharedClient) {}

  /** Resolves once the outbox has it, and the draft that it was is gone. */
  async send(roomId: string, text: string, options: { id: string; replyTo?: string }): Promise<void> {
    const key = `${prefix}${options.id}`;
    try {
      const entry: Entry = { ...options, userId: this.client.status.userId ?? "", roomId, text, at: performance.timeOrigin + performance.now() };
      localStorage.setItem(key, JSON.stringify(entry));
    } catch {
      // Full, or turned off: only a reload in these milliseconds would have needed it.
    }
    try {
      await Promise.all([this.client.send(roomId, text, options), this.client.setDraft(roomId, "")]);
    } finally {
      localStorage.removeItem(key);
    }
  }

  /** Hands over what a page that is gone has left. That page may be another tab that is not gone: each is sent once. */
  recover(): void {
    this.recovered = this.recovered.then(() => this.handOver()).catch(() => undefined);
  }

  /** What is left belongs to nobody who is here. */
  clear(): void {
    for (const { id } of left())
      localStorage.removeItem(`${prefix}${id}`);
  }

  private async handOver(): Promise<void> {
    for (const { id, userId, roomId, text, replyTo } of left()) {
      if (userId !== this.client.status.userId)
        continue;
      try {
        await this.client.send(roomId, text, { id, ...(replyTo === undefined ? {} : { replyTo }) });
        if ((await this.client.draft(roomId)).trim() === text)
          await this.client.setDraft(roomId, "");
      } catch (error) {
        if (error instanceof SecureMessagingError && error.retryable)
          return;
      }
      localStorage.removeItem(`${prefix}${id}`);
    }
  }
}

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
