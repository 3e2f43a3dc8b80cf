import "fake-indexeddb/auto";
import "./locks.js";
import { afterEach, expect, test, vi } from "vitest";
import { newId } from "../src/base/bytes.js";
import { openSharedClient, SecureMessagingError, type SharedClient, type Warning } from "../src/browser.js";
import { IndexedDbStore } from "../src/store/indexedDb.js";
import { keys, pack, unpack } from "../src/store/store.js";
import type { Leader } from "../src/tabs/leader.js";
import { TabCoordinator, protocolVersion } from "../src/tabs/coordinator.js";
import { ben, device, me, url } from "./offlineDevice.js";
import { someSettings } from "./someSettings.js";

const opened: SharedClient[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((tab) => tab.close()));
});

async function open(name: string): Promise<SharedClient> {
  const tab = await openSharedClient({ url, name });
  opened.push(tab);
  return tab;
}

test("without a connection all stored data is available in each tab, and sends wait", async () => {
  const { roomId } = await device("offline", 30);
  const first = await open("offline");
  const second = await open("offline");
  expect(first.status).toMatchObject({ username: "anna", connected: false, leader: true });
  expect(second.status).toMatchObject({ username: "anna", connected: false, leader: false });
  for (const tab of [first, second])
    expect(await tab.conversations()).toMatchObject([
      { id: roomId, title: "Lunch", role: "owner", unread: 15, last: { seq: 30, at: new Date(30 * 60_000) }, ...someSettings },
    ]);
  expect((await second.history(roomId, { limit: 10 })).map((message) => message.seq)).toEqual([21, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
  expect((await second.history(roomId, { limit: 3, before: 21 })).map((message) => message.seq)).toEqual([18, 19, 20]);
  let received = 0;
  first.on("roomChanged", () => received++);
  const [oldest] = await second.history(roomId);
  const replyTo = { author: oldest!.from!.userId, id: oldest!.id };
  const id = await second.send(roomId, "hello", { replyTo });
  expect(await first.pending(roomId)).toMatchObject([{ id, roomId, content: { type: "reply", text: "hello", to: replyTo }, state: "waiting" }]);
  await vi.waitFor(() => expect(received).toBeGreaterThan(0));
  await vi.waitFor(() => expect(second.status.unsent).toBe(1));
  await second.setDraft(roomId, "half a sen");
  expect(await first.draft(roomId)).toBe("half a sen");
  await second.markRead(roomId, 29);
  expect(await first.conversations()).toMatchObject([{ unread: 0 }]);
  const document = JSON.parse(await second.exportAll()) as { rooms: { messages: unknown[]; draft: string }[] };
  expect(document.rooms[0]!.messages.length).toBe(30);
  expect(document.rooms[0]!.draft).toBe("half a sen");
});

test("errors keep their code between tabs", async () => {
  await open("errors");
  const second = await open("errors");
  for (const asking of [second.conversations(), second.send(newId(), "x")]) {
    const error = await asking.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SecureMessagingError);
    expect(error).toMatchObject({ code: "SignedOut", retryable: false });
  }
  await expect(second.signIn({ username: "anna", password: "long enough" })).rejects.toMatchObject({ code: "Unavailable", retryable: true });
  await expect(second.send((() => undefined) as never, "x")).rejects.toMatchObject({ code: "Invalid" });
});

test("when the leader closes, another tab continues, and each send is there once and in order", async () => {
  const { roomId } = await device("takeover", 10);
  const first = await open("takeover");
  const second = await open("takeover");
  const third = await open("takeover");
  const sends: Promise<string>[] = [];
  for (let i = 0; i < 40; i++) {
    sends.push(second.send(roomId, `send ${i}`));
    if (i === 20) void first.close();
    if (i % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const ids = await Promise.all(sends);
  await vi.waitFor(() => expect([second, third].filter((tab) => tab.status.leader).length).toBe(1));
  const pending = await third.pending(roomId);
  expect(pending.map(({ content }) => content.type === "text" && content.text)).toEqual(ids.map((_, i) => `send ${i}`));
  expect(pending.map((send) => send.id)).toEqual(ids);
});

test("a call that an earlier leader has carried out is not repeated", async () => {
  const { roomId } = await device("repeated", 10);
  const tab = await open("repeated");
  const { link: coordinator } = tab as unknown as { link: TabCoordinator };
  const call = { id: newId(), method: "send" as const, args: [roomId, "once"], repeated: false };
  await coordinator.ask(call);
  await coordinator.ask({ ...call, repeated: true });
  const reaction = { id: newId(), method: "react" as const, args: [roomId, { author: ben, id: newId() }, "👍", true], repeated: false };
  await coordinator.ask(reaction);
  await coordinator.ask({ ...reaction, repeated: true });
  expect((await tab.pending(roomId)).length).toBe(1);
  await vi.waitFor(() => expect(tab.status.unsent).toBe(2));
});

test("a send with an id is sent once, also when another page repeats it", async () => {
  const { roomId } = await device("named", 10);
  const [first, second] = [await open("named"), await open("named")];
  const [one, two] = [newId(), newId()];
  await Promise.all([
    first.send(roomId, "one", { id: one }),
    second.send(roomId, "one", { id: one }),
    first.send(roomId, "two", { id: two }),
    second.send(roomId, "two", { id: two }),
  ]);
  await first.close();
  expect(await second.send(roomId, "one", { id: one })).toBe(one);
  const { link: coordinator } = second as unknown as { link: TabCoordinator };
  await expect(coordinator.ask({ id: newId(), userId: newId(), method: "send", args: [roomId, "as another user"], repeated: true })).rejects.toMatchObject({
    code: "SignedOut",
  });
  expect(await second.pending(roomId)).toMatchObject([
    { id: one, content: { text: "one" } },
    { id: two, content: { text: "two" } },
  ]);
});

test("content of the application is sent once, and what happens in a room is an event in all tabs, with the room's id", async () => {
  const { roomId } = await device("custom", 3);
  const tabs = [await open("custom"), await open("custom")];
  const seen = tabs.map((tab) => {
    const all: [name: string, event: unknown][] = [];
    for (const name of ["message", "signal", "holds", "pending", "read"] as const) tab.on(name, (event) => all.push([name, event]));
    return all;
  });
  const id = newId();
  const poll = { kind: "poll", data: { yes: ["ben"], no: [] } };
  for (const tab of tabs) expect(await tab.sendCustom(roomId, poll.kind, poll.data, { id })).toBe(id);
  expect(await tabs[1]!.pending(roomId)).toMatchObject([{ id, content: { type: "custom", ...poll }, state: "waiting" }]);
  // Without a connection a signal is dropped.
  await tabs[1]!.signal(roomId, { hand: "up" });
  await tabs[1]!.markRead(roomId, 1);
  const { leader } = (tabs[0] as unknown as { link: { leader: Leader } }).link;
  const room = await leader.room(roomId);
  const signal = { userId: ben, deviceId: newId(), data: { hand: "up" } };
  room.emit("signal", signal);
  const holds = [{ kind: "withheld" as const, detail: "" }];
  room.emit("holds", holds);
  room.emit("message", room.last!);
  const expected = [
    ["pending", { roomId }],
    ["read", { roomId, userId: me, upTo: 1 }],
    ["signal", { roomId, ...signal }],
    ["holds", { roomId, holds }],
    ["message", { roomId, ...room.last! }],
  ];
  for (const all of seen) await vi.waitFor(() => expect(all).toEqual(expected));
});

test("a frozen leader is replaced, and learns it from its next write", async () => {
  const { roomId } = await device("frozen", 10);
  const frozen = await IndexedDbStore.open("frozen");
  const tab = await open("frozen");
  expect(tab.status.leader).toBe(true);
  await tab.send(roomId, "from the new leader");
  await expect(frozen.write(new Map([["x", pack(1)]]))).rejects.toMatchObject({ code: "Conflict" });
}, 30_000);

test("rejected sends are kept until the user decides, a room that has ended stays readable, and warnings stay until they are acknowledged", async () => {
  const { roomId } = await device("kept", 10);
  const over = newId();
  const store = await IndexedDbStore.open("kept");
  const [refused, unwanted] = [newId(), newId()];
  const failed = (id: string) =>
    pack({ id, roomId, content: { type: "text", text: `refused ${id}` }, at: 1, error: { code: "Forbidden", message: "No.", retryable: false } });
  await store.write(
    new Map([
      [keys.failed(roomId, refused), failed(refused)],
      [keys.failed(roomId, unwanted), failed(unwanted)],
      [keys.room(roomId), pack({ ...unpack<object>((await store.get(keys.room(roomId)))!), rewound: true })],
      [
        `conversation/${roomId}`,
        pack({
          id: roomId,
          kind: "group",
          name: "Lunch",
          members: [
            { userId: me, username: "anna", role: "owner" },
            { userId: ben, username: "ben", role: "member" },
          ],
        }),
      ],
      [`conversation/${over}`, pack({ id: over, kind: "direct", members: [{ userId: ben, username: "ben", role: "member" }] })],
      [
        keys.message(over, 7),
        pack({ seq: 7, id: newId(), from: { userId: ben, deviceId: newId() }, mine: false, at: 1, content: { type: "text", text: "bye" } }),
      ],
    ]),
  );
  await store.close();
  let tab = await open("kept");
  const find = async (id: string) => (await tab.conversations()).find((conversation) => conversation.id === id);
  expect(await tab.pending(roomId)).toMatchObject([
    { state: "failed", error: "Forbidden" },
    { state: "failed", error: "Forbidden" },
  ]);
  await Promise.all([tab.retry(roomId, refused), tab.retry(roomId, refused)]);
  await tab.discard(roomId, unwanted);
  expect(await tab.pending(roomId)).toMatchObject([{ id: refused, state: "waiting", content: { text: `refused ${refused}` } }]);
  expect(await find(over)).toMatchObject({ title: "ben", unread: 0, last: { content: { text: "bye" } } });
  expect((await find(over))!.role).toBeUndefined();
  await expect(tab.send(over, "anyone there?")).rejects.toMatchObject({ retryable: true });
  expect((await find(roomId))!.problem).toBe("logRewound");
  await tab.acknowledge(roomId);
  // The device is in no group.
  expect((await find(roomId))!.problem).toBe("joining");
  await tab.deleteRoom(over);
  await tab.close();
  tab = await open("kept");
  expect(await find(over)).toBeUndefined();
  expect((await find(roomId))!.problem).toBe("joining");
  expect(await tab.pending(roomId)).toMatchObject([{ id: refused, state: "waiting" }]);
  await tab.signOut({ wipe: true });
  expect(tab.status.state).toBe("signedOut");
}, 30_000);

test("a room that the server does not show is kept with its holds and lines, until a person gives it up", async () => {
  const { roomId } = await device("withheld", 4);
  const store = await IndexedDbStore.open("withheld");
  const by = { userId: ben, deviceId: newId() };
  const lines = [
    { seq: 2, index: 0, at: 2, kind: "name", by, name: "Lunch" },
    { seq: 4, index: 9000, at: 5, kind: "withheld" },
  ];
  const noticed = { userId: me, at: 3, kind: "renamed", username: "anna2" };
  await store.write(
    new Map([
      [keys.room(roomId), pack({ ...unpack<object>((await store.get(keys.room(roomId)))!), withheld: 5 })],
      ...lines.map((line): [string, Uint8Array] => [keys.line(roomId, line.seq, line.index), pack(line)]),
      [`${keys.trustLines(me)}0`, pack(noticed)],
      [`${keys.trustLines(me)}1`, pack({ ...noticed, kind: "devices" })],
      [`${keys.trustLines(ben)}0`, pack({ ...noticed, userId: ben })],
    ]),
  );
  await store.close();
  const first = await open("withheld");
  const second = await open("withheld");
  const held = { id: roomId, title: "Lunch", role: "owner", memberCount: 1, withheld: true, holds: [{ kind: "withheld" }] };
  for (const tab of [first, second]) {
    await vi.waitFor(async () => expect(await tab.conversations()).toMatchObject([held]));
    expect((await tab.conversations())[0]!.problem).toBeUndefined();
    // Ben is not a member, and the lists of devices have lines of their own.
    expect(await tab.lines(roomId)).toEqual([...lines, noticed]);
    expect(await tab.members(roomId)).toEqual([{ userId: me, username: "anna", role: "owner", devices: 0, verified: "no" }]);
  }
  await second.forgetRoom(roomId);
  await vi.waitFor(async () => expect((await first.conversations())[0]!.role).toBeUndefined());
  const [ended] = await first.conversations();
  expect(ended).toMatchObject({ id: roomId, title: "Lunch", memberCount: 1 });
  expect(ended!.holds).toBeUndefined();
  expect(await first.history(roomId)).toHaveLength(4);
  expect(await first.lines(roomId)).toHaveLength(3);
  await first.deleteRoom(roomId);
  expect(await second.conversations()).toEqual([]);
  expect(await second.lines(roomId)).toEqual([]);
});

test("a Commit that is not valid is a problem of the room, with the user who has made it", async () => {
  const { roomId } = await device("invalid", 2);
  const store = await IndexedDbStore.open("invalid");
  const broken = { seq: 2, since: 1, why: "commit", by: { userId: ben, deviceId: newId() } };
  const stored = unpack<object>((await store.get(keys.room(roomId)))!);
  await store.write(new Map([[keys.room(roomId), pack({ ...stored, broken })]]));
  await store.close();
  const tab = await open("invalid");
  expect(await tab.conversations()).toMatchObject([{ problem: "invalidCommit", brokenBy: ben }]);
  await tab.close();
  const again = await IndexedDbStore.open("invalid");
  await again.write(new Map([[keys.room(roomId), pack({ ...stored, broken: { ...broken, why: "chain" } })]]));
  await again.close();
  const [conversation] = await (await open("invalid")).conversations();
  expect(conversation!.problem).toBe("broken");
  expect(conversation!.brokenBy).toBeUndefined();
});

test("a failure in the leading tab is reported in all tabs, as plain data", async () => {
  await device("said", 3);
  const first = await open("said");
  const second = await open("said");
  const received: Warning[] = [];
  first.on("warning", () => undefined);
  second.on("warning", (warning) => received.push(warning));
  const named = ({ area, kind, error, retrying }: Warning) => area === "connection" && kind === "notConnected" && retrying && error!.message.includes(url);
  // The new leader tries to connect before it announces itself to the other tabs.
  await first.close();
  await vi.waitFor(() => expect(received.filter(named).length).toBe(1), 10_000);
  const third = await open("said");
  const late: Warning[] = [];
  third.on("warning", (warning) => late.push(warning));
  await second.close();
  await vi.waitFor(() => expect(late.filter(named).length).toBe(1), 10_000);
}, 30_000);

test("a full store is in the status of all tabs until there is space, and typed text stays in its tab", async () => {
  const { roomId } = await device("space", 3);
  const [first, second] = [await open("space"), await open("space")];
  for (const tab of [first, second]) tab.on("warning", () => undefined);
  const put = vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(() => {
    throw new DOMException("no", "QuotaExceededError");
  });
  await expect(second.send(roomId, "no space")).rejects.toMatchObject({ code: "StoreFailed", retryable: true });
  await expect(second.setDraft(roomId, "no space")).rejects.toMatchObject({ code: "StoreFailed" });
  for (const tab of [first, second])
    await vi.waitFor(() => expect(tab.status.storeError).toMatchObject({ code: "StoreFailed", message: expect.stringContaining("no space left") as string }));
  expect(await second.pending(roomId)).toEqual([]);
  put.mockRestore();
  await second.send(roomId, "space again");
  for (const tab of [first, second]) await vi.waitFor(() => expect(tab.status.storeError).toBeUndefined());
  expect(await second.pending(roomId)).toMatchObject([{ content: { text: "space again" }, state: "waiting" }]);
});

test("a connection that the browser closes is opened again, and no tab notices", async () => {
  const { roomId } = await device("reopened", 30);
  const [first, second] = [await open("reopened"), await open("reopened")];
  const close = () => (first as unknown as { link: { leader: { store: { database: IDBDatabase } } } }).link.leader.store.database.close();
  close();
  expect((await second.history(roomId, { limit: 5 })).length).toBe(5);
  close();
  await second.send(roomId, "after it was closed");
  close();
  expect(await first.pending(roomId)).toMatchObject([{ content: { text: "after it was closed" } }]);
  expect([first.status.leader, first.status.storeError]).toEqual([true, undefined]);
});

test("deletion by the browser is reported, and all tabs are signed out", async () => {
  const { roomId } = await device("cleared", 30);
  const tab = await open("cleared");
  const kinds: string[] = [];
  tab.on("warning", ({ kind }) => kinds.push(kind));
  const { database } = (tab as unknown as { link: { leader: { store: { database: IDBDatabase } } } }).link.leader.store;
  database.onversionchange = null;
  database.close();
  await new Promise((resolve) => {
    indexedDB.deleteDatabase("cleared").onsuccess = resolve;
  });
  await expect(tab.send(roomId, "into nothing")).rejects.toBeInstanceOf(SecureMessagingError);
  await vi.waitFor(() => expect(tab.status.state).toBe("signedOut"), 10_000);
  expect(kinds).toContain("storeDeleted");
}, 20_000);

test("a tab of an earlier version stops and reports it", async () => {
  const { roomId } = await device("versions", 10);
  const old = await open("versions");
  const warnings: string[] = [];
  old.on("warning", ({ kind }) => warnings.push(kind));
  let status: { leader: boolean } | undefined;
  const newer = await TabCoordinator.join(
    "versions",
    { url },
    {
      statusChanged: (next) => {
        status = next;
      },
      event: () => undefined,
    },
    protocolVersion + 1,
  );
  await vi.waitFor(() => expect(status).toMatchObject({ leader: true, username: "anna" }));
  expect(warnings).toEqual(["outdated"]);
  await expect(old.history(roomId)).rejects.toMatchObject({ code: "Conflict" });
  await expect(openSharedClient({ url, name: "versions" })).rejects.toMatchObject({ code: "Conflict" });
  await newer.close();
});

test("a room with 10,000 messages opens and pages as quickly as a small one", async () => {
  const { roomId } = await device("large", 10_000);
  const tab = await open("large");
  expect((await tab.conversations())[0]!.last!.seq).toBe(10_000);
  expect((await tab.history(roomId, { before: 5000, limit: 50 })).map((message) => message.seq)[49]).toBe(4999);
}, 60_000);
