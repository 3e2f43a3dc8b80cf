// What tools of others make of the REST door. Prints a line for each check and writes their numbers where suite.sh finds them.
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import openapiTS, { astToString } from 'openapi-typescript';
import { checkPlayground } from './playground.mjs';
import { checkStockClient } from './stock.mjs';

const [origin, management, folder] = process.argv.slice(2);
const here = new URL('.', import.meta.url).pathname;
const run = promisify(execFile);
let passed = 0;
let failed = 0;

async function check(what, run) {
  try {
    await run();
    passed++;
    console.log(`ok      ${what}`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${what}: ${error.stdout ?? ''}${error.stderr ?? error.stack ?? error}`);
  }
}

async function text(path) {
  const response = await fetch(origin + path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.text();
}

// 1. The document.
const source = await text('/openapi/v1.json');

async function lint(document) {
  const config = await createConfig({ extends: ['recommended-strict'] });
  return (await lintFromString({ source: document, absoluteRef: 'openapi.json', config })).map((problem) => `${problem.ruleId} at ${problem.location[0]?.pointer}: ${problem.message}`);
}

await check('redocly: no problem by its strictest rules', async () => {
  const problems = await lint(source);
  if (problems.length > 0) throw new Error(problems.join('\n'));
});

await check('redocly finds what is planted', async () => {
  const document = JSON.parse(source);
  delete document.paths['/v1/me'].get.operationId;
  document.paths['/v1/me'].get.parameters = [{ name: 'x' }];
  document.paths['/v1/limits'].get.responses[200].content['application/json'].schema.$ref = '#/components/schemas/Nothing';
  const problems = (await lint(JSON.stringify(document))).join('\n');
  for (const rule of ['operation-operationId', 'struct', 'no-unresolved-refs']) if (!problems.includes(rule)) throw new Error(`${rule} is not among:\n${problems}`);
});

// 2. A client that a generator made of it: compiled by tsc, then run against the server.
const client = join(folder, 'client');
mkdirSync(client);
symlinkSync(join(here, 'node_modules'), join(client, 'node_modules'));

await check('openapi-typescript makes a client of it, and tsc takes it', async () => {
  writeFileSync(join(client, 'api.d.ts'), astToString(await openapiTS(source, { defaultNonNullable: false })));
  writeFileSync(join(client, 'client.ts'), readFileSync(join(here, 'client.ts')));
  writeFileSync(join(client, 'package.json'), '{"type":"module"}');
  const options = ['--strict', '--exactOptionalPropertyTypes', '--target', 'es2022', '--module', 'nodenext', '--lib', 'es2022,dom,dom.iterable'];
  await run(process.execPath, [join(here, 'node_modules/typescript/bin/tsc'), ...options, 'client.ts'], { cwd: client });
});

await check('the generated client signs up, opens a room, sends a message and reads it', async () => {
  const { stdout } = await run(process.execPath, ['client.js', origin], { cwd: client, timeout: 60_000 });
  if (!stdout.endsWith('read back\n')) throw new Error(stdout);
});

// 3. The page for people and assistants; tests/documents carries out its examples.
await check('every address on /llms.txt is there', async () => {
  const addresses = new Set([...(await text('/llms.txt')).matchAll(/\]\((\/[^)]*)\)/g)].map((match) => match[1]));
  if (addresses.size < 5) throw new Error(`only ${[...addresses]}`);
  for (const address of addresses) await text(address);
});

// 4. The playgrounds in a real browser.
await checkPlayground(check, origin, management);

// 5. A client of the hub that others wrote, as a browser runs it.
await checkStockClient(check, origin);

writeFileSync(join(folder, 'count'), `${passed} ${failed}\n`);
process.exit(failed === 0 ? 0 : 1);
