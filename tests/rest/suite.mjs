// The REST API with tools of other authors. Called by suite.sh.
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import openapiTS, { astToString } from "openapi-typescript";
import { check, finish } from "../checks.mjs";
import { checkPlayground } from "./playground.mjs";
import { checkStockClient } from "./stock.mjs";

const [origin, management, folder] = process.argv.slice(2);
const here = new URL(".", import.meta.url).pathname;
const execute = promisify(execFile);

async function text(path) {
  const response = await fetch(origin + path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.text();
}

// 1. The document.
const source = await text("/openapi/v1.json");

async function lint(document) {
  const config = await createConfig({ extends: ["recommended-strict"] });
  return (await lintFromString({ source: document, absoluteRef: "openapi.json", config })).map(
    (problem) => `${problem.ruleId} at ${problem.location[0]?.pointer}: ${problem.message}`,
  );
}

await check("redocly: no finding with its strictest rules", async () => {
  const problems = await lint(source);
  if (problems.length > 0) throw new Error(problems.join("\n"));
});

await check("redocly finds planted defects", async () => {
  const document = JSON.parse(source);
  delete document.paths["/v1/me"].get.operationId;
  document.paths["/v1/me"].get.parameters = [{ name: "x" }];
  document.paths["/v1/limits"].get.responses[200].content["application/json"].schema.$ref = "#/components/schemas/Nothing";
  const problems = (await lint(JSON.stringify(document))).join("\n");
  for (const rule of ["operation-operationId", "struct", "no-unresolved-refs"])
    if (!problems.includes(rule)) throw new Error(`${rule} is not among:\n${problems}`);
});

// 2. A generated client: compiled by tsc, then run against the server.
const client = join(folder, "client");
mkdirSync(client);
symlinkSync(join(here, "node_modules"), join(client, "node_modules"));

await check("openapi-typescript generates a client, and tsc compiles it", async () => {
  writeFileSync(join(client, "api.d.ts"), astToString(await openapiTS(source, { defaultNonNullable: false })));
  writeFileSync(join(client, "client.ts"), readFileSync(join(here, "client.ts")));
  writeFileSync(join(client, "package.json"), '{"type":"module"}');
  const options = ["--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom,dom.iterable"];
  await execute(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), ...options, "client.ts"], { cwd: client });
});

await check("the generated client signs up, opens a room, sends a message and reads it", async () => {
  const { stdout } = await execute(process.execPath, ["client.js", origin], { cwd: client, timeout: 60_000 });
  if (!stdout.endsWith("read back\n")) throw new Error(stdout);
});

// 3. The page for people and assistants. tests/documents runs its examples.
await check("every address on /llms.txt exists", async () => {
  const addresses = new Set([...(await text("/llms.txt")).matchAll(/\]\((\/[^)]*)\)/g)].map((match) => match[1]));
  if (addresses.size < 5) throw new Error(`only ${[...addresses].join(" ")}`);
  for (const address of addresses) await text(address);
});

// 4. The playgrounds in a real browser.
await checkPlayground(check, origin, management);

// 5. The official client of the hub in a browser.
await checkStockClient(check, origin);

finish(join(folder, "count"));
