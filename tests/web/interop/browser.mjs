// The SDK in a real browser: bundled, with its store in IndexedDB, in a conversation with a client in Node. The browser is killed and started again. Usage:
// node browser.mjs SERVER.dll
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SecureMessaging } from "../../../src/web/sdk/dist/index.js";
import { checks, servePage } from "../pages.mjs";
import { freePort } from "../ports.mjs";
import { killAll, Server } from "./processes.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "sm-browser-"));
mkdirSync(join(folder, "data"));
const { check, finish } = checks("browser");

const chromium = ["chromium", "chromium-browser", "google-chrome"].find((name) => spawnSync("which", [name]).status === 0);
let browser;
function visit(url) {
  browser = spawn(
    chromium,
    [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--no-first-run",
      ...(process.env.BROWSER_LOG ? ["--enable-logging=stderr"] : []),
      `--user-data-dir=${folder}/profile`,
      url,
    ],
    { stdio: process.env.BROWSER_LOG ? "inherit" : "ignore", detached: true },
  );
  browser.ended = new Promise((resolve) => browser.once("exit", resolve));
}
async function leave() {
  process.kill(-browser.pid, "SIGKILL");
  await browser.ended;
  rmSync(`${folder}/profile/SingletonLock`, { force: true });
}

let onResult = () => undefined;
const next = () =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the browser said nothing")), 60_000);
    onResult = (value) => {
      clearTimeout(timer);
      resolve(value);
    };
  });
const pages = await servePage(here, folder, (value) => onResult(value));
const server = new Server(process.argv[2], folder, await freePort());
server.options = [`--Server:AllowedOrigins:0=${pages.origin}`];

try {
  await server.start();
  const anna = await SecureMessaging.signUp({ url: server.url, username: "anna", email: "anna@example.org", password: "a long enough password" });
  const page = `${pages.origin}/?server=${encodeURIComponent(server.url)}`;
  let answer = next();
  visit(page);
  const first = await answer;
  check("signs up, with WebCrypto keys and a store in IndexedDB", first.device !== undefined, JSON.stringify(first));
  answer = next();
  const room = await anna.rooms.create(["ben"]);
  await (
    await room.send("hello browser")
  ).stored;
  const second = await answer;
  check("reads a message and answers", second.got === "hello browser", JSON.stringify(second));
  const replies = [];
  void (async () => {
    for await (const message of room.messages({ after: 0 })) if (!message.mine) replies.push(message.content.text);
  })();
  for (const end = Date.now() + 20_000; Date.now() < end && replies.length === 0;) await new Promise((resolve) => setTimeout(resolve, 50));
  check("its answer arrives", replies[0] === "received: hello browser", JSON.stringify(replies));
  // When the page has the next message, it has stored its place after the first one.
  answer = next();
  await (
    await room.send("and one more")
  ).stored;
  check("reads on", (await answer).got === "and one more", "");
  await leave();
  await (
    await room.send("are you still there?")
  ).stored;
  answer = next();
  visit(page);
  const third = await answer;
  check("is the same device after it was killed", third.device === first.device && third.resumed === true, JSON.stringify(third));
  let fourth = await next();
  // The place after the newest message may not have been stored before the end.
  if (fourth.got === "and one more") fourth = await next();
  check("continues reading at its place", fourth.got === "are you still there?", JSON.stringify(fourth));
  await leave();
  await anna.close();
} catch (error) {
  check("the whole run", false, error.stack);
} finally {
  if (browser?.exitCode === null && browser.signalCode === null) await leave().catch(() => undefined);
  killAll();
  pages.close();
  rmSync(folder, { recursive: true, force: true });
}
finish();
