// The SDK in a real browser: bundled, with its store in IndexedDB, talking to a client in Node; then the browser is killed and comes back. Usage: node browser.mjs SERVER.dll
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "../../../src/web/node_modules/vite/dist/node/index.js";
import { SecureMessaging } from "../../../src/web/sdk/dist/index.js";
import { freePort, killAll, Server } from "./processes.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "sm-browser-"));
mkdirSync(join(folder, "data"));
let passed = 0;
let failed = 0;
function check(what, good, detail = "") {
  good ? passed++ : failed++;
  console.log(`${good ? "ok     " : "FAILED "} browser: ${what}${good ? "" : `: ${detail}`}`);
}

const chromium = ["chromium", "chromium-browser", "google-chrome"].find((name) => spawnSync("which", [name]).status === 0);
let browser;
function visit(url) {
  browser = spawn(chromium, ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", ...(process.env.BROWSER_LOG ? ["--enable-logging=stderr"] : []), `--user-data-dir=${folder}/profile`, url], { stdio: process.env.BROWSER_LOG ? "inherit" : "ignore", detached: true });
  browser.ended = new Promise((resolve) => browser.once("exit", resolve));
}
async function leave() {
  process.kill(-browser.pid, "SIGKILL");
  await browser.ended;
  rmSync(`${folder}/profile/SingletonLock`, { force: true });
}

await build({
  configFile: false, root: here, logLevel: "error", build: { outDir: join(folder, "page"), minify: true, target: "es2022", lib: { entry: join(here, "page.js"), formats: ["es"], fileName: "page" } },
});
const scripts = readdirSync(join(folder, "page"));
let told = () => undefined;
const next = () => new Promise((resolve, reject) => {
  const timer = setTimeout(() => reject(new Error("the browser said nothing")), 60_000);
  told = (value) => {
    clearTimeout(timer);
    resolve(value);
  };
});
const pages = createServer((request, response) => {
  if (request.method === "POST") {
    let text = "";
    request.on("data", (chunk) => { text += chunk; }).on("end", () => {
      response.end();
      told(JSON.parse(text));
    });
  } else if (scripts.includes(request.url.slice(1))) {
    response.setHeader("content-type", "text/javascript").end(readFileSync(join(folder, "page", request.url.slice(1))));
  } else {
    response.setHeader("content-type", "text/html").end(`<!doctype html><meta charset=utf-8><script type=module src=/${scripts.find((name) => name.startsWith("page."))}></script>`);
  }
});
const port = await freePort();
await new Promise((resolve) => pages.listen(port, "127.0.0.1", resolve));
const server = new Server(process.argv[2], folder, await freePort());
server.options = [`--Server:AllowedOrigins:0=http://127.0.0.1:${port}`];

try {
  await server.start();
  const anna = await SecureMessaging.signUp({ url: server.url, username: "anna", email: "anna@example.org", password: "a long enough password" });
  const page = `http://127.0.0.1:${port}/?server=${encodeURIComponent(server.url)}`;
  let answer = next();
  visit(page);
  const first = await answer;
  check("signs up, with keys of WebCrypto and a store in IndexedDB", first.device !== undefined, JSON.stringify(first));
  answer = next();
  const room = await anna.rooms.create(["ben"]);
  await (await room.send("hello browser")).stored;
  const second = await answer;
  check("reads what was written for it, and answers", second.got === "hello browser", JSON.stringify(second));
  const replies = [];
  void (async () => {
    for await (const message of room.messages({ after: 0 }))
      if (!message.mine)
        replies.push(message.content.text);
  })();
  for (const end = Date.now() + 20_000; Date.now() < end && replies.length === 0;)
    await new Promise((resolve) => setTimeout(resolve, 50));
  check("its answer arrives", replies[0] === "heard: hello browser", JSON.stringify(replies));
  await leave();
  await (await room.send("are you still there?")).stored;
  answer = next();
  visit(page);
  const third = await answer;
  check("is the same device after it was killed", third.device === first.device && third.resumed === true, JSON.stringify(third));
  const fourth = await next();
  check("reads on where it was", fourth.got === "are you still there?", JSON.stringify(fourth));
  await leave();
  await anna.close();
} catch (error) {
  check("the course of events", false, error.stack);
} finally {
  if (browser?.exitCode === null && browser.signalCode === null)
    await leave().catch(() => undefined);
  killAll();
  pages.closeAllConnections();
  pages.close();
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
