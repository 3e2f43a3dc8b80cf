import { sentence } from "../text/errors.js";
import { Cell } from "../base/cell.js";

/** A short notice at the edge of the screen. */
export interface Toast {
  id: number;
  text: string;
  tone: "plain" | "bad";
  action?: { label: string; run(): void };
}

const lastsMs = 7_000;

/** Short notices. */
export class Toasts {
  readonly list = new Cell<readonly Toast[]>([]);
  private next = 1;

  /** With `stay`, it stays until the user closes it. */
  show(text: string, options: { tone?: Toast["tone"]; action?: Toast["action"]; stay?: boolean } = {}): void {
    const toast: Toast = { id: this.next++, text, tone: options.tone ?? "plain", ...(options.action ? { action: options.action } : {}) };
    this.list.set([...this.list.get().filter((other) => other.text !== text), toast].slice(-3));
    if (!options.stay) setTimeout(() => this.close(toast.id), lastsMs);
  }

  readonly fail = (error: unknown): void => this.show(sentence(error), { tone: "bad" });

  close(id: number): void {
    this.list.set(this.list.get().filter((toast) => toast.id !== id));
  }
}
