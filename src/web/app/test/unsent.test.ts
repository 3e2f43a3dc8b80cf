import { beforeEach, expect, test } from "vitest";
import { SecureMessagingError } from "../src/base/sdk.js";
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

test("a text is in local storage, encrypted, only until the outbox has it", async () => {
  const unsent = await open();
  const sending = unsent.send("room", "words for Ben", { id });
  const kept = storage[`unsent/first/${id}`]!;
  expect(kept.length).toBeGreaterThan(0);
  for (const part of ["words", "Ben", "room", "anna"]) expect(kept).not.toContain(part);
  await sending;
  expect(Object.keys(storage)).toEqual([]);
  expect(client.sent.get(id)).toBe("words for Ben");
});

/** Sends a text from a page that is closed before the outbox answers. */
async function leaveBehind(): Promise<void> {
  const left = await open();
  client.hangs = true;
  void left.send("room", "left behind", { id });
  await client.conversations();
  client = Object.assign(new FakeClient(), { status: client.status });
}

test("the texts of a closed page are sent once, by the next page of the same account only", async () => {
  await leaveBehind();
  newPage(true);
  await open("second");
  expect(client.sent.size).toBe(0);
  await open();
  expect([...client.sent]).toEqual([[id, "left behind"]]);
  expect(Object.keys(storage)).toEqual([]);
});

test("the text of a closed page waits while the outbox cannot store it, and becomes a draft when the outbox rejects it", async () => {
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

test("a text that cannot be decrypted, because the account's data was deleted, is deleted", async () => {
  await leaveBehind();
  client.key.fill(8);
  await open();
  expect([client.sent.size, Object.keys(storage)]).toEqual([0, []]);
});

test("a plaintext of an earlier version is sent for its author and deleted for every other account", async () => {
  const other = "0d9fbb43-7c7d-4a3c-9f0e-0b6a2a4bd002";
  storage[`unsent/${id}`] = JSON.stringify({ userId: "anna", roomId: "room", text: "of before", at: 1 });
  storage[`unsent/${other}`] = JSON.stringify({ userId: "ben", roomId: "room", text: "of another", at: 2 });
  await open();
  expect([[...client.sent], Object.keys(storage)]).toEqual([[[id, "of before"]], []]);
});

test("a rejected text is not kept; a text that cannot be stored now is kept until it is sent or discarded", async () => {
  const unsent = await open();
  client.failures.push(error("Invalid", false));
  await expect(unsent.send("room", "refused", { id })).rejects.toMatchObject({ code: "Invalid" });
  expect(unsent.holds(id)).toBe(false);

  client.failures.push(new DOMException("The disk is full.", "QuotaExceededError"));
  await expect(unsent.send("room", "kept", { id })).rejects.toThrow("The disk is full.");
  expect(unsent.holds(id)).toBe(true);
  // The user writes another text meanwhile.
  client.drafts.set("room", "the next text");
  await unsent.retry(id);
  expect([client.sent.get(id), unsent.holds(id), client.drafts.get("room")]).toEqual(["kept", false, "the next text"]);

  client.failures.push(error("SignedOut", false));
  await expect(unsent.send("room", "for later", { id })).rejects.toMatchObject({ code: "SignedOut" });
  expect(unsent.holds(id)).toBe(true);
  unsent.forgetAll();
  expect(Object.keys(storage)).toEqual([]);
});
