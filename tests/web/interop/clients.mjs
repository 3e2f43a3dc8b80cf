// What several programs of this folder share: a server of their own, people with clients of the SDK in this process, and tests that are counted.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { SecureMessaging } from "../../../src/web/sdk/dist/index.js";
import { freePort, killAll, Server } from "./processes.mjs";

const name = basename(process.argv[1], ".mjs");
export const folder = mkdtempSync(join(tmpdir(), `sm-${name}-`));
mkdirSync(join(folder, "data"));
export const server = new Server(process.argv[2], folder, await freePort());
let passed = 0;
let failed = 0;
let people = 0;

export const newName = () => `person${++people}`;

export const open = new Set();
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(what, condition, timeoutMs = 40_000) {
  for (const end = Date.now() + timeoutMs; Date.now() < end; await sleep(25))
    if (await condition())
      return;
  throw new Error(`waited in vain until ${what}`);
}

export async function person(options = {}) {
  const username = newName();
  const client = await SecureMessaging.signUp({ url: server.url, username, email: `${username}@example.org`, password: "a long enough password", ...options });
  return watched(client);
}

export function watched(client) {
  client.warnings = [];
  client.on("warning", (warning) => client.warnings.push(warning.kind));
  open.add(client);
  return client;
}

/** The room on another's device, ready, and what it reads there. */
export async function seenBy(client, id) {
  await until("the room is known", () => client.rooms.list().some((room) => room.id === id));
  const room = await client.rooms.get(id);
  await room.whenReady();
  room.seen = [];
  void (async () => {
    for await (const message of room.messages({ after: 0 }))
      room.seen.push(message.content.text ?? message.content.type);
  })();
  return room;
}

/** A room of so many people, each with one device. */
export async function roomOf(count) {
  const clients = [];
  for (let i = 0; i < count; i++)
    clients.push(await person());
  const room = await clients[0].rooms.create(clients.slice(1).map((client) => client.username));
  return { clients, rooms: await Promise.all(clients.map((client) => seenBy(client, room.id))) };
}

export const inside = (room) => room.context;

/** Epochs that pass: a guest is added and removed. */
export async function passEpochs(room, count) {
  const guest = await person();
  for (let i = 0; i < count; i++)
    await (i % 2 === 0 ? room.members.add(guest.username) : room.members.remove(guest.username));
}

export async function test(what, work) {
  const only = process.argv.slice(3);
  if (only.length > 0 && !only.some((part) => what.includes(part)))
    return;
  try {
    await work();
    passed++;
    console.log(`ok      ${name}: ${what}`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${name}: ${what}: ${error.stack}`);
    for (const client of open)
      console.log("        ", client.username, client.warnings.join(), client.rooms.list().map((room) => JSON.stringify({ epoch: room.epoch, broken: room.core.state.broken, out: room.core.state.out, cursor: room.core.state.cursor })).join());
  }
  for (const client of open)
    await client.close();
  open.clear();
}

export const equal = (actual, expected) => {
  if (JSON.stringify(actual) !== JSON.stringify(expected))
    throw new Error(`got ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
};

/** Ends the program with the number of failures. */
export async function finish() {
  await server.kill();
  killAll();
  rmSync(folder, { recursive: true, force: true });
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}
