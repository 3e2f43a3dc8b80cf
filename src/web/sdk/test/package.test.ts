import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const folder = new URL("..", import.meta.url).pathname;

test("the package contains its README, its licence, the declarations and the sources of the maps, and no tests", { timeout: 60_000 }, () => {
  const output = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: folder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const packed = JSON.parse(output) as Record<string, { files: { path: string }[] }>;
  const files = Object.values(packed)[0]!.files.map(({ path }) => path);
  expect(files).toEqual(
    expect.arrayContaining(["README.md", "LICENSE", "package.json", "dist/index.js", "dist/index.d.ts", "dist/browser.js", "dist/node.js"]),
  );
  const map = JSON.parse(readFileSync(`${folder}dist/index.js.map`, "utf8")) as { sources: string[] };
  for (const source of map.sources) expect(files).toContain(source.replace("../", ""));
  expect(files.filter((path) => !/^(?:api|dist|src)\/|^(?:README\.md|LICENSE|package\.json)$/.test(path))).toEqual([]);
});

test("the licence of the package is the project's", () => {
  expect(readFileSync(`${folder}LICENSE`, "utf8")).toBe(readFileSync(`${folder}../../../LICENSE`, "utf8"));
});
