import { cameraArguments, holdUp } from "./qr.js";
import { expect, test } from "./people.js";

test.use({
  launchOptions: { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage", ...cameraArguments] },
});

test("a second device is approved with one scan of the camera, and nothing is typed", async ({ person, anotherDevice, server }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "before");
  const second = await anotherDevice(anna);
  await holdUp(second.page.getByRole("img", { name: "Code of this device as a QR code" }));
  await anna.page.goto(`${server.url}/#/settings/devices`);
  await anna.page.getByRole("button", { name: "Scan the code of the new device" }).click();
  await expect(anna.page.getByText("The device is approved.")).toBeVisible();
  await second.open(ben.name);
  await expect(second.page.getByText("not in the encrypted group of this conversation yet")).toHaveCount(0);
  await ben.write("to both of your devices");
  await second.sees("to both of your devices");
});

test("the code of another account's device is refused, with the reason", async ({ person, anotherDevice, server }) => {
  const [anna, eve] = [await person("anna"), await person("eve")];
  const hers = await anotherDevice(eve);
  await holdUp(hers.page.getByRole("img", { name: "Code of this device as a QR code" }));
  await anna.page.goto(`${server.url}/#/settings/devices`);
  await anna.page.getByRole("button", { name: "Scan the code of the new device" }).click();
  await expect(anna.page.getByRole("dialog").getByRole("alert")).toContainText("a device of another account");
  await expect(hers.page.getByRole("heading", { name: "Approve this device" })).toBeVisible();
});

test("two people verify each other by scanning, and the mark is beside the name", async ({ person, server }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "hello");
  await ben.page.goto(`${server.url}/#/settings/people`);
  await holdUp(ben.page.getByRole("img", { name: "Your keys as a QR code" }));
  await anna.page.getByRole("link", { name: ben.name }).last().click();
  await anna.page.getByRole("button", { name: "Compare keys" }).click();
  await anna.page.getByRole("button", { name: "Scan their code" }).click();
  await expect(anna.page.getByText(`${ben.name} is verified.`)).toBeVisible();
  await expect(anna.page.getByRole("navigation", { name: "Conversations" }).getByRole("img", { name: "Verified" })).toBeVisible();
  await expect(anna.page.getByRole("heading", { level: 1, name: ben.name }).getByRole("img", { name: "Verified" })).toBeVisible();
  await expect(ben.page.getByText("Not compared")).toBeVisible();
});
