import { expect, test as base, type BrowserContextOptions, type Locator, type Page } from "@playwright/test";
import { Server } from "./server.js";

export const password = "a long enough password";

/** A window in which a long conversation is in the document as a whole. */
export const tall = { viewport: { width: 1280, height: 4_000 } };

/** Somebody with a browser of their own. What the page complains about fails the test. */
export class Person {
  readonly log: Locator;
  readonly box: Locator;

  constructor(readonly page: Page, readonly name: string) {
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

  async startWith(other: string): Promise<void> {
    await this.page.getByRole("button", { name: "New conversation" }).click();
    await this.page.getByLabel("Exact username").fill(other);
    await this.page.getByRole("button", { name: "Start conversation" }).click();
    await expect(this.box).toBeVisible();
  }

  /** A conversation that both have open, with one message in it. */
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

  /** The texts of the messages that are in the document, from top to bottom. */
  history(): Promise<string[]> {
    return this.log.locator("article .text:not(.dimmed)").allInnerTexts();
  }

  async sees(text: string): Promise<void> {
    await expect(this.log.getByText(text)).toBeVisible();
  }
}

let serial = 0;

interface Fixtures {
  /** Signs somebody up in a browser of their own. The name gets a number, so that tests do not meet. */
  person(name: string, options?: BrowserContextOptions & { url?: string }): Promise<Person>;
}

export const test = base.extend<Fixtures, { server: Server }>({
  server: [async ({}, use) => {
    const server = await Server.start();
    await use(server);
    await server.stop();
  }, { scope: "worker" }],
  person: async ({ browser, server }, use) => {
    const complaints: string[] = [];
    const contexts: { close(): Promise<void> }[] = [];
    await use(async (name, { url = server.url, ...options } = {}) => {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
      contexts.push(context);
      const page = await context.newPage();
      page.on("pageerror", (error) => complaints.push(String(error)));
      page.on("console", (message) => {
        // A connection that fails is part of some tests; a policy that is broken is of none.
        if (message.type() === "error" && /Content Security Policy|Trusted/i.test(message.text()))
          complaints.push(message.text());
      });
      const person = new Person(page, `${name}${++serial}`);
      await person.signUp(url);
      return person;
    });
    for (const context of contexts)
      await context.close();
    expect(complaints).toEqual([]);
  },
});

export { expect };
