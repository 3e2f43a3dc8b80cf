// Shared by several programs of this folder: a server, people with clients of the SDK in this process, and counted tests.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { MemoryStore, SecureMessaging } from "../../../src/web/sdk/dist/index.js";
import { freePort } from "../ports.mjs";
import { killAll, Server } from "./processes.mjs";

const name = basename(process.argv[1], ".mjs");
export const folder = mkdtempSync(join(tmpdir(), `sm-${name}-`));
mkdirSync(join(folder, "data"));
export const server = new Server(process.argv[2], folder, await freePort());
let passed = 0;
let failed = 0;
let people = 0;
let order = 0;

/** INTEROP_PART=1/2: every second test, so that two processes share them. */
const [part, parts] = (process.env["INTEROP_PART"] ?? "1/1").split("/").map(Number);

export const newName = () => `person${++people}`;

export const open = new Set();
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(what, condition, timeoutMs = 40_000) {
  for (const end = Date.now() + timeoutMs; Date.now() < end; await sleep(25)) if (await condition()) return;
  throw new Error(`timeout: ${what}`);
}

export async function person(options = {}) {
  const username = newName();
  const client = await SecureMessaging.signUp({ url: server.url, username, email: `${username}@example.org`, password: "a long enough password", ...options });
  return watched(client);
}

/** The account on another device. */
export const signIn = async (username, options = {}) =>
  watched(await SecureMessaging.signIn({ url: server.url, username, password: "a long enough password", ...options }));

export function watched(client) {
  client.warnings = [];
  client.on("warning", (warning) => client.warnings.push(warning.kind));
  open.add(client);
  return client;
}

/** The ready room on another device, and the messages that it reads. */
export async function seenBy(client, id) {
  await until("the room is known", () => client.rooms.list().some((room) => room.id === id));
  const room = await client.rooms.get(id);
  await room.whenReady();
  room.seen = [];
  void (async () => {
    for await (const message of room.messages({ after: 0 })) room.seen.push(message.content.text ?? message.content.type);
  })();
  return room;
}

/** A room with this many people, each with one device. */
export async function roomOf(count) {
  const clients = [];
  for (let i = 0; i < count; i++) clients.push(await person());
  const room = await clients[0].rooms.create(clients.slice(1).map((client) => client.username));
  return { clients, rooms: await Promise.all(clients.map((client) => seenBy(client, room.id))) };
}

/** Simulates a process that ends at a given write: later writes have no effect, and another store begins with the state before. */
export class MortalStore extends MemoryStore {
  budget = Infinity;

  async write(changes) {
    if (this.budget-- <= 0) throw new Error("the process is dead");
    await super.write(changes);
  }

  heir() {
    const heir = new MortalStore();
    for (const [key, value] of this.values) heir.values.set(key, value);
    return heir;
  }
}

export const inside = (room) => room.ports;

/** Sends a text, waits until the server has stored it, and returns its seq. */
export const say = async (room, text) => (await (await room.send(text)).stored).seq;

/** Sends a text and waits until both have read it. A message that was stored twice would be read before it. */
export async function readByAll(text, from, to) {
  await say(from, text);
  await until("all is read", () => from.seen.includes(text) && to.seen.includes(text));
}

/** Lets the test answer the batches of this device, with or without the real server. */
export function onSend(room, answer) {
  const { hub } = inside(room);
  const real = hub.sendBatch.bind(hub);
  hub.sendBatch = async (requests) => answer(requests, real);
}

/** Lets epochs pass: adds and removes a guest. */
export async function passEpochs(room, count) {
  const guest = await person();
  for (let i = 0; i < count; i++) await (i % 2 === 0 ? room.members.add(guest.username) : room.members.remove(guest.username));
}

const longestTestMs = 300_000;

export async function test(what, work) {
  const only = process.argv.slice(3);
  if (order++ % parts !== part - 1 || (only.length > 0 && !only.some((words) => what.includes(words)))) return;
  // A test that waits for ever must not end all others.
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error("timeout: the test does not end")), longestTestMs)));
  try {
    await Promise.race([work(), late]);
    passed++;
    console.log(`ok      ${name}: ${what}`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${name}: ${what}: ${error.stack}`);
    for (const client of open)
      console.log(
        "        ",
        client.username,
        client.warnings.join(),
        client.rooms
          .list()
          .map((room) => JSON.stringify({ epoch: room.epoch, broken: room.core.state.broken, out: room.core.state.out, cursor: room.core.state.cursor }))
          .join(),
      );
  }
  clearTimeout(timer);
  for (const client of open) await client.close();
  open.clear();
}

export const equal = (actual, expected) => {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) throw new Error(`got ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
};

/** Ends the program with the number of failures. */
export async function finish() {
  await server.kill();
  killAll();
  rmSync(folder, { recursive: true, force: true });
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}
