// Plays the catalogue. Usage: see below.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Attack, seed } from "./attack.mjs";
import { killAll } from "./clients.mjs";
import { catalogue } from "./catalogue.mjs";
import { World } from "./world.mjs";

const attackMs = 90_000;
const lanes = 4;
const client = "typescript";
const { values } = parseArgs({
  options: {
    json: { type: "string" },
    only: { type: "string", multiple: true, default: [] },
    list: { type: "boolean" },
    engine: { type: "string", multiple: true, default: [] },
    "every-engine": { type: "boolean" },
    "no-controls": { type: "boolean" },
    help: { type: "boolean" },
  },
});
if (values.help) {
  console.log("tests/adversary/run.sh [--json FILE] [--only NAME] [--list] [--engine sqlite|postgres] [--every-engine] [--no-controls]");
  process.exit(0);
}
const isChosen = ({ name, group, rule }) => values.only.length === 0 || values.only.some((each) => name === each || group === each || rule === each);
const chosen = catalogue.filter(isChosen);
if (chosen.length === 0) {
  console.error(`Nothing is called ${values.only.join(" or ")}. --list prints the names.`);
  process.exit(2);
}
if (values.list) {
  for (const { name, rule, demand, group, engines, what } of catalogue)
    console.log(`${name.padEnd(26)} ${rule.padEnd(4)} ${demand.padEnd(8)} ${group.padEnd(10)} ${engines.join("+").padEnd(15)} ${what}`);
  process.exit(0);
}

const enginesOf = (plan) => (values["every-engine"] ? ["sqlite", "postgres"] : plan.engines);
const engines = [...new Set(chosen.flatMap(enginesOf))].filter(
  (engine) => (values.engine.length === 0 || values.engine.includes(engine)) && (engine !== "postgres" || process.env.SECUREMESSAGING_TEST_POSTGRES),
);
const folder = mkdtempSync(join(tmpdir(), "sm-adversary-"));
const since = Date.now();
const say = (...what) => console.log(`${((Date.now() - since) / 1000).toFixed(1).padStart(6)} s `, ...what);
const rows = [];
const worlds = new Map();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(130));
process.on("exit", () => {
  killAll();
  for (const world of worlds.values()) world.database?.close();
  if (!process.env.ADVERSARY_KEEP) rmSync(folder, { recursive: true, force: true });
});

async function play(plan, engine, off) {
  const attack = new Attack(worlds.get(engine), plan.group, plan, off);
  const limitMs = plan.limitMs ?? attackMs;
  const begun = Date.now();
  let found;
  let timer;
  try {
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no end within ${limitMs / 1000} s`)), limitMs);
    });
    found = await Promise.race([plan.run(attack), late]);
  } catch (error) {
    found = { verdict: "broken", detail: process.env.ADVERSARY_KEEP ? error.stack : error.message };
  }
  clearTimeout(timer);
  await attack.end().catch(() => undefined);
  return { ...found, detail: `${found.detail} (${((Date.now() - begun) / 1000).toFixed(1)} s)` };
}

/** The tasks: one for each group of attacks and engine, because the attacks of a group share people; and one for the controls of each rule. */
function tasks() {
  const all = new Map();
  const add = (key, step) => all.set(key, [...(all.get(key) ?? []), step]);
  for (const plan of chosen) {
    for (const engine of enginesOf(plan).filter((each) => engines.includes(each)))
      add(`${engine}/${plan.group}`, async () => {
        const { verdict, detail } = await play(plan, engine);
        report({ attack: plan.name, rule: plan.rule, engine, client, verdict, demand: plan.demand, detail });
      });
    if (plan.control && !values["no-controls"] && engines.includes(plan.engines[0]))
      add(`control/${plan.group}`, async () => {
        const row = { attack: `control ${plan.name}`, rule: plan.rule, engine: plan.engines[0], client, demand: "succeeds" };
        const { verdict, isHarmed, detail } = await play(plan, plan.engines[0], plan.rule.toLowerCase());
        const succeeds = verdict !== "broken" && (plan.control === "harm" ? isHarmed : verdict === "undetected");
        return report({ ...row, verdict: succeeds ? "succeeds" : "failed", detail: `without ${plan.rule}: ${verdict}, ${detail}` });
      });
  }
  // The honest runs wait for a real minute, so they begin first.
  return [...all].toSorted(([a], [b]) => Number(b.includes("/honest")) - Number(a.includes("/honest"))).map(([, steps]) => steps);
}

/** From the weakest to the strongest. */
const strength = ["undetected", "allowed", "warned", "refused"];

/** Whether a row is weaker than its demand. */
function isBad({ verdict, demand }) {
  if (["broken", "failed", "false alarm"].includes(verdict)) return true;
  return strength.includes(demand) && strength.indexOf(verdict) < strength.indexOf(demand);
}

function report(row) {
  rows.push(row);
  say(`${row.verdict.padEnd(11)} ${row.attack} on ${row.engine}${isBad(row) ? ` (must be ${row.demand})` : ""}: ${row.detail}`);
}

let fault;
try {
  say(`adversary: ${chosen.length} of ${catalogue.length} names, on ${engines.join(" and ")} (SECUREMESSAGING_TEST_SEED=${seed})`);
  for (const engine of engines) worlds.set(engine, new World(engine, folder));
  await Promise.all([...worlds.values()].map((world) => world.start()));
  const waiting = tasks();
  const run = async () => {
    for (let steps = waiting.shift(); steps; steps = waiting.shift()) for (const step of steps) await step();
  };
  await Promise.all(Array.from({ length: lanes }, run));
} catch (error) {
  fault = error;
}
for (const world of worlds.values()) await world.stop();

const order = new Map(catalogue.map(({ name }, i) => [name, i]));
const place = ({ attack }) => (attack.startsWith("control ") ? 1000 : 0) + (order.get(attack.replace("control ", "")) ?? 0);
rows.sort((a, b) => place(a) - place(b) || a.engine.localeCompare(b.engine));
const columns = ["attack", "rule", "engine", "client", "verdict", "demand"];
const widths = columns.map((name) => Math.max(name.length, ...rows.map((row) => row[name].length)));
console.log(`\n${columns.map((name, i) => name.padEnd(widths[i])).join("  ")}  detail`);
for (const row of rows) console.log(`${columns.map((name, i) => row[name].padEnd(widths[i])).join("  ")}  ${row.detail.split("\n")[0]}`);
if (values.json) writeFileSync(values.json, rows.map((row) => JSON.stringify(row)).join("\n") + "\n");
const bad = rows.filter(isBad);
const counts = {};
for (const { verdict } of rows) counts[verdict] = (counts[verdict] ?? 0) + 1;
console.log(
  `\n${Object.entries(counts)
    .map(([verdict, count]) => `${count} ${verdict}`)
    .join(", ")}`,
);
if (fault) console.log(`FAILED  ${fault.stack}`);
const failed = bad.length + (fault ? 1 : 0);
console.log(`${rows.length - bad.length} passed, ${failed} failed`);
process.exit(failed === 0 && rows.length > 0 ? 0 : 1);
