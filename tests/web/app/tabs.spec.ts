import { expect, Person, tall, test } from "./people.js";

test("two tabs of a browser are one device, and show the same messages", async ({ person, server }) => {
  const [anna, ben] = [await person("anna", tall), await person("ben", tall)];
  await anna.startWith(ben.name);
  await anna.write("from the first tab");
  await ben.open(anna.name);
  const second = new Person(await anna.page.context().newPage(), anna.name);
  await second.page.goto(server.url);
  await second.open(ben.name);
  await second.sees("from the first tab");

  const each = 10;
  await Promise.all(
    [
      ["one", anna],
      ["two", second],
      ["ben", ben],
    ].map(async ([name, who]) => {
      for (let n = 0; n < each; n++) await (who as Person).write(`${name as string} ${n}.`);
    }),
  );
  const all = ["from the first tab", ...["one", "two", "ben"].flatMap((name) => Array.from({ length: each }, (_, n) => `${name} ${n}.`))].toSorted();
  for (const who of [anna, second, ben]) await expect.poll(async () => (await who.history()).toSorted()).toEqual(all);
  expect(await second.history()).toEqual(await anna.history());
  expect(await ben.history()).toEqual(await anna.history());

  await second.page.goto(`${server.url}/#/settings/devices`);
  await expect(second.page.getByText("This device", { exact: true })).toBeVisible();
  await expect(second.page.locator("li.entry")).toHaveCount(1);
});

test("when the leading tab crashes, the other one continues, and the messages of both arrive once", async ({ person, server }) => {
  const [anna, ben] = [await person("anna", tall), await person("ben", tall)];
  await anna.startWith(ben.name);
  await ben.open(anna.name);
  const second = new Person(await anna.page.context().newPage(), anna.name);
  await second.page.goto(server.url);
  await second.open(ben.name);
  for (let n = 0; n < 5; n++) await anna.write(`leading ${n}.`);
  await anna.sees("leading 4.");
  const crashed = anna.page.waitForEvent("crash");
  void anna.page.goto("chrome://crash").catch(() => undefined);
  const writing = (async () => {
    for (let n = 0; n < 5; n++) await second.write(`following ${n}.`);
  })();
  await crashed;
  await writing;
  for (const who of [second, ben])
    await expect
      .poll(async () => (await who.history()).filter((text) => text.startsWith("following")), { timeout: 60_000 })
      .toEqual(Array.from({ length: 5 }, (_, n) => `following ${n}.`));
  // The other tab has sent the texts that the outbox of the crashed tab did not have.
  await expect
    .poll(async () => (await ben.history()).filter((text) => text.startsWith("leading")))
    .toEqual(Array.from({ length: 5 }, (_, n) => `leading ${n}.`));
  await expect(second.box).toHaveValue("");
  await ben.write("and an answer");
  await second.sees("and an answer");
});
