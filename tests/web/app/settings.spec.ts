import type { Page } from "@playwright/test";
import { expect, test } from "./people.js";

/** Changes a setting and waits until the server has stored it. */
async function stored(page: Page, work: () => Promise<unknown>): Promise<void> {
  const answer = page.waitForResponse((response) => response.url().includes("/v1/me/settings") && response.request().method() !== "GET");
  await work();
  expect((await answer).ok()).toBe(true);
}

test("notification settings, for all conversations and for one, survive a reload", async ({ person, server }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.startWith(ben.name);
  const { page } = anna;
  await page.goto(`${server.url}/#/settings/notifications`);
  const everywhere = page
    .locator("section")
    .filter({ has: page.getByRole("heading", { name: "All conversations" }) })
    .last();
  await stored(page, () => everywhere.getByRole("switch", { name: "Mute everything" }).click());
  await stored(page, () => everywhere.getByRole("switch", { name: "Quiet hours" }).click());
  await stored(page, () => everywhere.getByLabel("From").fill("21:30"));
  await stored(page, () => everywhere.getByRole("radio", { name: "High" }).check({ force: true }));
  await page.getByRole("button", { name: `Change notifications of ${ben.name}` }).click();
  await stored(page, () => page.getByRole("dialog").getByRole("switch", { name: "Mute this conversation" }).click());
  await page.getByRole("dialog").getByRole("button", { name: "Done" }).click();

  await page.reload();
  await expect(everywhere.getByRole("switch", { name: "Mute everything" })).toBeChecked();
  await expect(everywhere.getByLabel("From")).toHaveValue("21:30");
  await expect(everywhere.getByLabel("Until")).toHaveValue("07:00");
  await expect(everywhere.getByRole("radio", { name: "High" })).toBeChecked();
  await page.getByRole("button", { name: `Change notifications of ${ben.name}` }).click();
  const dialog = page.getByRole("dialog");
  // The dialog began with a copy of the general settings, which were muted.
  await expect(dialog.getByRole("switch", { name: "Mute this conversation" })).not.toBeChecked();
  await stored(page, () => dialog.getByRole("button", { name: "Use the settings for all conversations" }).click());
  await dialog.getByRole("button", { name: "Done" }).click();
  await expect(page.getByText("Same as all conversations")).toBeVisible();
});

test("the settings lead to the licences of third-party software", async ({ person, server }) => {
  const { page } = await person("anna");
  await page.goto(`${server.url}/#/settings`);
  const link = page.getByRole("link", { name: "Third-party licences" });
  const answer = await page.request.get(new URL((await link.getAttribute("href"))!, server.url).href);
  expect(answer.headers()["content-type"]).toBe("text/plain; charset=utf-8");
  for (const name of ["react", "ts-mls", "@microsoft/signalr"]) expect(await answer.text()).toContain(`## ${name} - `);
});

test("blocked notifications, and a push service that rejects, are shown", async ({ person, server }) => {
  // With an empty list the browser denies each permission. Without a list it would ask.
  const denied = await person("anna", { permissions: [] });
  await denied.page.goto(`${server.url}/#/settings/notifications`);
  await expect(denied.page.getByText("Your browser blocks notifications from this page")).toBeVisible();
  await expect(denied.page.getByRole("switch", { name: "Notify me in this browser" })).toBeDisabled();

  const allowed = await person("ben", { permissions: ["notifications"] });
  await allowed.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await allowed.page.goto(`${server.url}/#/settings/notifications`);
  const push = allowed.page.getByRole("switch", { name: "Notify me in this browser" });
  await push.click();
  await expect(allowed.page.getByText("Your browser's push service rejected the request")).toBeVisible();
  await expect(push).not.toBeChecked();
  await expect(push).toBeEnabled();
});
