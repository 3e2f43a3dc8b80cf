import { expect, password, test } from "./people.js";

test("a missing part of the app is loaded once more, and then shown as an error with a button to reload", async ({ person, server }) => {
  const anna = await person("anna", { serviceWorkers: "block" });
  const { page } = anna;
  let missing = true;
  await page.route("**/assets/Settings-*.js", (route) => (missing ? route.fulfill({ status: 404 }) : route.continue()));
  let loads = 0;
  page.on("load", () => loads++);
  await page.getByRole("button", { name: "Settings" }).click();
  await expect(page.getByRole("heading", { name: "This part of the app could not be loaded" })).toBeVisible();
  expect(loads).toBe(1);
  // The rest of the app works.
  await page.getByRole("button", { name: "New conversation" }).click();
  await expect(page.getByLabel("Exact username")).toBeVisible();
  await page.goto(`${server.url}/#/settings`);
  const reload = page.getByRole("button", { name: "Reload" });
  await expect(reload).toBeVisible();
  missing = false;
  await reload.click();
  await expect(page.getByRole("heading", { name: "Settings" })).toBeVisible();
});

test("a page without its own script shows an error with a button to reload", async ({ browser, server }) => {
  const context = await browser.newContext({ serviceWorkers: "block" });
  const page = await context.newPage();
  const refused: string[] = [];
  page.on("console", (message) => {
    if (/Content Security Policy|Trusted/i.test(message.text())) refused.push(message.text());
  });
  let missing = true;
  await page.route("**/assets/app-*.js", (route) => (missing ? route.fulfill({ status: 404 }) : route.continue()));
  const sentence = page.getByRole("alert").filter({ hasText: "The app could not be loaded." });
  await page.goto(server.url);
  await expect(sentence).toBeInViewport();
  await page.reload();
  await expect(sentence).toBeInViewport();
  missing = false;
  await sentence.getByRole("button", { name: "Reload" }).click();
  await expect(page.getByRole("heading", { name: "Create your account" })).toBeVisible();
  await expect(sentence).toHaveCount(0);
  // A later error of the running app does not show it again.
  await page.evaluate(() => window.dispatchEvent(new ErrorEvent("error", { message: "later" })));
  await expect(sentence).toHaveCount(0);
  expect(refused).toEqual([]);
  await context.close();
});

test("the browser is asked to keep the data when there is a conversation", async ({ browser, person, server }) => {
  const ben = await person("ben");
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.addInitScript(() => {
    let asked = 0;
    Object.defineProperty(navigator.storage, "persisted", { value: () => Promise.resolve(asked > 0) });
    Object.defineProperty(navigator.storage, "persist", { value: () => Promise.resolve(++asked > 0) });
    Object.defineProperty(window, "asked", { get: () => asked });
  });
  const asked = (): Promise<number> => page.evaluate(() => (window as unknown as { asked: number }).asked);
  await page.goto(server.url);
  await page.getByLabel("Username", { exact: true }).fill("keeper");
  await page.getByLabel("E-mail").fill("keeper@example.org");
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(page.getByText("Start your first conversation")).toBeVisible();
  expect(await asked()).toBe(0);
  await page.getByRole("button", { name: "New conversation" }).click();
  await page.getByLabel("Exact username").fill(ben.name);
  await page.getByRole("button", { name: "Start conversation" }).click();
  await expect.poll(asked).toBe(1);
  await context.close();
});

test("no string can become a script, and the app with its service worker works without that", async ({ person }) => {
  const anna = await person("anna");
  const { page } = anna;
  expect(await page.evaluate(() => navigator.serviceWorker.ready.then(({ active }) => new URL(active!.scriptURL).pathname))).toBe("/sw.js");
  const refused = (work: string): Promise<string> =>
    page.evaluate((name) => {
      const sinks: Record<string, () => unknown> = {
        innerHTML: () => (document.createElement("div").innerHTML = "<b>x</b>"),
        src: () => (document.createElement("script").src = "/theme.js"),
        worker: () => new Worker("/sw.js"),
        policy: () => (window as unknown as { trustedTypes: { createPolicy(name: string, rules: object): object } }).trustedTypes.createPolicy("another", {}),
        twice: () => (window as unknown as { trustedTypes: { createPolicy(name: string, rules: object): object } }).trustedTypes.createPolicy("app", {}),
      };
      try {
        sinks[name]!();
        return "done";
      } catch (error) {
        return (error as Error).name;
      }
    }, work);
  // Each violation is also in the console. These are expected.
  page.removeAllListeners("console");
  for (const sink of ["innerHTML", "src", "worker", "policy", "twice"]) expect(await refused(sink)).toBe("TypeError");
});

test("normal use causes no message in the console", async ({ browser, person, server }) => {
  const ben = await person("ben");
  const context = await browser.newContext();
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(`${message.text()} ${message.location().url}`);
  });
  await page.goto(server.url);
  await page.getByLabel("Username", { exact: true }).fill("quiet");
  await page.getByLabel("E-mail").fill("quiet@example.org");
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await page.getByRole("button", { name: "New conversation" }).click();
  await page.getByLabel("Exact username").fill(ben.name);
  await page.getByRole("button", { name: "Start conversation" }).click();
  const box = page.getByRole("textbox", { name: "Message" });
  await box.fill("Hello");
  await box.press("Enter");
  await ben.open("quiet");
  await ben.write("Hello to you");
  await expect(page.getByText("Hello to you").first()).toBeVisible();
  await page.getByRole("button", { name: "Details" }).click();
  await expect(page.getByText("Epoch code")).toBeVisible();
  for (const where of ["profile", "devices", "sessions", "notifications", "privacy", "appearance", "data"]) {
    await page.goto(`${server.url}/#/settings/${where}`);
    await expect(page.getByRole("status", { name: "Loading…" })).toHaveCount(0);
  }
  await page.reload();
  await expect(page.getByRole("link").filter({ hasText: ben.name })).toBeVisible();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page.getByRole("link").filter({ hasText: ben.name })).toBeVisible();
  expect(complaints).toEqual([]);
  await context.close();
});

test("the icons of the page and its manifest exist in the declared sizes", async ({ page, server }) => {
  await page.goto(server.url);
  const named = await page
    .locator("link[rel=icon], link[rel=apple-touch-icon]")
    .evaluateAll((links) => links.map((link) => ({ src: link.getAttribute("href")!, sizes: link.getAttribute("sizes") ?? "" })));
  const { icons } = await page.evaluate(
    async () => (await (await fetch("/manifest.webmanifest")).json()) as { icons: { src: string; sizes: string; purpose: string }[] },
  );
  for (const size of ["192x192", "512x512"])
    expect(icons.some((icon) => icon.src.endsWith(".png") && icon.sizes === size && icon.purpose === "any")).toBe(true);
  expect(named.map(({ src }) => src)).toContain("/icon-180.png");
  for (const { src, sizes } of [...named, ...icons]) {
    const width = await page.evaluate(async (from) => {
      const image = new Image();
      image.src = from;
      await image.decode();
      return image.naturalWidth;
    }, src);
    if (/\d/.test(sizes)) expect(`${width}x${width}`).toBe(sizes);
  }
});

test("scripts are sent with Brotli, clearly smaller than with gzip", async ({ page, server }) => {
  const scripts: string[] = [];
  page.on("response", (response) => {
    if (response.request().resourceType() === "script") scripts.push(response.url());
  });
  await page.goto(server.url);
  await expect(page.getByLabel("Username", { exact: true })).toBeVisible();
  const size = async (encoding: string): Promise<number> => {
    let sum = 0;
    for (const url of scripts) sum += Number((await fetch(url, { method: "HEAD", headers: { "Accept-Encoding": encoding } })).headers.get("content-length"));
    return sum;
  };
  const [brotli, gzip] = [await size("br"), await size("gzip")];
  console.log(`first load: ${brotli} bytes in brotli, ${gzip} in gzip`);
  expect(brotli).toBeLessThan(gzip * 0.9);
});
