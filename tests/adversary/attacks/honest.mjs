// No attacker. Any warning of an attack here is a false alarm.
import { plansOf } from "../attack.mjs";
import { signOf } from "../signs.mjs";

const both = ["sqlite", "postgres"];

/** The verdict over everything that honest clients have shown since they began. */
async function calm(attack, room, clients, done) {
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const alarms = new Set();
  for (const client of clients)
    for (const note of client.notes) {
      const sign = signOf(note);
      if (sign) alarms.add(`${client.name}: ${sign}${note.value?.detail ? ` (${String(note.value.detail).slice(0, 120)})` : ""}`);
      if (note.event === "unhandledRejection") alarms.add(`${client.name}: ${note.value.detail.slice(0, 200)}`);
    }
  for (const client of clients) {
    for (const { kind } of await client.call("holds")) alarms.add(`${client.name}: holds sends for ${kind}`);
    for (const { kind } of (await client.status(room)).holds) alarms.add(`${client.name}: holds sends of the room for ${kind}`);
    const history = await client.history(room).catch(() => []);
    const bad = history.filter(({ type, marks }) => type === "unreadable" || type === "malformed" || Object.values(marks).some(Boolean));
    for (const message of bad) alarms.add(`${client.name}: ${message.type} at ${message.seq} ${JSON.stringify(message.marks)}`);
  }
  if (alarms.size > 0) return { verdict: "false alarm", detail: [...alarms].join("; ") };
  return { verdict: "quiet", detail: done };
}

async function allRead(clients, room, text) {
  for (const client of clients) if (!(await client.reads(room, text, 10_000))) throw new Error(`${client.name} does not read "${text}"`);
}

/** Everything that people do: edits, deletions, reactions, joining late, leaving, two devices, revocation, restarts. */
async function honest(attack) {
  const [anna, cleo] = await Promise.all([attack.person("anna"), attack.person("cleo")]);
  const ben = await attack.person("ben", { store: true });
  const room = await attack.room([anna, ben]);
  const say = async (client, readers, options) => {
    const text = attack.text("hello");
    await client.send(room, text, options);
    await allRead(readers, room, text);
    return text;
  };
  const first = await say(anna, [ben]);
  await ben.call("react", { room, target: first, emoji: "👍" });
  const second = await say(ben, [anna]);
  await ben.call("edit", { room, target: second, text: `${second}!` });
  await allRead([anna], room, `${second}!`);
  const third = await say(anna, [ben]);
  await anna.call("delete", { room, target: third });
  await say(ben, [anna]);
  const again = await attack.secondDevice(anna);
  await again.until(async () => (await again.status(room)).ready, 15_000);
  await say(ben, [anna, again]);
  await say(again, [anna, ben]);
  await anna.call("add", { room, username: cleo.username });
  await cleo.call("ready", { room });
  await say(cleo, [anna, again, ben]);
  await ben.kill();
  await say(anna, [again, cleo]);
  // It expires before Ben's device is back.
  await say(anna, [again, cleo], { timeToLiveSeconds: 60 });
  const expired = Date.now() + 62_000;
  const gone = await say(cleo, [anna, again]);
  await cleo.call("delete", { room, target: gone });
  await cleo.call("rotate");
  await say(anna, [again]);
  await new Promise((resolve) => setTimeout(resolve, expired - Date.now()));
  await ben.start();
  await ben.call("resume");
  await ben.call("ready", { room });
  await say(ben, [anna, again, cleo]);
  await say(anna, [again, ben, cleo]);
  await say(ben, [anna, again]);
  await anna.call("revoke", { device: again.deviceId });
  await ben.until(async () => !(await ben.status(room)).devices.some(({ deviceId }) => deviceId === again.deviceId), 10_000);
  await say(ben, [anna]);
  await anna.call("remove", { room, user: cleo.userId });
  await ben.until(async () => !(await ben.status(room)).devices.some(({ userId }) => userId === cleo.userId), 10_000);
  await say(ben, [anna]);
  await anna.call("add", { room, username: cleo.username });
  await cleo.until(async () => (await cleo.status(room)).ready, 15_000);
  await say(cleo, [anna, ben]);
  await cleo.call("leave", { room });
  await say(anna, [ben]);
  return calm(attack, room, [anna, ben], "edits, deletions, expiry, two devices, joins, leaves, a kill");
}

/** Clients whose knowledge differs: one has an old directory, one was away, and both change the group at once. */
async function divergence(attack) {
  const { world } = attack;
  const [anna, ben, cleo] = await Promise.all(["anna", "ben", "cleo"].map((name) => attack.person(name)));
  const room = await attack.room([anna, ben, cleo]);
  await anna.call("setRole", { room, user: ben.userId, role: "admin" });
  // Cleo's directory answers are those of before.
  const stale = new Map();
  const off = cleo.lane.onResponse(({ method, path }, { body }) => {
    if (method !== "GET" || !path.endsWith("/devices") || path === "v1/devices") return undefined;
    if (!stale.has(path)) stale.set(path, body);
    return stale.get(path);
  });
  await cleo.lane.act("GET", `v1/rooms/${room}/devices`).then((body) => stale.set(`v1/rooms/${room}/devices`, body));
  cleo.lane.silence(room, await world.headOf(room));
  const again = await attack.secondDevice(ben);
  await again.until(async () => (await again.status(room)).ready, 15_000);
  const guests = await Promise.all([attack.person("dora"), attack.person("emil")]);
  await Promise.all([anna.call("add", { room, username: guests[0].username }), ben.call("add", { room, username: guests[1].username })]);
  await Promise.all(guests.map((guest) => guest.call("ready", { room })));
  const text = attack.text("while Cleo was away");
  await again.send(room, text);
  await allRead([anna, ben, ...guests], room, text);
  off();
  cleo.lane.clear();
  cleo.lane.resync(room);
  const late = attack.text("here I am");
  await cleo.until(async () => (await cleo.status(room)).devices.length === 6, 10_000);
  await cleo.send(room, late);
  await allRead([anna, ben, again, ...guests], room, late);
  return calm(attack, room, [anna, ben, cleo, again], "an old directory, two changes at once, a reader who was away");
}

// Each in a lane of its own, because they take long.
export const honestRuns = [
  ...plansOf("honest", [["honest", "all", "quiet", both, "people talk, join, leave and restart", honest]]),
  ...plansOf("honest-divergence", [["honest-divergence", "all", "quiet", both, "clients whose knowledge differs", divergence]]),
].map((plan) => ({ ...plan, limitMs: 180_000 }));
