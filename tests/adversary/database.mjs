// The server's database in the hands of its operator: reads and writes rows while the server runs.
import { execFile, execFileSync, spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const program = `
import sqlite3, sys, json
def plain(value): return value.hex() if isinstance(value, bytes) else value
connection = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)
for line in sys.stdin:
    try:
        rows = [[plain(value) for value in row] for row in connection.execute(json.loads(line))]
        print(json.dumps({"rows": rows}), flush=True)
    except Exception as error:
        print(json.dumps({"error": str(error)}), flush=True)
`;

export class Sqlite {
  engine = "sqlite";
  connectionString = undefined;
  now = "cast(strftime('%s', 'now') as integer) / 60 * 60";

  constructor(folder) {
    this.folder = folder;
    this.waiting = [];
  }

  async create() {}

  open() {
    const file = readdirSync(this.folder).find((name) => name.endsWith(".db") || name.endsWith(".sqlite"));
    this.process = spawn("python3", ["-c", program, join(this.folder, file)], { stdio: ["pipe", "pipe", "inherit"] });
    createInterface({ input: this.process.stdout }).on("line", (line) => {
      const { rows, error } = JSON.parse(line);
      const { resolve, reject } = this.waiting.shift();
      if (error) reject(new Error(error));
      else resolve(rows);
    });
  }

  /** Runs one statement. Bytes are returned as hex. */
  run(sql) {
    if (!this.process) this.open();
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.process.stdin.write(JSON.stringify(sql) + "\n");
    });
  }

  close() {
    this.process?.stdin.end();
  }

  id = (uuid) => `x'${uuid.replaceAll("-", "")}'`;
  bytes = (value) => `x'${Buffer.from(value).toString("hex")}'`;
}

export class Postgres {
  engine = "postgres";
  now = "date_trunc('minute', now())";

  constructor(connectionString, database) {
    const part = (name) => new RegExp(`${name}=([^;]*)`, "i").exec(connectionString)?.[1];
    this.arguments = ["-h", part("Host"), "-p", part("Port"), "-U", part("Username"), "-X", "-A", "-t", "-q", "-F", "\t"];
    this.database = database;
    this.connectionString = connectionString.replace(/Database=[^;]*/i, `Database=${database}`);
  }

  async create() {
    execFileSync("psql", [...this.arguments, "-d", "postgres", "-c", `create database ${this.database}`]);
  }

  async run(sql) {
    const { stdout } = await promisify(execFile)("psql", [...this.arguments, "-d", this.database, "-c", sql], { maxBuffer: 1 << 28 });
    return stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => line.split("\t").map((value) => (/^-?\d+$/.test(value) ? Number(value) : value.replace(/^\\x/, ""))));
  }

  close() {
    try {
      execFileSync("psql", [...this.arguments, "-d", "postgres", "-c", `drop database if exists ${this.database} with (force)`], { stdio: "ignore" });
    } catch {
      // The services of the run may have ended.
    }
  }

  id = (uuid) => `'${uuid}'`;
  bytes = (value) => `'\\x${Buffer.from(value).toString("hex")}'`;
}
