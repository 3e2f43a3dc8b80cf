import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { found } from "../../sdk/test/silent.js";

const root = new URL("../", import.meta.url).pathname;
const files = ["src", "sw", "public"]
  .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)))
  .filter((name) => /\.(ts|tsx|js)$/.test(name));

/** Places without a consequence. */
const allowed: Record<string, number> = {
  // theme.ts reports blocked storage later.
  "public/theme.js": 1,
};

test.each(files)("no failure is swallowed in %s", (file) => {
  const all = found(readFileSync(join(root, file), "utf8"));
  expect(all.length, all.join("\n")).toBe(allowed[file] ?? 0);
});
