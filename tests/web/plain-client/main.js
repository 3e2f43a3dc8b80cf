// Checks the contract with the official SignalR client only: a connection sees each room as one log, in order, without a gap or a repeat.
//
// The first line on standard input says where to connect:
//   { "roomId": "…", "writers": [{ "url": "…", "token": "…" }], "readers": [{ "url": "…", "messagePack": true }] }
// A connection without a token has a ticket in its URL, like in a browser. Prints "ready" when all are connected and the writers begin. The line "stop" ends
// the writing. When the readers have had time to receive everything, the counts are printed as one line of JSON. The exit status is 0 only without a finding.
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { Reader } from "./reader.js";
import { Writer } from "./writer.js";

const patience = 15_000;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const plan = JSON.parse((await lines.next()).value);

const readers = await Promise.all(plan.readers.map((place) => Reader.start(place, plan.roomId)));
const writers = await Promise.all(plan.writers.map((place) => Writer.start(place, plan.roomId)));
const writing = writers.map((writer) => writer.run());
console.log("ready");

// Standard input also ends when the parent process ends.
const { value: order } = await lines.next();
writers.forEach((writer) => writer.stop());
await Promise.all(writing);

const acknowledged = new Map(writers.flatMap((writer) => [...writer.acknowledged]));
const until = Date.now() + patience;
while (Date.now() < until && readers.some((reader) => reader.entries.length < acknowledged.size)) await delay(20);
// A repeated entry may arrive late.
await delay(500);

const counts = readers.map((reader) => reader.compare(acknowledged));
const errors = writers.flatMap((writer) => writer.errors);
const amiss =
  order !== "stop" ||
  acknowledged.size === 0 ||
  errors.length > 0 ||
  counts.some(({ entries, ...faults }) => entries !== acknowledged.size || Object.values(faults).some((count) => count > 0));
console.log(JSON.stringify({ acknowledged: acknowledged.size, readers: counts, errors }));
process.exit(amiss ? 1 : 0);
