// The SDK with a server of a later version: a proxy adds to the server's answers what a later version may send. Usage: node later.mjs SERVER.dll
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, request } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SecureMessaging, SecureMessagingError } from "../../../src/web/sdk/dist/index.js";
import { pad } from "../../../src/web/sdk/dist/content/padding.js";
import { viewOf } from "../../../src/web/sdk/dist/rooms/contents.js";
import { freePort } from "../ports.mjs";
import { killAll, Server } from "./processes.mjs";

const require = createRequire(new URL("../../../src/web/sdk/package.json", import.meta.url));
const { decode, encode } = require("@msgpack/msgpack");
const WebSocket = require("ws");

const tomorrow = "somethingOfTomorrow";
const folder = mkdtempSync(join(tmpdir(), "sm-later-"));
mkdirSync(join(folder, "data"));
const server = new Server(process.argv[2], folder, await freePort());
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let passed = 0;
let failed = 0;

async function until(what, condition) {
  for (const end = Date.now() + 30_000; Date.now() < end; await sleep(25)) if (await condition()) return;
  throw new Error(`timeout: ${what}`);
}

async function test(what, work) {
  try {
    await work();
    passed++;
    console.log(`ok      later: ${what}`);
  } catch (error) {
    failed++;
    console.log(`FAILED  later: ${what}: ${error.stack}`);
  }
}

const equal = (actual, expected) => {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) throw new Error(`${JSON.stringify(actual)} in place of ${JSON.stringify(expected)}`);
};

/** Content of a later version of the SDK. */
async function sendRaw({ id: roomId, core, ports }, content) {
  let send;
  await core.exclusively(async (draft) => {
    const view = { sent: Date.now(), ...(await viewOf(draft, { ...ports, readLog: core.readLog })) };
    const { group, message } = await draft.group.encrypt(pad(new TextEncoder().encode(JSON.stringify({ ...view, ...content }))));
    draft.usedKeys(group, group.epoch);
    send = { roomId, clientMessageId: crypto.randomUUID(), ciphertext: message, timeToLiveSeconds: null, epoch: group.epoch };
    return true;
  });
  equal((await ports.hub.sendBatch([send]))[0].error ?? null, null);
}

/** Replaces names with unknown ones, and adds a field to every record. */
const renamed = { settingsChanged: tomorrow, admin: tomorrow };
const refusals = [];
function later(value) {
  if (Array.isArray(value)) return value.map(later);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array || value instanceof Date) return value;
  const record = Object.fromEntries(
    Object.entries(value).map(([key, field]) => [key, (key === "kind" || key === "role") && Object.hasOwn(renamed, field) ? renamed[field] : later(field)]),
  );
  return { ...record, fieldOfTomorrow: { deep: [1, { deeper: null }] } };
}

/** A frame of SignalR's MessagePack protocol: the length precedes each message. */
function* messages(frame) {
  for (let at = 0; at < frame.length;) {
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = frame[at++];
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    yield frame.subarray(at, (at += length));
  }
}
function framed(message) {
  const bytes = encode(message);
  const length = [];
  for (let left = bytes.length; ; left >>>= 7) {
    length.push(left > 0x7f ? (left & 0x7f) | 0x80 : left);
    if (left <= 0x7f) return Buffer.concat([Buffer.from(length), bytes]);
  }
}

const sockets = new Set();
const proxy = createServer((incoming, outgoing) => {
  const refusal = incoming.method === "PUT" && incoming.url.endsWith("/me/settings") && refusals.shift();
  if (refusal) {
    outgoing.writeHead(409, { "content-type": "application/problem+json" }).end(JSON.stringify(refusal));
    return;
  }
  const onward = request(
    { port: server.port, host: "127.0.0.1", method: incoming.method, path: incoming.url, headers: { ...incoming.headers, "accept-encoding": "identity" } },
    (answer) => {
      const chunks = [];
      answer
        .on("data", (chunk) => chunks.push(chunk))
        .on("end", () => {
          let body = Buffer.concat(chunks);
          if (body.length > 0 && /json/.test(answer.headers["content-type"] ?? ""))
            body = Buffer.from(JSON.stringify(later(JSON.parse(body.toString("utf8")))));
          outgoing
            .writeHead(answer.statusCode, { "content-type": answer.headers["content-type"] ?? "text/plain" })
            .end(answer.statusCode === 204 ? undefined : body);
        });
    },
  );
  onward.on("error", () => outgoing.writeHead(502).end());
  incoming.pipe(onward);
});
const upgrades = new WebSocket.Server({ noServer: true });
proxy.on("upgrade", (incoming, socket, head) =>
  upgrades.handleUpgrade(incoming, socket, head, (near) => {
    const far = new WebSocket(`ws://127.0.0.1:${server.port}${incoming.url}`);
    const waiting = [];
    near.on("message", (data) => (far.readyState === WebSocket.OPEN ? far.send(data) : waiting.push(data)));
    far.on("open", () => waiting.forEach((data) => far.send(data)));
    let shaken = false;
    far.on("message", (raw) => {
      let data = Buffer.from(raw);
      if (!shaken) {
        // The answer to the handshake ends with a record separator.
        shaken = true;
        const end = data.indexOf(0x1e) + 1;
        near.send(data.subarray(0, end));
        // A call of a method that this client does not have, before all others.
        near.send(framed([1, {}, null, "SomethingOfTomorrow", ["x", { a: 1 }], []]));
        data = data.subarray(end);
      }
      for (const message of messages(data)) {
        const fields = decode(message);
        if (fields[0] === 1) fields[4] = fields[3] === "RoomChanged" && fields[4][1] !== "joined" ? fields[4] : fields[4].map(later);
        else if (fields[0] === 3 && fields[3] === 3) fields[4] = later(fields[4]);
        near.send(framed(fields));
      }
    });
    near.on("close", () => far.close());
    far.on("close", () => near.close());
    for (const one of [near, far]) {
      one.on("error", () => one.terminate());
      sockets.add(one);
    }
  }),
);

try {
  await server.start();
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${proxy.address().port}`;
  const signUp = (username) => SecureMessaging.signUp({ url, username, email: `${username}@example.org`, password: "a long enough password" });
  const anna = await signUp("anna");
  const ben = await signUp("ben");
  const room = await anna.rooms.create(["ben"]);
  await until("ben knows the room", () => ben.rooms.list().some((each) => each.id === room.id));
  const bens = await ben.rooms.get(room.id);
  await bens.whenReady();
  const seen = new Map();
  void (async () => {
    for await (const message of bens.messages({ after: 0 })) seen.set(message.seq, message);
  })();
  const changed = new Map();
  bens.on("changed", (message) => changed.set(message.seq, message));
  const said = () => [...seen.values()].map(({ content }) => content.text ?? `${content.type} ${content.name ?? ""}`);

  await test("an entry of an unknown kind keeps its place, and the log continues", async () => {
    await (
      await room.send("one")
    ).stored;
    await room.changeSettings({ timeToLiveSeconds: 3600 });
    await (
      await room.send("three")
    ).stored;
    await until("ben has read three", () => said().includes("three"));
    equal(said(), ["one", `unsupported ${tomorrow}`, "three"]);
    const [one, two, three] = [...seen.keys()];
    // Between them is the Commit that signs the setting.
    equal([two - one, three - two], [2, 1]);
    await (
      await bens.send("and back")
    ).stored;
    await until("anna has read it", async () => (await room.history({ limit: 1 }))[0]?.content.text === "and back");
  });

  await test("content of an unknown type keeps its place and can be answered", async () => {
    const at = Math.max(...seen.keys());
    await (
      await room.sendCustom("poll", { a: 1 })
    ).stored;
    await until("ben has it", () => Math.max(...seen.keys()) > at);
    equal(said().at(-1), "custom ");
    equal(await room.post({ type: "poll.of.tomorrow" }).catch(({ code }) => code), "Invalid");
    const id = crypto.randomUUID();
    await sendRaw(room, { v: 1, id, type: "poll.of.tomorrow", question: "?", options: ["a", { deep: null }] });
    await until("ben has read it", () => said().at(-1) === "unsupported poll.of.tomorrow");
    const message = [...seen.values()].at(-1);
    equal([message.id, message.from.userId], [id, anna.userId]);
    await (
      await bens.reply(message, "an answer")
    ).stored;
    await (
      await bens.react(message, "👍")
    ).stored;
    await until("the reaction is there", () => changed.get(message.seq)?.reactions?.["👍"]?.length === 1);
    const first = [...seen.values()][0];
    await (
      await room.edit(first, "one, edited")
    ).stored;
    await until("the edit is there", () => changed.get(first.seq)?.content.text === "one, edited");
    await (
      await room.delete(message)
    ).stored;
    await until("it can be deleted", () => changed.get(message.seq)?.deleted === true);
  });

  await test("a role that only a later server knows contradicts no signed role", async () => {
    await room.members.setRole(ben.userId, "admin");
    await until("the role is there", () => bens.role === "admin");
    equal((await room.members.list()).find((member) => member.userId === ben.userId).role, "admin");
    equal(
      (await bens.lines()).filter(({ kind }) => kind === "rosterMismatch"),
      [],
    );
    await (
      await bens.send("still here")
    ).stored;
  });

  await test("an unknown error code is an error of the server, and retryable if the server says so", async () => {
    for (const retryable of [true, false]) {
      refusals.push({ code: tomorrow, detail: "Not today.", retryable });
      const error = await anna.parts.session.call("PUT", "v1/me/settings", {}).catch((thrown) => thrown);
      equal([error instanceof SecureMessagingError, error.code, error.message, error.retryable], [true, "Unknown", "Not today.", retryable]);
    }
  });

  await test("after a reload everything is unchanged", async () => {
    await anna.close();
    equal(said().slice(0, 3), ["one", `unsupported ${tomorrow}`, "three"]);
    equal(
      (await bens.history({ limit: 50 })).slice(0, 3).map(({ content }) => content.type),
      ["text", "unsupported", "text"],
    );
  });
  await ben.close();
} catch (error) {
  failed++;
  console.log(`FAILED  later: ${error.stack}`);
}
for (const socket of sockets) socket.terminate();
proxy.close();
killAll();
rmSync(folder, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
