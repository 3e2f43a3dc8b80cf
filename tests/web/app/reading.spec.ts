import { expect, tall, test } from "./people.js";

test("a quoted message that is not loaded is read and shown", async ({ person }) => {
  const [anna, ben] = [await person("anna"), await person("ben", tall)];
  await anna.talkWith(ben, "the very first words");
  for (let n = 0; n < 62; n++) await ben.write(`Number ${n}.`);
  await ben.log.getByText("the very first words").click({ button: "right" });
  await ben.page.getByRole("menuitem", { name: "Reply" }).click();
  await ben.write("an answer");
  const quote = anna.log.getByRole("article", { name: /an answer$/ }).getByTitle("Go to the message");
  await expect(quote).toContainText("the very first words");
  // From now on only the newest 60 messages are loaded.
  await anna.page.reload();
  await expect(quote).toContainText("the very first words");
  await expect(anna.log.getByText("Number 0.")).toHaveCount(0);
  await quote.click();
  await expect(anna.log.getByRole("article", { name: /the very first words$/ })).toBeInViewport();
});

test("a long message stays in place when it is unfolded, in the middle and at the end", async ({ person }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "before");
  const long = Array.from({ length: 120 }, (_, line) => `line ${line}`).join("\n");
  await ben.write(long);
  for (const after of [false, true]) {
    if (after) await ben.write("after");
    const article = anna.log.getByRole("article").filter({ hasText: "line 0" });
    await article.scrollIntoViewIfNeeded();
    const fold = article.getByRole("button", { name: "Show more" });
    await fold.scrollIntoViewIfNeeded();
    await anna.page.waitForTimeout(300);
    const before = (await article.boundingBox())!.y;
    await fold.click();
    await expect(article.getByText("line 119")).toBeAttached();
    await anna.page.waitForTimeout(300);
    expect(Math.abs((await article.boundingBox())!.y - before)).toBeLessThanOrEqual(2);
    await article.getByRole("button", { name: "Show less" }).click();
    await expect(fold).toBeVisible();
  }
});

test("the jump to the end works right after a message was unfolded", async ({ person }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "before");
  await ben.write(Array.from({ length: 200 }, (_, line) => `line ${line}`).join("\n"));
  await anna.log.getByRole("button", { name: "Show more" }).click();
  await anna.page.getByRole("button", { name: "Newest messages" }).click();
  // Longer than the place of an unfolded message is kept.
  await anna.page.waitForTimeout(1_000);
  await expect(anna.log.getByText("line 199")).toBeInViewport();
  await ben.write("after");
  await expect(anna.log.getByText("after")).toBeInViewport();
});

test("a conversation has a readable width on a wide screen", async ({ person }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "before");
  await anna.page.setViewportSize({ width: 2560, height: 1300 });
  await expect(anna.log.getByText("before")).toBeInViewport();
  const [mine, field] = [(await anna.log.locator(".mine .bubble").last().boundingBox())!, (await anna.box.boundingBox())!];
  expect(mine.x + mine.width - field.x).toBeLessThanOrEqual(1_100);
  for (const size of [
    { width: 1280, height: 700 },
    { width: 360, height: 640 },
    { width: 1280, height: 800 },
  ]) {
    await anna.page.setViewportSize(size);
    await expect(anna.log.getByText("before")).toBeInViewport();
  }
});

test("a dropped or pasted file is not opened, and a sentence says so", async ({ person }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.startWith(ben.name);
  const { page } = anna;
  /** Returns whether the app prevented the browser from opening the file. */
  const give = (kind: "drop" | "dragover" | "paste", withText = false): Promise<boolean> =>
    anna.box.evaluate(
      (target, [event, alsoText]) => {
        const data = new DataTransfer();
        data.items.add(new File(["x"], "photo.png", { type: "image/png" }));
        if (alsoText) data.setData("text/plain", "words");
        const options = { bubbles: true, cancelable: true };
        const made =
          event === "paste" ? new ClipboardEvent("paste", { ...options, clipboardData: data }) : new DragEvent(event, { ...options, dataTransfer: data });
        return !target.dispatchEvent(made);
      },
      [kind, withText] as const,
    );
  const sentence = page.getByText("Files cannot be sent yet.");
  expect(await give("dragover")).toBe(true);
  expect(await give("drop")).toBe(true);
  await expect(sentence).toBeVisible();
  await page.getByRole("region", { name: "Notices" }).getByRole("button", { name: "Close" }).click();
  await expect(anna.box).toBeFocused();
  // Text with a picture beside it is pasted as text.
  expect(await give("paste", true)).toBe(false);
  await expect(sentence).toHaveCount(0);
  expect(await give("paste")).toBe(true);
  await expect(sentence).toBeVisible();
});

test("a browser with a language that Intl does not accept opens the app", async ({ browser, server }) => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.addInitScript(() =>
    Object.defineProperty(navigator, "languages", { value: ["en-US@posix", "C", "", "xx-invalid-tag-that-is-too-long-for-any-browser"] }),
  );
  await page.goto(server.url);
  await expect(page.getByRole("heading", { name: "Create your account" })).toBeVisible();
  await context.close();
});

test("addresses are links, and one that can look like another shows its real host and asks", async ({ person }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "before");
  const links = async (text: string): Promise<(string | null)[]> => {
    await ben.write(text);
    const article = anna.log.getByRole("article").last();
    await expect(article).toContainText(text.slice(0, 8));
    return article.getByRole("link").evaluateAll((all) => all.map((link) => link.getAttribute("href")));
  };
  expect(await links("01: www.example.org/x, and Anna.B+c@mail.example.org.")).toEqual(["https://www.example.org/x", "mailto:Anna.B+c@mail.example.org"]);
  expect(await links("02: https://münchen.de https://пример.рф/a https://例え.テスト HTTP://EXAMPLE.ORG")).toEqual([
    "https://xn--mnchen-3ya.de/",
    "https://xn--e1afmkfd.xn--p1ai/a",
    "https://xn--r8jz45g.xn--zckzah/",
    "http://example.org/",
  ]);
  expect(await links("03: www. www.. xwww.example.org javascript:alert(1) data:text/html,x a@b http://user@evil.example ftp://example.org")).toEqual([]);
  // Cyrillic letters before .com, one among Latin ones, a dotless i, a percent sign.
  for (const [n, host, real] of [
    ["04", "аррӏе.com", "xn--80ak6aa92e.com"],
    ["05", "exаmple.org", "xn--exmple-4nf.org"],
    ["06", "wıkipedia.org", "xn--wkipedia-tkb.org"],
    ["07", "%D0%B0pple.com", "xn--pple-43d.com"],
  ] as const) {
    expect(await links(`${n}: https://${host}/login`)).toEqual([]);
    const suspect = anna.log
      .getByRole("article")
      .last()
      .getByRole("button", { name: `real address: ${real}` });
    await suspect.click();
    await expect(anna.page.getByRole("dialog")).toContainText(real);
    await anna.page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  }
  const suspect = anna.log.getByRole("article").last().getByRole("button", { name: "real address" });
  await anna.page.context().route("**", (route) => route.abort());
  await suspect.click();
  const opened = anna.page.context().waitForEvent("page");
  await anna.page.getByRole("dialog").getByRole("button", { name: "Open" }).click();
  await opened;
});
