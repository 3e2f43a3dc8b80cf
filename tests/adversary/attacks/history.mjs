// What was said, in which order, and for how long: T7 and T8.
import { plansOf } from "../attack.mjs";
import { randomUUID } from "node:crypto";

const both = ["sqlite", "postgres"];
const sqlite = ["sqlite"];
const gone = ({ seq, createdAt }) => ({ seq, kind: "gone", createdAt, epoch: 0 });

async function trio(attack) {
  const { anna, ben, cleo } = await attack.cast();
  const room = await attack.room([anna, ben, cleo]);
  const first = attack.text("first");
  await anna.send(room, first);
  await Promise.all([ben, cleo].map((client) => client.reads(room, first)));
  attack.watch(anna, ben, cleo);
  return { anna, ben, cleo, room };
}

/** Later messages of both others carry what their clients have seen. Waits until Ben has them, and then for signs. */
async function later(attack, room, { anna, ben, cleo }, lines) {
  for (const client of [anna, cleo]) {
    const text = attack.text("later");
    await client.send(room, text);
    await ben.reads(room, text, 6000);
  }
  return attack.signsWithin(1500, room, [anna, ben, cleo], { lines });
}

/** A place that Ben's client shows although it has no message for it. */
async function placeAt(client, room, seq) {
  const shown = (await client.history(room)).find((message) => message.seq === seq);
  return shown && shown.text === undefined ? [`${client.name}: place ${shown.type}`] : [];
}

async function droppedForOne(attack) {
  const all = await trio(attack);
  const { anna, ben, room } = all;
  let target;
  ben.lane.onEntries(room, (entry) => {
    if (entry.kind !== "message") return entry;
    target ??= entry.seq;
    return entry.seq === target ? gone(entry) : entry;
  });
  const text = attack.text("dropped");
  await anna.send(room, text);
  const signs = await later(attack, room, all);
  const missing = !(await ben.find(room, text));
  if (missing) signs.push(...(await placeAt(ben, room, target)));
  return attack.judge({ harm: missing ? `Ben never sees "${text}", and sees what came after it` : undefined, signs });
}

/** The server deletes the bytes of a message that Ben has not read. */
async function goneOver(attack) {
  const { world } = attack;
  const { database } = world;
  const all = await trio(attack);
  const { anna, ben, room } = all;
  ben.lane.silence(room, await world.headOf(room));
  const text = attack.text("purged");
  const { seq } = await anna.send(room, text);
  await database.run(`update entries set kind = 8, ciphertext = null, owner_proof = null where room_id = ${database.id(room)} and seq = ${seq}`);
  ben.lane.clear();
  ben.lane.resync(room);
  const signs = await later(attack, room, all);
  const missing = !(await ben.find(room, text));
  if (missing) signs.push(...(await placeAt(ben, room, seq)));
  return attack.judge({ harm: missing ? `Ben never sees "${text}", which no member deleted` : undefined, signs });
}

async function reordered(attack) {
  const { world } = attack;
  const all = await trio(attack);
  const { anna, ben, cleo, room } = all;
  ben.lane.silence(room, await world.headOf(room));
  const [question, answer] = [attack.text("shall we?"), attack.text("yes")];
  const one = await anna.send(room, question);
  const two = await cleo.send(room, answer);
  const real = (await world.log(anna, room)).filter(({ seq }) => seq === one.seq || seq === two.seq);
  ben.lane.clear();
  ben.lane.onEntries(room, (entry) => {
    const other = entry.seq === one.seq ? real[1] : entry.seq === two.seq ? real[0] : undefined;
    return other ? { ...entry, id: other.id, ciphertext: Buffer.from(other.ciphertext, "base64"), epoch: other.epoch } : entry;
  });
  ben.lane.resync(room);
  await ben.reads(room, question, 6000);
  const signs = await later(attack, room, all);
  const order = (await ben.history(room)).map(({ text }) => text).filter((text) => text === question || text === answer);
  return attack.judge({
    harm:
      order[0] === answer && order.length === 2
        ? `Ben's client shows "${answer}" before "${question}"`
        : order.length < 2
          ? "Ben's client lacks one"
          : undefined,
    signs,
  });
}

async function replayedMessage(attack) {
  const all = await trio(attack);
  const { anna, ben, room } = all;
  const text = attack.text("transfer 100");
  const { seq } = await anna.send(room, text);
  await ben.reads(room, text);
  const entry = (await attack.world.log(anna, room)).find((each) => each.seq === seq);
  await anna.lane.append(room, Buffer.from(entry.ciphertext, "base64"), entry.epoch);
  const signs = await later(attack, room, all);
  const times = (await ben.history(room)).filter((message) => message.text === text).length;
  return attack.judge({ harm: times > 1 ? `Ben's client shows "${text}" ${times} times` : undefined, signs });
}

async function replayedCommit(attack) {
  const { world } = attack;
  const { database } = world;
  const all = await trio(attack);
  const { anna, ben, room } = all;
  const guest = await attack.person("guest");
  await anna.call("add", { room, username: guest.username });
  await ben.until(async () => (await ben.status(room)).devices.some(({ userId }) => userId === guest.userId));
  attack.watch(anna, ben);
  const before = await ben.status(room);
  const commit = (await world.log(anna, room)).findLast((entry) => entry.kind === "commit");
  const bytes = Buffer.from(commit.ciphertext, "base64");
  await world.insertEntry(room, "commit", { ciphertext: database.bytes(bytes), epoch: String(commit.epoch), id: database.id(randomUUID()) });
  for (const { lane } of [anna, ben]) lane.resync(room);
  const signs = await later(attack, room, all);
  const after = await ben.status(room);
  return attack.judge({
    harm: after.broken ? "Ben's client has lost the group" : after.devices.length !== before.devices.length ? "the group has changed" : undefined,
    signs,
    goesOn: await attack.goesOn(room, anna, ben),
  });
}

/** A member makes two Commits of one epoch; each half sees one of them, and nothing that the other half writes. */
async function forkedCommits(attack) {
  const { world } = attack;
  const { anna, ben } = await attack.cast();
  const mallory = await attack.member();
  const room = await attack.room([anna, ben, mallory]);
  await mallory.call("seize", { room });
  const [one, two] = await mallory.call("craft", { room, what: "fork" });
  let place;
  ben.lane.onEntries(room, (entry) => {
    if (entry.kind === "commit" && Buffer.from(entry.ciphertext).toString("base64") === one.commit) place = entry.seq;
    if (entry.seq === place) return { ...entry, ciphertext: Buffer.from(two.commit, "base64") };
    return place !== undefined && entry.seq > place && entry.kind === "message" ? (own.has(entry.id) ? entry : gone(entry)) : entry;
  });
  const own = new Set();
  ben.lane.onCall(({ target, args }) => {
    if (target === "SendBatch") for (const { clientMessageId } of args[0]) own.add(clientMessageId);
  });
  await world.post(mallory, room, one);
  await ben.until(async () => (await ben.status(room)).epoch > one.epoch, 5000);
  const [codeOfAnna, codeOfBen] = await Promise.all([anna, ben].map(async (client) => (await client.status(room)).code));
  const text = attack.text("only Mallory hears this");
  anna.lane.onEntries(room, (entry) => (own.has(entry.id) ? gone(entry) : entry));
  const { seq } = await ben.send(room, text);
  const [read] = await mallory.call("read", { room, entries: (await world.log(anna, room)).filter((entry) => entry.seq === seq) });
  const isApart = codeOfAnna !== codeOfBen && !(await anna.find(room, text));
  const signs = await attack.signsWithin(1000, room, [anna, ben]);
  if (isApart) signs.push(...(await placeAt(anna, room, seq)));
  return attack.judge({
    harm: isApart ? `Anna and Ben are in different groups${read ? `; only Mallory read "${text}"` : ""}` : undefined,
    signs,
    allowed: "two halves that the server keeps apart for ever look like silence",
    detail: `codes of the room ${codeOfAnna === codeOfBen ? "equal" : "different"}`,
  });
}

/** The server deletes the end of the log and writes it anew. Cleo has not read it. */
async function rolledBack(attack) {
  const { world } = attack;
  const { database } = world;
  const all = await trio(attack);
  const { anna, ben, cleo, room } = all;
  const head = await world.headOf(room);
  cleo.lane.silence(room, head);
  const text = attack.text("I agree");
  const { seq } = await anna.send(room, text);
  await ben.reads(room, text);
  await database.run(`delete from entries where room_id = ${database.id(room)} and seq >= ${seq}`);
  await database.run(`update rooms set last_seq = ${seq - 1} where id = ${database.id(room)}`);
  cleo.lane.clear();
  for (const { lane } of [anna, ben, cleo]) lane.resync(room);
  const other = attack.text("I disagree");
  await cleo.send(room, other);
  for (const { lane } of [anna, ben, cleo]) lane.resync(room);
  // What Cleo says next names what she has read, so she first reads this place.
  await cleo.reads(room, other, 5000);
  const last = attack.text("last");
  await cleo.send(room, last);
  await anna.call("send", { room, text: attack.text("mine"), wait: false });
  await anna.reads(room, last, 5000);
  const signs = await attack.signsWithin(2500, room, [anna, ben, cleo]);
  const missing = !(await cleo.find(room, text));
  const isSplit = (await ben.find(room, text)) && !(await ben.find(room, other));
  return attack.judge({
    harm: missing ? `Cleo never sees "${text}", which Ben has read${isSplit ? "; Ben never sees what stands there now" : ""}` : undefined,
    signs,
  });
}

async function lyingFirstSeq(attack) {
  const { world } = attack;
  const all = await trio(attack);
  const { anna, ben, room } = all;
  ben.lane.silence(room, await world.headOf(room));
  const text = attack.text("unread");
  const { seq } = await anna.send(room, text);
  ben.lane.clear();
  const first = seq + 1;
  ben.lane.onResult(({ target }, result) => {
    if (target === "Sync" && result?.roomId === room)
      return { ...result, firstSeq: Math.max(result.firstSeq, first), entries: result.entries.filter((entry) => entry.seq >= first) };
    if (target === "Heads") return result.map((each) => (each.roomId === room ? { ...each, firstSeq: Math.max(each.firstSeq, first) } : each));
    return undefined;
  });
  ben.lane.onPush(({ target, args }) => (target === "Received" && args[0] === room ? [room, args[1].filter((entry) => entry.seq >= first)] : undefined));
  await anna.send(room, attack.text("next"));
  ben.lane.resync(room);
  const signs = await later(attack, room, all);
  const missing = !(await ben.find(room, text));
  if (missing) signs.push(...(await placeAt(ben, room, seq)));
  return attack.judge({ harm: missing ? `Ben never sees "${text}": the server says that the log begins after it` : undefined, signs });
}

async function withheldTail(attack) {
  const { world } = attack;
  const { anna, ben, room } = await trio(attack);
  ben.lane.silence(room, await world.headOf(room));
  const text = attack.text("withheld");
  await anna.send(room, text);
  const seen = await ben.reads(room, text, 2500);
  return attack.judge({
    harm: seen ? undefined : `Ben never sees "${text}" or anything after it`,
    signs: await attack.signs(room, [anna, ben]),
    allowed: "a withheld end of the log looks like silence",
  });
}

/** The owner sets an hour; the server tells Ben thirty days. */
async function lengthenedTtl(attack) {
  const { anna, ben, room } = await trio(attack);
  ben.lane.onEntries(room, (entry) => (entry.kind === "settingsChanged" ? { ...entry, settings: { ...entry.settings, timeToLiveSeconds: 2_592_000 } } : entry));
  ben.lane.onResponse(({ path }, { body }) => (path === `v1/rooms/${room}` && body?.timeToLiveSeconds ? { ...body, timeToLiveSeconds: 2_592_000 } : undefined));
  await anna.call("settings", { room, change: { timeToLiveSeconds: 3600 } });
  const text = attack.text("soon gone");
  await anna.send(room, text);
  await ben.reads(room, text);
  const life = await ben.until(async () => (await ben.status(room)).settings.timeToLiveSeconds, 3000);
  return attack.judge({
    harm: life === 3600 ? undefined : `Ben's client shows a time to live of ${life} s instead of 3,600`,
    signs: await attack.signs(room, [anna, ben]),
    goesOn: await attack.goesOn(room, anna, ben),
  });
}

/** A message with a life of one second stays on the reader's device. */
async function stays(attack) {
  const { anna, ben, room } = await trio(attack);
  const text = attack.text("burn after reading");
  // The server accepts 60 s at least; the life inside the message is what counts.
  anna.lane.onCall(({ target, args }) => {
    if (target === "SendBatch") for (const request of args[0]) if (request.timeToLiveSeconds < 60) request.timeToLiveSeconds = 60;
  });
  await anna.send(room, text, { timeToLiveSeconds: 1 });
  const read = await ben.reads(room, text, 4000);
  const left = await ben.until(async () => !(await ben.find(room, text)), 15_000);
  return attack.judge({
    harm: left || !read ? undefined : `"${text}" with a life of 1 s is on Ben's device after 15 s`,
    signs: await attack.signs(room, [ben]),
    goesOn: await attack.goesOn(room, anna, ben),
    detail: read ? "" : "Ben never read it: the server deleted it before",
  });
}

/** The server redacts a message of Anna's by itself. */
async function forgedRetraction(attack) {
  const all = await trio(attack);
  const { anna, ben, room } = all;
  const text = attack.text("keep this");
  const { seq } = await anna.send(room, text);
  await ben.reads(room, text);
  await anna.lane.act("DELETE", `v1/rooms/${room}/messages/${seq}`);
  await ben.until(async () => (await ben.history(room)).find((message) => message.seq === seq)?.deleted, 1500);
  const signs = await later(attack, room, all);
  const shown = (await ben.history(room)).find((message) => message.seq === seq);
  return attack.judge({
    harm: shown?.text === text && !shown.deleted ? undefined : `Ben's client no longer shows "${text}"`,
    signs,
  });
}

/** The server does not carry out a deletion at the first time. */
async function lostDeletion(attack) {
  const { world } = attack;
  const { database } = world;
  const { anna, ben, room } = await trio(attack);
  const text = attack.text("delete me");
  const { seq } = await anna.send(room, text);
  await ben.reads(room, text);
  let failed = 0;
  anna.lane.onCall(({ target }) => (target === "Retract" && failed++ === 0 ? { error: '{"code":"Internal","message":"later","retryable":true}' } : undefined));
  anna.lane.onRequest(({ method, path }) =>
    method === "DELETE" && path.includes("/messages/") && failed++ === 0
      ? { status: 503, body: { code: "Unavailable", title: "Unavailable", detail: "later", retryable: true } }
      : undefined,
  );
  await anna.call("delete", { room, target: text });
  const isPurged = async () =>
    (await database.run(`select count(*) from entries where room_id = ${database.id(room)} and seq = ${seq} and ciphertext is not null`))[0][0] === 0;
  const purged = await anna.until(isPurged, 7000);
  return attack.judge({
    harm: purged ? undefined : `the server still has the bytes of "${text}", which Anna deleted`,
    signs: [],
    goesOn: await attack.goesOn(room, anna, ben),
    detail: failed === 0 ? "no deletion was asked for" : `asked ${failed} times`,
  });
}

/** The server dates Anna's message to the day before, for Ben alone. */
async function falseTime(attack) {
  const { anna, ben, room } = await trio(attack);
  const dayMs = 86_400_000;
  let dated = 0;
  ben.lane.onEntries(room, (entry) => {
    dated++;
    return { ...entry, createdAt: new Date(new Date(entry.createdAt).getTime() - dayMs) };
  });
  const text = attack.text("I was at home");
  await anna.send(room, text);
  const shown = await ben.reads(room, text, 6000);
  const hours = Math.round((Date.now() - shown.time) / 3_600_000);
  return attack.judge({
    harm: hours === 0 ? undefined : `Ben's client shows "${text}" as sent ${hours} hours ago`,
    signs: await attack.signs(room, [ben]),
    goesOn: await attack.goesOn(room, anna, ben),
    detail: `${dated} entries with a false time`,
  });
}

export const history = plansOf("history", [
  ["dropped-for-one", "T7", "warned", sqlite, "one client gets `gone` in the place of a message", droppedForOne, "silence"],
  ["gone-over-message", "T7", "warned", both, "the server deletes the bytes of an unread message", goneOver],
  ["reordered", "T7", "warned", sqlite, "two messages change places for one client", reordered],
  ["replayed-message", "T7", "refused", sqlite, "the ciphertext of a message once more", replayedMessage],
  ["replayed-commit", "T2", "refused", both, "an old Commit once more", replayedCommit],
  ["forked-commits", "T7", "allowed", sqlite, "two Commits of one epoch, each for one half", forkedCommits],
  ["rolled-back-log", "T7", "warned", both, "the end of the log is deleted and written anew", rolledBack],
  ["lying-first-seq", "T7", "warned", sqlite, "the log is said to begin after an unread message", lyingFirstSeq],
  ["withheld-tail", "T7", "allowed", sqlite, "one client gets nothing any more", withheldTail],
  ["lengthened-ttl", "T8", "refused", sqlite, "the server tells another time to live than the owner set", lengthenedTtl],
  ["false-time", "T8", "refused", sqlite, "a message of today gets the server's time of yesterday", falseTime, "harm"],
  ["stays", "T8", "refused", sqlite, "a message stays on the device after its life", stays, "harm"],
  ["forged-retraction", "T4", "refused", sqlite, "the server redacts a message by itself", forgedRetraction],
  ["lost-deletion", "T8", "refused", sqlite, "the server fails once to delete the bytes", lostDeletion],
]);
