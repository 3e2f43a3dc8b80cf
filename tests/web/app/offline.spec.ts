import { expect, tall, test } from "./people.js";
import { Wire } from "./wire.js";

test("without a network the app opens, queues texts and shows it, and later catches up without a gap", async ({ person, server }) => {
  const wire = await Wire.to(server.url);
  const anna = await person("anna", { url: wire.url, ...tall });
  const ben = await person("ben", tall);
  await anna.talkWith(ben, "before");
  await anna.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));

  wire.cut();
  await anna.page.reload();
  await anna.sees("before");
  for (const text of ["queued 0", "queued 1", "queued 2"]) await anna.write(text);
  await anna.sees("queued 2");
  await expect(anna.page.getByText("3 messages wait on this device")).toBeVisible();
  await expect(anna.log.getByRole("img", { name: "Waiting to be sent" }).last()).toBeVisible();
  await anna.page.getByRole("button", { name: "Settings" }).click();
  await expect(anna.page.getByText("This needs a connection")).toBeVisible();
  await anna.page.getByRole("button", { name: "Back" }).first().click();

  // More than a page, so that the missing messages are read from the log and not pushed.
  const meanwhile = Array.from({ length: 80 }, (_, n) => `meanwhile ${n}.`);
  for (const text of meanwhile) await ben.write(text);
  await ben.sees("meanwhile 79.");
  await expect(ben.log.getByText("queued")).toHaveCount(0);

  wire.mend();
  await anna.open(ben.name);
  await expect(anna.page.getByText("wait on this device")).toHaveCount(0, { timeout: 60_000 });
  for (const text of ["queued 0", "queued 1", "queued 2"]) await expect(ben.log.getByText(text)).toHaveCount(1);
  await expect.poll(async () => (await anna.history()).filter((text) => text.startsWith("meanwhile"))).toEqual(meanwhile);
  expect((await anna.history()).filter((text) => text.startsWith("queued"))).toEqual(["queued 0", "queued 1", "queued 2"]);
  await wire.close();
});
