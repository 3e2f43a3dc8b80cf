import { expect, password, Person, test } from "./people.js";

/** Compares keys by the digits, which are equal on both sides, and verifies the other person. */
async function verify(who: Person, other: Person): Promise<void> {
  await who.page.getByRole("button", { name: "Compare keys" }).click();
  const dialog = who.page.getByRole("dialog");
  await expect(dialog.getByRole("group", { name: "Safety number" })).toBeVisible();
  await dialog.getByRole("button", { name: "They are equal" }).click();
  await expect(who.page.getByText(`${other.name} is verified.`)).toBeVisible();
}

const details = (who: Person): Promise<void> => who.page.locator(".chat-title").click();

test("without a camera, a picture of the code is read, and another picture is refused with a sentence", async ({ person, server }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "hello");
  await ben.page.goto(`${server.url}/#/settings/people`);
  const picture = await ben.page.getByRole("img", { name: "Your keys as a QR code" }).screenshot();
  const other = await ben.page.getByRole("heading", { name: "People" }).last().screenshot();
  await anna.page.goto(`${server.url}/#/settings/people`);
  await anna.page.getByRole("button", { name: "Scan a person's code" }).click();
  const dialog = anna.page.getByRole("dialog");
  await expect(dialog.getByText("Choose a picture of the code.")).toBeVisible();
  const choose = dialog.getByLabel("Choose a picture instead");
  await choose.setInputFiles({ name: "other.png", mimeType: "image/png", buffer: other });
  await expect(dialog.getByRole("alert")).toContainText("There is no QR code in this picture");
  await choose.setInputFiles({ name: "text.txt", mimeType: "text/plain", buffer: Buffer.from("no picture") });
  await expect(dialog.getByRole("alert")).toContainText("not a picture");
  await choose.setInputFiles({ name: "code.png", mimeType: "image/png", buffer: picture });
  await expect(anna.page.getByText(`${ben.name} is verified.`)).toBeVisible();
});

test("a signed renewal turns the mark into compare again, with a line, and stops nothing", async ({ person, server }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "hello");
  await details(anna);
  await verify(anna, ben);
  await ben.page.goto(`${server.url}/#/settings/devices`);
  await ben.page.getByRole("button", { name: "Replace identity key" }).click();
  await ben.page.getByRole("dialog").getByRole("button", { name: "Replace identity key" }).click();
  await expect(ben.page.getByText("Your identity key was replaced.")).toBeVisible();
  await expect(anna.page.getByRole("navigation", { name: "Conversations" }).getByRole("img", { name: "Compare the keys again" })).toBeVisible();
  await expect(anna.log.getByText(`${ben.name} has a new safety number, signed with the earlier keys`)).toBeVisible();
  await anna.write("still sent");
  await ben.page.goto(`${server.url}/#/`);
  await ben.open(anna.name);
  await ben.sees("still sent");
});

test("new keys that were not signed stop sending to a verified person until the user has answered", async ({ person, browser, server }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "hello");
  await details(anna);
  await verify(anna, ben);
  await ben.page.context().close();
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(server.url);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByLabel("Username or e-mail").fill(ben.name);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("button", { name: "I no longer have another device" }).click();
  await page.getByRole("button", { name: "Make new keys" }).click();
  await expect(page.getByRole("heading", { name: "Conversations" })).toBeVisible();

  const banner = anna.page.getByRole("alert").filter({ hasText: "Nothing is sent here now." });
  await expect(banner).toContainText(`${ben.name} has new keys`);
  await expect(anna.page.getByRole("heading", { level: 1, name: ben.name }).getByRole("img", { name: "Nothing is sent to this person now" })).toBeVisible();

  // On a screen with a keyboard on it, the input and what ends the hold stay in view.
  await anna.page.getByRole("complementary").getByRole("button", { name: "Close" }).click();
  await anna.page.setViewportSize({ width: 360, height: 380 });
  await anna.box.fill("is\nit\nyou,\nmy\nfriend?");
  const send = anna.page.getByRole("button", { name: "Send", exact: true });
  for (const button of [send, banner.getByRole("button", { name: "Compare keys" })]) await expect(button).toBeInViewport({ ratio: 1 });
  await anna.page.setViewportSize({ width: 1280, height: 800 });

  await anna.box.fill("is it you?");
  await anna.box.press("Enter");
  await expect(anna.box).toHaveValue("is it you?");
  await expect(send).toBeDisabled();
  await banner.getByRole("button", { name: "Send anyway" }).click();
  // The new keys are known now. Those that take part in this conversation are others, and no signed renewal has replaced them.
  await expect(banner).toContainText(`This conversation was started with the old keys of ${ben.name}`);
  await expect(send).toBeDisabled();
  await banner.getByRole("button", { name: "Send anyway" }).click();
  await expect(banner).toHaveCount(0);
  await anna.box.press("Enter");
  await anna.sees("is it you?");
  await expect(anna.box).toHaveValue("");

  // A conversation with the new keys is another one.
  await details(anna);
  await anna.page.getByRole("button", { name: "Delete conversation" }).click();
  await anna.page.getByRole("dialog").getByRole("button", { name: "Delete conversation" }).click();
  await expect(anna.page.getByText("Start your first conversation")).toBeVisible();
  const again = new Person(page, ben.name);
  await anna.talkWith(again, "a new beginning");
  await again.write("with new keys");
  await anna.sees("with new keys");
  await context.close();
});

test("a new device is announced on the other devices, with its name, until the user has answered", async ({ person, anotherDevice, server }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "hello");
  const second = await anotherDevice(anna, { approved: true });
  await expect(anna.page.getByText("can now read your messages")).toHaveCount(0);
  const third = await anotherDevice(anna, { approved: true });
  const notice = second.page.getByRole("alert").filter({ hasText: "can now read your messages" });
  await expect(notice).toContainText("If this was not you");
  await second.page.reload();
  await expect(notice).toBeVisible();
  await notice.getByRole("button", { name: "That was me" }).click();
  await expect(notice).toHaveCount(0);
  await second.page.reload();
  await expect(second.page.getByRole("heading", { name: "Conversations" })).toBeVisible();
  await expect(notice).toHaveCount(0);
  for (const who of [anna, third]) await expect(who.page.getByText("can now read your messages")).toHaveCount(0);
  await second.page.goto(`${server.url}/#/settings/devices`);
  await expect(second.page.getByText("Chrome on Linux")).toHaveCount(3);
});

test("a lost device is revoked, and the contacts see a signed renewal", async ({ person, anotherDevice, server }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "hello");
  const lost = await anotherDevice(anna, { approved: true });
  await anna.page.reload();
  await anna.page.getByRole("button", { name: "Options for Chrome on Linux" }).last().click();
  await anna.page.getByRole("menuitem", { name: "Revoke" }).click();
  await anna.page.getByLabel("The device is lost or stolen").check();
  await anna.page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await expect(lost.page.getByRole("heading", { name: "Welcome back" })).toBeVisible();
  await expect(ben.log.getByText(`${anna.name} has a new safety number, signed with the earlier keys`)).toBeVisible();
  await anna.page.goto(`${server.url}/#/`);
  await anna.open(ben.name);
  await anna.write("from the device that stays");
  await ben.sees("from the device that stays");
});

test("devices and sessions have names that the user's devices read and the server does not", async ({ person, anotherDevice, server }) => {
  const anna = await person("anna");
  const second = await anotherDevice(anna, { approved: true });
  await anna.page.goto(`${server.url}/#/settings/devices`);
  await expect(anna.page.getByText("This device", { exact: true })).toBeVisible();
  // The code of the waiting device is not here, so that no person copies it from the wrong place.
  await expect(anna.page.locator(".digits")).toHaveCount(0);
  await anna.page.getByRole("button", { name: "Options for Chrome on Linux" }).first().click();
  await anna.page.getByRole("menuitem", { name: "Rename" }).click();
  await anna.page.getByLabel("Name", { exact: true }).fill("Kitchen tablet");
  await anna.page.getByRole("button", { name: "Save" }).click();
  await expect(anna.page.getByText("Kitchen tablet")).toBeVisible();
  await second.page.goto(`${server.url}/#/settings/sessions`);
  await expect(second.page.getByText("Kitchen tablet")).toBeVisible();
  await second.page.goto(`${server.url}/#/settings/data`);
  await expect(second.page.getByText("Everything the server stores about you")).toBeVisible();
  const held = await second.page.locator("main").innerText();
  expect(held).not.toContain("Kitchen tablet");
});
