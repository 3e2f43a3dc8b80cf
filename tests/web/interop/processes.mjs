// The processes of the test, the server and the devices: they are started, killed and started again.
import { spawn } from "node:child_process";
import { createWriteStream, readFileSync, statSync } from "node:fs";
import { createInterface } from "node:readline";
import { untilReady } from "../ready.mjs";

const started = new Set();
export const killAll = () => {
  for (const child of started) child.kill("SIGKILL");
};
process.on("exit", killAll);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

function start(command, args, options) {
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

export class Server {
  constructor(dll, folder, port, postgres) {
    Object.assign(this, { dll, folder, port, postgres, url: `http://127.0.0.1:${port}` });
  }

  async start() {
    const log = createWriteStream(`${this.folder}/server.log`, { flags: "a" });
    const args = [
      this.dll,
      "--urls",
      this.url,
      `--Server:DataDirectory=${this.folder}/data`,
      "--Management:Url=",
      "--Logs:Level=Debug",
      "--RateLimits:Enabled=false",
    ];
    args.push(...(this.options ?? []));
    if (this.postgres) args.push(`--ConnectionStrings:Postgres=${this.postgres}`);
    this.process = start("dotnet", args, { stdio: ["ignore", "pipe", "pipe"] });
    this.process.stdout.pipe(log, { end: false });
    this.process.stderr.pipe(log, { end: false });
    await untilReady(
      `${this.url}/health/ready`,
      () => this.process.exitCode !== null || this.process.signalCode !== null,
      () => readFileSync(`${this.folder}/server.log`, "utf8"),
    );
  }

  async kill() {
    this.process.kill("SIGKILL");
    await this.process.ended;
  }
}

export class Device {
  constructor(name, username, folder) {
    Object.assign(this, { name, username, folder, alive: false, calls: new Map(), next: 1 });
  }

  async start() {
    this.process = start(process.execPath, [new URL("device.mjs", import.meta.url).pathname, this.folder, this.name], { stdio: ["pipe", "pipe", "inherit"] });
    this.process.stdin.on("error", () => undefined);
    const greeted = new Promise((resolve) => this.calls.set(-1, { resolve }));
    createInterface({ input: this.process.stdout }).on("line", (line) => {
      const { id, result, error } = JSON.parse(line);
      const call = this.calls.get(id);
      this.calls.delete(id);
      if (error) call?.reject(new Error(`${this.name}: ${error}`));
      else call?.resolve(result);
    });
    this.process.ended.then(() => {
      this.alive = this.started = false;
      for (const call of this.calls.values()) call.reject?.(new Error(`${this.name} was killed`));
      this.calls.clear();
    });
    await greeted;
    this.started = true;
  }

  call(command, options = {}, timeoutMs = 90_000) {
    if (!this.started) return Promise.reject(new Error(`${this.name} is not there`));
    const id = this.next++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${this.name}: ${command} took too long`)), timeoutMs);
      const done = (end) => (value) => {
        clearTimeout(timer);
        end(value);
      };
      this.calls.set(id, { resolve: done(resolve), reject: done(reject) });
      this.process.stdin.write(JSON.stringify({ id, command, ...options }) + "\n");
    });
  }

  async close() {
    this.call("close").catch(() => undefined);
    await this.process.ended;
  }

  async kill() {
    this.process.kill("SIGKILL");
    await this.process.ended;
  }

  async restart() {
    await this.begin("resume");
  }

  /** Starts the device. */
  async begin(how, options) {
    await this.start();
    Object.assign(this, await this.call(how, options));
    this.alive = true;
    return this;
  }

  /** The notes of all processes of the device. */
  notes() {
    const path = `${this.folder}/${this.name}.transcript`;
    const { size } = statSync(path);
    if (this.read?.size !== size) this.read = { size, notes: this.parse(path) };
    return this.read.notes;
  }

  parse(path) {
    return readFileSync(path, "utf8")
      .split("\n")
      .filter(Boolean)
      .flatMap((line) => {
        try {
          return [JSON.parse(line)];
        } catch {
          // A kill may leave an incomplete line.
          return [];
        }
      });
  }
}
