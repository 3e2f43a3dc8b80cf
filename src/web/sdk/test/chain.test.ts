import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { newId } from "../src/base/bytes.js";
import { MemoryStore, SecureMessaging, type Warning } from "../src/index.js";

/** A server that knows one account and one device, as far as signing up and in go. What `fails` names is answered by that. */
class Accounts {
  readonly calls: string[] = [];
  readonly fails = new Map<string, { status: number; code: string; message?: string } | "lost" | "unreachable">();
  account: { id: string; password: string } | undefined;
  sessions = 0;
  device: Record<string, unknown> | undefined;
  packages = 0;
  lists: string[] = [];

  readonly fetch = async (url: string, init: { method: string; body: string | null }): Promise<Response> => {
    const path = new URL(url).pathname.replace(/[0-9a-f-]{36}/, "ID").slice(1);
    const call = `${init.method} ${path}`;
    this.calls.push(call);
    const failure = this.fails.get(call);
    if (failure === "unreachable") throw new TypeError("fetch failed");
    if (typeof failure === "object") return reply(failure.status, { code: failure.code, detail: failure.message ?? "No.", retryable: failure.status >= 500 });
    const answer = this.answer(call, init.body === null ? {} : (JSON.parse(init.body) as Record<string, unknown>));
    if (failure === "lost") throw new TypeError("fetch failed");
    return answer;
  };

  private answer(call: string, body: Record<string, unknown>): Response {
    switch (call) {
      case "POST v1/auth/sign-up":
        if (this.account) return reply(409, { code: "Conflict", detail: "Taken.", retryable: false });
        this.account = { id: newId(), password: body.password as string };
        return this.tokens();
      case "POST v1/auth/token":
        return this.account?.password === body.password ? this.tokens() : reply(401, { code: "Unauthenticated", detail: "No.", retryable: false });
      case "POST v1/auth/logout":
        this.sessions--;
        return reply(204);
      case "POST v1/me/delete":
        this.account = this.device = undefined;
        this.lists = [];
        return reply(204);
      case "GET v1/devices":
        return reply(200, this.device ? [this.device] : []);
      case "POST v1/devices":
        this.device = { ...body, approved: true, current: true, createdOn: "2026-01-01", seenOn: "2026-01-01" };
        return reply(201, this.device);
      case "GET v1/users/ID/device-lists":
        return reply(200, { newest: this.lists.length, lists: this.lists });
      case "PUT v1/me/device-list":
        this.lists.push(body.list as string);
        return reply(200, { number: this.lists.length });
      case "GET v1/devices/ID/key-packages":
        return reply(200, { available: this.packages, lastResort: this.packages > 0, lastResortUsed: false });
      case "POST v1/devices/ID/key-packages":
        this.packages += (body.keyPackages as unknown[]).length;
        return reply(200, { available: this.packages, lastResort: true, lastResortUsed: false });
      default:
        return reply(503, { code: "Unavailable", detail: "There is no more here.", retryable: true });
    }
  }

  private tokens(): Response {
    this.sessions++;
    return reply(200, {
      userId: this.account!.id,
      username: "anna",
      sessionId: newId(),
      accessToken: "a",
      expiresIn: 600,
      refreshToken: "r",
      sessionExpiresAt: "2030-01-01T00:00:00Z",
    });
  }
}

const reply = (status: number, body?: unknown): Response => new Response(body === undefined ? null : JSON.stringify(body), { status });

const options = { url: "https://chat.example.org", username: "Anna", email: "anna@example.org", password: "correct horse battery" };
let server: Accounts;
const open: SecureMessaging[] = [];

beforeEach(() => {
  server = new Accounts();
  vi.stubGlobal("fetch", server.fetch);
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.close()));
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const kept = async (client: Promise<SecureMessaging>): Promise<SecureMessaging> => {
  open.push(await client);
  return client;
};

test.each(["POST v1/devices", "GET v1/devices/ID/key-packages", "POST v1/devices/ID/key-packages"])(
  "a sign-up whose step %s is refused leaves no account and nothing in the store, and can be made again",
  async (step) => {
    const store = new MemoryStore();
    server.fails.set(step, { status: 403, code: "Forbidden", message: "Not now." });
    await expect(SecureMessaging.signUp({ ...options, store })).rejects.toMatchObject({ code: "Forbidden", message: "Not now." });
    expect(server.account).toBeUndefined();
    expect((await store.list("")).map(([key]) => key)).toEqual([]);
    server.fails.clear();
    const client = await kept(SecureMessaging.signUp({ ...options, store }));
    expect(client.devices.isApproved).toBe(true);
    expect(server.packages).toBe(50);
  },
);

test("a store accepts one client at a time, and the next one after it is closed", async () => {
  const store = new MemoryStore();
  const client = await kept(SecureMessaging.signUp({ ...options, store }));
  const taken = { code: "Conflict", message: expect.stringContaining("Another client uses this store") as string };
  await expect(SecureMessaging.resume({ store })).rejects.toMatchObject(taken);
  await expect(SecureMessaging.signIn({ ...options, store })).rejects.toMatchObject(taken);
  expect(server.sessions).toBe(1);
  await client.close();
  expect(await kept(SecureMessaging.resume({ store }) as Promise<SecureMessaging>)).toMatchObject({ userId: client.userId });
});

test("a closed client rejects sends, and resume without a store is rejected", async () => {
  const store = new MemoryStore();
  const client = await kept(SecureMessaging.signUp({ ...options, store }));
  await client.close();
  await expect(client.parts.outbox.enqueue(newId(), { type: "text", text: "too late" })).rejects.toMatchObject({ message: "The client is closed." });
  expect(client.unsent).toBe(0);
  await expect(SecureMessaging.resume({} as { store: MemoryStore })).rejects.toMatchObject({
    name: "SecureMessagingError",
    code: "Invalid",
    message: expect.stringContaining("store is required") as string,
  });
});

test("a sign-in whose device the server rejects ends its session and reports the limit of devices", async () => {
  server.account = { id: newId(), password: options.password };
  server.device = { id: newId(), approved: true, current: false, createdOn: "2026-01-01", seenOn: "2026-01-01" };
  const store = new MemoryStore();
  server.fails.set("POST v1/devices", { status: 413, code: "TooLarge", message: "An account may have at most 20 devices." });
  await expect(SecureMessaging.signIn({ ...options, store })).rejects.toMatchObject({
    code: "TooManyDevices",
    message: expect.stringContaining("20 devices") as string,
  });
  expect(server.sessions).toBe(0);
  expect(await SecureMessaging.resume({ store })).toBeUndefined();
  expect((await store.list("")).map(([key]) => key)).toEqual([]);
});

test("after a rejected sign-in, a store of the account keeps its data without a session", async () => {
  const store = new MemoryStore();
  const client = await SecureMessaging.signUp({ ...options, store });
  const { currentId } = client.devices;
  await client.signOut();
  server.fails.set("GET v1/devices", { status: 403, code: "Forbidden" });
  await expect(SecureMessaging.signIn({ ...options, store })).rejects.toMatchObject({ code: "Forbidden" });
  expect([server.sessions, await SecureMessaging.resume({ store })]).toEqual([0, undefined]);
  server.fails.clear();
  expect((await kept(SecureMessaging.signIn({ ...options, store }))).devices.currentId).toBe(currentId);
});

test("when the undo fails too, the error says what is left, and a resume continues with it", async () => {
  const store = new MemoryStore();
  server.fails.set("POST v1/devices/ID/key-packages", { status: 403, code: "Forbidden", message: "Not now." });
  server.fails.set("POST v1/me/delete", "unreachable");
  await expect(SecureMessaging.signUp({ ...options, store })).rejects.toMatchObject({
    code: "Forbidden",
    message: expect.stringContaining("The account exists") as string,
  });
  server.fails.delete("POST v1/me/delete");
  open.push((await SecureMessaging.resume({ store }))!);
  expect(open[0]!.username).toBe("anna");
});

test("a sign-up with a lost answer continues with the same password, and is a conflict with any other", async () => {
  const store = new MemoryStore();
  server.fails.set("POST v1/auth/sign-up", "lost");
  await expect(SecureMessaging.signUp({ ...options, store })).rejects.toMatchObject({ code: "Unavailable", retryable: true });
  expect(server.account).toBeDefined();
  server.fails.clear();
  await expect(SecureMessaging.signUp({ ...options, store: new MemoryStore() })).rejects.toMatchObject({ code: "Conflict" });
  const client = await kept(SecureMessaging.signUp({ ...options, username: "anna", store }));
  expect(client.userId).toBe(server.account!.id);
  expect(server.packages).toBe(50);
});

test("after a lost answer, another person's account with the same name stays closed", async () => {
  const store = new MemoryStore();
  server.fails.set("POST v1/auth/sign-up", "unreachable");
  await expect(SecureMessaging.signUp({ ...options, store })).rejects.toMatchObject({ code: "Unavailable" });
  server.fails.clear();
  server.account = { id: newId(), password: "another person's" };
  await expect(SecureMessaging.signUp({ ...options, store })).rejects.toMatchObject({ code: "Conflict" });
  // From then on the server knows the name.
  server.account.password = options.password;
  await expect(SecureMessaging.signUp({ ...options, store })).rejects.toMatchObject({ code: "Conflict" });
});

test("a sign-up with a store of another account is rejected", async () => {
  const store = new MemoryStore();
  await (await SecureMessaging.signUp({ ...options, store })).close();
  server.calls.length = 0;
  await expect(SecureMessaging.signUp({ ...options, username: "ben", store })).rejects.toMatchObject({ code: "Conflict" });
  expect(server.calls).toEqual([]);
});

test.each(["username", "email", "password"])("a sign-up without %s reports the field and sends nothing", async (field) => {
  await expect(SecureMessaging.signUp({ ...options, [field]: undefined })).rejects.toMatchObject({ code: "Invalid", message: `${field} must be a string.` });
  expect(server.calls).toEqual([]);
});

test("an invalid member or name of a room is reported before the room is created", async () => {
  const client = await kept(SecureMessaging.signUp(options));
  server.calls.length = 0;
  await expect(client.rooms.create("ben" as unknown as string[])).rejects.toMatchObject({
    code: "Invalid",
    message: expect.stringContaining("usernames") as string,
  });
  await expect(client.rooms.create(["ben"], { name: "n".repeat(801) })).rejects.toMatchObject({
    code: "Invalid",
    message: expect.stringContaining("name must be") as string,
  });
  server.fails.set("GET v1/users/bne/devices", { status: 404, code: "NotFound" });
  await expect(client.rooms.direct("bne")).rejects.toMatchObject({ code: "NotFound", message: 'There is no account with the username "bne".' });
  expect(server.calls.filter((call) => call === "POST v1/rooms")).toEqual([]);
});

test("a step without an answer is retried, and one warning reports it", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  server.fails.set("POST v1/devices/ID/key-packages", { status: 503, code: "Overloaded", message: "Busy." });
  const signing = kept(SecureMessaging.signUp(options));
  await vi.waitFor(async () => {
    await vi.advanceTimersByTimeAsync(1000);
    expect(server.calls.filter((call) => call === "POST v1/devices/ID/key-packages").length).toBeGreaterThan(3);
  });
  server.fails.clear();
  await vi.advanceTimersByTimeAsync(20_000);
  vi.useRealTimers();
  await signing;
  expect(server.packages).toBe(50);
  expect(
    vi
      .mocked(console.warn)
      .mock.calls.map(([text]) => String(text))
      .filter((text) => text.includes("Busy.")),
  ).toHaveLength(1);
});

test("a client that cannot connect reports each cause once, as plain data", async () => {
  const client = await kept(SecureMessaging.signUp(options));
  const warnings: Warning[] = [];
  client.on("warning", (warning) => warnings.push(warning));
  server.fails.set("POST v1/auth/ticket", { status: 503, code: "Overloaded", message: "Too many." });
  await vi.waitFor(() => expect(warnings.some(({ kind, error }) => kind === "notConnected" && error!.message === "Too many.")).toBe(true), 10_000);
  server.fails.set("POST v1/auth/ticket", "unreachable");
  await vi.waitFor(
    () => expect(warnings.some(({ kind, error }) => kind === "notConnected" && error!.message.includes("https://chat.example.org"))).toBe(true),
    10_000,
  );
  expect(warnings.filter(({ error }) => error?.message === "Too many.")).toHaveLength(1);
  expect(warnings.at(-1)).toMatchObject({ area: "connection", retrying: true, error: { code: "Unavailable", retryable: true } });
  expect(structuredClone(warnings)).toEqual(warnings);
}, 30_000);
