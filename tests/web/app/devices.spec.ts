import { expect, test } from "./people.js";

test("a second device is approved with two codes, reads later messages, and is revoked", async ({ person, anotherDevice, server }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "before the second device");

  const second = await anotherDevice(anna);
  const code = await second.page.getByRole("group", { name: "Code of this device" }).innerText();

  await anna.page.goto(`${server.url}/#/settings/devices`);
  await anna.page.getByRole("button", { name: "Approve" }).click();
  const dialog = anna.page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Type the codes instead" }).click();
  await dialog.getByLabel("Code on the new device").fill("00000 ".repeat(6));
  await dialog.getByRole("button", { name: "Approve" }).click();
  await expect(dialog.getByRole("alert")).toContainText("not the code of that device");
  await dialog.getByLabel("Code on the new device").fill(code);
  await dialog.getByRole("button", { name: "Approve" }).click();
  const answer = await dialog.getByRole("group", { name: "Code" }).innerText();
  await dialog.getByRole("button", { name: "Done" }).click();

  await second.page.getByLabel("Code from your other device").fill(answer);
  await second.page.getByRole("button", { name: "Confirm" }).click();
  await expect(second.page.getByRole("navigation", { name: "Conversations" }).getByRole("link").filter({ hasText: ben.name })).toContainText(
    "No messages on this device",
  );
  await second.open(ben.name);
  await expect(second.page.getByText("not in the encrypted group of this conversation yet")).toHaveCount(0);
  await expect(second.page.getByText("Messages sent before this device was added cannot be shown here.")).toBeVisible();
  await ben.write("to both of your devices");
  await second.sees("to both of your devices");
  await expect(second.log.getByText("before the second device")).toHaveCount(0);

  await anna.page
    .getByRole("button", { name: /^Options for / })
    .last()
    .click();
  await anna.page.getByRole("menuitem", { name: "Revoke" }).click();
  await anna.page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await expect(second.page.getByRole("heading", { name: "Welcome back" })).toBeVisible();
});
