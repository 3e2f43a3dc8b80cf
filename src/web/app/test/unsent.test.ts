import { beforeEach, expect, test } from "vitest";
import { SecureMessagingError } from "../src/sdk.js";
import { Unsent } from "../src/state/unsent.js";
import { FakeClient, newPage } from "./browser.js";

const id = "0d9fbb43-7c7d-4a3c-9f0e-0b6a2a4bd001";
let storage: Record<string, string>;
let client: FakeClient;

beforeEach(() => {
  storage = newPage(false);
  client = new FakeClient();
  client.status = { state: "ready", userId: "anna", username: "anna", connected: true, unsent: 0, leader: true };
});

async function open(account = "first"): Promise<Unsent> {
  const unsent = new Unsent(client.shared, account);
  unsent.recover();
  await unsent.recovered;
  return unsent;
}

const error = (code: "Internal" | "Invalid" | "SignedOut", retryable: boolean) => new SecureMessagingError({ code, message: "", retryable });

test("a text lies in local storage encrypted until the outbox has it, and then not at all", async () => {
  const unsent = await open();
  const sending = unsent.send("room", "words for Ben", { id });
  const kept = storage[`unsent/first/${id}`]!;
  expect(kept.length).toBeGreaterThan(0);
  for (const part of ["words", "Ben", "room", "anna"])
    expect(kept).not.toContain(part);
  await sending;
  expect(Object.keys(storage)).toEqual([]);
  expect(client.sent.get(id)).toBe("words for Ben");
});

/** Enter, and the page is gone before the outbox has answered. */
async function leaveBehind(): Promise<void> {
  const left = await open();
  client.hangs = true;
  void left.send("room", "left behind", { id });
  await client.conversations();
  client = Object.assign(new FakeClient(), { status: client.status });
}

test("what a page left behind is handed over by the next one of the same account, once, and by no other", async () => {
  await leaveBehind();
  newPage(true);
  await open("second");
  expect(client.sent.size).toBe(0);
  await open();
  expect([...client.sent]).toEqual([[id, "left behind"]]);
  expect(Object.keys(storage)).toEqual([]);
});

test("what a page left behind waits when the outbox cannot take it at the next start, and goes back to its draft when the outbox refuses it", async () => {
  const left = await open();
  client.hangs = true;
  void left.send("room", "left behind", { id });
  await client.conversations();
  client = Object.assign(new FakeClient(), { status: client.status });
  client.failures.push(error("SignedOut", false));
  await open();
  expect([client.sent.size, client.drafts.size, Object.keys(storage)]).toEqual([0, 0, [`unsent/first/${id}`]]);
  client.failures.push(error("Invalid", false));
  await open();
  expect([client.sent.size, [...client.drafts], Object.keys(storage)]).toEqual([0, [["room", "left behind"]], []]);
});

test("what cannot be read, because the account's data were removed, is taken away", async () => {
  await leaveBehind();
  client.key.fill(8);
  await open();
  expect([client.sent.size, Object.keys(storage)]).toEqual([0, []]);
});

test("a text of an earlier version, in the clear, is sent for its author, and is gone for every other account", async () => {
  const other = "0d9fbb43-7c7d-4a3c-9f0e-0b6a2a4bd002";
  storage[`unsent/${id}`] = JSON.stringify({ userId: "anna", roomId: "room", text: "of before", at: 1 });
  storage[`unsent/${other}`] = JSON.stringify({ userId: "ben", roomId: "room", text: "of another", at: 2 });
  await open();
  expect([[...client.sent], Object.keys(storage)]).toEqual([[[id, "of before"]], []]);
});

test("what the outbox refuses is not kept; what it cannot take now is, until it is sent or discarded", async () => {
  const unsent = await open();
  client.failures.push(error("Invalid", false));
  await expect(unsent.send("room", "refused", { id })).rejects.toMatchObject({ code: "Invalid" });
  expect(unsent.holds(id)).toBe(false);

  client.failures.push(new DOMException("The disk is full.", "QuotaExceededError"));
  await expect(unsent.send("room", "kept", { id })).rejects.toThrow("The disk is full.");
  expect(unsent.holds(id)).toBe(true);
  // Meanwhile another text is being written.
  client.drafts.set("room", "the next text");
  await unsent.retry(id);
  expect([client.sent.get(id), unsent.holds(id), client.drafts.get("room")]).toEqual(["kept", false, "the next text"]);

  client.failures.push(error("SignedOut", false));
  await expect(unsent.send("room", "for later", { id })).rejects.toMatchObject({ code: "SignedOut" });
  expect(unsent.holds(id)).toBe(true);
  unsent.forgetAll();
  expect(Object.keys(storage)).toEqual([]);
});
