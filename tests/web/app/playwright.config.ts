import { defineConfig } from "@playwright/test";
import { startPatienceMs } from "../ready.mjs";

export default defineConfig({
  testDir: ".",
  // Some tests start a server.
  timeout: 90_000 + startPatienceMs,
  expect: { timeout: 20_000 },
  fullyParallel: false,
  workers: 1,
  retries: 0,
  forbidOnly: true,
  reporter: [["list"], ["json", { outputFile: process.env.APP_TESTS_REPORT ?? "test-results/report.json" }]],
  use: {
    viewport: { width: 1280, height: 800 },
    launchOptions: { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] },
    screenshot: "only-on-failure",
  },
});
