import { expect, test } from "./people.js";

test("the first minute: sign up, name somebody, write, and be answered", async ({ person }) => {
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
  await anna.startWith(ben.name);
  await anna.write("Tomorow at eight");
  await ben.open(anna.name);
  await ben.sees("Tomorow at eight");

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

test("what is written without a server is shown, survives a reload and arrives once", async ({ person, server }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.startWith(ben.name);
  await anna.write("before");
  await ben.open(anna.name);
  await ben.sees("before");
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

test("the first load fits its budget, and what one writes is shown within 50 ms", async ({ person, server, browser }) => {
  const context = await browser.newContext({ serviceWorkers: "block" });
  const page = await context.newPage();
  const sizes: Promise<number>[] = [];
  page.on("requestfinished", (request) => {
    if (request.resourceType() === "script")
      sizes.push(request.sizes().then(({ responseBodySize }) => responseBodySize));
  });
  await page.goto(server.url);
  await expect(page.getByRole("button", { name: "Create account" })).toBeVisible();
  const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  expect(total).toBeGreaterThan(50_000);
  expect(total).toBeLessThan(250_000);
  await context.close();

  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.startWith(ben.name);
  await anna.page.evaluate(() => {
    const times: number[] = [];
    Object.assign(window, { times });
    document.addEventListener("keydown", (event) => {
      const text = (event.target as HTMLTextAreaElement).value;
      if (event.key !== "Enter" || text === "")
        return;
      const from = performance.now();
      const look = (): void => {
        if ([...document.querySelectorAll("article")].some((article) => article.textContent?.includes(text)))
          times.push(performance.now() - from);
        else
          requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    }, true);
  });
  for (let n = 0; n < 40; n++) {
    await anna.write(`Number ${n}.`);
    await anna.sees(`Number ${n}.`);
  }
  const times = await anna.page.evaluate(() => (window as unknown as { times: number[] }).times.sort((a, b) => a - b));
  expect(times).toHaveLength(40);
  console.log(`first load ${total} bytes of script; shown after ${times[20]!.toFixed(1)} ms (median), ${times[37]!.toFixed(1)} ms (p95)`);
  // Twice the budget: the machine of a test has other work, too.
  expect(times[37]).toBeLessThan(100);
});
