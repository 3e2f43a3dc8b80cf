// A device in its own process, which may be killed at any moment. Reads commands from standard input, one JSON object in each line, and answers on standard
// output. Writes what it has sent and received into files, each line on disk before the next one. The SDK's store is separate.
import { appendFileSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { SecureMessaging } from "../../../src/web/sdk/dist/index.js";
import { FileStore } from "../../../src/web/sdk/dist/node.js";

const [folder, name] = process.argv.slice(2);
const transcript = openSync(`${folder}/${name}.transcript`, "a");
const note = (line) => {
  writeSync(transcript, JSON.stringify(line) + "\n");
  fsyncSync(transcript);
};
const tell = (line) => writeSync(1, JSON.stringify(line) + "\n");

const store = await FileStore.open(`${folder}/${name}.store`);
let client;
const followed = new Set();

function follow(room) {
  if (followed.has(room.id)) return;
  followed.add(room.id);
  const known = readFileSync(`${folder}/${name}.transcript`, "utf8")
    .trim()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  const last = Math.max(0, ...known.filter((line) => line.got && line.room === room.id).map((line) => line.seq));
  room.on("epoch", async ({ epoch, devices }) =>
    note({ epoch, room: room.id, devices: devices.map((device) => device.deviceId).toSorted(), code: room.epoch === epoch ? await room.code() : undefined }),
  );
  // A person agrees to enter again after a removal that this device has not seen.
  const agree = () => void (room.holds().some(({ kind }) => kind === "reentryHeld") && room.agreeToEnter());
  room.on("holds", agree);
  agree();
  if (room.epoch !== undefined)
    note({
      epoch: room.epoch,
      room: room.id,
      devices: room
        .devices()
        .map((device) => device.deviceId)
        .toSorted(),
    });
  void (async () => {
    for await (const message of room.messages({ after: last }))
      note({ got: message.content.type, room: room.id, seq: message.seq, text: message.content.text ?? message.content.reason, from: message.from?.deviceId });
  })();
}

function adopt(made) {
  client = made;
  client.on("room", follow);
  client.on("roomEnded", ({ roomId }) => followed.delete(roomId));
  client.on("warning", (warning) => {
    note({ warning: warning.kind, detail: warning.detail });
    appendFileSync(`${folder}/warnings.log`, `${name} ${JSON.stringify(warning)}\n`);
  });
  client.on("identityChanged", () => note({ warning: "identityChanged" }));
  client.on("sendFailed", (failure) => note({ failed: failure.id, code: failure.error.code }));
  for (const room of client.rooms.list()) follow(room);
  return { device: client.devices.currentId, user: client.userId };
}

async function roomOf(id, timeoutMs = 30_000) {
  for (const until = Date.now() + timeoutMs; Date.now() < until;) {
    const room = await client.rooms.get(id).catch(() => undefined);
    if (room) return room;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`no room ${id}`);
}

const commands = {
  signUp: async (options) => adopt(await SecureMessaging.signUp({ ...options, store })),
  signIn: async (options) => ({
    ...adopt(await SecureMessaging.signIn({ ...options, store })),
    code: (await client.devices.list()).find((device) => device.current).code,
  }),
  resume: async () => adopt(await SecureMessaging.resume({ store })),
  approve: ({ device, code }) => client.devices.approve(device, code),
  confirm: async ({ code }) => {
    while (!client.devices.isOffered) await new Promise((resolve) => setTimeout(resolve, 50));
    await client.devices.confirm(code);
  },
  approved: async () => {
    while (!client.devices.isApproved) await new Promise((resolve) => setTimeout(resolve, 50));
  },
  create: async ({ members }) => (await client.rooms.create(members)).id,
  ready: async ({ room, timeoutMs }) => (await roomOf(room, timeoutMs)).whenReady(timeoutMs),
  add: async ({ room, username }) => (await roomOf(room)).members.add(username),
  remove: async ({ room, username }) => (await roomOf(room)).members.remove(username),
  rotate: () => client.devices.rotate(),
  revoke: ({ device }) => client.devices.revoke(device),
  send: async ({ room, texts }) => {
    const to = await roomOf(room);
    for (const text of texts) {
      await to.send(text);
      note({ sent: text });
    }
  },
  flush: async () => {
    while (client.unsent > 0) await new Promise((resolve) => setTimeout(resolve, 25));
  },
  status: async ({ room }) => {
    const one = await client.rooms.get(room).catch(() => undefined);
    return {
      cursor: one?.core.state.cursor,
      epoch: one?.epoch,
      broken: one?.core.state.broken,
      connected: client.isConnected,
      unsent: client.unsent,
      devices: one?.devices().length,
      rooms: client.rooms.list().length,
    };
  },
  close: async () => {
    await client.close();
    process.exit(0);
  },
};

process.on("unhandledRejection", (error) => note({ warning: "unhandledRejection", detail: String(error?.stack ?? error) }));
if (!existsSync(`${folder}/warnings.log`)) appendFileSync(`${folder}/warnings.log`, "");
tell({ id: -1 });
async function carryOut(line) {
  const { id, command, ...options } = JSON.parse(line);
  try {
    tell({ id, result: (await commands[command](options)) ?? null });
  } catch (error) {
    tell({ id, error: `${error.code ?? error.name}: ${error.message}` });
  }
}
createInterface({ input: process.stdin })
  .on("line", (line) => void carryOut(line))
  .on("close", () => process.exit(0));
