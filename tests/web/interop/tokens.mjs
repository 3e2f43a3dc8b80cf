// A session with several access tokens: they are renewed, the node stops, the session ends. Takes a minute and almost no processor time.
// Usage: node tokens.mjs SERVER.dll
import { SecureMessagingError } from "../../../src/web/sdk/dist/index.js";
import { equal, finish, inside, roomOf, server, sleep, test, until } from "./clients.mjs";

await test("tokens are renewed in time, a draining node is left, and the end of a session is reported", async () => {
  server.options = ["--Auth:AccessTokenLifetime=00:00:30"];
  await server.start();
  const {
    clients: [a, b],
    rooms: [roomA, roomB],
  } = await roomOf(2);
  const tokens = new Set();
  const call = a.parts.session.http.call.bind(a.parts.session.http);
  let refreshes = 0;
  a.parts.session.http.call = (method, path, body, token) => {
    refreshes += path === "v1/auth/refresh" ? 1 : 0;
    return call(method, path, body, token);
  };
  const texts = [];
  for (const end = Date.now() + 44_000; Date.now() < end; await sleep(250)) {
    texts.push(`tick ${texts.length}`);
    await roomB.send(texts.at(-1));
    tokens.add(await a.parts.session.accessToken());
  }
  await until("all is read", () => roomA.seen.length === texts.length);
  equal(roomA.seen, texts);
  equal([tokens.size >= 3, refreshes, b.unsent], [true, tokens.size - 1, 0]);
  server.process.kill("SIGTERM");
  await server.process.ended;
  await server.start();
  await (
    await roomB.send("after the node had drained")
  ).stored;
  await until("it is read", () => roomA.seen.length === texts.length + 1);
  const ended = new Promise((resolve) => b.on("signedOut", resolve));
  const current = (await b.sessions.list()).find((session) => session.current);
  await b.sessions.end(current.id).catch(() => undefined);
  await ended;
  equal((await b.devices.list().catch((error) => error)).code, "SignedOut");
  // After the end of the session there is no loop without a pause, which would block the process.
  const { hub } = inside(roomB);
  const sync = hub.sync.bind(hub);
  let reads = 0;
  hub.sync = (...args) => (++reads > 100 ? Promise.reject(new SecureMessagingError({ code: "NotFound", message: "enough", retryable: false })) : sync(...args));
  await roomB.core.catchUp();
  await sleep(100);
  equal(reads <= 1, true);
});

await finish();
