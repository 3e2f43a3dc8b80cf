import { SecureMessaging, type Room } from "../../../src/web/sdk/dist/index.js";
import { expect, password, test } from "./people.js";
import { Server } from "./server.js";

/** `APP_TESTS_MESSAGES=10000 tests/web/app.sh big-room` takes some minutes. */
const messages = Number(process.env["APP_TESTS_MESSAGES"] ?? 2_000);

test(`${messages} messages that arrived while the user was offline are loaded without a gap, and scrolled with few elements`, async ({ person }) => {
  test.setTimeout(180_000 + messages * 30);
  const server = await Server.start("--RateLimits:Enabled=false");
  const ben = await SecureMessaging.signUp({ url: server.url, username: "ben", email: "ben@example.org", password });
  const joined = new Promise<Room>((resolve) => ben.on("room", resolve));
  const anna = await person("anna", { url: server.url });
  const { page } = anna;
  await anna.startWith("ben");
  const room = await joined;
  await room.whenReady();
  await page.goto("about:blank");
  let began = Date.now();
  const sent = [];
  for (let n = 0; n < messages; n++) sent.push((await room.send(`number ${n}.`)).stored);
  await Promise.all(sent);
  const writing = Date.now() - began;

  began = Date.now();
  await page.goto(server.url);
  await anna.open("ben");
  // In the conversation itself: the list of conversations shows it earlier.
  await expect(anna.log.getByText(`number ${messages - 1}.`)).toBeVisible({ timeout: 90_000 + messages * 5 });
  const catchingUp = Date.now() - began;

  const seen = await page.evaluate(async () => {
    const box = document.querySelector(".timeline")!;
    const texts = new Set<string>();
    const tasks: number[] = [];
    let nodes = 0;
    new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: "longtask" });
    const frames: number[] = [];
    box.scrollTop = box.scrollHeight;
    for (let before = performance.now(); !document.querySelector(".beginning");) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
      const now = performance.now();
      frames.push(now - before);
      before = now;
      for (const text of box.querySelectorAll("article .text")) texts.add(text.textContent);
      nodes = Math.max(nodes, document.getElementsByTagName("*").length);
      box.scrollTop -= 500;
    }
    for (const text of box.querySelectorAll("article .text")) texts.add(text.textContent);
    frames.sort((a, b) => a - b);
    return {
      texts: texts.size,
      longest: Math.max(0, ...tasks),
      tasks: tasks.length,
      nodes,
      frames: frames.length,
      p95: frames[Math.floor(frames.length * 0.95)]!,
    };
  });
  console.log(
    `${messages} messages: written in ${writing} ms, caught up in ${catchingUp} ms; scrolled in ${seen.frames} frames, p95 ${seen.p95.toFixed(1)} ms; ` +
      `${seen.tasks} long tasks, longest ${seen.longest.toFixed(0)} ms; at most ${seen.nodes} elements`,
  );
  expect(seen.texts).toBe(messages);
  expect(seen.nodes).toBeLessThan(2_000);
  // An idle machine needs a tenth of this. Test machines are busy.
  expect(seen.longest).toBeLessThanOrEqual(1_000);
  await anna.write("an answer");
  await anna.sees("an answer");
  await ben.close();
  await server.stop();
});
