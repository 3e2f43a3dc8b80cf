// Three people with two devices each talk in one room on a real server, while members join and leave, devices are revoked, and clients and the server are
// killed. At the end each device must have decrypted exactly the messages that were encrypted for it, once and in order. Usage: node run.mjs sqlite|postgres
// SERVER.dll
import { randomBytes, randomInt } from "node:crypto";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { contentsOf, entriesOf, formsOf, Postgres, Sqlite } from "./database.mjs";
import { attack } from "./evicted.mjs";
import { freePort } from "../ports.mjs";
import { Device, killAll, Server } from "./processes.mjs";

const [engine, dll] = process.argv.slice(2);
const messages = Number(process.env.INTEROP_MESSAGES ?? 1000);
const folder = mkdtempSync(join(tmpdir(), "sm-interop-"));
const since = Date.now();
let passed = 0;
let failed = 0;

const say = (...what) => console.log(`  ${((Date.now() - since) / 1000).toFixed(1).padStart(6)} s `, ...what);
function check(what, good, detail = "") {
  if (good) passed++;
  else failed++;
  console.log(`${good ? "ok     " : "FAILED "} ${engine}: ${what}${good || detail === "" ? "" : `: ${detail}`}`);
}
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// A text of every message that must not be anywhere else. It has non-ASCII characters, so that URL encoding and JSON escapes differ from it.
const marker = `pflaume ${randomBytes(6).toString("hex")} süß`;
const password = "a long enough password";

mkdirSync(join(folder, "data"));
const database =
  engine === "postgres"
    ? new Postgres(process.env.SECUREMESSAGING_TEST_POSTGRES, `interop_${randomBytes(5).toString("hex")}`)
    : new Sqlite(join(folder, "data"));
await database.create();
const server = new Server(dll, folder, await freePort(), database.connectionString);
const devices = Object.fromEntries(["anna", "ben", "cleo"].flatMap((user) => [1, 2].map((n) => [`${user}${n}`, new Device(`${user}${n}`, user, folder)])));
const { anna1, anna2, ben1, ben2, cleo1, cleo2 } = devices;
let room;
let sentCount = 0;

/** The named devices send some messages, in parts, while `meanwhile` happens. A device that is killed sends the rest after its restart. */
async function talk(count, who, meanwhile = async () => {}) {
  const texts = new Map(who.map((device) => [device, []]));
  for (let i = 0; i < count; i++) texts.get(who[i % who.length]).push(`${marker} ${sentCount + i}`);
  sentCount += count;
  const sending = who.map(async (device) => {
    const own = texts.get(device);
    while (own.length > 0) {
      const some = own.slice(0, randomInt(3, 12));
      try {
        await device.call("send", { room, texts: some });
        own.splice(0, some.length);
      } catch (error) {
        if (device.alive) throw error;
        // It was killed and will be started again.
        while (!device.alive) await sleep(50);
        // The outbox has the messages from before the kill. One of them is uncertain, so the rest gets other names.
        const taken = new Set(
          device
            .notes()
            .filter((note) => note.sent)
            .map((note) => note.sent),
        );
        own.splice(0, own.length, ...own.filter((text) => !taken.has(text)).map((text) => `${text} again`));
      }
      await sleep(randomInt(20, 80));
    }
  });
  await Promise.all([...sending, meanwhile()]);
}

async function until(condition, timeoutMs = 60_000) {
  for (const end = Date.now() + timeoutMs; Date.now() < end; await sleep(50)) if (await condition()) return true;
  return false;
}

const flush = (who) => Promise.all(who.map((device) => device.call("flush")));
const login = (user) => ({ url: server.url, username: user, password });

try {
  say(`the server on ${engine}`);
  await server.start();
  for (const user of ["anna", "ben", "cleo"]) {
    const [first, second] = [devices[`${user}1`], devices[`${user}2`]];
    await first.begin("signUp", { ...login(user), email: `${user}@example.org` });
    await second.begin("signIn", login(user));
    await second.call("confirm", { code: await first.call("approve", { device: second.device, code: second.code }) });
    await second.call("approved");
  }
  room = await anna1.call("create", { members: ["ben"] });
  await Promise.all([anna2, ben1, ben2].map((device) => device.call("ready", { room, timeoutMs: 60_000 })));
  say("a room of Anna and Ben, four devices in its group");

  await talk(messages * 0.2, [anna1, anna2, ben1, ben2]);
  say("Cleo is added while they talk");
  await talk(messages * 0.15, [anna1, anna2, ben1, ben2], async () => {
    await sleep(300);
    await anna1.call("add", { room, username: "cleo" });
  });
  await Promise.all([cleo1, cleo2].map((device) => device.call("ready", { room, timeoutMs: 60_000 })));

  say("three clients and the server are killed while they talk");
  await talk(messages * 0.25, [anna1, anna2, ben1, ben2, cleo1, cleo2], async () => {
    for (const device of [anna2, ben1, cleo2]) {
      await sleep(randomInt(200, 700));
      await device.kill();
      await sleep(randomInt(50, 400));
      await device.restart();
    }
    await server.kill();
    await sleep(500);
    await server.start();
    say("the server is back");
  });

  say("Ben is removed; one of his devices keeps the state it had");
  await flush(Object.values(devices));
  say("everything is sent");
  const settled = entriesOf(database).at(-1).seq;
  await until(async () => (await ben2.call("status", { room })).cursor >= settled);
  await ben2.kill();
  for (const suffix of ["", ".key"]) copyFileSync(join(folder, `ben2.store${suffix}`), join(folder, `evicted.store${suffix}`));
  await anna2.call("remove", { room, username: "ben" });
  // Only now they continue: the removed member could read messages in flight of the epoch before the removal.
  for (const device of [anna1, anna2, cleo1, cleo2]) await until(async () => (await device.call("status", { room })).devices === 4);
  const removedAt = entriesOf(database).find((entry) => entry.seq > settled && entry.kind === "commit").seq;
  await talk(messages * 0.1, [anna1, anna2, cleo1, cleo2]);

  say("Cleo's second device is revoked while they talk");
  const beforeRevocation = { seq: 0 };
  // A revoked device does not send the rest of its messages.
  await flush([cleo2]);
  await talk(messages * 0.1, [anna1, anna2, cleo1], async () => {
    await sleep(300);
    beforeRevocation.seq = entriesOf(database).at(-1).seq;
    // A revoked device does not read later messages.
    await until(async () => (await cleo2.call("status", { room })).cursor >= beforeRevocation.seq);
    await cleo1.call("revoke", { device: cleo2.device });
  });
  const welcomes = database.query(`select 0, 0, 0, ${database.hex("message")} from welcomes`).map(([, , , hex]) => Buffer.from(hex, "hex"));
  await flush([anna1, anna2, cleo1]);
  const whileAway = entriesOf(database);

  say("Ben is added again, and comes back with both devices");
  await ben2.restart();
  await talk(messages * 0.1, [anna1, anna2, cleo1], () => anna1.call("add", { room, username: "ben" }));
  await Promise.all([ben1, ben2].map((device) => device.call("ready", { room, timeoutMs: 60_000 })));
  const rest = [anna1, anna2, ben1, ben2, cleo1];
  say("Anna's second device replaces its keys, and Cleo's is killed once more");
  await talk(messages - sentCount, rest, async () => {
    await anna2.call("rotate");
    await cleo1.kill();
    await cleo1.restart();
  });

  await flush(rest);
  const entries = entriesOf(database);
  const head = entries.at(-1).seq;
  const epochs = entries.filter((entry) => entry.kind === "commit").length;
  for (const device of rest)
    await until(async () => {
      const { cursor, epoch } = await device.call("status", { room });
      return cursor >= head && epoch === epochs;
    });
  await sleep(500);
  say(`${sentCount} messages sent, ${entries.length} entries, ${entries.filter((entry) => entry.kind === "commit").length} epochs`);
  for (const device of rest) await device.close();
  verify(entries, beforeRevocation.seq);
  await verifyEvicted(whileAway, entries, welcomes, removedAt);
  await server.kill();
  verifyFiles();
} catch (error) {
  check("the whole run", false, error.stack);
  for (const device of Object.values(devices))
    if (device.alive)
      console.log(
        device.name,
        JSON.stringify(await device.call("status", { room }, 2000).catch((e) => e.message)),
        JSON.stringify(
          device
            .notes()
            .filter((note) => note.warning)
            .slice(-3),
        ),
      );
} finally {
  killAll();
  await sleep(200);
  if (database instanceof Postgres)
    try {
      database.drop();
    } catch {
      /* The kill of the server ends it. */
    }
  if (failed === 0 || !process.env.INTEROP_KEEP) rmSync(folder, { recursive: true, force: true });
  else console.log(`kept ${folder}`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

/** The devices of each epoch: all devices that saw the epoch must agree. */
function groupsOf(all) {
  const groups = new Map();
  const disagreements = [];
  for (const device of all) {
    for (const note of device.notes()) {
      if (note.epoch === undefined) continue;
      const known = groups.get(note.epoch);
      if (!known) groups.set(note.epoch, { devices: note.devices, code: note.code });
      else if (JSON.stringify(known.devices) !== JSON.stringify(note.devices) || (known.code && note.code && known.code !== note.code))
        disagreements.push(note.epoch);
      else known.code ??= note.code;
    }
  }
  return { groups, disagreements };
}

function verify(entries, beforeRevocation) {
  const all = Object.values(devices);
  const { groups, disagreements } = groupsOf(all);
  check("all devices agree who is in which epoch, and on its authenticator", disagreements.length === 0, disagreements.join());
  const envelopes = entries.filter((entry) => entry.kind === "message");
  const texts = new Map();
  let contradictions = 0;
  let unreadable = 0;
  let warnings = 0;
  for (const device of all) {
    for (const note of device.notes()) {
      warnings += note.warning && note.warning !== "roomEnded" ? 1 : 0;
      // A device that was away, or behind, while its user was removed shows the places that it has missed, until a person lets it enter again.
      if (note.got === "missing" && [ben1, ben2].includes(device)) continue;
      if (note.got === "unreadable" || note.got === "malformed" || note.got === "missing") unreadable++;
      else if (note.got) {
        if (texts.has(note.seq) && texts.get(note.seq) !== note.text) contradictions++;
        texts.set(note.seq, note.text);
      }
    }
  }
  check("all devices read the same at the same place", contradictions === 0, String(contradictions));
  check(
    "no message was unreadable",
    unreadable === 0,
    JSON.stringify(
      all.map((device) => [
        device.name,
        device
          .notes()
          .filter((note) => note.got === "unreadable" || note.got === "malformed" || note.got === "missing")
          .slice(0, 2),
      ]),
    ),
  );
  for (const device of all) {
    const own = envelopes.filter((entry) => groups.get(entry.epoch)?.devices.includes(device.device)).map((entry) => entry.seq);
    const got = device
      .notes()
      .filter((note) => note.got && note.got !== "missing")
      .map((note) => note.seq);
    // A removed device reads the messages before its removal. The network decides where exactly it ends.
    const expected = device === cleo2 ? own.slice(0, Math.max(got.length, own.filter((seq) => seq <= beforeRevocation).length)) : own;
    const good = JSON.stringify(got) === JSON.stringify(expected);
    check(
      `${device.name} read its ${expected.length} messages, once and in order`,
      good && got.length > 0,
      `got ${got.length}; lacks ${expected.filter((seq) => !got.includes(seq)).slice(0, 5)}; has ${got.filter((seq) => !expected.includes(seq)).slice(0, 5)}`,
    );
  }
  const sent = all.flatMap((device) =>
    device
      .notes()
      .filter((note) => note.sent)
      .map((note) => note.sent),
  );
  const stored = [...texts.values()];
  check(
    `all ${sent.length} sends are in the log once`,
    sent.every((text) => stored.includes(text)) &&
      new Set(sent).size === sent.length &&
      new Set(stored).size === stored.length &&
      new Set(stored).size === envelopes.length &&
      sent.length >= messages,
    `${sent.filter((text) => !stored.includes(text)).length} missing, ${stored.length - new Set(stored).size} twice, ${envelopes.length} envelopes`,
  );
  // What a device has encrypted with its old keys counts only before the Commit with the new ones. Its person sends it again.
  const failures = all.flatMap((device) => device.notes().filter((note) => note.failed && !(device === anna2 && note.code === "NotDelivered")));
  check("no send was rejected, but those of a device that replaced its keys meanwhile", failures.length === 0, JSON.stringify(failures.slice(0, 3)));
  for (const device of all) {
    const asked = device
      .notes()
      .filter((note) => note.sent)
      .map((note) => note.sent);
    const own = new Set(asked);
    const order = [...texts]
      .toSorted(([a], [b]) => a - b)
      .map(([, text]) => text)
      .filter((text) => own.has(text));
    check(`${device.name}'s ${asked.length} messages kept their order`, JSON.stringify(order) === JSON.stringify(asked));
  }
  say(`${warnings} warnings`, warnings > 0 ? readFileSync(`${folder}/warnings.log`, "utf8").slice(0, 600) : "");
}

async function verifyEvicted(whileAway, entries, welcomes, removedAt) {
  const inMember = entries.filter((entry) => entry.seq <= removedAt && entry.kind === "message").length;
  const store = join(folder, "evicted.store");
  const result = await attack(store, room, whileAway, welcomes, removedAt);
  const after = whileAway.filter((entry) => entry.seq > removedAt && entry.kind === "message");
  check(
    `a removed device with its old state and all ${after.length} envelopes and ${welcomes.length} Welcomes from after its removal decrypts none`,
    result.states > 0 && after.length > 50 && result.decrypted.length === 0,
    `${result.decrypted.length} of ${after.length}`,
  );
  const later = await attack(store, room, entries, [], removedAt);
  check(
    `it decrypts none of ${entries.length - whileAway.length} entries from after its user came back, without the new Welcome`,
    later.decrypted.length === 0,
    String(later.decrypted.length),
  );
  say(`it had read up to ${inMember} envelopes as a member`);
}

function verifyFiles() {
  const files = [...database.files(), join(folder, "server.log")];
  const contents = files.map((file) => [file, contentsOf(file)]);
  const bytes = contents.reduce((sum, [, content]) => sum + content.length, 0);
  const found = [];
  for (const part of [marker, marker.split(" ")[1]])
    for (const [form, needle] of Object.entries(formsOf(part)))
      for (const [file, content] of contents) if (content.includes(needle)) found.push(`${form} in ${file}`);
  // Checks the search: it finds a planted text.
  const forms = Object.entries(formsOf(marker)).every(([, needle]) => Buffer.concat([randomBytes(7), needle]).includes(needle));
  const control = contents.some(([, content]) => content.includes("cleo"));
  check(
    `no encoding of the plaintext is in ${files.length} files of the database and the logs (${(bytes / 1e6).toFixed(1)} MB)`,
    found.length === 0 && forms && control,
    found.slice(0, 5).join("; ") || "the search found nothing at all",
  );
}
