import type { Page } from "@playwright/test";
import { expect, password, Person, test } from "./people.js";

/** The usernames in the list of accounts. */
const accounts = (page: Page) => page.getByRole("list", { name: "Choose an account" }).getByRole("listitem");

const signOut = async (page: Page, wipe = false): Promise<void> => {
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  if (wipe) await page.getByRole("switch", { name: "Remove keys and history" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Sign out" }).click();
};

test("a browser has several accounts, each with its own keys, and deletes one without the others", async ({ person }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "Hello Ben");
  const { page } = anna;

  await signOut(page);
  await expect(page.getByRole("heading", { name: "Welcome back" })).toBeVisible();
  await page.getByRole("button", { name: "Use another account" }).click();
  await page.getByRole("button", { name: "Create account" }).click();
  const cleo = new Person(page, `${anna.name}-cleo`);
  await page.getByLabel("Username", { exact: true }).fill(cleo.name);
  await page.getByLabel("E-mail").fill(`${cleo.name}@example.org`);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(page.getByText("Start your first conversation")).toBeVisible();

  // The shown account stays signed in. The other one was signed out, so it asks for the password.
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Switch account" }).click();
  await expect(accounts(page)).toHaveCount(2);
  await page.getByRole("button", { name: anna.name, exact: true }).click();
  await expect(page.getByLabel("Username", { exact: true })).toHaveValue(anna.name);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await anna.open(ben.name);
  await anna.sees("Hello Ben");
  await anna.write("the same device");
  await ben.sees("the same device");

  // The other account is still signed in, and is shown after a reload.
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Switch account" }).click();
  await page.getByRole("button", { name: cleo.name, exact: true }).click();
  await expect(page.getByText("Start your first conversation")).toBeVisible();
  await page.reload();
  await expect(page.getByText("Start your first conversation")).toBeVisible();

  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Switch account" }).click();
  await page.getByRole("button", { name: `Remove the data of ${anna.name} from this browser` }).click();
  await expect(page.getByRole("dialog").getByText("are lost for good")).toBeVisible();
  await page.getByRole("dialog").getByRole("button", { name: "Remove data" }).click();
  await expect(accounts(page)).toHaveCount(1);
  await expect(accounts(page)).toContainText(cleo.name);

  // Her data is deleted, so she has a new device now.
  await page.getByRole("button", { name: "Use another account" }).click();
  await page.getByLabel("Username or e-mail").fill(anna.name);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Approve this device" })).toBeVisible();
});

test("a sign-out that deletes the keys of the only device warns, and the browser can be used for another account", async ({ person }) => {
  const anna = await person("anna");
  const { page } = anna;
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByText("This is your only device")).toHaveCount(0);
  await dialog.getByRole("switch", { name: "Remove keys and history" }).click();
  await expect(dialog.getByText("This is your only device")).toBeVisible();
  await dialog.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "Create your account" })).toBeVisible();
  await page.getByLabel("Username", { exact: true }).fill(`${anna.name}-next`);
  await page.getByLabel("E-mail").fill(`${anna.name}-next@example.org`);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(page.getByText("Start your first conversation")).toBeVisible();
});
