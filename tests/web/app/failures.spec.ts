import { expect, test } from "./people.js";

test("a text that is being sent is in no storage unencrypted", async ({ person, server }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.page.addInitScript(() => {
    // oxlint-disable-next-line typescript/unbound-method -- called with the original receiver
    const { setItem } = Storage.prototype;
    Storage.prototype.setItem = function (this: Storage, key: string, value: string) {
      ((window as unknown as { written: string[] }).written ??= []).push(`${key}=${value}`);
      setItem.call(this, key, value);
    };
  });
  await anna.page.goto(server.url);
  await anna.startWith(ben.name);
  await anna.write("words for Ben alone");
  await ben.open(anna.name);
  await ben.sees("words for Ben alone");
  const written = await anna.page.evaluate(() => (window as unknown as { written: string[] }).written);
  expect(written.some((entry) => entry.startsWith("unsent/"))).toBe(true);
  expect(written.filter((entry) => /words|Ben|alone|roomId/.test(entry))).toEqual([]);
  await expect.poll(() => anna.page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("unsent/")))).toEqual([]);
});

test("when the browser's store fails, a text stays visible and is sent when the store works again", async ({ person }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "before");
  const keys = anna.page.workers().find((worker) => worker.url().includes("worker"))!;
  await keys.evaluate(() => {
    // oxlint-disable-next-line typescript/unbound-method -- called with the original receiver
    const { transaction } = IDBDatabase.prototype;
    const state = globalThis as unknown as { broken: boolean };
    state.broken = true;
    IDBDatabase.prototype.transaction = function (this: IDBDatabase, ...args: Parameters<IDBDatabase["transaction"]>) {
      if (state.broken) throw new DOMException("The disk is full.", "QuotaExceededError");
      return transaction.apply(this, args);
    };
  });
  await anna.write("in spite of the disk");
  await anna.sees("in spite of the disk");
  const alarm = anna.page.getByRole("navigation", { name: "Conversations" }).getByText("What you write is not stored, and nothing arrives.");
  await expect(alarm).toBeVisible();
  await expect(anna.log.getByText("Not sent")).toBeVisible({ timeout: 40_000 });
  await anna.sees("in spite of the disk");
  await keys.evaluate(() => {
    (globalThis as unknown as { broken: boolean }).broken = false;
  });
  await anna.page.getByRole("button", { name: "Try again" }).click();
  await ben.sees("in spite of the disk");
  await expect(alarm).toHaveCount(0);
  await expect(anna.log.getByText("Not sent")).toHaveCount(0);
  await expect(anna.log.getByText("in spite of the disk")).toHaveCount(1);
});

test("notifications are on only when the server has an endpoint, and a replaced endpoint is registered", async ({ person, server }) => {
  const anna = await person("anna", { permissions: ["notifications"] });
  const { page } = anna;
  // A fake of the browser's push service.
  await page.addInitScript(() => {
    const make = () => {
      const endpoint = localStorage.getItem("fake-push");
      return endpoint === null
        ? null
        : {
            endpoint,
            options: {},
            unsubscribe: async () => {
              localStorage.removeItem("fake-push");
              return true;
            },
          };
    };
    PushManager.prototype.getSubscription = async () => make() as unknown as PushSubscription;
    PushManager.prototype.subscribe = async () => {
      localStorage.setItem("fake-push", localStorage.getItem("fake-push") ?? "https://updates.push.services.mozilla.com/wpush/v2/first");
      return make() as unknown as PushSubscription;
    };
  });
  const endpoints: string[] = [];
  page.on("request", (request) => {
    if (request.url().endsWith("/v1/me/push") && request.method() === "PUT") endpoints.push((request.postDataJSON() as { endpoint: string }).endpoint);
  });
  await page.goto(`${server.url}/#/settings/notifications`);
  await page.reload();
  const push = page.getByRole("switch", { name: "Notify me in this browser" });
  await push.click();
  await expect(push).toBeChecked();
  expect(endpoints).toEqual(["https://updates.push.services.mozilla.com/wpush/v2/first"]);

  await page.evaluate(() => localStorage.setItem("fake-push", "https://updates.push.services.mozilla.com/wpush/v2/second"));
  await page.reload();
  await expect.poll(() => endpoints.at(-1)).toBe("https://updates.push.services.mozilla.com/wpush/v2/second");
  await page.evaluate(() => localStorage.setItem("fake-push", "https://updates.push.services.mozilla.com/wpush/v2/third"));
  await page
    .context()
    .serviceWorkers()[0]!
    .evaluate(() => {
      self.dispatchEvent(Object.assign(new Event("pushsubscriptionchange"), { newSubscription: {}, waitUntil: () => undefined }));
    });
  await expect.poll(() => endpoints.at(-1)).toBe("https://updates.push.services.mozilla.com/wpush/v2/third");

  // The endpoint ends with the session. The browser keeps its subscription.
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Password", { exact: true }).fill("a long enough password");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Conversations" })).toBeVisible();
  await page.goto(`${server.url}/#/settings/notifications`);
  await expect(push).toBeEnabled();
  await expect(push).not.toBeChecked();
});
