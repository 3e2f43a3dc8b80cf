import { SecureMessaging, type Room } from "../../../src/web/sdk/dist/index.js";
import { expect, password, test, type Person } from "./people.js";
import type { Server } from "./server.js";

let serial = 0;

/** The internals of the client that the test reads. */
interface Internals {
  parts: { hub: { heads: () => Promise<{ roomId: string; headSeq: number }[]> } };
}

/** A person who uses the SDK instead of a browser, in a conversation that the other person has started. */
async function contactOf(anna: Person, server: Server): Promise<{ client: SecureMessaging; room: Room; name: string }> {
  const name = `contact${++serial}${anna.name}`;
  const client = await SecureMessaging.signUp({ url: server.url, username: name, email: `${name}@example.org`, password });
  const joined = new Promise<Room>((resolve) => client.on("room", resolve));
  await anna.startWith(name);
  const room = await joined;
  await room.whenReady();
  return { client, room, name };
}

const say = async (room: Room, text: string): Promise<number> => (await (await room.send(text)).stored).seq;

test("the list shows a new message and not that its author is typing", async ({ person, server }) => {
  const anna = await person("anna");
  const { client, room, name } = await contactOf(anna, server);
  await anna.page.goto(`${server.url}/#/settings`);
  const line = anna.page.getByRole("navigation", { name: "Conversations" }).getByRole("link").filter({ hasText: name });
  await room.typing();
  await expect(line).toContainText("typing…");
  await say(room, "here it is");
  await expect(line).toContainText("here it is", { timeout: 3_000 });
  await client.close();
});

test("reading makes no log entry, is announced, and is neither announced nor shown when it is turned off", async ({ person, server }) => {
  const anna = await person("anna");
  const { client, room, name } = await contactOf(anna, server);
  const head = async (): Promise<number> => (await (client as unknown as Internals).parts.hub.heads()).find(({ roomId }) => roomId === room.id)!.headSeq;
  const theirs = await say(room, "do you read this?");
  await anna.sees("do you read this?");
  await expect.poll(async () => (await room.reads()).size).toBe(1);
  expect([...(await room.reads()).values()]).toEqual([theirs]);
  expect(await head()).toBe(theirs);

  await anna.write("I do");
  await expect.poll(head).toBe(theirs + 1);
  await room.markRead(theirs + 1);
  await expect(anna.log.getByRole("img", { name: "Read", exact: true })).toBeVisible();
  expect(await head()).toBe(theirs + 1);

  await anna.page.goto(`${server.url}/#/settings/privacy`);
  await anna.page.getByRole("switch", { name: "Send read receipts" }).click();
  await expect(anna.page.getByRole("switch", { name: "Send read receipts" })).not.toBeChecked();
  await anna.page.reload();
  await expect(anna.page.getByRole("switch", { name: "Send read receipts" })).not.toBeChecked();
  await anna.open(name);
  await expect(anna.log.getByRole("img", { name: "Sent", exact: true })).toBeVisible();
  await say(room, "and this?");
  await anna.sees("and this?");
  await anna.write("that is my affair");
  await expect.poll(async () => (await room.history()).length).toBe(4);
  expect([...(await room.reads()).entries()].filter(([userId]) => userId !== client.userId).map(([, upTo]) => upTo)).toEqual([theirs]);
  await client.close();
});

test("the delivery cursor can be turned off for the account", async ({ person, server }) => {
  const anna = await person("anna");
  const { page } = anna;
  await page.goto(`${server.url}/#/settings/privacy`);
  const cursor = page.getByRole("switch", { name: "Let the server remember what I have received" });
  await expect(cursor).toBeChecked();
  await cursor.click();
  await expect(cursor).not.toBeChecked();
  await page.reload();
  await expect(cursor).not.toBeChecked();
});

test("deleted messages, and rooms without this user, do not count as unread", async ({ person, server }) => {
  const anna = await person("anna");
  const { client, room } = await contactOf(anna, server);
  const { page } = anna;
  await page.goto(`${server.url}/#/settings`);
  await say(room, "one");
  await say(room, "two");
  await expect(page.getByText("2 unread messages")).toBeAttached();
  await expect(page).toHaveTitle(/^\(1\)/);
  for (const message of await room.history()) await room.delete(message);
  await expect(page.getByText(/unread message/)).toHaveCount(0);
  await expect(page).not.toHaveTitle(/^\(/);

  const group = await client.rooms.create([anna.name], { name: "Short" });
  await say(group, "hello");
  await expect(page).toHaveTitle(/^\(1\)/);
  await group.members.remove(anna.name);
  await expect(page).not.toHaveTitle(/^\(/);

  // The room shows that it has ended, and can be deleted from the list.
  await page.getByRole("navigation", { name: "Conversations" }).getByRole("link").filter({ hasText: "Short" }).click();
  await expect(page.locator("header").getByText("You are no longer a member")).toBeVisible();
  await expect(page.getByText("2 members")).toHaveCount(0);
  await page.getByRole("button", { name: "Details" }).click();
  await page.getByRole("button", { name: "Delete from this device" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete from this device" }).click();
  await expect(page.getByRole("navigation", { name: "Conversations" }).getByRole("link").filter({ hasText: "Short" })).toHaveCount(0);
  await client.close();
});

test("nothing is sent to a person with a deleted account, and the app says why", async ({ person, server }) => {
  const anna = await person("anna");
  const { client, room, name } = await contactOf(anna, server);
  await say(room, "goodbye");
  await anna.sees("goodbye");
  await expect(anna.box).toBeVisible();
  await client.account.delete(password);
  await expect(anna.page.getByText("Nothing more can be sent here")).toBeVisible();
  await expect(anna.box).toHaveCount(0);
  await expect(anna.page.getByRole("heading", { name })).toBeVisible();
  await client.close();
});

test("a conversation with a person without a device is rejected with a sentence", async ({ person, server }) => {
  const anna = await person("anna");
  const name = `plain-${anna.name}`;
  const answer = await fetch(`${server.url}/v1/auth/sign-up`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ username: name, email: `${name}@example.org`, password }),
  });
  expect(answer.ok).toBe(true);
  await anna.page.getByRole("button", { name: "New conversation" }).click();
  await anna.page.getByLabel("Exact username").fill(name);
  await anna.page.getByRole("button", { name: "Start conversation" }).click();
  await expect(anna.page.getByText("has not set up encryption yet")).toBeVisible();
  await expect(anna.box).toHaveCount(0);
});
