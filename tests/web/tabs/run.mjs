// The tabs of one browser share one device. They send at the same time; the leading one is closed, crashes, hangs and is reloaded. No message is lost,
// repeated or unreadable for another person's client in Node. Usage: node run.mjs SERVER.dll page|worker: where each tab has its keys and its connection.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SecureMessaging } from "../../../src/web/sdk/dist/index.js";
import { checks, servePage } from "../pages.mjs";
import { freePort } from "../ports.mjs";
import { killAll, Server } from "../interop/processes.mjs";
import { Chromium } from "./chromium.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "sm-tabs-"));
mkdirSync(join(folder, "data"));
const place = process.argv[3];
if (place !== "page" && place !== "worker") throw new Error("Usage: node run.mjs SERVER.dll page|worker");
const { check, finish } = checks(`tabs, keys in the ${place}`);
async function until(what, condition, timeoutMs = 40_000) {
  for (const end = Date.now() + timeoutMs; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const value = await condition();
    if (value) return value;
  }
  throw new Error(`timeout: ${what}`);
}

const pages = await servePage(here, folder);
const server = new Server(process.argv[2], folder, await freePort());
server.options = [`--Server:AllowedOrigins:0=${pages.origin}`];
const address = `${pages.origin}/?in=${place}&server=${encodeURIComponent(server.url)}`;
let browser;
const tabs = [];

async function tab() {
  const page = await browser.open(address);
  await until("the tab's script has run", () => page.run("Boolean(window.ready)").catch(() => false));
  await page.run("window.ready");
  tabs.push(page);
  return page;
}
const leads = (page) => page.run("client.status.leader");

try {
  await server.start();
  browser = new Chromium(join(folder, "profile"));
  const a = await tab();
  await a.run(`client.signUp({ username: "anna", email: "anna@example.org", password: "a long enough password" })`);
  const b = await tab();
  check("the second tab is signed in and does not lead", (await b.run("client.status.username")) === "anna" && !(await leads(b)) && (await leads(a)));

  const ben = await SecureMessaging.signUp({ url: server.url, username: "ben", email: "ben@example.org", password: "a long enough password" });
  const id = await b.run(`client.createDirect("ben")`);
  const room = await until("Ben is in the room", () => ben.rooms.get(id).catch(() => undefined));
  await room.whenReady();
  const got = [];
  void (async () => {
    for await (const message of room.messages({ after: 0 })) if (!message.mine) got.push(message.content.text ?? message.content.type);
  })();
  const all = (prefix) => got.filter((text) => text.startsWith(`${prefix} `));
  /** Whether Ben has read each text once and in order. */
  const complete = async (prefix, count) => {
    await until(`Ben has read ${prefix}`, () => all(prefix).length >= count).catch(() => undefined);
    check(
      `${prefix}: each once and in order`,
      JSON.stringify(all(prefix)) === JSON.stringify(Array.from({ length: count }, (_, i) => `${prefix} ${i}`)),
      JSON.stringify(all(prefix)),
    );
  };

  await Promise.all([a.run(`sendAll("${id}", "first tab", 40)`), b.run(`sendAll("${id}", "second tab", 40)`)]);
  await complete("first tab", 40);
  await complete("second tab", 40);
  await (
    await room.send("hello tabs")
  ).stored;
  for (const page of [a, b])
    await until("both tabs show it", () => page.run(`client.history("${id}").then((all) => all.at(-1).content.text === "hello tabs")`));
  const shown = await Promise.all([a, b].map((page) => page.run(`client.history("${id}", { limit: 200 }).then((all) => JSON.stringify(all))`)));
  check("both tabs show the same history", shown[0] === shown[1] && JSON.parse(shown[0]).length === 81, shown.map((text) => text.length).join());
  // What the application defines, and what happens in the room, between two tabs and another person's client.
  for (const page of [a, b]) await page.run(`noteEvents("${id}")`);
  const signals = [];
  room.on("signal", ({ data }) => signals.push(data));
  const pollId = await b.run(`client.sendCustom("${id}", "poll", { yes: 1 })`);
  const bens = await until("Ben has the poll", async () => (await room.message({ author: await b.run("client.status.userId"), id: pollId })) ?? false);
  check("a custom message of the tab that does not lead arrives", JSON.stringify(bens.content) === `{"type":"custom","kind":"poll","data":{"yes":1}}`);
  await b.run(`client.signal("${id}", { hand: "up" })`);
  await until("Ben has the signal", () => signals.length > 0).catch(() => undefined);
  check("a signal of the tab that does not lead arrives", JSON.stringify(signals) === `[{"hand":"up"}]`, JSON.stringify(signals));
  await room.signal({ hand: "down" });
  await (
    await room.send("an event")
  ).stored;
  for (const [name, page] of [
    ["leads", a],
    ["does not lead", b],
  ]) {
    const events = await until("the events are there", async () => {
      const noted = JSON.parse(await page.run("JSON.stringify(window.events)"));
      return noted.some(([, what]) => what === "an event") && noted.some(([kind]) => kind === "signal") && noted;
    }).catch(() => []);
    const kinds = events.map(([kind, what]) => `${kind} ${what}`).toSorted();
    check(
      `the tab that ${name} gets each message and signal as an event, once`,
      JSON.stringify(kinds) === JSON.stringify(["message an event", "message custom", `signal {"hand":"down"}`]),
      JSON.stringify(kinds),
    );
  }
  const conversation = JSON.parse(await b.run(`client.conversations().then((all) => JSON.stringify(all[0]))`));
  check("the list has the newest message, and counts it as unread", conversation.last.content.text === "an event" && conversation.unread === 2);
  await b.run(`client.markRead("${id}", ${conversation.last.seq})`);
  await until("Ben knows that it is read", async () => [...(await room.reads()).values()].includes(conversation.last.seq)).catch(() => undefined);
  check("what is read in one tab is read in all", (await a.run(`client.conversations().then((all) => all[0].unread)`)) === 0);
  console.log(
    `        send() from the leader ${JSON.stringify(await a.run(`timeSends(client, "${id}", 50)`))} ms, ` +
      `from another tab ${JSON.stringify(await b.run(`timeSends(client, "${id}", 50)`))} ms`,
  );

  let sending = b.run(`sendAll("${id}", "while the leader is closed", 100)`);
  await until("some are sent", () => all("while the leader is closed").length > 5);
  await a.close();
  await sending;
  check("another tab leads when the leader is closed", await until("it leads", () => leads(b)).catch(() => false));
  await complete("while the leader is closed", 100);

  const c = await tab();
  sending = c.run(`sendAll("${id}", "while the leader crashes", 100)`);
  await until("some are sent", () => all("while the leader crashes").length > 5);
  b.crash();
  await sending;
  check("another tab leads when the leader has crashed", await until("it leads", () => leads(c)).catch(() => false));
  await complete("while the leader crashes", 100);

  const d = await tab();
  sending = c.run(`sendAll("${id}", "from a frozen leader", 10)`);
  await sending;
  void c.start("block(25_000)");
  sending = d.run(`sendAll("${id}", "while the leader is frozen", 20)`);
  await sending;
  check("another tab leads when the leader is frozen", await leads(d));
  await complete("while the leader is frozen", 20);
  check(
    "the tab that was frozen does not lead, and continues",
    await until("it is back", async () => !(await leads(c))).then(
      () => true,
      () => false,
    ),
  );
  await c.run(`sendAll("${id}", "after the freeze", 10)`);
  await complete("after the freeze", 10);

  void d.start(`void sendAll("${id}", "while it is reloaded", 60)`);
  await until("some are sent", () => all("while it is reloaded").length > 5);
  await d.reload();
  await until("it is back", () => d.run("Boolean(window.client)").catch(() => false));
  const noted = JSON.parse(await d.run(`localStorage.getItem("sent while it is reloaded")`));
  await until("all that was in the outbox is read", () => noted.every((text) => got.includes(text)));
  check(
    "what was in the outbox before the reload is sent once",
    new Set(all("while it is reloaded")).size === all("while it is reloaded").length,
    JSON.stringify(all("while it is reloaded")),
  );

  check(
    "Ben could read everything",
    got.every((text) => text !== "unreadable" && text !== "malformed"),
    JSON.stringify(got.filter((text) => text === "unreadable")),
  );
  check("no message arrived twice", new Set(got.filter((text) => !text.startsWith("timed"))).size === got.filter((text) => !text.startsWith("timed")).length);
  await until("nothing waits", () => d.run("client.status.unsent === 0"));
  const mine = await d.run(`client.history("${id}", { limit: 500 }).then((all) => all.filter((message) => message.mine).length)`);
  check("Anna's history has the messages that Ben has read", mine === got.length, `${mine} and ${got.length}`);

  await browser.kill();
  rmSync(join(folder, "profile", "SingletonLock"), { force: true });
  await (
    await room.send("while the browser was away")
  ).stored;
  browser = new Chromium(join(folder, "profile"));
  const e = await tab();
  check(
    "after a kill of the browser: the same device, and the messages that arrived meanwhile",
    (await until("it is there", () => e.run(`client.history("${id}").then((all) => all.at(-1).content.text === "while the browser was away")`))) &&
      (await leads(e)),
  );

  await e.run(`fill("large", 10_000).then((room) => { window.large = room; })`);
  const times = await e.run(`measure("large", large)`);
  console.log(`        ten thousand messages, milliseconds: ${JSON.stringify(times)}`);
  await e.run(`fill("small", 100).then((room) => { window.small = room; })`);
  console.log(`        one hundred messages, milliseconds: ${JSON.stringify(await e.run(`measure("small", small)`))}`);

  await e.run(`client.signOut({ wipe: true })`);
  check(
    "a sign-out that erases leaves nothing behind",
    (await e.run(`client.status.state`)) === "signedOut" &&
      (await e.run(`new Promise((resolve) => {
    const opening = indexedDB.open("shared");
    opening.onsuccess = () => { const all = opening.result.transaction("values").objectStore("values").count(); all.onsuccess = () => resolve(all.result); };
  })`)) === 0,
  );
  const problems = await e.run("window.problems");
  check("there was no unreported failure", problems.length === 0, JSON.stringify(problems));
  await ben.close();
} catch (error) {
  check("the whole run", false, error.stack);
} finally {
  await browser?.kill().catch(() => undefined);
  killAll();
  pages.close();
  rmSync(folder, { recursive: true, force: true });
}
finish();
