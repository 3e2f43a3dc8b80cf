import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { newId } from "../src/base/bytes.js";
import { Http } from "../src/net/http.js";
import { Session } from "../src/net/session.js";
import { MemoryStore } from "../src/store/store.js";
import type { TokenResponse } from "../src/net/wire.js";

const servers: Server[] = [];
const sessions: Session[] = [];

afterEach(async () => {
  await Promise.all(sessions.splice(0).map((session) => session.close()));
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

const sessionId = newId();
const userId = newId();
const tokens = (n: number, expiresIn = 600): TokenResponse => ({
  userId,
  username: "anna",
  sessionId,
  accessToken: `access ${n}`,
  expiresIn,
  refreshToken: `refresh ${n}`,
  sessionExpiresAt: "2030-01-01T00:00:00Z",
});

/** A session with an expired access token. The server answers each refresh with the next of these; "lost" means no answer. */
async function expired(...answers: ("lost" | TokenResponse | { code: string })[]): Promise<{ session: Session; store: MemoryStore; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request
      .on("data", (chunk) => {
        body += String(chunk);
      })
      .on("end", () => {
        asked.push((JSON.parse(body) as { refreshToken: string }).refreshToken);
        const answer = answers.shift() ?? "lost";
        if (answer === "lost") request.socket.destroy();
        else response.writeHead("code" in answer ? 401 : 200).end(JSON.stringify("code" in answer ? { ...answer, detail: "No.", retryable: false } : answer));
      });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const store = new MemoryStore();
  const session = await Session.begin(tokens(1, 0), { url }, store, new Http({ url }));
  sessions.push(session);
  return { session, store, asked };
}

test("a refresh with a lost answer is retried with the same token, once for all callers, and the next token is stored first", async () => {
  const { session, store, asked } = await expired("lost", "lost", tokens(2));
  let ended = false;
  session.on("ended", () => {
    ended = true;
  });
  expect(await Promise.all([session.accessToken(), session.accessToken()])).toEqual(["access 2", "access 2"]);
  expect(asked).toEqual(["refresh 1", "refresh 1", "refresh 1"]);
  expect(ended).toBe(false);
  expect((await Session.resume(store))!.refreshToken).toBe("refresh 2");
});

test("tokens of another account are not taken, and are asked for again", async () => {
  const { session, store, asked } = await expired({ ...tokens(2), userId: newId() }, tokens(3));
  const troubles: string[] = [];
  session.on("trouble", ({ kind }) => troubles.push(kind));
  expect(await session.accessToken()).toBe("access 3");
  expect([asked, troubles, session.userId]).toEqual([["refresh 1", "refresh 1"], ["notRenewed"], userId]);
  expect((await Session.resume(store))!.userId).toBe(userId);
});

test("a session ends when the server rejects its token, with the server's reason when there is one", async () => {
  const reasons: unknown[] = [];
  const refused = await expired({ code: "Unauthenticated" });
  refused.session.on("ended", ({ reason }) => reasons.push(reason));
  await expect(refused.session.accessToken()).rejects.toMatchObject({ code: "SignedOut" });
  expect(await Session.resume(refused.store)).toBeUndefined();
  const { session, store } = await expired();
  session.on("ended", ({ reason }) => reasons.push(reason));
  await session.end("accountClosed");
  await session.end("loggedOut");
  expect(reasons).toEqual([undefined, "accountClosed"]);
  expect(await Session.resume(store)).toBeUndefined();
});

test("closing ends a running call at once, and rejects later calls", async () => {
  const server = createServer();
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const session = await Session.begin(tokens(1), { url }, new MemoryStore(), new Http({ url }));
  const asked = new Promise((resolve) => server.once("request", resolve));
  const running = session.call("GET", "v1/me");
  const failed = expect(running).rejects.toMatchObject({ code: "Unavailable", message: "The client is closed." });
  await asked;
  await session.close();
  await failed;
  await expect(session.call("GET", "v1/me")).rejects.toThrow("The client is closed.");
});
