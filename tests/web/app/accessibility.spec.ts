import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { expect, test } from "./people.js";

const pages = [
  "#/",
  "#/new",
  "#/new/group",
  "#/settings/profile",
  "#/settings/devices",
  "#/settings/sessions",
  "#/settings/notifications",
  "#/settings/privacy",
  "#/settings/privacy",
  "#/settings/appearance",
  "#/settings/data",
];

/** Checks all rules in the light theme, and the colour contrast in the dark theme too. */
async function audit(page: Page, where: string): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const axe = new AxeBuilder({ page });
    const { violations } = await (colorScheme === "dark" ? axe.withRules(["color-contrast"]) : axe).analyze();
    // A soft expectation: one run shows the findings of all screens.
    expect.soft(violations.map(({ id, nodes }) => ({ where, colorScheme, id, nodes: nodes.map((node) => node.html.slice(0, 160)) }))).toEqual([]);
  }
}

test("axe finds nothing on any screen, light or dark", async ({ person, browser, server }) => {
  test.setTimeout(180_000);
  const context = await browser.newContext({ reducedMotion: "reduce" });
  const gate = await context.newPage();
  await gate.goto(server.url);
  await expect(gate.getByRole("button", { name: "Create account" })).toBeVisible();
  await audit(gate, "gate");
  await context.close();

  const anna = await person("anna", { reducedMotion: "reduce" });
  const ben = await person("ben");
  await anna.startWith(ben.name);
  await anna.write("Hello");
  await ben.open(anna.name);
  await ben.write("Hello to you, see https://example.org/");
  await anna.sees("Hello to you");
  await audit(anna.page, "chat");
  await anna.page.getByRole("button", { name: "Details" }).click();
  await expect(anna.page.getByText("Epoch code")).toBeVisible();
  await audit(anna.page, "details");
  await anna.page.getByRole("button", { name: "Compare keys", exact: true }).click();
  await expect(anna.page.getByRole("img", { name: /QR code/ })).toBeVisible();
  await audit(anna.page, "compare keys");
  await anna.page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await anna.log.getByRole("article").first().focus();
  await anna.page.keyboard.press("Enter");
  await expect(anna.page.getByRole("menu")).toBeVisible();
  await audit(anna.page, "menu");
  await anna.page.keyboard.press("Escape");
  for (const where of pages) {
    await anna.page.goto(`${server.url}/${where}`);
    await expect(anna.page.getByRole("status", { name: "Loading…" })).toHaveCount(0);
    await audit(anna.page, where);
  }
});
