import { expect, test } from "./people.js";

test("the first minute: sign up, enter a username, write, and get an answer", async ({ person }) => {
  const anna = await person("anna");
  await expect(anna.page.getByText("Start your first conversation")).toBeVisible();
  const ben = await person("ben");
  await anna.startWith(ben.name);
  await anna.write("Hello Ben");
  await anna.sees("Hello Ben");
  await ben.open(anna.name);
  await ben.sees("Hello Ben");
  await ben.write("Hello Anna");
  await anna.sees("Hello Anna");
  await expect(anna.log.getByRole("img", { name: "Read", exact: true }).first()).toBeVisible();
});

test("a message is edited, reacted to, answered and deleted, for both", async ({ person }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "Tomorow at eight");

  await anna.box.press("ArrowUp");
  await anna.box.fill("Tomorrow at eight");
  await anna.box.press("Enter");
  await ben.sees("Tomorrow at eight");
  await expect(ben.log.getByText("edited")).toBeVisible();

  await ben.log.getByText("Tomorrow at eight").click({ button: "right" });
  await ben.page.getByRole("menuitemcheckbox", { name: "👍" }).click();
  await expect(anna.log.getByRole("button", { name: /^👍/ })).toBeVisible();

  await ben.log.getByText("Tomorrow at eight").click({ button: "right" });
  await ben.page.getByRole("menuitem", { name: "Reply" }).click();
  await ben.write("Fine");
  await expect(anna.log.getByRole("article", { name: /Fine$/ }).getByTitle("Go to the message")).toContainText("Tomorrow at eight");

  await ben.log.getByRole("article", { name: /Fine$/ }).click({ button: "right" });
  await ben.page.getByRole("menuitem", { name: "Delete" }).click();
  await ben.page.getByRole("button", { name: "Delete for everyone" }).click();
  await expect(anna.log.getByText("This message was deleted.")).toBeVisible();
});

test("a message that is written without a server is shown, survives a reload and arrives once", async ({ person, server }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "before");
  await anna.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await server.kill();
  await anna.write("meanwhile");
  await anna.sees("meanwhile");
  await expect(anna.log.getByRole("img", { name: "Waiting to be sent" })).toBeVisible();
  await anna.page.reload();
  await anna.sees("meanwhile");
  await server.start();
  await expect(ben.log.getByText("meanwhile")).toHaveCount(1, { timeout: 60_000 });
});
