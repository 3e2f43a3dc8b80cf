import { expect, test } from "vitest";
import { DeviceNames } from "../../src/account/deviceNames.js";
import { fromBase64, newId, randomBytes, toBase64, utf8, type Bytes } from "../../src/base/bytes.js";
import type { SessionSummary } from "../../src/net/wire.js";
import { MemoryStore } from "../../src/store/store.js";

const userId = newId();
const seed = randomBytes(32);

/** The sessions of one user at the server, which sees only labels. */
class Sessions {
  readonly all: (SessionSummary & { label?: string })[] = [];
  puts = 0;

  open(): string {
    const id = newId();
    this.all.push({ id, startedAt: "2026-12-01T10:00:00Z", current: false });
    return id;
  }

  end(id: string): void {
    this.all.splice(
      this.all.findIndex((each) => each.id === id),
      1,
    );
  }

  label(id: string): Bytes {
    return fromBase64(this.all.find((each) => each.id === id)!.label!);
  }
}

/** One device of the user, with its session. */
function device(server: Sessions, { approved = true, identitySeed = seed, sessionId = server.open(), id = newId(), store = new MemoryStore() } = {}) {
  const own = { userId, id, identitySeed: approved ? identitySeed : undefined, identityKey: approved ? identitySeed.slice(0, 16) : undefined };
  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    if (method === "GET") return server.all.map((each) => ({ ...each, current: each.id === sessionId }));
    server.puts++;
    server.all.find((each) => path === `v1/me/sessions/${each.id}/label`)!.label = (body as { label: string }).label;
    return undefined;
  };
  const names = new DeviceNames({ sessionId, call: call as never }, own, store);
  return { id, sessionId, store, names };
}

const namesOf = async ({ names }: { names: DeviceNames }) => (await names.sessions()).map(({ name }) => name);

test("each own device reads the names of the others, and the server reads none", async () => {
  const server = new Sessions();
  const [phone, laptop] = [device(server), device(server)];
  await phone.names.set(phone.id, "  Anna’s phone ");
  await laptop.names.set(laptop.id, "Laptop");
  expect(await namesOf(phone)).toEqual(["Anna’s phone", "Laptop"]);
  expect(await phone.names.sessions()).toMatchObject([
    { id: phone.sessionId, deviceId: phone.id, current: true },
    { id: laptop.sessionId, deviceId: laptop.id, current: false },
  ]);
  for (const { label } of server.all) expect(Buffer.from(label!, "base64").includes("phone")).toBe(false);
  expect(server.label(phone.sessionId).length).toBe(server.label(laptop.sessionId).length);
  expect(server.label(phone.sessionId).length).toBeLessThanOrEqual(256);
});

test("a device names another one, which adopts the name", async () => {
  const server = new Sessions();
  const [phone, laptop] = [device(server), device(server)];
  await laptop.names.suggest("Firefox on Linux");
  await laptop.names.keep();
  await phone.names.set(laptop.id, "Kitchen");
  await laptop.names.keep();
  expect((await laptop.names.known()).get(laptop.id)).toBe("Kitchen");
  await laptop.names.suggest("Firefox on Linux");
  await laptop.names.keep();
  expect(await namesOf(phone)).toEqual([undefined, "Kitchen"]);
});

test("a name stays when the device signs in again, and the others know it while it is signed out", async () => {
  const server = new Sessions();
  const phone = device(server);
  const laptop = device(server);
  await laptop.names.set(laptop.id, "Laptop");
  await phone.names.sessions();
  server.end(laptop.sessionId);
  expect((await phone.names.known()).get(laptop.id)).toBe("Laptop");
  const again = device(server, { id: laptop.id, store: laptop.store });
  await again.names.keep();
  expect(await namesOf(phone)).toEqual([undefined, "Laptop"]);
  const { puts } = server;
  await again.names.keep();
  expect(server.puts).toBe(puts);
});

test("after a renewal of the identity, a device encrypts its label again", async () => {
  const server = new Sessions();
  const phone = device(server);
  await phone.names.set(phone.id, "Phone");
  const renewed = device(server, { ...phone, approved: true, identitySeed: randomBytes(32) });
  expect(await namesOf(renewed)).toEqual([undefined]);
  await renewed.names.keep();
  expect(await namesOf(renewed)).toEqual(["Phone"]);
  expect(await namesOf(phone)).toEqual([undefined]);
});

test("a label that the server moved to another session, cut or made up is no name", async () => {
  const server = new Sessions();
  const [phone, laptop] = [device(server), device(server)];
  await phone.names.set(phone.id, "Phone");
  const [first, second] = server.all;
  second!.label = first!.label!;
  expect(await namesOf(laptop)).toEqual(["Phone", undefined]);
  const good = fromBase64(first!.label!);
  for (const label of [good.slice(0, -1), utf8("Phone"), new Uint8Array(188)]) {
    first!.label = toBase64(label);
    expect(await namesOf(laptop)).toEqual([undefined, undefined]);
  }
});

test("a device that is not approved keeps its name to itself, and a bad name is refused", async () => {
  const server = new Sessions();
  const waiting = device(server, { approved: false });
  await waiting.names.suggest("Chrome");
  await waiting.names.keep();
  expect(server.puts).toBe(0);
  const phone = device(server);
  await expect(phone.names.set(phone.id, "  ")).rejects.toMatchObject({ code: "Invalid" });
  await expect(phone.names.set(phone.id, "ä".repeat(65))).rejects.toMatchObject({ code: "TooLarge" });
  await phone.names.set(phone.id, "ä".repeat(64));
  await expect(phone.names.set(newId(), "Other")).rejects.toMatchObject({ code: "NotFound" });
});
