// Reads the server's database and files directly.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const kinds = ["message", "proposal", "commit"];

export class Sqlite {
  constructor(folder) {
    this.folder = folder;
  }

  async create() {}

  query(sql) {
    const file = readdirSync(this.folder).find((name) => name.endsWith(".db") || name.endsWith(".sqlite"));
    const script = "import sqlite3,sys,json\nfor r in sqlite3.connect(sys.argv[1]).execute(sys.argv[2]): print(json.dumps(r))";
    return lines(execFileSync("python3", ["-c", script, join(this.folder, file), sql], { encoding: "utf8", maxBuffer: 1 << 30 })).map((line) =>
      JSON.parse(line),
    );
  }

  hex = (column) => `lower(hex(${column}))`;
  files = () => filesUnder(this.folder);
}

export class Postgres {
  constructor(connectionString, database) {
    const part = (name) => new RegExp(`${name}=([^;]*)`, "i").exec(connectionString)?.[1];
    this.arguments = ["-h", part("Host"), "-p", part("Port"), "-U", part("Username"), "-X", "-A", "-t", "-q"];
    this.database = database;
    this.connectionString = connectionString.replace(/Database=[^;]*/i, `Database=${database}`);
  }

  async create() {
    this.run("postgres", `create database ${this.database}`);
  }

  drop() {
    this.run("postgres", `drop database ${this.database} with (force)`);
  }

  run(database, sql) {
    return execFileSync("psql", [...this.arguments, "-d", database, "-c", sql], { encoding: "utf8", maxBuffer: 1 << 30 });
  }

  query(sql) {
    return lines(this.run(this.database, `select json_build_array(q.a, q.b, q.c, q.d) from (${sql}) q(a, b, c, d)`)).map((line) => JSON.parse(line));
  }

  hex = (column) => `encode(${column}, 'hex')`;

  files() {
    this.run(this.database, "checkpoint");
    const root = this.run("postgres", "show data_directory").trim();
    const oid = this.run("postgres", `select oid from pg_database where datname = '${this.database}'`).trim();
    return [...filesUnder(join(root, "base", oid)), ...filesUnder(join(root, "pg_wal"))];
  }
}

/** All entries of the only room, with their ciphertexts. */
export function entriesOf(database) {
  return database.query(`select seq, kind, epoch, ${database.hex("ciphertext")} from entries order by seq`).map(([seq, kind, epoch, hex]) => ({
    seq: Number(seq),
    kind: kinds[kind] ?? String(kind),
    epoch: Number(epoch),
    ciphertext: hex ? Buffer.from(hex, "hex") : undefined,
  }));
}

/** A file may be deleted between the listing and the reading. */
export const contentsOf = (file) => {
  try {
    return readFileSync(file);
  } catch {
    return Buffer.alloc(0);
  }
};

const lines = (text) => text.split("\n").filter(Boolean);

function filesUnder(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesUnder(path) : [path];
  });
}

/** The encodings in which a plaintext could be in a file. */
export function formsOf(text) {
  const bytes = Buffer.from(text, "utf8");
  const forms = {
    "UTF-8": bytes,
    "UTF-16LE": Buffer.from(text, "utf16le"),
    "UTF-16BE": Buffer.from(text, "utf16le").swap16(),
    hex: Buffer.from(bytes.toString("hex")),
    HEX: Buffer.from(bytes.toString("hex").toUpperCase()),
    URL: Buffer.from(encodeURIComponent(text)),
    JSON: Buffer.from([...text].map((c) => (c.charCodeAt(0) > 126 ? `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}` : c)).join("")),
  };
  for (let alignment = 0; alignment < 3; alignment++) {
    // Only the characters that do not depend on the text before and after it.
    const encoded = Buffer.concat([Buffer.alloc(alignment), bytes])
      .toString("base64")
      .replaceAll("=", "");
    const from = alignment === 0 ? 0 : alignment === 1 ? 2 : 3;
    forms[`base64 at ${alignment}`] = Buffer.from(encoded.slice(from, encoded.length - 2));
  }
  return forms;
}
