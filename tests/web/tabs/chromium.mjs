// Controls Chromium over a DevTools pipe: the tabs of one profile, their crashes and their clocks.
import { spawn, spawnSync } from "node:child_process";

export class Chromium {
  constructor(profile) {
    const program = ["chromium", "chromium-browser", "google-chrome"].find((name) => spawnSync("which", [name]).status === 0);
    this.process = spawn(
      program,
      [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--remote-debugging-pipe",
        `--user-data-dir=${profile}`,
        "about:blank",
      ],
      { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"], detached: true },
    );
    this.ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.calls = new Map();
    this.next = 1;
    let rest = "";
    this.process.stdio[3].on("error", () => undefined);
    this.process.stdio[4].setEncoding("utf8").on("data", (text) => {
      const parts = (rest + text).split("\0");
      rest = parts.pop();
      for (const part of parts) {
        const { id, result, error } = JSON.parse(part);
        const call = this.calls.get(id);
        this.calls.delete(id);
        if (error) call?.reject(new Error(error.message));
        else call?.resolve(result);
      }
    });
  }

  call(method, params = {}, sessionId) {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.calls.set(id, { resolve, reject });
      this.process.stdio[3].write(JSON.stringify({ id, method, params, ...(sessionId ? { sessionId } : {}) }) + "\0");
    });
  }

  async open(url) {
    // Each tab gets its own window. Tabs that open each other may share a process and would crash together.
    const { targetId } = await this.call("Target.createTarget", { url, newWindow: true });
    const { sessionId } = await this.call("Target.attachToTarget", { targetId, flatten: true });
    return new Page(this, targetId, sessionId);
  }

  async kill() {
    process.kill(-this.process.pid, "SIGKILL");
    await this.ended;
  }
}

export class Page {
  constructor(browser, targetId, sessionId) {
    Object.assign(this, { browser, targetId, sessionId });
  }

  /** The value of an expression, after it has resolved. */
  async run(expression) {
    const { result, exceptionDetails } = await this.browser.call("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true }, this.sessionId);
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value;
  }

  start(expression) {
    return this.browser.call("Runtime.evaluate", { expression }, this.sessionId).catch(() => undefined);
  }

  close() {
    return this.browser.call("Target.closeTarget", { targetId: this.targetId });
  }

  /** Kills the process of the tab without any event in it. */
  crash() {
    void this.browser.call("Page.crash", {}, this.sessionId).catch(() => undefined);
  }

  reload() {
    return this.browser.call("Page.reload", {}, this.sessionId);
  }
}
