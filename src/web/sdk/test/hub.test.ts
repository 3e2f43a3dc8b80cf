import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { HubConnectionBuilder, type HubConnection } from "@microsoft/signalr";
import { afterEach, expect, test, vi } from "vitest";
import { systemClock } from "../src/base/clock.js";
import type { SecureMessagingError } from "../src/base/errors.js";
import { Http } from "../src/net/http.js";
import { HubLink } from "../src/net/hub.js";
import type { Session } from "../src/net/session.js";

const servers: Server[] = [];
const links: HubLink[] = [];

afterEach(async () => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  await Promise.all(links.splice(0).map((each) => each.close()));
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A server that answers REST calls and rejects WebSockets. */
async function link(): Promise<{ url: string; failures: SecureMessagingError[]; gaveUp: SecureMessagingError[]; upgrades: () => number }> {
  const server = createServer((request, response) => {
    if (request.url === "/v1/auth/ticket") response.end('{"ticket":"t"}');
    else
      response
        .writeHead(403, { "content-type": "application/problem+json" })
        .end(JSON.stringify({ code: "Forbidden", detail: "This origin is not allowed.", retryable: false }));
  });
  let upgrades = 0;
  server.on("upgrade", (_, socket) => {
    upgrades++;
    socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const http = new Http({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  const session = { http, isOver: false, renewAt: Date.now() + 600_000, call: (...args: Parameters<Http["call"]>) => http.call(...args) } as unknown as Session;
  const [failures, gaveUp]: SecureMessagingError[][] = [[], []];
  const made = new HubLink(session);
  made.on("failed", ({ error }) => failures!.push(error as SecureMessagingError));
  made.on("gaveUp", ({ error }) => gaveUp!.push(error));
  links.push(made);
  made.start();
  return { url: http.base, failures: failures!, gaveUp: gaveUp!, upgrades: () => upgrades };
}

test("a blocked WebSocket is reported once, with its address", async () => {
  const { url, failures, upgrades } = await link();
  await vi.waitFor(() => expect(failures[0]).toMatchObject({ code: "Unavailable", message: expect.stringMatching(/WebSocket .*proxy/) as string }), 10_000);
  expect(failures[0]!.message).toContain(`${url}/hubs/chat`);
  // Further attempts fail for the same cause.
  await vi.waitFor(() => expect(upgrades()).toBeGreaterThan(3), 10_000);
  expect(failures).toHaveLength(1);
});

test("an origin that the server does not allow is reported with the setting", async () => {
  vi.stubGlobal("location", { origin: "https://page.example.org" });
  const { failures } = await link();
  await vi.waitFor(
    () => expect(failures[0]).toMatchObject({ message: expect.stringMatching(/https:\/\/page\.example\.org: .*Server:AllowedOrigins/) as string }),
    10_000,
  );
});

test("each connection that drains at once is followed by a longer wait than the one before", async () => {
  const waits: number[] = [];
  const pause = systemClock.pause.bind(systemClock);
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  vi.spyOn(systemClock, "pause").mockImplementation((ms, signal) => {
    // The others are limits of a connection: until its start, and until its token expires.
    if (ms > 10_000) return pause(ms, signal);
    if (ms > 0) waits.push(ms);
    return pause(0, signal);
  });
  let connects = 0;
  vi.spyOn(HubConnectionBuilder.prototype, "build").mockImplementation(() => {
    const listeners = new Map<string, (ms: number) => void>();
    return {
      on: (name: string, listener: (ms: number) => void) => listeners.set(name, listener),
      onclose: () => undefined,
      start: async () => void (connects++ < 50 && setImmediate(() => listeners.get("Draining")!(0))),
      stop: async () => undefined,
    } as unknown as HubConnection;
  });
  await link();
  await vi.waitFor(() => expect(connects).toBe(51), 10_000);
  expect(waits.slice(0, 5)).toEqual([50, 100, 200, 400, 800]);
  expect(waits).toHaveLength(50);
});

test("without a WebSocket class the link stops with the reason, and waiting calls fail", async () => {
  vi.spyOn(HubConnectionBuilder.prototype, "build").mockImplementation(() => {
    throw new Error("dynamic usage of require is not supported");
  });
  const { failures, gaveUp } = await link();
  await vi.waitFor(
    () => expect(gaveUp[0]).toMatchObject({ code: "UnsupportedPlatform", message: expect.stringContaining("dynamic usage of require") as string }),
    10_000,
  );
  expect(failures).toEqual([]);
  await expect(links[0]!.heads()).rejects.toMatchObject({ code: "UnsupportedPlatform" });
});
