import { expect, test as base, type BrowserContextOptions, type Locator, type Page } from "@playwright/test";
import { Server } from "./server.js";

export const password = "a long enough password";

/** A window so high that a long conversation is completely in the document. */
export const tall = { viewport: { width: 1280, height: 4_000 } };

/** A person with an own browser. A policy violation or an exception in the page fails the test. */
export class Person {
  readonly log: Locator;
  readonly box: Locator;

  constructor(
    readonly page: Page,
    readonly name: string,
  ) {
    this.log = page.getByRole("group", { name: "Messages" });
    this.box = page.getByRole("textbox", { name: "Message" });
  }

  async signUp(url: string): Promise<void> {
    await this.page.goto(url);
    await this.page.getByLabel("Username", { exact: true }).fill(this.name);
    await this.page.getByLabel("E-mail").fill(`${this.name}@example.org`);
    await this.page.getByLabel("Password", { exact: true }).fill(password);
    await this.page.getByRole("button", { name: "Create account" }).click();
    await expect(this.page.getByRole("heading", { name: "Conversations" })).toBeVisible();
  }

  async signIn(url: string): Promise<void> {
    await this.page.goto(url);
    await this.page.getByRole("button", { name: "Sign in" }).click();
    await this.page.getByLabel("Username or e-mail").fill(this.name);
    await this.page.getByLabel("Password", { exact: true }).fill(password);
    await this.page.getByRole("button", { name: "Sign in", exact: true }).click();
  }

  async startWith(other: string): Promise<void> {
    await this.page.getByRole("button", { name: "New conversation" }).click();
    await this.page.getByLabel("Exact username").fill(other);
    await this.page.getByRole("button", { name: "Start conversation" }).click();
    await expect(this.box).toBeVisible();
  }

  /** Opens a conversation for both people, with one message. */
  async talkWith(other: Person, text: string): Promise<void> {
    await this.startWith(other.name);
    await this.write(text);
    await other.open(this.name);
    await other.sees(text);
  }

  async open(title: string): Promise<void> {
    await this.page.getByRole("navigation", { name: "Conversations" }).getByRole("link").filter({ hasText: title }).click();
    await expect(this.box).toBeVisible();
  }

  async write(text: string): Promise<void> {
    await this.box.fill(text);
    await this.box.press("Enter");
  }

  /** The texts of the messages in the document, from top to bottom. */
  history(): Promise<string[]> {
    return this.log.locator("article .text:not(.dimmed)").allInnerTexts();
  }

  async sees(text: string): Promise<void> {
    await expect(this.log.getByText(text)).toBeVisible();
  }
}

/** One device of a person approves another with the two codes. */
async function approve(by: Person, device: Person, url: string): Promise<void> {
  const code = await device.page.getByRole("group", { name: "Code of this device" }).innerText();
  await by.page.goto(`${url}/#/settings/devices`);
  await by.page.getByRole("button", { name: "Approve" }).click();
  const dialog = by.page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Type the codes instead" }).click();
  await dialog.getByLabel("Code on the new device").fill(code);
  await dialog.getByRole("button", { name: "Approve" }).click();
  const answer = await dialog.getByRole("group", { name: "Code" }).innerText();
  await dialog.getByRole("button", { name: "Done" }).click();
  await device.page.getByLabel("Code from your other device").fill(answer);
  await device.page.getByRole("button", { name: "Confirm" }).click();
  await expect(device.page.getByRole("heading", { name: "Conversations" })).toBeVisible();
}

let serial = 0;

interface Fixtures {
  /** Signs a person in in another new browser. With `approved`, the person's first device approves it with the two codes. */
  anotherDevice: (of: Person, options?: { approved?: boolean }) => Promise<Person>;
  /** Signs a person up in a new browser. A number makes the username unique among all tests. */
  person: (name: string, options?: BrowserContextOptions & { url?: string }) => Promise<Person>;
}

export const test = base.extend<Fixtures, { server: Server }>({
  server: [
    // oxlint-disable-next-line no-empty-pattern -- Playwright reads the names of the fixtures from the pattern
    async ({}, use) => {
      const server = await Server.start();
      await use(server);
      await server.stop();
    },
    { scope: "worker" },
  ],
  anotherDevice: async ({ browser, server }, use) => {
    const contexts: { close(): Promise<void> }[] = [];
    await use(async (of, options = {}) => {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
      contexts.push(context);
      const device = new Person(await context.newPage(), of.name);
      await device.signIn(server.url);
      await expect(device.page.getByRole("heading", { name: "Approve this device" })).toBeVisible();
      if (options.approved) await approve(of, device, server.url);
      return device;
    });
    for (const context of contexts) await context.close();
  },
  person: async ({ browser, server }, use, testInfo) => {
    const complaints: string[] = [];
    const warnings: string[] = [];
    const contexts: { close(): Promise<void> }[] = [];
    await use(async (name, { url = server.url, ...options } = {}) => {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
      contexts.push(context);
      const page = await context.newPage();
      page.on("pageerror", (error) => complaints.push(String(error)));
      page.on("console", (message) => {
        if (message.type() !== "log") warnings.push(`${new Date().toISOString()} ${name}: ${message.text()}`);
        // Failed connections are part of some tests. Policy violations are part of none.
        if (message.type() === "error" && /Content Security Policy|Trusted/i.test(message.text())) complaints.push(message.text());
      });
      const person = new Person(page, `${name}${++serial}`);
      await person.signUp(url);
      return person;
    });
    for (const context of contexts) await context.close();
    // What the clients have reported, which may say why the test failed.
    if (testInfo.status !== testInfo.expectedStatus) console.log(warnings.join("\n"));
    expect(complaints).toEqual([]);
  },
});

export { expect };
