// How a new device and a newcomer get in: approvals of T5, and the Welcomes of T1 and T2.
import { plansOf } from "../attack.mjs";
import { fakeWorld, showWorld } from "../fake.mjs";
import { password } from "../world.mjs";
import { withBen } from "./devices.mjs";

const sqlite = ["sqlite"];

/** While Ben approves his new device, the server shows keys of its own for it. */
async function swappedLinkKey(attack) {
  const { anna, ben, room } = await withBen(attack);
  const mallory = await attack.member();
  const second = await attack.device("ben2");
  Object.assign(second, await second.call("signIn", { url: second.url, username: ben.username, password }));
  const own = await mallory.call("keyPackage", { name: "own", userId: ben.userId, deviceId: second.deviceId });
  ben.lane.onResponse(({ path }, { body }) =>
    path === "v1/devices" && Array.isArray(body)
      ? body.map((each) => (each.id === second.deviceId ? { ...each, signatureKey: own.signatureKey, linkKey: own.identityKey } : each))
      : undefined,
  );
  const approved = await ben.call("approve", { device: second.deviceId, code: second.code }).then(
    () => true,
    () => false,
  );
  return attack.judge({
    harm: approved ? "Ben's device approved keys of the server" : undefined,
    signs: [],
    goesOn: await attack.goesOn(room, anna, ben),
  });
}

/** The server approves Ben's new device with an identity of its own. */
async function forgedApproval(attack) {
  const { anna, ben, room } = await withBen(attack);
  const mallory = await attack.member();
  const second = await attack.device("ben2");
  let keys;
  second.lane.onRequest(({ method, path, body }) => {
    if (method === "POST" && path === "v1/devices") keys = body;
  });
  Object.assign(second, await second.call("signIn", { url: second.url, username: ben.username, password }));
  const forged = await mallory.call("approveAs", { userId: ben.userId, deviceId: second.deviceId, signatureKey: keys.signatureKey });
  second.lane.onResponse(({ path }, { body }) =>
    path === "v1/devices" && Array.isArray(body)
      ? body.map((each) => (each.id === second.deviceId ? { ...each, ...forged, approved: true } : { ...each, identityKey: forged.identityKey }))
      : undefined,
  );
  const code = await ben.call("approve", { device: second.deviceId, code: second.code });
  const confirmed = await second.call("confirm", { code, timeoutMs: 6000 }).then(
    () => true,
    () => false,
  );
  return attack.judge({
    harm: confirmed || (await second.call("isApproved")) ? "Ben's new device took an identity of the server" : undefined,
    signs: [],
    goesOn: await attack.goesOn(room, anna, ben),
  });
}

/** The server shows Ben's new device a group of its own for a room that Ben is in. */
async function worldForNewDevice(attack) {
  const { world, anna, ben, room } = await withBen(attack);
  const mallory = await attack.member();
  const second = await attack.device("ben2");
  second.lane.onResult(({ target }, result) => (target === "Heads" ? result.filter((each) => each.roomId !== room) : undefined));
  Object.assign(second, await second.call("signIn", { url: second.url, username: ben.username, password }));
  const hidden = second.lane.onResponse(({ method, path }) => (method === "GET" && path.endsWith("/welcomes") ? [] : undefined));
  second.lane.onPush(({ target }) => (["Received", "WelcomesWaiting", "RoomChanged"].includes(target) ? null : undefined));
  await second.call("confirm", { code: await ben.call("approve", { device: second.deviceId, code: second.code }) });
  await second.until(() => second.call("isApproved"));
  await second.until(
    async () => (await world.database.run(`select count(*) from key_packages where device_id = ${world.database.id(second.deviceId)}`))[0][0] > 0,
  );
  hidden();
  const fake = await fakeWorld(attack, { victim: second, mallory, room, as: anna.userId });
  for (const socket of second.lane.sockets) socket.terminate();
  const ready = await second.until(async () => (await second.status(room)).ready, 5000);
  const secret = attack.text("secret");
  if (ready) await second.call("send", { room, text: secret, wait: false }).catch(() => undefined);
  await second.until(() => fake.sent.length > 0, ready ? 3000 : 0);
  const texts = await mallory.call("read", { room, entries: asEntries(fake.sent) });
  return attack.judge({
    harm: texts.includes(secret) ? `Ben's new device wrote "${secret}" into a group of the server, as if to Anna` : undefined,
    signs: await attack.signs(room, [second], { lines: true }),
    detail: ready ? "" : "the new device did not enter",
  });
}

const asEntries = (sent) => sent.map((bytes) => ({ kind: "message", ciphertext: Buffer.from(bytes).toString("base64") }));

/** Ben is added to a room, and gets a Welcome to another group of the same id, in which Anna's real leaf stands too. */
async function swappedWelcome(attack) {
  const { anna, ben } = await withBen(attack);
  const mallory = await attack.member();
  ben.lane.onPush(({ target }) => (["Received", "WelcomesWaiting", "RoomChanged"].includes(target) ? null : undefined));
  const off = ben.lane.onResponse(({ method, path }) => (method === "GET" && path.endsWith("/welcomes") ? [] : undefined));
  const room = await anna.call("create", { members: [ben.username] });
  await anna.call("ready", { room });
  off();
  const fake = await fakeWorld(attack, { victim: ben, mallory, room, as: mallory.userId, beside: [anna] });
  for (const socket of ben.lane.sockets) socket.terminate();
  const ready = await ben.until(async () => (await ben.status(room)).ready, 5000);
  const secret = attack.text("secret");
  if (ready) await ben.call("send", { room, text: secret, wait: false }).catch(() => undefined);
  await ben.until(() => fake.sent.length > 0, ready ? 3000 : 0);
  const texts = await mallory.call("read", { room, entries: asEntries(fake.sent) });
  return attack.judge({
    harm: texts.includes(secret) ? `Ben wrote "${secret}" into a group that the server founded` : undefined,
    signs: await attack.signs(room, [ben], { lines: true }),
    detail: ready ? "" : "Ben's client did not enter",
  });
}

/** The same, and the Welcome has a chain: its first state, which newcomers cannot check, has Mallory as an owner, who adds Ben. */
async function strangerWelcome(attack) {
  const { anna, ben } = await withBen(attack);
  const mallory = await attack.member();
  ben.lane.onPush(({ target }) => (["Received", "WelcomesWaiting", "RoomChanged"].includes(target) ? null : undefined));
  const off = ben.lane.onResponse(({ method, path }) => (method === "GET" && path.endsWith("/welcomes") ? [] : undefined));
  const room = await anna.call("create", { members: [ben.username] });
  await anna.call("ready", { room });
  off();
  const { founding } = await anna.lane.act("GET", `v1/rooms/${room}`);
  const [ofAnna, ofBen] = await Promise.all([anna, ben].map((client) => client.call("identity")));
  const chain = {
    founding,
    members: [{ userId: anna.userId, identity: ofAnna.identityKey }],
    newcomer: { userId: ben.userId, identity: ofBen.identityKey },
  };
  const fake = await fakeWorld(attack, { victim: ben, mallory, room, beside: [anna], chain });
  for (const socket of ben.lane.sockets) socket.terminate();
  const ready = await ben.until(async () => (await ben.status(room)).ready, 5000);
  const secret = attack.text("secret");
  if (ready) await ben.call("send", { room, text: secret, wait: false }).catch(() => undefined);
  await ben.until(() => fake.sent.length > 0, ready ? 3000 : 0);
  const texts = await mallory.call("read", { room, entries: asEntries(fake.sent) });
  const entered = ready && (await ben.call("lines", { room })).some(({ kind, by }) => kind === "entered" && by.userId === mallory.userId);
  const { isConfirmed } = await ben.status(room);
  return attack.judge({
    harm: texts.includes(secret) ? `Ben wrote "${secret}" into a group of Mallory's under the id of Anna's room` : undefined,
    signs: entered && !isConfirmed ? ["ben: line entered by Mallory, room not confirmed"] : [],
    detail: ready ? "" : "Ben's client did not enter",
  });
}

/** Ben loses the room by a lie, and an old Welcome for his KeyPackage of last resort brings him back to an epoch with a removed member. */
async function replayedWelcome(attack) {
  const { world, anna } = await withBen(attack);
  const { database } = world;
  const [ben, mallory] = await Promise.all([attack.person("ben"), attack.member()]);
  await database.run(
    `delete from key_packages where device_id = ${database.id(ben.deviceId)} and ${world.engine === "postgres" ? "not last_resort" : "last_resort = 0"}`,
  );
  let old;
  ben.lane.onResponse(({ method, path }, { body }) => {
    if (method === "GET" && path.endsWith("/welcomes") && Array.isArray(body)) old ??= body[0];
  });
  const room = await attack.room([anna, ben, mallory]);
  const { epoch } = await mallory.call("seize", { room });
  const commit = (await world.log(anna, room)).find((entry) => entry.kind === "commit");
  await anna.call("remove", { room, user: mallory.userId });
  await ben.until(async () => (await ben.status(room)).epoch > epoch, 5000);
  const off = ben.lane.onResult(({ target }, result) => (target === "Heads" ? result.filter((each) => each.roomId !== room) : undefined));
  for (const socket of ben.lane.sockets) socket.terminate();
  await ben.until(async () => !(await ben.status(room)).known, 2000);
  off();
  const { message, seq } = old ?? {};
  const fake = showWorld(ben.lane, { room, welcome: message, epoch: commit.epoch, seq, ciphertext: Buffer.from(commit.ciphertext, "base64") });
  for (const socket of ben.lane.sockets) socket.terminate();
  const back = await ben.until(async () => {
    const status = await ben.status(room);
    return status.ready && status.epoch === epoch;
  }, 7000);
  const secret = attack.text("secret");
  if (back) await ben.call("send", { room, text: secret, wait: false });
  await ben.until(() => fake.sent.length > 0, back ? 3000 : 0);
  const texts = await mallory.call("read", { room, entries: asEntries(fake.sent) });
  const signs = await attack.signs(room, [ben], { lines: true });
  ben.lane.clear();
  return attack.judge({
    harm: texts.includes(secret) ? `Ben is back in an old epoch, and the removed member read "${secret}"` : undefined,
    signs,
    detail: back ? "" : "Ben's client did not go back",
  });
}

export const entrances = plansOf("entrances", [
  ["swapped-link-key", "T5", "refused", sqlite, "the server's keys in the place of a waiting device's", swappedLinkKey],
  ["forged-approval", "T5", "refused", sqlite, "the server approves a new device with its own identity", forgedApproval],
  ["world-for-new-device", "T5", "refused", sqlite, "the server chooses the groups of a new own device", worldForNewDevice],
  ["swapped-welcome", "T2", "refused", sqlite, "a Welcome to a group that the server founded", swappedWelcome],
  ["stranger-welcome", "T1", "warned", sqlite, "such a Welcome with an invented chain", strangerWelcome],
  ["replayed-welcome", "T2", "refused", sqlite, "an old Welcome once more", replayedWelcome],
]);
