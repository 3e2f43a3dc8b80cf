import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { circles, importsOf, violations, type Layers } from "./layers.js";

/** The layers of the SDK, the lowest first. `.` holds the entry points. */
const layers: Layers = {
  base: { folders: [], packages: [] },
  content: { folders: ["base"], packages: [] },
  mls: { folders: ["base"], packages: ["@hpke/core", "ts-mls"] },
  trust: { folders: ["base", "mls"], packages: [] },
  store: { folders: ["base"], packages: ["@msgpack/msgpack", "node"] },
  net: { folders: ["base", "store"], packages: ["@microsoft/signalr", "@microsoft/signalr-protocol-msgpack"] },
  account: { folders: ["base", "mls", "trust", "store", "net"], packages: [] },
  rooms: { folders: ["base", "content", "mls", "trust", "store", "net", "account"], packages: [] },
  client: { folders: ["base", "store", "net", "account", "rooms"], packages: [] },
  tabs: { folders: ["base", "store", "net", "account", "rooms", "client"], packages: [] },
  ".": { folders: ["base", "content", "trust", "store", "net", "account", "rooms", "client", "tabs"], packages: [] },
};

test("each folder of the SDK imports only folders below it and its own packages", () => {
  expect(violations(new URL("../src/", import.meta.url).pathname, layers)).toEqual([]);
});

test("no file of the SDK imports itself by way of others", () => {
  expect(circles(new URL("../src/", import.meta.url).pathname)).toEqual([]);
});

test("a circle is reported, also one of types", () => {
  const root = mkdtempSync(join(tmpdir(), "circles-"));
  try {
    mkdirSync(join(root, "sub"));
    writeFileSync(join(root, "a.ts"), 'import type { b } from "./sub/b.js";\n');
    writeFileSync(join(root, "sub/b.ts"), 'import { c } from "../c.js";\nexport const b = c;\n');
    writeFileSync(join(root, "c.ts"), 'export type * from "./a.js";\nimport "./d.js";\n');
    writeFileSync(join(root, "d.ts"), "export {};\n");
    expect(circles(root)).toEqual(["a.ts -> sub/b.ts -> c.ts -> a.ts"]);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("all forms of import are found", () => {
  const text = `import { a } from "../a.js";
import type { b } from "./b.js";
import "./c.css";
export * from "./d.js";
export {
  e,
} from "./e.js";
const later = () => import("./f.js");
import g, { type h } from "@scope/g/part.js";`;
  expect(importsOf(text)).toEqual(["../a.js", "./b.js", "./c.css", "./d.js", "./e.js", "./f.js", "@scope/g/part.js"]);
});

test("an import upwards, an unknown package, an unused permission and a cycle in the table are reported", () => {
  const root = mkdtempSync(join(tmpdir(), "layers-"));
  try {
    for (const folder of ["low", "high"]) mkdirSync(join(root, folder));
    writeFileSync(join(root, "low/a.ts"), 'import { b } from "../high/b.js";\nimport c from "pack";\n');
    writeFileSync(join(root, "high/b.ts"), "export const b = 1;\n");
    const found = violations(root, { low: { folders: [], packages: [] }, high: { folders: ["low"], packages: ["other"] } });
    expect(found).toEqual([
      "low may not import high: low/a.ts",
      "low may not import pack: low/a.ts",
      "high does not import low: take it out of the table",
      "high does not use other: take it out of the table",
    ]);
    expect(violations(root, { low: { folders: ["high"], packages: ["pack"] }, high: { folders: [], packages: [] } })).toEqual([
      "high is not below low in the table",
    ]);
  } finally {
    rmSync(root, { recursive: true });
  }
});
