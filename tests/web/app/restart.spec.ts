import { expect, tall, test } from "./people.js";

test("a server that is killed twice during a conversation loses no message, and keeps each one once and in order", async ({ person, server }) => {
  const [anna, ben] = [await person("anna", tall), await person("ben", tall)];
  await anna.talkWith(ben, "first");

  const each = 15;
  const said = async (who: typeof anna, name: string): Promise<void> => {
    for (let n = 0; n < each; n++) await who.write(`${name} ${n}.`);
  };
  const talk = Promise.all([said(anna, "anna"), said(ben, "ben")]);
  await anna.sees("anna 3.");
  await server.kill();
  await talk;
  await server.start();
  await ben.sees("anna 14.");
  await anna.write("once more");
  await server.kill();
  await server.start();
  await ben.sees("once more");

  const all = ["first", "once more", ...["anna", "ben"].flatMap((name) => Array.from({ length: each }, (_, n) => `${name} ${n}.`))].toSorted();
  for (const who of [anna, ben]) {
    await expect.poll(async () => (await who.history()).toSorted(), { timeout: 60_000 }).toEqual(all);
    await expect(who.log.getByRole("img", { name: "Waiting to be sent" })).toHaveCount(0);
  }
  expect(await anna.history()).toEqual(await ben.history());
  const own = (await ben.history()).filter((text) => text.startsWith("anna"));
  expect(own).toEqual(Array.from({ length: each }, (_, n) => `anna ${n}.`));
});

test("a reload right after Enter loses no message", async ({ person }) => {
  const [anna, ben] = [await person("anna", tall), await person("ben", tall)];
  await anna.startWith(ben.name);
  await ben.open(anna.name);
  for (let n = 0; n < 5; n++) {
    await anna.write(`just before ${n}.`);
    await anna.page.reload();
    await expect(anna.box).toBeVisible();
    await anna.sees(`just before ${n}.`);
    await expect(ben.log.getByText(`just before ${n}.`)).toHaveCount(1);
    await expect(anna.box).toHaveValue("");
  }
  expect(await anna.page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("unsent")))).toEqual([]);
  expect(await ben.history()).toEqual(Array.from({ length: 5 }, (_, n) => `just before ${n}.`));
});
