import { expect, test } from "./people.js";

test("a group is created and named, and continues without a removed member", async ({ person }) => {
  const [anna, ben, cleo] = [await person("anna"), await person("ben"), await person("cleo")];
  await anna.page.getByRole("button", { name: "New conversation" }).click();
  await anna.page.getByRole("radio", { name: "Group" }).check();
  await anna.page.getByLabel("Name of the group").fill("Weekend");
  for (const { name } of [ben, cleo]) {
    await anna.page.getByLabel("Exact username").fill(name);
    await anna.page.getByRole("button", { name: "Add", exact: true }).click();
  }
  await anna.page.getByRole("button", { name: "Create group" }).click();
  await anna.write("Hello both");
  await ben.open("Weekend");
  await ben.sees("Hello both");
  await cleo.open("Weekend");
  await cleo.sees("Hello both");

  await anna.page.getByRole("button", { name: "Details" }).click();
  await anna.page.getByRole("button", { name: `Options for ${cleo.name}` }).click();
  await anna.page.getByRole("menuitem", { name: "Remove from group" }).click();
  await anna.page.getByRole("dialog").getByRole("button", { name: "Remove from group" }).click();
  // Without a completed form there is no composer.
  await expect(anna.page.getByRole("dialog")).toHaveCount(0);
  await expect(cleo.page.getByText("You are no longer in this conversation")).toBeVisible();
  await anna.write("Only we two");
  await ben.sees("Only we two");
  await expect(cleo.log.getByText("Only we two")).toHaveCount(0);

  await anna.page.getByRole("button", { name: "Add a person" }).click();
  await anna.page.getByRole("dialog").getByLabel("Exact username").fill(cleo.name);
  await anna.page.getByRole("dialog").getByRole("button", { name: "Add", exact: true }).click();
  await expect(anna.page.getByRole("dialog")).toHaveCount(0);
  await expect(cleo.page.getByText("You are no longer in this conversation")).toHaveCount(0);
  await expect(cleo.page.getByText("not in the encrypted group of this conversation yet")).toHaveCount(0);
  await anna.write("Three again");
  await cleo.sees("Three again");
  await expect(cleo.log.getByText("Only we two")).toHaveCount(0);
});

test("the only owner chooses a new owner, and then leaves", async ({ person }) => {
  const [anna, ben, cleo] = [await person("anna"), await person("ben"), await person("cleo")];
  await anna.page.getByRole("button", { name: "New conversation" }).click();
  await anna.page.getByRole("radio", { name: "Group" }).check();
  await anna.page.getByLabel("Name of the group").fill("Choir");
  for (const { name } of [ben, cleo]) {
    await anna.page.getByLabel("Exact username").fill(name);
    await anna.page.getByRole("button", { name: "Add", exact: true }).click();
  }
  await anna.page.getByRole("button", { name: "Create group" }).click();
  await anna.write("Hello both");
  for (const other of [ben, cleo]) {
    await other.open("Choir");
    await other.sees("Hello both");
  }

  await anna.page.getByRole("button", { name: "Details" }).click();
  await anna.page.getByRole("button", { name: "Leave group" }).click();
  const dialog = anna.page.getByRole("dialog", { name: "Choose a new owner before you leave" });
  await expect(dialog.getByRole("radio")).toHaveCount(2);
  await expect(dialog.getByRole("button", { name: "Make owner and leave" })).toBeDisabled();
  await dialog.getByRole("radio", { name: ben.name }).check();
  await dialog.getByRole("button", { name: "Make owner and leave" }).click();
  await expect(dialog).toHaveCount(0);
  for (const other of [ben, cleo]) await expect(other.log.getByText(`${anna.name} left`)).toBeVisible();
  await expect(cleo.log.getByText(`${anna.name} made ${ben.name} an owner`)).toBeVisible();

  // The new owner can do what only an owner can.
  await ben.page.getByRole("button", { name: "Details" }).click();
  await ben.page.getByRole("button", { name: `Options for ${cleo.name}` }).click();
  await ben.page.getByRole("menuitem", { name: "Make admin" }).click();
  await expect(cleo.log.getByText(`${ben.name} made you an admin`)).toBeVisible();
});
