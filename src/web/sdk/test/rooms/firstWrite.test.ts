/* A send whose first write takes its time, or fails, and the last write of one whose room ends. */
import { expect, test, vi } from "vitest";
import { newId } from "../../src/base/bytes.js";
import { SecureMessagingError } from "../../src/base/errors.js";
import { defer } from "../../src/base/timing.js";
import { Outbox } from "../../src/rooms/outbox.js";
import { keys, unpack } from "../../src/store/store.js";
import { roomId, Sending, text } from "./sendingDevice.js";

/** Holds the first write of the message with this text, while other writes go on. */
function holdWriteOf({ store }: Sending, held: string) {
  const write = store.write.bind(store);
  const gate = defer<void>();
  let isHeld = false;
  vi.spyOn(store, "write").mockImplementation(async (changes) => {
    if (!isHeld && [...changes.values()].some((value) => value && JSON.stringify(unpack(value)).includes(held))) {
      isHeld = true;
      await gate.promise;
    }
    await write(changes);
  });
  return gate;
}

test("a message is encrypted when its first write is done, so that this write does not undo the one of what was sent", async () => {
  const sending = new Sending();
  sending.dispatcher.open();
  const first = holdWriteOf(sending, "held");
  const held = sending.outbox.enqueue(roomId, text("held"));
  await sending.outbox.enqueue(roomId, text("behind it"));
  await new Promise((resolve) => setImmediate(resolve));
  expect(sending.sent).toEqual([]);
  first.resolve();
  await held;
  await vi.waitFor(() => expect(sending.sent).toMatchObject([text("held"), text("behind it")]));
  // After a power failure, the same bytes are sent again.
  const again = new Outbox(sending.ports);
  await again.load();
  expect(again.unsent(roomId).map(({ ciphertext }) => ciphertext)).toEqual(sending.batches.flat().map(({ ciphertext }) => ciphertext));
});

test("a message whose first write fails is not sent, a second call with its id fails too, and the messages behind it go on", async () => {
  const sending = new Sending();
  sending.dispatcher.open();
  const first = holdWriteOf(sending, "held");
  const id = newId();
  const held = sending.outbox.enqueue(roomId, text("held"), { id });
  const twin = sending.outbox.enqueue(roomId, text("held"), { id });
  await sending.outbox.enqueue(roomId, text("behind it"));
  first.reject(SecureMessagingError.store("The disk is full."));
  await expect(held).rejects.toMatchObject({ code: "StoreFailed" });
  await expect(twin).rejects.toMatchObject({ code: "StoreFailed" });
  await vi.waitFor(() => expect(sending.sent).toMatchObject([text("behind it")]));
  expect(sending.outbox.count()).toBe(1);
});

test("a send of a room that ends during its first write is rejected, and leaves nothing in the outbox", async () => {
  const sending = new Sending();
  const first = holdWriteOf(sending, "held");
  const held = sending.outbox.enqueue(roomId, text("held"));
  const dropped = sending.outbox.drop(roomId);
  await new Promise((resolve) => setImmediate(resolve));
  first.resolve();
  await dropped;
  await expect((await held).stored).rejects.toMatchObject({ code: "NotFound" });
  expect(await sending.store.list(keys.outboxes)).toEqual([]);
});

test("a send that the server rejects while its room ends is not stored again", async () => {
  const sending = new Sending();
  const { core, outbox, store } = sending;
  const ended = defer<void>();
  const write = store.write.bind(store);
  // The deletion of the item is done, and the outbox does not know it yet.
  vi.spyOn(store, "write").mockImplementation(async (changes) => {
    await write(changes);
    if (core.hasEnded && [...changes].some(([key, value]) => value === null && key.startsWith(keys.outboxes))) await ended.promise;
  });
  let dropped: Promise<void> | undefined;
  vi.spyOn(core, "catchUp").mockImplementation(async () => {
    Object.assign(core, { hasEnded: true, isReady: false });
    dropped ??= outbox.drop(roomId);
    await new Promise((resolve) => setImmediate(resolve));
  });
  const error = { code: "EpochTooOld", message: "The epoch is too old.", retryable: false } as const;
  vi.spyOn(sending.ports.hub, "sendBatch").mockImplementation(async (sends) => sends.map(() => ({ error })));
  const { stored } = await outbox.enqueue(roomId, text("rejected"));
  sending.dispatcher.open();
  await vi.waitFor(() => expect(dropped).toBeDefined());
  await new Promise((resolve) => setImmediate(resolve));
  ended.resolve();
  await dropped;
  await expect(stored).rejects.toMatchObject({ code: "NotFound" });
  expect(await store.list(keys.outboxes)).toEqual([]);
});
