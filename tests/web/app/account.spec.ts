import { readFile } from "node:fs/promises";
import type { Download, Page } from "@playwright/test";
import { SecureMessaging } from "../../../src/web/sdk/dist/index.js";
import { expect, password, test } from "./people.js";

const read = async (download: Download): Promise<string> => readFile(await download.path(), "utf8");

const signIn = async (page: Page, url: string, name: string, secret: string): Promise<void> => {
  await page.goto(url);
  const known = page.getByRole("button", { name: "Use another account" });
  const fresh = page.getByRole("heading", { name: "Create your account" });
  await expect(known.or(fresh)).toBeVisible();
  if (await fresh.isVisible()) {
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByLabel("Username or e-mail").fill(name);
  } else {
    await expect(page.getByLabel("Username", { exact: true })).toHaveValue(name);
  }
  await page.getByLabel("Password", { exact: true }).fill(secret);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
};

test("the e-mail address and the password change only with the password, and other sessions end", async ({ person, browser, server }) => {
  const anna = await person("anna");
  const { page } = anna;
  await page.goto(`${server.url}/#/settings/profile`);
  await page.getByRole("button", { name: "Change e-mail" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("New e-mail address").fill(`new-${anna.name}@example.org`);
  await dialog.getByLabel("Current password", { exact: true }).fill("not the password");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog.getByText("The current password is incorrect.")).toBeVisible();
  await dialog.getByLabel("Current password", { exact: true }).fill(password);
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText(`new-${anna.name}@example.org`)).toBeVisible();

  const context = await browser.newContext();
  const other = await context.newPage();
  await signIn(other, server.url, `new-${anna.name}@example.org`, password);
  await expect(other.getByRole("heading", { name: "Approve this device" })).toBeVisible();
  await page.goto(`${server.url}/#/settings/sessions`);
  await page.getByRole("button", { name: "End", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End", exact: true }).click();
  await expect(other.getByRole("heading", { name: "Welcome back" })).toBeVisible();
  await expect(other.getByText("the session was ended on another device, the password was changed, or this device was revoked")).toBeVisible();
  await expect(page.getByText("Ended", { exact: true })).toBeVisible();

  await signIn(other, server.url, anna.name, password);
  await expect(other.getByRole("heading", { name: "Approve this device" })).toBeVisible();
  await page.goto(`${server.url}/#/settings/profile`);
  await page.getByRole("button", { name: "Change password" }).click();
  await dialog.getByLabel("Current password", { exact: true }).fill(password);
  await dialog.getByLabel("New password", { exact: true }).fill("quite another password");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(other.getByRole("heading", { name: "Welcome back" })).toBeVisible();
  await signIn(other, server.url, anna.name, password);
  await expect(other.getByText("Incorrect username or password")).toBeVisible();
  await signIn(other, server.url, anna.name, "quite another password");
  await expect(other.getByRole("heading", { name: "Approve this device" })).toBeVisible();
  await expect(page.getByRole("button", { name: "Change password" })).toBeVisible();
  await context.close();
});

test("the export is complete and unencrypted, the server's data is shown and contains no message, and an account is deleted", async ({ person, server }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "words that only we two know");
  const { page } = anna;

  await page.goto(`${server.url}/#/settings/profile`);
  let download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export", exact: true }).click();
  expect((await download).suggestedFilename()).toBe(`securemessaging-${anna.name}.json`);
  const exported = await read(await download);
  expect(JSON.parse(exported)).toEqual(expect.any(Object));
  for (const part of ["words that only we two know", anna.name, `${anna.name}@example.org`]) expect(exported).toContain(part);

  await page.goto(`${server.url}/#/settings/data`);
  download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download as JSON" }).click();
  const held = await read(await download);
  expect(JSON.parse(held)).toEqual(expect.any(Object));
  expect(held).toContain(`${anna.name}@example.org`);
  expect(held).not.toContain("words that only we two know");
  await expect(page.getByText("The server cannot read them.")).toBeVisible();
  await page.getByRole("heading", { name: "Everything the server can store about anyone" }).click();
  const list = page.getByRole("searchbox", { name: "Search the list" });
  await list.fill("users.email");
  await expect(page.getByRole("table").last()).toContainText("Account: email");
  expect(await page.getByRole("table").last().innerText()).not.toContain("users.");
  await list.fill("no match at all");
  await expect(page.getByText("Nothing on the list matches.")).toBeVisible();

  await page.goto(`${server.url}/#/settings/profile`);
  await page.getByRole("button", { name: "Delete account" }).click();
  const dialog = page.getByRole("dialog");
  const sure = dialog.getByRole("button", { name: "Delete permanently" });
  await dialog.getByLabel("Current password", { exact: true }).fill(password);
  await expect(sure).toBeDisabled();
  await dialog.getByLabel("To confirm").fill(anna.name);
  await sure.click();
  // The browser has no data of the account any more, so it starts as a new one does.
  await expect(page.getByText("Your account was deleted.")).toBeVisible();
  await expect(page.getByRole("heading", { name: "Create your account" })).toBeVisible();
  await signIn(page, server.url, anna.name, password);
  await expect(page.getByText("Incorrect username or password")).toBeVisible();
  // The other person keeps the messages, and writing to the deleted account does not break the app.
  await ben.sees("words that only we two know");
});

test("a device shows that its account was deleted on another one", async ({ person, server }) => {
  const anna = await person("anna");
  const { page } = anna;
  const other = await SecureMessaging.signIn({ url: server.url, username: anna.name, password });
  await other.account.delete(password);
  await other.close();
  await expect(page.getByRole("heading", { name: "Welcome back" })).toBeVisible();
  await expect(page.getByText("this account was deleted, or an administrator of the server disabled it")).toBeVisible();
  // A later page shows it too.
  await page.reload();
  await expect(page.getByText("this account was deleted, or an administrator of the server disabled it")).toBeVisible();
});

test("a browser without Ed25519 shows it on the start screen, and creates no account", async ({ browser, server }) => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.addInitScript(() => {
    // A script of the test does not run in workers, so the client runs in the page.
    Reflect.deleteProperty(window, "Worker");
    const generate = crypto.subtle.generateKey.bind(crypto.subtle) as (...args: unknown[]) => Promise<CryptoKeyPair>;
    Object.defineProperty(crypto.subtle, "generateKey", {
      value: (...args: unknown[]) => (args[0] === "Ed25519" ? Promise.reject(new DOMException("Unrecognized name.", "NotSupportedError")) : generate(...args)),
    });
  });
  const calls: string[] = [];
  page.on("request", (request) => {
    if (request.url().includes("/v1/")) calls.push(request.url());
  });
  await page.goto(server.url);
  await expect(page.getByText("This browser lacks Ed25519")).toBeVisible();
  await page.getByLabel("Username").fill("lacking");
  await page.getByLabel("E-mail").fill("lacking@example.org");
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(page.getByText("This browser cannot keep your keys.")).toBeVisible();
  expect(calls).toEqual([]);
  await context.close();
});
