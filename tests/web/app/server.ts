import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../ports.mjs";
import { untilReady } from "../ready.mjs";

const dll =
  process.env.APP_TESTS_SERVER ?? fileURLToPath(new URL("../../../src/SecureMessaging.Server/bin/Release/net10.0/SecureMessaging.Server.dll", import.meta.url));

/** The folder of the app to serve. The app inside the server may be older than the sources. */
const app = process.env.APP_TESTS_ROOT;

/** Events that end a Playwright worker without closing its fixtures. */
const ends = ["exit", "SIGINT", "SIGTERM", "SIGHUP"];

/** A server with its own data. It can be killed and started again on the same port. */
export class Server {
  private process: ChildProcess | undefined;
  private log = "";
  private readonly folder = mkdtempSync(join(tmpdir(), "sm-app-"));

  private constructor(
    private readonly port: number,
    private readonly settings: string[],
  ) {}

  static async start(...settings: string[]): Promise<Server> {
    const server = new Server(await freePort(), settings);
    await server.start();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const child = (this.process = spawn(
      "dotnet",
      [dll, "--urls", this.url, `--Server:DataDirectory=${this.folder}`, "--Management:Url=", ...(app ? [`--Web:Root=${app}`] : []), ...this.settings],
      { stdio: ["ignore", "pipe", "pipe"] },
    ));
    const kill = (): void => void child.kill("SIGKILL");
    for (const end of ends) process.on(end, kill);
    child.once("exit", () => ends.forEach((end) => process.off(end, kill)));
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => {
        this.log = (this.log + chunk.toString()).slice(-4_000);
      });
    await untilReady(
      `${this.url}/health/ready`,
      () => child.exitCode !== null || child.signalCode !== null,
      () => this.log,
    );
  }

  /** The folder of the database. */
  get data(): string {
    return this.folder;
  }

  async kill(): Promise<void> {
    const child = this.process!;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  async stop(): Promise<void> {
    if (this.process?.exitCode === null && this.process.signalCode === null) await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
