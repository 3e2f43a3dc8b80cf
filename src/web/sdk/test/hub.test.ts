import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { HubConnectionBuilder } from "@microsoft/signalr";
import { afterEach, expect, test, vi } from "vitest";
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
