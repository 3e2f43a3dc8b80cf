// The page in each tab, see run.mjs.
import { openSharedClient } from "../../../src/web/sdk/dist/browser.js";
import { IndexedDbStore } from "../../../src/web/sdk/dist/store/indexedDb.js";
import { keys, pack } from "../../../src/web/sdk/dist/store/store.js";

const parameters = new URLSearchParams(location.search);
const server = parameters.get("server");
const workers = [];
const worker =
  parameters.get("in") === "worker"
    ? () => {
        workers.push(new Worker("/worker.js", { type: "module" }));
        return workers.at(-1);
      }
    : undefined;
window.problems = [];
addEventListener("unhandledrejection", (event) => window.problems.push(String(event.reason?.stack ?? event.reason)));
window.openShared = (name) => openSharedClient({ url: server, name, ...(worker ? { worker } : {}) });
window.ready = window.openShared("shared").then((client) => {
  window.client = client;
  client.on("warning", (warning) => window.problems.push(JSON.stringify(warning)));
});

/** Blocks the thread that has the keys and the connection. */
window.block = (ms) => {
  if (worker) for (const each of workers) each.postMessage({ kind: "block", ms });
  else for (const end = Date.now() + ms; Date.now() < end;);
};

/** Sends texts one after the other. Notes in local storage which texts the outbox has, so that the notes survive the tab. */
window.sendAll = async (room, prefix, count) => {
  const done = [];
  await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      await new Promise((resolve) => setTimeout(resolve, i * 20));
      await window.client.send(room, `${prefix} ${i}`);
      done.push(`${prefix} ${i}`);
      localStorage.setItem(`sent ${prefix}`, JSON.stringify(done));
    }),
  );
  return done.length;
};

/** Notes the messages and signals of a room, as this tab gets them. */
window.noteEvents = (room) => {
  window.events = [];
  const note = (name, what) => window.events.push([name, what]);
  window.client.on("message", ({ roomId, content }) => roomId === room && note("message", content.text ?? content.type));
  window.client.on("signal", ({ roomId, data }) => roomId === room && note("signal", JSON.stringify(data)));
};

window.quantiles = (times) => {
  const sorted = times.toSorted((a, b) => a - b);
  return { p50: sorted[Math.floor(sorted.length / 2)], p95: sorted[Math.floor(sorted.length * 0.95)], max: sorted.at(-1) };
};

/** Milliseconds from the call until the message is in the outbox. */
window.timeSends = async (client, room, count) => {
  const times = [];
  for (let i = 0; i < count; i++) {
    const from = performance.now();
    await client.send(room, `timed ${i}`);
    times.push(performance.now() - from);
  }
  return window.quantiles(times);
};

/** A device that has read this many messages and has been offline since. */
window.fill = async (name, messages) => {
  const store = await IndexedDbStore.open(name);
  const room = crypto.randomUUID();
  const [me, other, device] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
  await store.write(
    new Map([
      [
        keys.session,
        pack({
          url: "http://127.0.0.1:9",
          userId: me,
          username: "anna",
          sessionId: device,
          accessToken: "x",
          accessIssuedAt: 0,
          accessExpiresAt: Date.now() + 3_600_000,
          refreshToken: "y",
        }),
      ],
      [keys.room(room), pack({ id: room, kind: "group", scheme: "mls10", generation: 0, cursor: messages, high: messages })],
    ]),
  );
  for (let seq = 1; seq <= messages;) {
    const some = new Map();
    for (let i = 0; i < 1000 && seq <= messages; i++, seq++) {
      const [id, userId] = [crypto.randomUUID(), seq % 2 ? other : me];
      some.set(
        keys.message(room, seq),
        pack({
          seq,
          id,
          from: { userId, deviceId: device },
          mine: userId === me,
          at: seq * 60_000,
          content: { type: "text", text: `message ${seq} with some words in it` },
        }),
      );
      some.set(keys.messageId(room, `${userId}/${id}`), pack(seq));
    }
    await store.write(some);
  }
  await store.close();
  return room;
};

window.measure = async (name, room) => {
  const times = {};
  const timed = async (what, work) => {
    const from = performance.now();
    const result = await work();
    times[what] = Math.round((performance.now() - from) * 10) / 10;
    return result;
  };
  const client = await timed("open", () => window.openShared(name));
  await timed("conversations", () => client.conversations());
  await timed("newest page", () => client.history(room, { limit: 50 }));
  await timed("page in the middle", () => client.history(room, { limit: 50, before: 5000 }));
  times.send = await window.timeSends(client, room, 100);
  await timed("pending", () => client.pending(room));
  await client.close();
  return times;
};
