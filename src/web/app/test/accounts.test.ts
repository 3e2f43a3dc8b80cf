import { beforeEach, expect, test } from "vitest";
import { Accounts } from "../src/state/accounts.js";
import { FakeClient, newPage } from "./browser.js";

/** The username in each store of the browser. */
let stores: Map<string, FakeClient>;

beforeEach(() => {
  newPage(false);
  stores = new Map();
});

const load = async (): Promise<Accounts> => {
  const accounts = new Accounts(async (store) => {
    const client = stores.get(store) ?? new FakeClient();
    stores.set(store, client);
    return client.shared;
  });
  await accounts.start();
  return accounts;
};

const signIn = (accounts: Accounts, username: string) => accounts.enter(username, (client) => client.signIn({ username, password: "" }));
const names = (accounts: Accounts) => accounts.list.get().map(({ username }) => username);

test("each account has its own store; a tab keeps its account, and a new tab opens the last one", async () => {
  const accounts = await load();
  expect([names(accounts), accounts.app.get()!.store]).toEqual([[], "secure-messaging"]);
  await signIn(accounts, "anna");
  await signIn(accounts, "ben");
  expect(names(accounts)).toEqual(["anna", "ben"]);
  expect(stores.size).toBe(2);
  expect(accounts.app.get()!.client.status.username).toBe("ben");

  newPage(true);
  const next = await load();
  expect(next.app.get()!.client.status.username).toBe("ben");
  await next.choose("secure-messaging");
  expect(next.app.get()!.client.status.username).toBe("anna");
  await signIn(next, "ben");
  expect(stores.size).toBe(2);
});

test("a failed sign-in does not change what is shown, and the next sign-in uses its store", async () => {
  const accounts = await load();
  await signIn(accounts, "anna");
  const before = accounts.app.get();
  await expect(accounts.enter("ben", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect([accounts.app.get(), names(accounts)]).toEqual([before, ["anna"]]);
  await signIn(accounts, "cleo");
  expect([names(accounts), stores.size]).toEqual([["anna", "cleo"], 2]);
});

test("an account without data is not listed, and its store can be used again", async () => {
  const accounts = await load();
  await signIn(accounts, "anna");
  await signIn(accounts, "ben");
  await accounts.remove("secure-messaging");
  expect([names(accounts), accounts.app.get()!.client.status.username]).toEqual([["ben"], "ben"]);
  await signIn(accounts, "cleo");
  expect(accounts.app.get()!.store).toBe("secure-messaging");
});

test("an account whose data could not be deleted is closed", async () => {
  const accounts = await load();
  await signIn(accounts, "anna");
  await signIn(accounts, "ben");
  const anna = stores.get("secure-messaging")!;
  anna.calls.length = 0;
  anna.signOut = () => Promise.reject(new Error("no"));
  await expect(accounts.remove("secure-messaging")).rejects.toThrow("no");
  expect([anna.calls, names(accounts)]).toEqual([["close"], ["anna", "ben"]]);
});

test("an account gets no second store by a sign-in with its e-mail address", async () => {
  const accounts = await load();
  await signIn(accounts, "anna");
  await signIn(accounts, "ben");
  await expect(accounts.enter("anna@example.org", (client) => client.signIn({ username: "anna@example.org", password: "" }))).rejects.toMatchObject({
    code: "Conflict",
  });
  expect([names(accounts), accounts.app.get()!.client.status.username]).toEqual([["anna", "ben"], "ben"]);
});

test("an unreadable list of accounts is replaced by an empty one", async () => {
  localStorage.setItem("accounts", "{");
  expect(names(await load())).toEqual([]);
});
