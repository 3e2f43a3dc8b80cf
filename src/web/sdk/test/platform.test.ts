import "fake-indexeddb/auto";
import { HttpTransportType, HubConnectionBuilder } from "@microsoft/signalr";
import { afterEach, expect, test, vi } from "vitest";
import { IndexedDbStore, MemoryStore, missingFeatures, SecureMessaging } from "../src/index.js";
import { keys, pack } from "../src/store/store.js";

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

const credentials = { url: "https://chat.example.org", username: "anna", email: "anna@example.org", password: "correct horse battery" };

/** Removes a feature from the platform. */
const lacking: Record<string, () => void> = {
  Ed25519: () => withoutAlgorithm("Ed25519"),
  X25519: () => withoutAlgorithm("X25519"),
  WebCrypto: () => vi.stubGlobal("crypto", { getRandomValues: () => undefined }),
  secureContext: () => {
    vi.stubGlobal("crypto", { getRandomValues: () => undefined });
    vi.stubGlobal("isSecureContext", false);
  },
  fetch: () => vi.stubGlobal("fetch", undefined),
  WebSocket: () => {
    // Like a bundle without `require`.
    vi.spyOn(HubConnectionBuilder.prototype, "build").mockImplementation(() => {
      throw new Error("dynamic usage of require is not supported");
    });
  },
};

function withoutAlgorithm(name: string): void {
  const generate = crypto.subtle.generateKey.bind(crypto.subtle);
  vi.spyOn(crypto.subtle, "generateKey").mockImplementation(((algorithm: string, ...rest: [boolean, KeyUsage[]]) =>
    algorithm === name ? Promise.reject(new DOMException("Unrecognized name.", "NotSupportedError")) : generate(algorithm as never, ...rest)) as never);
}

test.each(Object.keys(lacking))("without %s nothing is sent, no account is created, and the error says what to do", async (feature) => {
  vi.resetModules();
  const fresh = await import("../src/index.js");
  const fetching = vi.fn();
  vi.stubGlobal("fetch", fetching);
  lacking[feature]!();
  const store = new MemoryStore();
  const used = new MemoryStore();
  await used.write(
    new Map([
      [
        keys.session,
        pack({
          url: credentials.url,
          userId: crypto.randomUUID?.() ?? "",
          username: "anna",
          sessionId: "",
          accessIssuedAt: 0,
          accessExpiresAt: 0,
          refreshToken: "one",
        }),
      ],
    ]),
  );
  for (const asking of [
    fresh.SecureMessaging.signUp({ ...credentials, store }),
    fresh.SecureMessaging.signIn({ ...credentials, store }),
    fresh.SecureMessaging.resume({ store: used }),
  ])
    await expect(asking).rejects.toMatchObject({
      name: "SecureMessagingError",
      code: "UnsupportedPlatform",
      retryable: false,
      message: expect.stringMatching(/use |open this page|exclude |polyfill/) as string,
    });
  expect(await fresh.missingFeatures()).toContain(feature);
  expect(fetching).not.toHaveBeenCalled();
  expect(await store.list("")).toEqual([]);
  // Without a stored session an application can still open and report the missing feature.
  expect(await fresh.SecureMessaging.resume({ store })).toBeUndefined();
});

test("Node has all features", async () => {
  expect(await missingFeatures()).toEqual([]);
  expect(await SecureMessaging.resume({ store: new MemoryStore() })).toBeUndefined();
});

test("the options that the check reads exist in the installed SignalR", () => {
  const hub = new HubConnectionBuilder().withUrl("http://localhost/", { transport: HttpTransportType.WebSockets, skipNegotiation: true }).build();
  expect((hub as unknown as { connection: { _options: { WebSocket: unknown } } }).connection._options.WebSocket).toBeTypeOf("function");
});

test("without Web Locks the browser store is rejected", async () => {
  vi.stubGlobal("navigator", {});
  await expect(IndexedDbStore.open("locks")).rejects.toMatchObject({ code: "UnsupportedPlatform", message: expect.stringContaining("Web Locks") as string });
});
