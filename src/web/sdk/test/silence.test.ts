import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { found } from "./silent.js";

const root = new URL("../src/", import.meta.url).pathname;
const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));

/** Places where another part reports the failure. */
const allowed: Record<string, number> = {
  // The holder of the promise receives its failure.
  "base/timing.ts": 1,
  // Background work reports its own failures; this waits for its end.
  "client/upkeep.ts": 1,
  // The callers of the renewal receive its outcome.
  "net/session.ts": 1,
  // The caller of the send receives the failure of its first write.
  "rooms/outbox.ts": 1,
};

/** Files with a `catch` that does not look at the error, because every error there means the same. */
const unseen: Record<string, number> = {
  // A KeyPackage or message that cannot be decoded. No platform is asked.
  "mls/messages.ts": 2,
  // The text is not JSON.
  "net/hub.ts": 1,
  "rooms/room.ts": 1,
  // Whether the platform has a feature: the caller names those that are missing.
  "net/platform.ts": 2,
  // The tag of a record is wrong.
  "store/file.ts": 1,
  // The worker's error was reported.
  "tabs/workerLink.ts": 1,
  // A text that is not UTF-8.
  "trust/codec.ts": 1,
  // The library hides the cause, so the platform is tried.
  "trust/transfer.ts": 1,
};

test.each(files)("each error is looked at in %s", (file) => {
  const all = readFileSync(join(root, file), "utf8").match(/\bcatch \{/g) ?? [];
  expect(all).toHaveLength(unseen[file] ?? 0);
});

test.each(files)("no failure is swallowed in %s", (file) => {
  const all = found(readFileSync(join(root, file), "utf8"));
  expect(all.length, all.join("\n")).toBe(allowed[file] ?? 0);
});

test("a swallowed failure is found", () => {
  for (const text of [
    "try { a(); } catch {}",
    "try { a(); } catch (error) {\n  // It does not matter.\n}",
    "try { a(); } catch { /* no */ }",
    "void a().catch(() => undefined);",
    "a().catch((e) => {});",
    "a().catch(() => void 0)",
    "a().then(b, () => undefined)",
    "a().then(() => b(), () => undefined)",
    "await Promise.allSettled([a()]);",
  ])
    expect(found(text), text).toHaveLength(1);
  for (const text of [
    "a().catch(failed)",
    "a().catch((error) => { say(error); })",
    "try { a(); } catch (error) {\n  say(error);\n}",
    "try { a(); } catch {\n  return false;\n}",
  ])
    expect(found(text), text).toHaveLength(0);
});
