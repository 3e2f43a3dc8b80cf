import { expect, test } from "vitest";
import { build } from "vite";

test("each package with code in the bundle is in third-party-licences.txt, with its licence text", { timeout: 60_000 }, async () => {
  const result = await build({ root: new URL("..", import.meta.url).pathname, logLevel: "error", build: { write: false } });
  if (Array.isArray(result) || !("output" in result)) throw new Error("One output is expected.");
  const bundled = new Set<string>();
  for (const part of result.output)
    if (part.type === "chunk")
      for (const [id, { renderedLength }] of Object.entries(part.modules)) {
        const name = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1];
        if (name !== undefined && renderedLength > 0) bundled.add(name);
      }
  expect([...bundled]).toEqual(expect.arrayContaining(["react", "react-dom", "ts-mls", "@microsoft/signalr", "@noble/ciphers"]));
  const file = result.output.find((part) => part.fileName === "third-party-licences.txt");
  const entries = new Map(
    (file?.type === "asset" ? file.source.toString() : "")
      .split(/^## /m)
      .slice(1)
      .map((entry) => [entry.slice(0, entry.indexOf(" - ")), entry.slice(entry.indexOf("\n"))]),
  );
  for (const name of bundled) {
    expect(entries.get(name), name).toMatch(/copyright/i);
    expect(entries.get(name), name).toMatch(/permission (?:is hereby granted|to use, copy)|Licensed under the Apache License/i);
  }
});
