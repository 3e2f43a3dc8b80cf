import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { newId } from "../src/bytes.js";
import { MemoryStore, SecureMessaging, type Warning } from "../src/index.js";

/** A server that knows one account and one device, as far as signing up and in go. What `fails` names is answered by that. */
class Accounts {
  readonly calls: string[] = [];
  readonly fails = new Map<string, { status: number; code: string; message?: string } | "lost" | "unreachable">();
  account: { id: string; password: string } | undefined;
  sessions = 0;
  device: Record<string, unknown> | undefined;
  packages = 0;

  readonly fetch = async (url: string, init: { method: string; body: string | null }): Promise<Response> => {
    const path = new URL(url).pathname.replace(/[0-9a-f-]{36}/, "ID").slice(1);
    const call = `${init.method} ${path}`;
    this.calls.push(call);
    const failure = this.fails.get(call);
    if (failure === "unreachable")
      throw new TypeError("fetch failed");
    if (typeof failure === "object")
      return reply(failure.status, { code: failure.code, detail: failure.message ?? "No.", retryable: failure.status >= 500 });
    const answer = this.answer(call, init.body === null ? {} : JSON.parse(init.body) as Record<string, unknown>);
    if (failure === "lost")
      throw new TypeError("fetch failed");
    return answer;
  };

  private answer(call: string, body: Record<string, unknown>): Response {
    switch (call) {
      case "POST v1/auth/sign-up":
        if (this.account)
          return reply(409, { code: "Conflict", detail: "Taken.", retryable: false });
        this.account = { id: newId(), password: body.password as string };
        return this.tokens();
      case "POST v1/auth/token":
        return this.account?.password === body.password ? this.tokens() : reply(401, { code: "Unauthenticated", detail: "No.", retryable: false });
      case "POST v1/auth/logout":
        this.sessions--;
        return reply(204);
      case "POST v1/me/delete":
        this.account = this.device = undefined;
        return reply(204);
      case "GET v1/devices":
        return reply(200, this.device ? [this.device] : []);
      case "POST v1/devices":
        this.device = { ...body, approved: true, current: true, createdOn: "2026-01-01", seenOn: "2026-01-01" };
        return reply(201, this.device);
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
    return reply(200, { userId: this.account!.id, username: "anna", sessionId: newId(), accessToken: "a", expiresIn: 600, refreshToken: "r", sessionExpiresAt: "2030-01-01T00:00:00Z" });
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

test.each(["POST v1/devices", "GET v1/devices/ID/key-packages", "POST v1/devices/ID/key-packages"])("a sign-up whose step %s is refused leaves no account and nothing in the store, and can be made again", async (step) => {
  const store = new MemoryStore();
  server.fails.set(step, { status: 403, code: "Forbidden", message: "Not now." });
  await expect(SecureMessaging.signUp({ ...options, store })).rejects.toMatchObject({ code: "Forbidden", message: "Not now." });
  expect(server.account).toBeUndefined();
  expect((await store.list("")).map(([key]) => key)).toEqual([]);
  server.fails.clear();
  const client = await kept(SecureMessaging.signUp({ ...options, store }));
  expect(client.devices.isApproved).toBe(true);
  expect(server.packages).toBe(50);
});

test("one client at a time uses a store, and the next one when it is closed", async () => {
  const store = new MemoryStore();
  const client = await kept(SecureMessaging.signUp({ ...options, store }));
  const taken = { code: "Conflict", message: expect.stringContaining("Another client uses this store") as string };
  await expect(SecureMessaging.resume({ store })).rejects.toMatchObject(taken);
  await expect(SecureMessaging.signIn({ ...options, store })).rejects.toMatchObject(taken);
  expect(server.sessions).toBe(1);
  await client.close();
  expect(await kept(SecureMessaging.resume({ store }) as Promise<SecureMessaging>)).toMatchObject({ userId: client.userId });
});

test("a client that is closed takes nothing to send, and resuming without a store says so", async () => {
  const store = new MemoryStore();
  const client = await kept(SecureMessaging.signUp({ ...options, store }));
  await client.close();
  await expect(client.context.outbox.enqueue(newId(), { type: "text", text: "too late" })).rejects.toMatchObject({ message: "The client is closed." });
  expect(client.unsent).toBe(0);
  await expect(SecureMessaging.resume({} as { store: MemoryStore })).rejects.toMatchObject({ name: "SecureMessagingError", code: "Invalid", message: expect.stringContaining("store must be") as string });
});

test("a sign-in whose device is refused ends its session and names the limit of devices", async () => {
  server.account = { id: newId(), password: options.password };
  const store = new MemoryStore();
  server.fails.set("POST v1/devices", { status: 413, code: "TooLarge", message: "An account has 20 devices at most." });
  await expect(SecureMessaging.signIn({ ...options, store })).rejects.toMatchObject({ code: "TooManyDevices", message: expect.stringContaining("20 devices") as string });
  expect(server.sessions).toBe(0);
  expect(await SecureMessaging.resume({ store })).toBeUndefined();
  expect((await store.list("")).map(([key]) => key)).toEqual([]);
});

test("a store that knew the account keeps what it has when a sign-in is refused, without a session", async () => {
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

test("when taking back fails as well, the error says what is left, and a resume goes on with it", async () => {
  const store = new MemoryStore();
  server.fails.set("POST v1/devices/ID/key-packages", { status: 403, code: "Forbidden", message: "Not now." });
  server.fails.set("POST v1/me/delete", "unreachable");
  await expect(SecureMessaging.signUp({ ...options, store })).rejects.toMatchObject({ code: "Forbidden", message: expect.stringContaining("The account is there") as string });
  server.fails.delete("POST v1/me/delete");
  open.push((await SecureMessaging.resume({ store }))!);
  expect(open[0]!.username).toBe("anna");
});

test("a sign-up whose answer was lost goes on when it is asked again with the same password, and is taken for every other password", async () => {
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

test("a lost answer does not open another person's account of that name", async () => {
  const store = new MemoryStore();
  server.fails.set("POST v1/auth/sign-up", "unreachable");
  await expect(SecureMessaging.signUp({ ...options, store })).rejects.toMatchObject({ code: "Unavailable" });
  server.fails.clear();
  server.account = { id: newId(), password: "another person's" };
  await expect(SecureMessaging.signUp({ ...options, store })).rejects.toMatchObject({ code: "Conflict" });
  // From then on the name is known to be taken.
  server.account.password = options.password;
  await expect(SecureMessaging.signUp({ ...options, store })).rejects.toMatchObject({ code: "Conflict" });
});

test("a store that has an account makes no other one", async () => {
  const store = new MemoryStore();
  await (await SecureMessaging.signUp({ ...options, store })).close();
  server.calls.length = 0;
  await expect(SecureMessaging.signUp({ ...options, username: "ben", store })).rejects.toMatchObject({ code: "Conflict" });
  expect(server.calls).toEqual([]);
});

test.each(["username", "email", "password"])("a sign-up without %s names the field and asks the server nothing", async (field) => {
  await expect(SecureMessaging.signUp({ ...options, [field]: undefined })).rejects.toMatchObject({ code: "Invalid", message: `${field} must be a string.` });
  expect(server.calls).toEqual([]);
});

test("what a room cannot be made of is named before anything is made", async () => {
  const client = await kept(SecureMessaging.signUp(options));
  server.calls.length = 0;
  await expect(client.rooms.create("ben" as unknown as string[])).rejects.toMatchObject({ code: "Invalid", message: expect.stringContaining("usernames") as string });
  await expect(client.rooms.create(["ben"], { name: "n".repeat(201) })).rejects.toMatchObject({ code: "Invalid", message: expect.stringContaining("name must be") as string });
  server.fails.set("GET v1/users/bne/devices", { status: 404, code: "NotFound" });
  await expect(client.rooms.direct("bne")).rejects.toMatchObject({ code: "NotFound", message: 'There is no account with the username "bne".' });
  expect(server.calls.filter((call) => call === "POST v1/rooms")).toEqual([]);
});

test("a step that is not answered is asked again, and that is said once", async () => {
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
  expect(vi.mocked(console.warn).mock.calls.map(([text]) => String(text)).filter((text) => text.includes("Busy."))).toHaveLength(1);
});

test("a client that cannot connect says why, once for each cause, as plain data", async () => {
  const client = await kept(SecureMessaging.signUp(options));
  const warnings: Warning[] = [];
  client.on("warning", (warning) => warnings.push(warning));
  server.fails.set("POST v1/auth/ticket", { status: 503, code: "Overloaded", message: "Too many." });
  await vi.waitFor(() => expect(warnings.some(({ kind, error }) => kind === "notConnected" && error!.message === "Too many.")).toBe(true), 10_000);
  server.fails.set("POST v1/auth/ticket", "unreachable");
  await vi.waitFor(() => expect(warnings.some(({ kind, error }) => kind === "notConnected" && error!.message.includes("https://chat.example.org"))).toBe(true), 10_000);
  expect(warnings.filter(({ error }) => error?.message === "Too many.")).toHaveLength(1);
  expect(warnings.at(-1)).toMatchObject({ area: "connection", retrying: true, error: { code: "Unavailable", retryable: true } });
  expect(structuredClone(warnings)).toEqual(warnings);
}, 30_000);
