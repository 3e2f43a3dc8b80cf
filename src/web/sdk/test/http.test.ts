import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { SecureMessagingError, toBody } from "../src/base/errors.js";
import { Http } from "../src/net/http.js";

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const failureOf = async (calling: Promise<unknown>): Promise<SecureMessagingError> => {
  const error = await calling.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(SecureMessagingError);
  return error as SecureMessagingError;
};

test("http:// is accepted for this machine only, unless it is allowed explicitly", () => {
  for (const url of [
    "http://localhost:5080",
    "http://127.0.0.1",
    "http://127.1.2.3:81/base",
    "http://[::1]:5080/",
    "http://chat.localhost",
    "https://chat.example.org",
    "https://10.0.0.1",
  ])
    expect(new Http({ url }).base).toBe(url.replace(/\/+$/, ""));
  for (const url of [
    "http://chat.example.org",
    "http://10.0.0.1:5080",
    "http://192.168.1.2",
    "http://127.0.0.1.example.org",
    "http://localhost.example.org",
    "http://[fe80::1]",
    "http://0.0.0.0",
  ]) {
    expect(() => new Http({ url })).toThrow(
      expect.objectContaining({ code: "Invalid", message: expect.stringContaining("allowInsecureHttp") as string }) as Error,
    );
    expect(new Http({ url, allowInsecureHttp: true }).base).toBe(url);
  }
  for (const url of ["", "chat.example.org", "ftp://chat.example.org", "ws://127.0.0.1", "javascript:alert(1)"])
    expect(() => new Http({ url })).toThrow(expect.objectContaining({ code: "Invalid", message: expect.stringMatching(/^url must /) as string }) as Error);
  expect(() => new Http({ url: undefined as unknown as string })).toThrow(
    "url must be the server's address, such as https://chat.example.org, and is missing.",
  );
});

test("a redirect is not followed, with or without a body, and the error contains its target", async () => {
  const calls: string[] = [];
  const other = await serve((request, response) => {
    calls.push(request.url!);
    response.end("{}");
  });
  for (const status of [301, 302, 303, 307, 308]) {
    const url = await serve((_, response) => response.writeHead(status, { location: `${other}/v1/auth/token` }).end());
    const error = await failureOf(new Http({ url }).call("POST", "v1/auth/token", { password: "secret" }));
    expect(error.message).toContain(other);
    await failureOf(new Http({ url }).call("GET", "v1/me", undefined, "token"));
  }
  expect(calls).toEqual([]);
});

test("an unreachable server is reported with the cause", async () => {
  const url = await serve(() => undefined);
  servers.splice(0).forEach((server) => server.close());
  const refused = await failureOf(new Http({ url }).call("GET", "v1/me"));
  expect(refused).toMatchObject({ code: "Unavailable", retryable: true });
  expect(refused.message).toContain(url);
  expect(refused.message).toContain("ECONNREFUSED");
  const page = await serve((_, response) => response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html>"));
  expect((await failureOf(new Http({ url: page }).call("GET", "v1/me"))).message).toContain("Is this the address of a SecureMessaging server?");
  const elsewhere = await serve((_, response) => response.writeHead(404).end("not here"));
  expect(await failureOf(new Http({ url: elsewhere }).call("GET", "v1/me"))).toMatchObject({
    code: "NotFound",
    message: expect.stringContaining(elsewhere) as string,
  });
});

test("the rejected parts of a request are in the error, also in another tab", async () => {
  const errors = [
    { detail: "must be given", pointer: "#/email" },
    { detail: "must be a number", parameter: "limit" },
  ];
  const answer = (more: object) =>
    serve((_, response) =>
      response
        .writeHead(400, { "content-type": "application/problem+json" })
        .end(JSON.stringify({ code: "Invalid", detail: "No.", retryable: false, ...more })),
    );
  const error = await failureOf(
    new Http({ url: await answer({ errors: [...errors, null, "x", { pointer: "#/x" }, { detail: 5 }] }) }).call("POST", "v1/me", {}),
  );
  expect(error.errors).toEqual(errors);
  expect(new SecureMessagingError(structuredClone(toBody(error))).errors).toEqual(errors);
  for (const more of [{}, { errors: [] }, { errors: "x" }]) {
    const without = await failureOf(new Http({ url: await answer(more) }).call("POST", "v1/me", {}));
    expect([without.code, without.errors, Object.hasOwn(toBody(without), "errors")]).toEqual(["Invalid", [], false]);
  }
});

test("a call ends after its timeout, also without AbortSignal.timeout", async () => {
  vi.spyOn(AbortSignal, "timeout").mockImplementation(() => {
    throw new TypeError("AbortSignal.timeout is not a function");
  });
  const good = await serve((_, response) => response.end('{"a":1}'));
  expect(await new Http({ url: good }).call("GET", "v1/me")).toEqual({ a: 1 });
  const slow = await serve(() => undefined);
  expect(await failureOf(new Http({ url: slow }, 100).call("GET", "v1/me"))).toMatchObject({
    code: "Unavailable",
    message: expect.stringContaining("no answer within 0.1 s") as string,
  });
  const stuck = await serve((_, response) => response.writeHead(200).write("{"));
  expect(await failureOf(new Http({ url: stuck }, 100).call("GET", "v1/me"))).toMatchObject({ code: "Unavailable" });
});

test("the time is the server's when its answers contain a date", async () => {
  for (const hours of [-48, -2, 0, 2, 24 * 400]) {
    const url = await serve((_, response) => response.setHeader("date", new Date(Date.now() + hours * 3_600_000).toUTCString()).end("{}"));
    const http = new Http({ url });
    expect(Math.abs(http.now() - Date.now())).toBeLessThan(1000);
    await http.call("GET", "v1/me");
    expect(Math.abs(http.now() - Date.now() - hours * 3_600_000)).toBeLessThan(2000);
  }
  const url = await serve((_, response) => {
    response.sendDate = false;
    response.end("{}");
  });
  const http = new Http({ url });
  await http.call("GET", "v1/me");
  expect(Math.abs(http.now() - Date.now())).toBeLessThan(1000);
});
