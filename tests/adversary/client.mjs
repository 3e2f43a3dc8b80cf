// One client of the SDK in a process of its own. Commands come from standard input and answers go to standard output, one JSON object a line. What the client
// shows to people, events, warnings and lines, is reported at once. member.mjs adds the commands of a hostile member.
import { createInterface } from "node:readline";
import { writeSync } from "node:fs";
import { Emitter, MemoryStore, Room, SecureMessaging } from "../../src/web/sdk/dist/index.js";
import { FileStore } from "../../src/web/sdk/dist/node.js";
import { keys, unpack } from "../../src/web/sdk/dist/store/store.js";

const path = process.env.ADVERSARY_STORE;
export const here = { client: undefined, store: path ? await FileStore.open(path) : new MemoryStore() };

export function tell(line) {
  const bytes = Buffer.from(JSON.stringify(line, plain) + "\n");
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

/** Bytes as hex, and rooms as their ids. */
function plain(_, value) {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (value?.type === "Buffer" && Array.isArray(value.data)) return Buffer.from(value.data).toString("hex");
  if (value instanceof Map) return [...value];
  if (typeof value === "bigint") return Number(value);
  if (typeof value?.messages === "function") return { room: value.id };
  return value;
}

// Every event that an application can get, also those that this suite does not know. The SDK's parts use the same class among themselves.
const emit = Emitter.prototype.emit;
Emitter.prototype.emit = function (name, event) {
  if (this instanceof SecureMessaging || this instanceof Room)
    tell({ event: name, ...(this instanceof Room ? { room: this.id } : {}), value: name === "room" ? { room: event.id } : event });
  return emit.call(this, name, event);
};

function adopt(client) {
  here.client = client;
  client.on("warning", () => undefined);
  client.on("error", () => undefined);
  return { userId: client.userId, deviceId: client.devices.currentId, username: client.username };
}

async function soon(what, find, timeoutMs = 20_000) {
  for (const end = Date.now() + timeoutMs; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 25))) {
    const found = await find();
    if (found) return found;
  }
  throw new Error(`timeout: ${what}`);
}

export const roomOf = (id, timeoutMs) => soon(`room ${id}`, () => here.client.rooms.get(id).catch(() => undefined), timeoutMs);

/** What a person sees of a message. */
const shown = (message) => ({
  seq: message.seq,
  id: message.id,
  type: message.content.type,
  text: message.content.text ?? message.content.name ?? message.content.reason,
  places: message.content.places,
  from: message.from?.userId,
  device: message.from?.deviceId,
  mine: message.mine,
  time: message.time.getTime(),
  edited: message.edited,
  deleted: message.deleted,
  deletedBy: message.deletedBy,
  reactions: message.reactions,
  // Marks on a message that does not count, such as `late`.
  marks: Object.fromEntries(Object.entries(message).filter(([name]) => !usual.has(name))),
});
const usual = new Set(["seq", "id", "from", "mine", "at", "time", "sent", "content", "edited", "deleted", "deletedBy", "pinnedBy", "expires", "reactions"]);

/** The own message comes back with the log, a moment after it was stored. */
const messageOf = (room, text) =>
  soon(`the message "${text}"`, async () => (await room.history({ limit: 500 })).findLast((message) => message.content.text === text), 5000);

const sent = async (sending, stored) => {
  const made = await sending;
  if (!stored) return { id: made.id };
  return { id: made.id, ...(await made.stored) };
};

export const commands = {
  signUp: async (options) => adopt(await SecureMessaging.signUp({ ...options, store: here.store })),
  signIn: async (options) => ({ ...adopt(await SecureMessaging.signIn({ ...options, store: here.store })), code: await here.client.devices.currentCode() }),
  resume: async () => adopt(await SecureMessaging.resume({ store: here.store })),
  /** The own identity key, as the client believes it. */
  identity: async () => {
    const { deviceId, identityKey } = unpack(await here.store.get(keys.device));
    return { deviceId, identityKey };
  },
  code: () => here.client.devices.currentCode(),
  approve: ({ device, code }) => here.client.devices.approve(device, code),
  confirm: async ({ code, timeoutMs }) => {
    await soon("an approval", () => here.client.devices.isOffered, timeoutMs);
    await here.client.devices.confirm(code);
  },
  isApproved: () => here.client.devices.isApproved,
  devices: () => here.client.devices.list(),
  rotate: () => here.client.devices.rotate(),
  replaceIdentity: () => here.client.devices.replaceIdentity(),
  revoke: ({ device }) => here.client.devices.revoke(device),
  verify: ({ userId }) => here.client.people.verify(userId),
  /** To whom nothing is sent. */
  holds: () => (here.client.people?.holds ?? []).map(({ userId, hold }) => ({ userId, kind: hold.kind })),
  safety: ({ username }) => here.client.safetyNumber(username),
  deleteAccount: ({ password }) => here.client.account.delete(password),
  create: async ({ members, options }) => (await here.client.rooms.create(members, options)).id,
  direct: async ({ username }) => (await here.client.rooms.direct(username)).id,
  rooms: () => here.client.rooms.list().map((room) => ({ id: room.id, kind: room.kind, ready: room.isReady })),
  ready: async ({ room, timeoutMs }) => (await roomOf(room, timeoutMs)).whenReady(timeoutMs),
  add: async ({ room, username, role }) => (await roomOf(room)).members.add(username, role),
  remove: async ({ room, user }) => (await roomOf(room)).members.remove(user),
  setRole: async ({ room, user, role }) => (await roomOf(room)).members.setRole(user, role),
  settings: async ({ room, change }) => (await roomOf(room)).changeSettings(change),
  leave: async ({ room }) => (await roomOf(room)).leave(),
  send: async ({ room, text, options, wait = true }) => sent((await roomOf(room)).send(text, options), wait),
  reply: async ({ room, to, text }) => sent((await roomOf(room)).reply(await messageOf(await roomOf(room), to), text), true),
  edit: async ({ room, target, text }) => sent((await roomOf(room)).edit(await messageOf(await roomOf(room), target), text), true),
  delete: async ({ room, target }) => sent((await roomOf(room)).delete(await messageOf(await roomOf(room), target)), true),
  react: async ({ room, target, emoji }) => sent((await roomOf(room)).react(await messageOf(await roomOf(room), target), emoji), true),
  rename: async ({ room, name }) => (await roomOf(room)).rename(name),
  lines: async ({ room }) => (await roomOf(room)).lines(),
  answerHold: async ({ room, kind }) => (await roomOf(room)).answerHold(kind),
  agreeToEnter: async ({ room }) => (await roomOf(room)).agreeToEnter(),
  forget: async ({ room }) => (await roomOf(room)).forget(),
  // Callers ask again, so a room that is not there is no reason to wait.
  history: async ({ room }) => (await (await roomOf(room, 250)).history({ limit: 500 })).map(shown),
  members: async ({ room }) => (await roomOf(room)).members.list(),
  status: async ({ room }) => {
    const found = here.client.rooms.list().find((each) => each.id === room);
    if (!found) return { known: false };
    const { core } = found;
    return {
      known: true,
      ready: found.isReady,
      kind: found.kind,
      role: found.role,
      name: found.name,
      settings: found.settings,
      epoch: found.epoch,
      generation: core?.state?.generation,
      cursor: core?.state?.cursor,
      broken: core?.state?.broken,
      out: core?.state?.out,
      unsent: found.unsent,
      canBeRead: found.canBeRead,
      holds: found.holds().map(({ kind, userId, deviceId }) => ({ kind, userId, deviceId })),
      isWithheld: found.isWithheld,
      isConfirmed: found.isConfirmed,
      code: await found.code().catch(() => undefined),
      devices: found.devices(),
    };
  },
  close: async () => {
    await here.client?.close();
    process.exitCode = 0;
    setTimeout(() => process.exit(0), 10);
  },
  /** The keys and the state of the device, for a thief. */
  dump: async () => (await here.store.list("")).map(([key, value]) => [key, Buffer.from(value).toString("base64")]),
  load: async ({ values }) => here.store.write(new Map(values.map(([key, value]) => [key, Buffer.from(value, "base64")]))),
};

process.on("unhandledRejection", (error) =>
  tell({ event: "unhandledRejection", value: { kind: "unhandledRejection", detail: String(error?.stack ?? error) } }),
);
async function carryOut(line) {
  const { id, command, ...options } = JSON.parse(line);
  try {
    tell({ id, result: (await commands[command](options)) ?? null });
  } catch (error) {
    tell({ id, error: `${error.code ?? error.name}: ${error.message}`, code: error.code });
  }
}
export function listen() {
  createInterface({ input: process.stdin })
    .on("line", (line) => void carryOut(line))
    .on("close", () => process.exit(0));
  tell({ id: -1 });
}
if (process.argv[1] === new URL(import.meta.url).pathname) listen();
