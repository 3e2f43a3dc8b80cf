// Scalar in a real browser: everything comes from the server itself, the content security policy holds, and a request that is tried there arrives.
import { spawnSync } from 'node:child_process';
import { chromium } from 'playwright-core';

export async function checkPlayground(check, origin) {
  const executablePath = ['chromium', 'chromium-browser', 'google-chrome'].map((name) => spawnSync('which', [name]).stdout.toString().trim()).find(Boolean);
  const requests = [];
  const complaints = [];
  let browser;
  let page;

  await check('the playground opens in a browser', async () => {
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
    page = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
    page.on('request', (request) => requests.push(request.url()));
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(`${origin}/playground`);
    await page.getByRole('heading', { name: 'SecureMessaging', exact: true }).waitFor({ timeout: 60_000 });
  });

  await check('a sign-up that is tried there makes an account', async () => {
    await page.goto(`${origin}/playground#tag/auth/POST/v1/auth/sign-up`);
    const test = page.getByRole('button', { name: /Test Request/i }).first();
    await test.waitFor({ timeout: 60_000 });
    await page.locator('[id$="POST/v1/auth/sign-up"]').first().getByRole('button', { name: /Test Request/i }).click();
    const [response] = await Promise.all([
      page.waitForResponse((response) => response.url() === `${origin}/v1/auth/sign-up` && response.request().method() === 'POST', { timeout: 60_000 }),
      page.getByRole('button', { name: /^Send post request/i }).click(),
    ]);
    if (response.status() !== 201) throw new Error(`${response.status()} ${await response.text()}`);
    if (process.env.PLAYGROUND_SCREENSHOT) await page.screenshot({ path: process.env.PLAYGROUND_SCREENSHOT });
  });

  await check('the browser keeps nothing of it', async () => {
    const kept = await page.evaluate(async () => ({ local: { ...localStorage }, session: { ...sessionStorage }, databases: await indexedDB.databases(), cookies: document.cookie }));
    if (JSON.stringify(kept) !== '{"local":{},"session":{},"databases":[],"cookies":""}') throw new Error(JSON.stringify(kept));
  });

  await check('nothing came from elsewhere, and the policy refused nothing', async () => {
    const foreign = requests.filter((url) => !url.startsWith(origin) && !/^(data|blob):/.test(url));
    if (requests.length < 4 || foreign.length > 0 || complaints.length > 0) throw new Error(JSON.stringify({ requests: requests.length, foreign, complaints }, null, 1));
  });
  await browser?.close();
}
