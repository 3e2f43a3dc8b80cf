// A server of one engine with the proxy before it, and the people of the attacks.
import { randomBytes, randomUUID } from "node:crypto";
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../web/ports.mjs";
import { untilReady } from "../web/ready.mjs";
import { Client, startProcess } from "./clients.mjs";
import { Postgres, Sqlite } from "./database.mjs";
import { Proxy } from "./proxy.mjs";

const dll = new URL("../../src/SecureMessaging.Server/bin/Release/net10.0/SecureMessaging.Server.dll", import.meta.url).pathname;
export const password = "a long enough password";
export const entryKinds = [
  "message",
  "proposal",
  "commit",
  "retraction",
  "memberJoined",
  "memberLeft",
  "roleChanged",
  "settingsChanged",
  "gone",
  "devicesChanged",
  "groupReset",
];
let people = 0;

export class World {
  constructor(engine, folder) {
    Object.assign(this, { engine, folder: join(folder, engine), clients: new Set() });
    mkdirSync(join(this.folder, "data"), { recursive: true });
  }

  async start() {
    this.database =
      this.engine === "postgres"
        ? new Postgres(process.env.SECUREMESSAGING_TEST_POSTGRES, `adversary_${randomBytes(5).toString("hex")}`)
        : new Sqlite(join(this.folder, "data"));
    await this.database.create();
    this.port = await freePort();
    this.url = `http://127.0.0.1:${this.port}`;
    const log = createWriteStream(join(this.folder, "server.log"), { flags: "a" });
    const args = [dll, "--urls", this.url, `--Server:DataDirectory=${join(this.folder, "data")}`, "--Management:Url=", "--Logs:Level=Warning"];
    args.push("--RateLimits:Enabled=false", "--RateLimits:ClaimsOfDevice:Burst=100000", "--RateLimits:Claims:Burst=1000000", "--Auth:HashMemoryKiB=19456");
    if (this.database.connectionString) args.push(`--ConnectionStrings:Postgres=${this.database.connectionString}`);
    this.server = startProcess("dotnet", args, { stdio: ["ignore", "pipe", "pipe"] });
    this.server.stdout.pipe(log, { end: false });
    this.server.stderr.pipe(log, { end: false });
    await untilReady(
      `${this.url}/health/ready`,
      () => this.server.exitCode !== null || this.server.signalCode !== null,
      () => readFileSync(join(this.folder, "server.log"), "utf8"),
    );
    this.proxy = new Proxy(this.url);
    await this.proxy.start(await freePort());
    return this;
  }

  async stop() {
    for (const client of this.clients) client.process?.kill("SIGKILL");
    this.proxy?.stop();
    this.server?.kill("SIGKILL");
    await this.server?.ended;
    this.database?.close();
  }

  /** A client process without an account. Its lane is named like it. */
  async device(name, options = {}) {
    const lane = `${name}-${++people}`;
    const client = new Client(name, this.proxy.lane(lane), this.proxy.urlOf(lane), options);
    if (options.store) client.store = join(this.folder, `${lane}.store`);
    this.clients.add(client);
    await client.start();
    return client;
  }

  /** A person with one device. */
  async person(name, options = {}) {
    const client = await this.device(name, options);
    const username = options.username ?? `${name}${++people}`.toLowerCase();
    Object.assign(client, await client.call("signUp", { url: client.url, username, email: `${username}-${people}@example.org`, password }));
    return client;
  }

  /** Another device of a person, approved by the first one. */
  async secondDevice(first, options = {}) {
    const client = await this.device(`${first.name}2`, options);
    Object.assign(client, await client.call("signIn", { url: client.url, username: first.username, password }));
    await client.call("confirm", { code: await first.call("approve", { device: client.deviceId, code: client.code }) });
    await client.until(() => client.call("isApproved"));
    return client;
  }

  /** A group room, ready on all clients. The first one is the owner. */
  async room(clients, { options } = {}) {
    const [owner, ...others] = clients;
    const names = [...new Set(others.map((client) => client.username).filter((name) => name !== owner.username))];
    const id = await owner.call("create", { members: names, options });
    await Promise.all(clients.map((client) => client.call("ready", { room: id, timeoutMs: 20_000 })));
    return id;
  }

  async direct(a, b) {
    const id = await a.call("direct", { username: b.username });
    await Promise.all([a, b].map((client) => client.call("ready", { room: id, timeoutMs: 20_000 })));
    return id;
  }

  /** Makes a user a member in the server's tables, and nowhere else. */
  async insertMember(room, userId, role = 0) {
    const { database } = this;
    const [[last]] = await database.run(`select last_seq from rooms where id = ${database.id(room)}`);
    await database.run(
      `insert into room_members (room_id, user_id, role, joined_seq, delivered_seq) values (${database.id(room)}, ${database.id(userId)}, ${role}, ` +
        `${last}, ${last})`,
    );
  }

  /** Appends an entry that only the server makes, such as `memberLeft`. The other columns are SQL. Returns its seq. */
  async insertEntry(room, kind, columns = {}) {
    const { database } = this;
    const id = database.id(room);
    await database.run(`update rooms set last_seq = last_seq + 1 where id = ${id}`);
    const [[seq]] = await database.run(`select last_seq from rooms where id = ${id}`);
    const names = Object.keys(columns);
    await database.run(
      `insert into entries (room_id, seq, kind, created_at${names.map((name) => `, ${name}`).join("")}) values ` +
        `(${id}, ${seq}, ${entryKinds.indexOf(kind)}, ${database.now}${names.map((name) => `, ${columns[name]}`).join("")})`,
    );
    return seq;
  }

  headOf = async (room) => (await this.database.run(`select last_seq from rooms where id = ${this.database.id(room)}`))[0][0];

  /** Takes a KeyPackage of a device from the directory. */
  async claim(as, of) {
    const { keyPackages } = await as.lane.act("POST", "v1/key-packages/claim", { userIds: [of.userId], deviceIds: [of.deviceId] });
    return keyPackages[0].keyPackage;
  }

  /** Posts a Commit of the hostile member. */
  post(member, room, { epoch, commit, welcome }, { welcomes = false, roster } = {}) {
    return member.lane.act("POST", `v1/rooms/${room}/commits`, {
      id: randomUUID(),
      epoch,
      commit,
      welcomes: welcome && welcomes ? [welcome] : [],
      ...(roster ? { roster } : {}),
    });
  }

  /** The log as a member reads it over REST. */
  log = async (client, room, after = 0) => (await client.lane.act("GET", `v1/rooms/${room}/log?afterSeq=${after}&limit=500`)).entries;

  async close(...clients) {
    for (const client of clients) this.clients.delete(client);
    await Promise.all(clients.map((client) => client.close()));
  }
}
