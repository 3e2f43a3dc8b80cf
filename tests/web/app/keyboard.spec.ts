import type { Locator, Page } from "@playwright/test";
import { expect, password, test } from "./people.js";

/** Presses a key until an element has the focus. */
async function tabTo(page: Page, target: Locator, key = "Tab"): Promise<void> {
  for (let presses = 0; presses < 80; presses++) {
    if (await target.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press(key);
  }
  await expect(target).toBeFocused();
}

test("the whole app can be used with the keyboard only", async ({ browser, person, server }) => {
  test.setTimeout(120_000);
  const ben = await person("ben");
  const context = await browser.newContext({ reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.addInitScript(() => {
    for (const name of ["pointerdown", "mousedown", "touchstart"])
      addEventListener(
        name,
        () => {
          throw new Error("A pointer was used.");
        },
        true,
      );
  });
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  const { keyboard } = page;
  const button = (name: string): Locator => page.getByRole("button", { name, exact: true });
  const box = page.getByRole("textbox", { name: "Message" });
  const log = page.getByRole("group", { name: "Messages" });
  const dialog = page.getByRole("dialog");
  const menu = page.getByRole("menu");
  /** Opens the menu of the newest message. */
  const openMenu = async (): Promise<void> => {
    // A message that waits has no menu.
    await expect(log.getByRole("img", { name: "Waiting to be sent" })).toHaveCount(0);
    await tabTo(page, log, "Shift+Tab");
    await keyboard.press("ArrowUp");
    await expect(log.getByRole("article").last()).toBeFocused();
    await keyboard.press("Enter");
    await expect(menu.getByRole("menuitemcheckbox", { name: "👍" })).toBeFocused();
  };

  await page.goto(server.url);
  await expect(page.getByLabel("Username", { exact: true })).toBeFocused();
  await keyboard.type("keyboard");
  await keyboard.press("Tab");
  await keyboard.type("keyboard@example.org");
  await keyboard.press("Tab");
  await keyboard.type(password);
  await keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Conversations" })).toBeFocused();

  await tabTo(page, button("New conversation"));
  await keyboard.press("Enter");
  await expect(page.getByLabel("Exact username")).toBeFocused();
  await keyboard.type(ben.name);
  await keyboard.press("Enter");
  await expect(box).toBeFocused();
  await keyboard.type("Hello Ben");
  await keyboard.press("Enter");
  await expect(log.getByText("Hello Ben")).toBeVisible();
  await expect(box).toBeFocused();
  await expect(log.getByRole("img", { name: "Sent", exact: true })).toBeVisible();

  // A closed menu returns the focus, and each key of the pattern works.
  await openMenu();
  await keyboard.press("End");
  await expect(menu.getByRole("menuitem", { name: "Delete" })).toBeFocused();
  await keyboard.press("ArrowDown");
  await expect(menu.getByRole("menuitemcheckbox", { name: "👍" })).toBeFocused();
  await keyboard.press("ArrowDown");
  await expect(menu.getByRole("menuitem", { name: "Reply" })).toBeFocused();
  await keyboard.press("Home");
  await keyboard.press("i");
  await expect(menu.getByRole("menuitem", { name: "Info" })).toBeFocused();
  await keyboard.press("Escape");
  await expect(log.getByRole("article").last()).toBeFocused();

  await openMenu();
  await keyboard.press("ArrowRight");
  await keyboard.press("Enter");
  await expect(log.getByRole("button", { name: /^❤️/ })).toBeVisible();
  await expect(box).toBeFocused();
  await openMenu();
  await tabTo(page, menu.getByRole("menuitem", { name: "More reactions" }), "ArrowRight");
  await keyboard.press("Enter");
  await expect(menu.getByRole("menuitemcheckbox", { name: "👍" })).toBeFocused();
  await keyboard.press("ArrowDown");
  await keyboard.press("Enter");
  await expect(log.getByRole("group", { name: "Reactions" }).getByRole("button")).toHaveCount(2);
  await expect(box).toBeFocused();

  await openMenu();
  await keyboard.press("r");
  await keyboard.press("Enter");
  await expect(box).toBeFocused();
  await keyboard.type("And how are you");
  await keyboard.press("Enter");
  await expect(log.getByRole("article", { name: /And how are you$/ }).getByTitle("Go to the message")).toContainText("Hello Ben");
  await expect(box).toBeFocused();
  await expect(log.getByRole("img", { name: "Sent", exact: true }).last()).toBeVisible();

  await openMenu();
  await keyboard.press("g");
  await expect(menu.getByRole("menuitem", { name: "Go to the message" })).toBeFocused();
  await keyboard.press("e");
  await keyboard.press("Enter");
  await expect(box).toBeFocused();
  await keyboard.press("End");
  await keyboard.type("?");
  await keyboard.press("Enter");
  await expect(log.getByText("And how are you?")).toBeVisible();
  await expect(box).toBeFocused();

  await openMenu();
  await keyboard.press("End");
  await keyboard.press("Enter");
  await expect(dialog).toBeVisible();
  for (let presses = 0; presses < 6; presses++) {
    await keyboard.press("Tab");
    // Between the last and the first element, the focus is in the browser's own controls.
    expect(await page.evaluate(() => document.activeElement === document.body || document.activeElement!.closest("dialog") !== null)).toBe(true);
  }
  await tabTo(page, dialog.getByRole("button", { name: "Delete for everyone" }));
  await keyboard.press("Enter");
  await expect(log.getByText("You deleted this message.")).toBeVisible();
  await expect(box).toBeFocused();

  await tabTo(page, button("Details"), "Shift+Tab");
  await keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Details" })).toBeFocused();
  const options = button(`Options for ${ben.name}`);
  await tabTo(page, options);
  await keyboard.press("ArrowUp");
  await expect(menu.getByRole("menuitem").last()).toBeFocused();
  await keyboard.press("Tab");
  await expect(menu).toHaveCount(0);
  await expect(options).toBeFocused();
  await keyboard.press("Space");
  await expect(menu.getByRole("menuitem", { name: "Compare keys" })).toBeFocused();
  await keyboard.press("Enter");
  await expect(dialog.getByRole("img", { name: /QR code/ })).toBeVisible();
  await keyboard.press("Escape");
  await expect(options).toBeFocused();
  await keyboard.press("Escape");
  await expect(button("Details")).toBeFocused();

  await tabTo(page, button("Settings"), "Shift+Tab");
  await keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Settings" })).toBeFocused();
  await tabTo(page, page.getByRole("link", { name: "Appearance" }));
  await keyboard.press("Enter");
  await tabTo(page, page.getByRole("radio", { name: "Same as system" }));
  await keyboard.press("ArrowRight");
  await keyboard.press("ArrowRight");
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");

  await tabTo(page, button("Sign out"), "Shift+Tab");
  await keyboard.press("Enter");
  await tabTo(page, dialog.getByRole("button", { name: "Sign out" }));
  await keyboard.press("Enter");
  await expect(page.getByLabel("Password", { exact: true })).toBeFocused();
  expect(complaints).toEqual([]);
  await context.close();
});
