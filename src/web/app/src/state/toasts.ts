import { sentence } from "../errors.js";
import { Cell } from "./cell.js";

/** A short notice at the edge of the screen. */
export interface Toast { id: number; text: string; tone: "plain" | "bad"; action?: { label: string; run(): void } }

const lastsMs = 7_000;

/** Notices of things that have no better place. */
export class Toasts {
  readonly list = new Cell<readonly Toast[]>([]);
  private next = 1;

  /** Without an end it stays until it is answered. */
  show(text: string, options: { tone?: Toast["tone"]; action?: Toast["action"]; stay?: boolean } = {}): void {
    const toast: Toast = { id: this.next++, text, tone: options.tone ?? "plain", ...(options.action ? { action: options.action } : {}) };
    this.list.set([...this.list.get().filter((other) => other.text !== text), toast].slice(-3));
    if (!options.stay)
      setTimeout(() => this.close(toast.id), lastsMs);
  }

  readonly fail = (error: unknown): void => this.show(sentence(error), { tone: "bad" });

  close(id: number): void {
    this.list.set(this.list.get().filter((toast) => toast.id !== id));
  }
}
