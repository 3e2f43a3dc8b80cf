import "fake-indexeddb/auto";
import "./locks.js";
import { afterEach, expect, test, vi } from "vitest";
import { openSharedClient, SecureMessagingError, type SharedClient, type Warning } from "../src/browser.js";
import { WorkerHost } from "../src/tabs/workerHost.js";
import { device, url } from "./offlineDevice.js";

const opened: SharedClient[] = [];
const ports: MessagePort[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((tab) => tab.close()));
  for (const port of ports.splice(0)) port.close();
});

/** A worker whose program runs in this thread. Everything that passes is cloned, as between threads. */
function worker(): Worker {
  const { port1, port2 } = new MessageChannel();
  ports.push(port1, port2);
  WorkerHost.serve(port2);
  return Object.assign(port1, { terminate: () => port1.close() }) as unknown as Worker;
}

async function open(name: string, start?: () => Worker): Promise<SharedClient> {
  const tab = await openSharedClient({ url, name, ...(start ? { worker: start } : {}) });
  opened.push(tab);
  return tab;
}

test("a client in a worker has the same data, events and errors as one in the page", async () => {
  const { roomId } = await device("in a worker", 30);
  const first = await open("in a worker", worker);
  const second = await open("in a worker", worker);
  const third = await open("in a worker");
  expect(first.status).toMatchObject({ username: "anna", connected: false, leader: true });
  for (const tab of [first, second, third]) {
    expect(await tab.conversations()).toMatchObject([{ id: roomId, title: "Lunch", unread: 15, last: { seq: 30, at: new Date(30 * 60_000) } }]);
    expect((await tab.history(roomId, { limit: 3, before: 21 })).map((message) => message.seq)).toEqual([18, 19, 20]);
  }
  const changes = vi.fn();
  second.on("roomChanged", changes);
  const id = await second.send(roomId, "hello");
  expect(await third.pending(roomId)).toMatchObject([{ id, content: { text: "hello" }, state: "waiting" }]);
  await vi.waitFor(() => expect(changes).toHaveBeenCalledWith({ roomId }));
  await vi.waitFor(() => expect(first.status.unsent).toBe(1));
  const error = await first.signIn({ username: "ben", password: "long enough" }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(SecureMessagingError);
  expect(error).toMatchObject({ code: "Conflict", retryable: false });
  await expect(first.send((() => undefined) as never, "x")).rejects.toMatchObject({ code: "Invalid" });
});

test("when the leader in a worker closes, another tab continues, and each send is there once and in order", async () => {
  const { roomId } = await device("worker closes", 10);
  const first = await open("worker closes", worker);
  const second = await open("worker closes", worker);
  const sends: Promise<string>[] = [];
  for (let i = 0; i < 20; i++) {
    sends.push(second.send(roomId, `send ${i}`));
    if (i === 10) void first.close();
  }
  const ids = await Promise.all(sends);
  await vi.waitFor(() => expect(second.status.leader).toBe(true));
  expect((await second.pending(roomId)).map((send) => send.id)).toEqual(ids);
});

test("a page that is put aside lets another tab lead, also when its client runs in a worker", async () => {
  const page = Object.defineProperty(new EventTarget(), "visibilityState", {
    get: () => {
      // The page's end has read its state last. From here on there is no document, as in a worker.
      for (const name of ["document", "addEventListener"]) Reflect.deleteProperty(globalThis, name);
      return "visible";
    },
  });
  Object.assign(globalThis, { document: page, addEventListener: page.addEventListener.bind(page) });
  const first = await open("put aside", worker);
  expect("document" in globalThis).toBe(false);
  const second = await open("put aside");
  expect([first.status.leader, second.status.leader]).toEqual([true, false]);
  page.dispatchEvent(new Event("freeze"));
  await vi.waitFor(() => expect(second.status.leader).toBe(true));
});

test("where the worker's program cannot be loaded, the client runs in the page and says so", async () => {
  const { roomId } = await device("no worker", 3);
  const said = vi.spyOn(console, "warn").mockImplementation(() => undefined);
  const fails = {
    "is not loaded": () => {
      const failing = { postMessage: () => undefined, onmessage: null, onerror: undefined as ((event: unknown) => void) | undefined, terminate: vi.fn() };
      setTimeout(() => failing.onerror?.({ message: "404" }));
      return failing as unknown as Worker;
    },
    "is forbidden": (): Worker => {
      throw new TypeError("The policy of the page forbids it.");
    },
  };
  for (const start of Object.values(fails)) {
    const tab = await open("no worker", start);
    expect((await tab.history(roomId)).length).toBe(3);
    expect(JSON.stringify(said.mock.calls)).toContain("workerFailed");
    said.mockClear();
  }
  said.mockRestore();
});

test("a call that the worker has not answered rejects when the client is closed", async () => {
  const tab = await open("closes", worker);
  const warnings: Warning[] = [];
  tab.on("warning", (warning) => warnings.push(warning));
  const asked = tab.signIn({ username: "anna", password: "long enough" });
  const closing = tab.close();
  await expect(asked).rejects.toMatchObject({ code: "Unavailable" });
  await closing;
  await expect(tab.conversations()).rejects.toMatchObject({ code: "Unavailable" });
  expect(warnings).toEqual([]);
});
