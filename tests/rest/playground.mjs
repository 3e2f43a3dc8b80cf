// The playgrounds in a real browser: all files come from the server, the Content-Security-Policies hold, one click creates an account, and the server accepts
// the examples of the page in order.
import { spawnSync } from "node:child_process";
import { chromium } from "playwright-core";

/** Operations that end their session. The next one needs a new session. */
const farewells = ["revokeDevice", "logOut", "logOutEverywhere"];

export async function checkPlayground(check, origin, management) {
  const executablePath = ["chromium", "chromium-browser", "google-chrome"].map((name) => spawnSync("which", [name]).stdout.toString().trim()).find(Boolean);
  const requests = [];
  const complaints = [];
  let browser;
  let page;

  const open = async () => {
    const opened = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
    opened.on("request", (request) => requests.push(request.url()));
    opened.on("console", (message) => message.type() === "error" && complaints.push(`${message.text()} (${message.location().url})`));
    opened.on("pageerror", (error) => complaints.push(String(error)));
    return opened;
  };

  await check("the playground opens in a browser", async () => {
    browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
    page = await open();
    await page.goto(`${management}/playground`);
    await page.getByRole("heading", { name: "SecureMessaging", exact: true }).waitFor({ timeout: 60_000 });
  });

  let reference;
  await check("one click creates an account and signs in with it", async () => {
    // The document that Scalar has loaded last: the one with the examples of an account.
    await page.addInitScript(() => {
      let scalar;
      Object.defineProperty(window, "Scalar", {
        get: () => scalar,
        set: (value) => {
          scalar = { ...value, createApiReference: (place, settings) => ((window.settings = settings), value.createApiReference(place, settings)) };
        },
        configurable: true,
      });
    });
    await page.getByRole("button", { name: "Make a test account" }).click();
    await page.getByText(/^Signed in as anna-/).waitFor({ timeout: 60_000 });
    await page.getByRole("heading", { name: "SecureMessaging", exact: true }).waitFor({ timeout: 60_000 });
    reference = await page
      .waitForFunction(() => window.settings?.sources?.[0]?.content && JSON.parse(JSON.stringify(window.settings)), null, { timeout: 60_000 })
      .then((handle) => handle.jsonValue());
  });

  await check("the examples are accepted in the order of the page", async () => {
    const { content } = reference.sources[0];
    let token = reference.authentication.securitySchemes.bearer.token;
    const refused = [];
    let count = 0;
    for (const tag of content.tags.filter(({ name }) => name !== "Admin")) {
      for (const [path, item] of Object.entries(content.paths)) {
        for (const [method, operation] of Object.entries(item).filter(([, { tags }]) => tags?.includes(tag.name))) {
          let target = path;
          const query = new URLSearchParams();
          for (const parameter of operation.parameters ?? []) {
            if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(parameter.example));
            if (parameter.in === "query") query.set(parameter.name, parameter.example);
          }
          const body = operation.requestBody?.content["application/json"].example;
          const status = await page.evaluate(
            async ([url, verb, json, bearer]) => {
              const response = await fetch(url, {
                method: verb,
                headers: { ...(json && { "content-type": "application/json" }), authorization: `Bearer ${bearer}` },
                body: json && JSON.stringify(json),
              });
              return response.ok ? "" : `${response.status} ${await response.text()}`;
            },
            [`${origin}${target}${query.size > 0 ? `?${query}` : ""}`, method.toUpperCase(), body, token],
          );
          count++;
          if (status) refused.push(`${operation.operationId}: ${status}`);
          if (farewells.includes(operation.operationId)) token = await signInAgain(content);
        }
      }
    }
    if (count < 45 || refused.length > 0) throw new Error(`${refused.length} of ${count} were refused:\n${refused.join("\n")}`);
  });

  async function signInAgain(content) {
    const { username } = content.paths["/v1/auth/token"].post.requestBody.content["application/json"].example;
    const { newPassword } = content.paths["/v1/me/password"].post.requestBody.content["application/json"].example;
    const response = await fetch(`${origin}/v1/auth/token`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ username, password: newPassword }),
    });
    return (await response.json()).accessToken;
  }

  await check("a test request arrives", async () => {
    await page.goto(`${management}/playground#tag/auth/POST/v1/auth/sign-up`);
    const test = page.getByRole("button", { name: /Test Request/i }).first();
    await test.waitFor({ timeout: 60_000 });
    await page
      .locator('[id$="POST/v1/auth/sign-up"]')
      .first()
      .getByRole("button", { name: /Test Request/i })
      .click();
    const [response] = await Promise.all([
      page.waitForResponse((each) => each.url() === `${origin}/v1/auth/sign-up` && each.request().method() === "POST", { timeout: 60_000 }),
      page.getByRole("button", { name: /^Send post request/i }).click(),
    ]);
    if (response.status() !== 201) throw new Error(`${response.status()} ${await response.text()}`);
    if (process.env.PLAYGROUND_SCREENSHOT) await page.screenshot({ path: process.env.PLAYGROUND_SCREENSHOT });
  });

  await check("the browser stores nothing", async () => {
    const kept = await page.evaluate(async () => ({
      local: Object.fromEntries(Object.entries(localStorage)),
      session: Object.fromEntries(Object.entries(sessionStorage)),
      databases: await indexedDB.databases(),
      cookies: document.cookie,
    }));
    if (JSON.stringify(kept) !== '{"local":{},"session":{},"databases":[],"cookies":""}') throw new Error(JSON.stringify(kept));
  });

  await check("GraphiQL shows the schema, and its example gets an answer", async () => {
    const graphiql = await open();
    await graphiql.goto(`${management}/graphql/ui`);
    await graphiql.getByRole("button", { name: "Show Documentation Explorer" }).click({ timeout: 60_000 });
    await graphiql.getByRole("link", { name: "Query", exact: true }).first().click();
    await graphiql.getByRole("link", { name: "Limits", exact: true }).first().click();
    await graphiql.getByText("ciphertextBytes").first().waitFor();
    if (process.env.PLAYGROUND_SCREENSHOT) await graphiql.screenshot({ path: process.env.PLAYGROUND_SCREENSHOT.replace(".png", "-graphiql.png") });
    await graphiql.getByRole("button", { name: /^Execute query/ }).click();
    await graphiql.locator(".result-window").getByText("32768").waitFor();
    const text = await graphiql.locator("body").innerText();
    if (/Error fetching schema/.test(text)) throw new Error(text);
    await graphiql.close();
  });

  await check("the app's origin has no playground", async () => {
    for (const path of ["/playground", "/graphql/ui"]) {
      const response = await fetch(origin + path);
      if (response.status !== 404) throw new Error(`${path}: ${response.status}`);
    }
  });

  await check("all files came from the server, and the policy blocked nothing", async () => {
    const foreign = requests.filter((url) => !url.startsWith(origin) && !url.startsWith(management) && !/^(data|blob):/.test(url));
    if (requests.length < 4 || foreign.length > 0 || complaints.length > 0)
      throw new Error(JSON.stringify({ requests: requests.length, foreign, complaints }, null, 1));
  });
  await browser?.close();
}
