// Starts client processes and talks to them.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const started = new Set();
export function killAll() {
  for (const child of started) child.kill("SIGKILL");
}
process.on("exit", killAll);

export function startProcess(command, args, options) {
  const child = spawn(command, args, options);
  started.add(child);
  child.ended = new Promise((resolve) =>
    child.once("exit", () => {
      started.delete(child);
      resolve();
    }),
  );
  return child;
}

export class Client {
  /** @param off - The rule that is switched off in this client, or undefined. */
  constructor(name, lane, url, { program = "client.mjs", store, off } = {}) {
    Object.assign(this, { name, lane, url, program, store, off, notes: [], calls: new Map(), next: 1, watchers: new Set() });
  }

  async start() {
    const hook = this.off ? ["--import", new URL("rules-hook.mjs", import.meta.url).href] : [];
    this.process = startProcess(process.execPath, ["--max-semi-space-size=8", ...hook, new URL(this.program, import.meta.url).pathname], {
      stdio: ["pipe", "pipe", "inherit"],
      env: {
        ...process.env,
        NODE_NO_WARNINGS: "1",
        ...(this.store ? { ADVERSARY_STORE: this.store } : {}),
        ...(this.off ? { ADVERSARY_RULE_OFF: this.off } : {}),
      },
    });
    this.process.stdin.on("error", () => undefined);
    const greeted = new Promise((resolve, reject) => {
      this.calls.set(-1, { resolve, reject });
    });
    createInterface({ input: this.process.stdout }).on("line", (line) => this.take(line));
    void this.process.ended.then(() => {
      for (const call of this.calls.values()) call.reject(new Error(`${this.name} has ended`));
      this.calls.clear();
    });
    await greeted;
    return this;
  }

  take(line) {
    let message;
    try {
      message = JSON.parse(line);
    } catch {
      return;
    }
    if (message.event) {
      this.notes.push(message);
      for (const watcher of [...this.watchers]) watcher();
      return;
    }
    const { id, result, error, code } = message;
    const call = this.calls.get(id);
    this.calls.delete(id);
    if (error) call?.reject(Object.assign(new Error(`${this.name}: ${error}`), { code }));
    else call?.resolve(result);
  }

  call(command, options = {}, timeoutMs = 25_000) {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.calls.delete(id);
        reject(new Error(`${this.name}: ${command} took longer than ${timeoutMs / 1000} s`));
      }, timeoutMs);
      const done = (end) => (value) => {
        clearTimeout(timer);
        end(value);
      };
      this.calls.set(id, { resolve: done(resolve), reject: done(reject) });
      this.process.stdin.write(JSON.stringify({ id, command, ...options }) + "\n");
    });
  }

  mark() {
    return this.notes.length;
  }

  /** What people were shown since a mark: warnings and events that are not the ordinary traffic. */
  shownSince(mark, room) {
    return this.notes
      .slice(mark)
      .filter((note) => room === undefined || note.room === undefined || note.room === room)
      .filter((note) => note.value?.roomId === undefined || room === undefined || note.value.roomId === room);
  }

  async close() {
    this.call("close", {}, 3000).catch(() => undefined);
    const late = setTimeout(() => this.process.kill("SIGKILL"), 3000);
    await this.process.ended;
    clearTimeout(late);
  }

  async kill() {
    this.process.kill("SIGKILL");
    await this.process.ended;
  }

  send = (room, text, options) => this.call("send", { room, text, options });
  history = (room) => this.call("history", { room });
  status = (room) => this.call("status", { room });

  /** The message with this text, as this client shows it. */
  async find(room, text) {
    return (await this.history(room)).find((message) => message.text === text);
  }

  /** Waits until a condition holds; asks again after each event and at least four times a second. Returns false after the time. */
  async until(condition, timeoutMs = 10_000) {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const found = await condition();
      if (found) return found;
      if (Date.now() >= end) return false;
      await new Promise((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          this.watchers.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, Math.min(250, Math.max(1, end - Date.now())));
        this.watchers.add(wake);
      });
    }
  }

  /** Waits until this client shows a text. Returns the message, or false. */
  reads = (room, text, timeoutMs = 10_000) => this.until(() => this.find(room, text).catch(() => undefined), timeoutMs);
}
