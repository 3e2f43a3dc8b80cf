import { expect, test, vi } from "vitest";
import { newId } from "../../src/base/bytes.js";
import { SecureMessagingError } from "../../src/base/errors.js";
import { messagesPerEpoch } from "../../src/mls/group.js";
import { limits } from "../../src/net/wire.js";
import { Outbox } from "../../src/rooms/outbox.js";
import type { MessageRecord } from "../../src/rooms/records.js";
import { keys, MemoryStore, pack } from "../../src/store/store.js";
import { roomId, Sending, text } from "./sendingDevice.js";

test("a batch stays within the server's limits of sends and bytes, and all is sent in order", async () => {
  const sending = new Sending();
  for (let i = 0; i < 140; i++) await sending.outbox.enqueue(roomId, text(`${i} ${"x".repeat(i % 3 ? 10 : 30_000)}`));
  sending.dispatcher.open();
  await vi.waitFor(() => expect(sending.sent).toHaveLength(140));
  for (const batch of sending.batches) {
    expect(batch.length).toBeLessThanOrEqual(limits.batchSends);
    expect(batch.reduce((sum, { ciphertext }) => sum + ciphertext!.length, 0)).toBeLessThanOrEqual(limits.batchBytes);
  }
  expect(sending.sent.map((content) => Number((content as { text: string }).text.split(" ")[0]))).toEqual(Array.from({ length: 140 }, (_, i) => i));
});

test("a device asks for another epoch before its 150th message of one, and waits for it there", async () => {
  const sending = new Sending();
  for (let i = 0; i < 350; i++) await sending.outbox.enqueue(roomId, text(`${i}`));
  sending.dispatcher.open();
  for (const sent of [messagesPerEpoch.most, 2 * messagesPerEpoch.most, 350]) {
    await vi.waitFor(() => expect(sending.sent).toHaveLength(sent));
    // It does not go on by itself.
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(sending.sent).toHaveLength(sent);
    expect(sending.asked > 0).toBe(sent < 350);
    sending.encrypted = sending.asked = 0;
    sending.dispatcher.wake(roomId);
  }
});

test("a device that cannot begin another epoch goes on, as far as others still read it", async () => {
  const sending = new Sending();
  sending.state.broken = { seq: 1, why: "commit", since: 0 };
  for (let i = 0; i < 200; i++) await sending.outbox.enqueue(roomId, text(`${i}`));
  sending.dispatcher.open();
  await vi.waitFor(() => expect(sending.sent).toHaveLength(messagesPerEpoch.alone));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(sending.sent).toHaveLength(messagesPerEpoch.alone);
});

test("a message says what is so when it is encrypted, not when the application called", async () => {
  const sending = new Sending();
  const { ports } = sending;
  const { id } = await sending.outbox.enqueue(roomId, text("later"), { timeToLiveSeconds: 20 });
  sending.now += 5000;
  await sending.store.write(new Map([[keys.read(roomId, ports.device.userId), pack(7)]]));
  sending.dispatcher.open();
  await vi.waitFor(() => expect(sending.sent).toHaveLength(1));
  expect(sending.sent[0]).toMatchObject({ id, sent: sending.now, ttl: 20, read: 7, room: { number: 0 }, list: { number: 0 } });
  // The server deletes nothing before a minute has passed.
  expect(sending.batches[0]![0]!.timeToLiveSeconds).toBe(60);
});

test("an edit lives no longer than its message", async () => {
  const sending = new Sending();
  const target = newId();
  const record: MessageRecord = { seq: 4, id: target, mine: true, at: 0, content: text("x"), deadline: sending.now + 90_000 };
  const { userId } = sending.ports.device;
  await sending.store.write(
    new Map([
      [keys.message(roomId, 4), pack(record)],
      [keys.messageId(roomId, `${userId}/${target}`), pack(4)],
    ]),
  );
  await sending.outbox.enqueue(roomId, { type: "edit", target, text: "y" });
  sending.dispatcher.open();
  await vi.waitFor(() => expect(sending.sent).toHaveLength(1));
  expect(sending.sent[0]!.ttl).toBe(90);
});

test.each([
  ["a text that is too large", text("x".repeat(32_000)), "TooLarge"],
  ["half of a surrogate pair", text("\ud800"), "Invalid"],
  ["a fraction in data", { type: "custom", kind: "k", data: 1.5 } as const, "Invalid"],
  ["an edit without an id", { type: "edit", target: "x", text: "y" } as const, "Invalid"],
])("%s is refused before it is stored", async (_, content, code) => {
  const sending = new Sending();
  await expect(sending.outbox.enqueue(roomId, content)).rejects.toMatchObject({ code });
  expect(await sending.store.list("")).toEqual([]);
});

test("a hold stops messages, and neither a leave nor own deletions; what they overtake is encrypted again", async () => {
  const sending = new Sending();
  await sending.outbox.enqueue(roomId, text("held"));
  // Encrypted before the hold, and not at the server.
  const sendBatch = vi.spyOn(sending.ports.hub, "sendBatch").mockImplementationOnce(async () => {
    sending.isHeld = true;
    throw SecureMessagingError.unreachable();
  });
  sending.dispatcher.open();
  await vi.waitFor(() => expect(sendBatch).toHaveBeenCalled());
  const before = sending.outbox.unsent(roomId)[0]!.clientMessageId;
  await sending.outbox.enqueue(roomId, { type: "reaction", target: { author: newId(), id: newId() }, emoji: "x" });
  await sending.outbox.enqueue(roomId, { type: "delete", target: newId(), seqs: [3] });
  await sending.outbox.enqueue(roomId, { type: "leave", token: "AAAA" });
  await vi.waitFor(() => expect(sending.sent.map(({ type }) => type)).toEqual(["delete", "leave"]));
  expect(sending.outbox.unsent(roomId).map(({ content }) => content.type)).toEqual(["text", "reaction"]);
  expect(sending.outbox.unsent(roomId)[0]!.clientMessageId).not.toBe(before);
  sending.isHeld = false;
  sending.dispatcher.wake(roomId);
  await vi.waitFor(() => expect(sending.sent.map(({ type }) => type)).toEqual(["delete", "leave", "text", "reaction"]));
});

test.each(["EpochTooOld", "WrongEpoch"] as const)("when the server rejects whole batches with %s in its own epoch, each attempt waits longer", async (code) => {
  const sending = new Sending();
  const waits: number[] = [];
  const { clock } = sending.ports;
  clock.random = () => 1;
  vi.spyOn(clock, "pause").mockImplementation(async (ms) => {
    waits.push(ms);
    if (waits.length === 6) sending.closing.abort();
  });
  const sendBatch = vi.spyOn(sending.ports.hub, "sendBatch").mockImplementation(async () => {
    if (sendBatch.mock.calls.length > 100) sending.closing.abort();
    throw SecureMessagingError.of(code, "Not this epoch.");
  });
  await sending.outbox.enqueue(roomId, text("hello"));
  sending.dispatcher.open();
  await vi.waitFor(() => expect(sending.closing.signal.aborted).toBe(true));
  expect(waits).toEqual([100, 200, 400, 800, 1600, 3200]);
  expect(sending.warnings).toHaveLength(1);
  expect(sending.outbox.unsent(roomId)).toHaveLength(1);
});

test("a deletion is repeated, also by a new process, until the server has deleted the bytes", async () => {
  const store = new MemoryStore();
  const first = new Sending(store);
  await first.outbox.enqueue(roomId, { type: "delete", target: newId(), seqs: [3, 5] }, { erase: [3, 5] });
  first.onRetract = () => SecureMessagingError.unreachable();
  expect(first.retracted).toEqual([]);
  first.dispatcher.open();
  await vi.waitFor(() => expect(first.retracted.length).toBeGreaterThan(4));
  expect(first.sent).toHaveLength(1);
  first.closing.abort();
  const second = new Sending(store);
  await second.outbox.load();
  expect(second.outbox.erasures.count).toBe(2);
  second.dispatcher.open();
  await vi.waitFor(() => expect(second.retracted.toSorted((a, b) => a - b)).toEqual([3, 5]));
  await vi.waitFor(() => expect(second.outbox.erasures.count).toBe(0));
  expect(await store.list(keys.deletions)).toEqual([]);
});

test("the message with the deletion goes first", async () => {
  const sending = new Sending();
  await sending.outbox.enqueue(roomId, { type: "delete", target: newId(), seqs: [3] }, { erase: [3] });
  const order: string[] = [];
  vi.spyOn(sending.ports.hub, "sendBatch").mockImplementation(async (sends) => {
    order.push("message");
    return sends.map(({ clientMessageId }) => ({ ack: { roomId, clientMessageId, seq: 9, createdAt: new Date(0), duplicate: false } }));
  });
  sending.onRetract = () => void order.push("bytes");
  sending.outbox.erasures.open();
  await new Promise((resolve) => setImmediate(resolve));
  expect(order).toEqual([]);
  sending.dispatcher.open();
  await vi.waitFor(() => expect(order).toEqual(["message", "bytes"]));
});

test("when no member can read a message, the bytes are deleted without one", async () => {
  const sending = new Sending();
  Object.assign(sending.core, { canBeRead: false });
  await sending.outbox.enqueue(roomId, { type: "delete", target: newId(), seqs: [3] }, { erase: [3] });
  sending.dispatcher.open();
  await vi.waitFor(() => expect(sending.retracted).toEqual([3]));
  expect(sending.batches).toEqual([]);
});

test("a definite refusal ends a deletion when the bytes are gone, and is reported when they are not", async () => {
  const sending = new Sending();
  sending.onRetract = () => SecureMessagingError.of("Forbidden", "Not yours.");
  sending.gone.add(3);
  await sending.outbox.enqueue(roomId, { type: "delete", target: newId(), seqs: [3, 5] }, { erase: [3, 5] });
  sending.dispatcher.open();
  await vi.waitFor(() => expect(sending.outbox.erasures.count).toBe(0));
  expect(sending.warnings.map(({ kind, detail }) => `${kind} ${detail}`)).toEqual(["erasureRefused SecureMessagingError: Not yours."]);
});

test("a send that did not count because of other keys is kept for the user, and can be sent again with its id by a new process", async () => {
  const sending = new Sending();
  const { id, stored } = await sending.outbox.enqueue(roomId, text("late"));
  sending.dispatcher.open();
  await stored;
  const first = { ...sending.outbox.waiting(roomId)[0]! };
  sending.dispatcher.close();
  await sending.core.exclusively(async (draft) => sending.outbox.undelivered(draft, { ...first, seq: 1, at: 0 }, "late"));
  expect(sending.outbox.failed(roomId)).toMatchObject([{ id, error: { code: "NotDelivered" } }]);
  const next = new Sending(sending.store);
  await next.outbox.load();
  await next.outbox.retry(roomId, id);
  next.dispatcher.open();
  await vi.waitFor(() => expect(next.sent.map((content) => content.id)).toEqual([id]));
  expect(next.outbox.waiting(roomId)[0]!.clientMessageId).not.toBe(first.clientMessageId);
});

test("a leave that did not count is not sent again, because earlier keys signed its token, and the server does not learn of it", async () => {
  const sending = new Sending();
  const { core, outbox, store } = sending;
  const also = new Map([[keys.leaving(roomId), pack(0)]]);
  const { stored } = await outbox.enqueue(roomId, { type: "leave", token: "AAAA" }, { also });
  const rejected = expect(stored).rejects.toMatchObject({ code: "NotDelivered" });
  sending.dispatcher.open();
  await vi.waitFor(() => expect(outbox.unsent(roomId)).toEqual([]));
  const own = outbox.waiting(roomId)[0]!;
  await core.exclusively(async (draft) => outbox.undelivered(draft, { ...own, seq: 1, at: 0 }, "late"));
  await rejected;
  expect(outbox.waiting(roomId)).toEqual([]);
  expect(await store.get(keys.leaving(roomId))).toBeUndefined();
});

test("a send that the user may not make at its place is kept for the user, and can be sent again with its id", async () => {
  const sending = new Sending();
  const { id, stored } = await sending.outbox.enqueue(roomId, text("late"));
  sending.dispatcher.open();
  await stored;
  const [own] = sending.outbox.waiting(roomId);
  const failed = vi.fn();
  sending.outbox.on("failed", failed);
  await sending.core.exclusively(async (draft) => sending.outbox.undelivered(draft, { ...own!, seq: 1, at: 0 }, "notAllowed"));
  expect(failed).toHaveBeenCalledWith({ roomId, id, error: expect.objectContaining({ code: "NotDelivered" }) as unknown });
  expect(sending.outbox.failed(roomId)).toMatchObject([{ id, content: text("late"), error: { code: "NotDelivered" } }]);
  const again = new Outbox(sending.ports);
  await again.load();
  expect(again.failed(roomId)).toMatchObject([{ id }]);
  await again.retry(roomId, id);
  expect(again.waiting(roomId)).toMatchObject([{ id, content: text("late") }]);
});
