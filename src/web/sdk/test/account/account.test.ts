import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { Account } from "../../src/account/account.js";
import { newId } from "../../src/base/bytes.js";
import { Http } from "../../src/net/http.js";
import { Session } from "../../src/net/session.js";
import type { SessionEndReason } from "../../src/net/wire.js";
import { MemoryStore } from "../../src/store/store.js";

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** An account whose session ends, as a client ends it, while the server has not answered the deletion. */
async function deletedWhile(reason: SessionEndReason): Promise<unknown> {
  let session: Session | undefined;
  server = createServer((request, response) => {
    request.resume().on("end", () => {
      if (request.url !== "/v1/me/delete") response.end(JSON.stringify({ username: "anna", email: "anna@example.org", createdOn: "2026-01-01" }));
      else void session!.end(reason).then(() => session!.close());
    });
  });
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const tokens = { userId: newId(), username: "anna", sessionId: newId(), accessToken: "a", expiresIn: 600, refreshToken: "r", sessionExpiresAt: "2030-01-01" };
  session = await Session.begin(tokens, { url }, new MemoryStore(), new Http({ url }));
  return new Account(session, async () => undefined).delete("a long enough password").then(
    () => "deleted",
    (error: unknown) => (error as { code: string }).code,
  );
}

test("an account is deleted when the server says so over the hub before it answers the call", async () => {
  expect(await deletedWhile("accountClosed")).toBe("deleted");
});

test("a session that ends for another reason while an account is deleted is no deletion", async () => {
  expect(await deletedWhile("loggedOut")).toBe("Unavailable");
});
