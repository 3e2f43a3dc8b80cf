// A user's devices and keys: T5, T6 and the Welcomes of T2.
import { plansOf } from "../attack.mjs";
import { password } from "../world.mjs";
import { fakeWorld, showWorld } from "../fake.mjs";

const sqlite = ["sqlite"];
const both = ["sqlite", "postgres"];

/** Anna shares a room with Ben, who is of this attack alone. */
async function withBen(attack, { beside = [] } = {}) {
  const { anna, cleo } = await attack.cast();
  const ben = await attack.person("ben");
  const room = await attack.room([...new Set([anna, ben, ...beside])]);
  const hello = attack.text("hello");
  await anna.send(room, hello);
  await ben.reads(room, hello);
  attack.watch(anna, ben, cleo);
  attack.tap(anna, ben);
  return { world: attack.world, anna, ben, cleo, room };
}

/** Whether a device reads what Anna writes now. */
async function spied(attack, spy, anna, room) {
  const isIn = await attack.isIn(spy, room);
  const secret = attack.text("secret");
  await anna.call("send", { room, text: secret, wait: false });
  return isIn && (await attack.spyReads(spy, room, secret, anna)) ? secret : undefined;
}

/** A revoked device has kept the identity's private key. It registers a device that the identity has signed. */
async function revokedReturns(attack) {
  const { anna, ben, room } = await withBen(attack);
  const second = await attack.secondDevice(ben, { program: "member.mjs" });
  await second.until(async () => (await second.status(room)).ready);
  const loot = await second.call("dump");
  await ben.call("revoke", { device: second.deviceId });
  await anna.until(async () => !(await anna.status(room)).devices.some(({ deviceId }) => deviceId === second.deviceId), 8000);
  attack.watch(anna, ben);
  const thief = await attack.device("thief", { program: "member.mjs" });
  await thief.call("inherit", { values: loot });
  const entered = await thief.call("signIn", { url: thief.url, username: ben.username, password }).catch((error) => ({ error: error.message }));
  Object.assign(thief, entered);
  const read = entered.error ? undefined : await spied(attack, thief, anna, room);
  return attack.judge({
    harm: read ? `the thief of a revoked device is back and read "${read}"` : undefined,
    signs: await attack.signs(room, [anna, ben], { lines: true }),
    goesOn: Boolean(read) || (await attack.goesOn(room, anna, ben)),
    detail: entered.error ? `the new device was refused: ${entered.error}` : "",
  });
}

/** A new identity for Ben with his password alone. */
async function identityByPassword(attack) {
  const { anna, ben, room } = await withBen(attack);
  const thief = await attack.device("thief", { program: "member.mjs" });
  Object.assign(thief, await thief.call("signIn", { url: thief.url, username: ben.username, password }));
  const refused = await thief.call("replaceIdentity").then(
    () => "",
    (error) => error.message,
  );
  const read = refused ? undefined : await spied(attack, thief, anna, room);
  return attack.judge({
    harm: read ? `the thief of a password read "${read}"` : undefined,
    signs: await attack.signs(room, [anna, ben], { lines: true }),
    goesOn: Boolean(read) || (await attack.goesOn(room, anna, ben)),
    detail: refused ? `the new identity was refused: ${refused}` : "",
  });
}

/** The same, and Anna has compared keys with Ben: sending must stop until she looks. */
async function verifiedIdentity(attack) {
  const { anna, ben, room } = await withBen(attack);
  const verified = await anna.call("verify", { username: ben.username, userId: ben.userId }).catch((error) => ({ error: error.message }));
  const thief = await attack.device("thief", { program: "member.mjs" });
  Object.assign(thief, await thief.call("signIn", { url: thief.url, username: ben.username, password }));
  const refused = await thief.call("replaceIdentity").then(
    () => "",
    (error) => error.message,
  );
  const read = refused ? undefined : await spied(attack, thief, anna, room);
  return attack.judge({
    harm: read ? `the thief of a password read "${read}", although Anna had compared keys with Ben` : undefined,
    signs: read ? [] : await attack.signs(room, [anna, ben], { lines: true }),
    goesOn: Boolean(read) || refused === "",
    detail: verified?.error ? `the mark could not be set: ${verified.error}` : "",
  });
}

/** A member adds Ben, and with him a device that he has revoked. Its Commit is valid: only the newest list tells. */
async function revokedAdded(attack) {
  const { world, anna, ben, room: other } = await withBen(attack);
  const mallory = await attack.member();
  const second = await attack.secondDevice(ben, { program: "member.mjs" });
  const room = await attack.room([mallory, anna]);
  const [keyPackage, loot, { identityKey: identity }] = [await world.claim(anna, second), await second.call("dump"), await ben.call("identity")];
  await ben.call("revoke", { device: second.deviceId });
  await anna.until(async () => !(await anna.status(other)).devices.some(({ deviceId }) => deviceId === second.deviceId), 8000);
  await second.call("load", { values: loot });
  await mallory.call("seize", { room });
  attack.watch(anna);
  const made = await mallory.call("craft", { room, what: "add", keyPackage, statement: { add: { userId: ben.userId, identity, list: 2 } } });
  attack.welcomes.push(made.welcome);
  await world.post(mallory, room, made, { roster: { add: [{ userId: ben.userId, role: "member" }] } });
  await anna.until(async () => (await anna.status(room)).epoch > made.epoch, 3000);
  await attack.isIn(second, room, 3000);
  const secret = attack.text("secret");
  await anna.call("send", { room, text: secret, wait: false });
  const read = await attack.spyReads(second, room, secret, anna, 2500);
  return attack.judge({
    harm: read ? `the revoked device read "${secret}"` : undefined,
    signs: await attack.signs(room, [anna]),
    detail: `Anna's client is in epoch ${(await anna.status(room)).epoch}`,
  });
}

/** A thief with Ben's unlocked device approves a device of its own. */
async function silentDevice(attack) {
  const { anna, ben, room } = await withBen(attack);
  const thief = await attack.secondDevice(ben, { program: "member.mjs" });
  const read = await spied(attack, thief, anna, room);
  const signs = await attack.signs(room, [anna, ben], { lines: true });
  const [atAnna, atBen] = ["anna", "ben"].map((name) => signs.some((sign) => sign.startsWith(name)));
  return attack.judge({
    harm: read ? `a new device read "${read}"` : undefined,
    signs: atAnna && atBen ? signs : [],
    goesOn: Boolean(read) || (await attack.goesOn(room, anna, ben)),
    detail: atAnna === atBen ? "" : `only ${atAnna ? "Anna" : "Ben"} shows it`,
  });
}

/**
 * Ben's second device is lost, and he revokes it. The server's tables have it again, and the lists that `reader` gets end before the revocation, or as `next`
 * says. Returns what the lost device, with all Welcomes that are sent, reads in rooms that `reader` makes from now on.
 */
async function loseDevice(attack, reader, next) {
  const { world, anna, ben } = await withBen(attack, { beside: [reader] });
  const { database } = world;
  const second = await attack.secondDevice(ben, { program: "member.mjs" });
  const id = database.id(second.deviceId);
  const other = await attack.room([...new Set([anna, reader]), ben, second]);
  attack.tap(reader);
  const lists = await ben.lane.act("GET", `v1/users/${ben.userId}/device-lists?after=0`).then(
    (answer) => answer.lists,
    () => [],
  );
  const names = { devices: `devices_${Date.now()}`, key_packages: `packages_${Date.now()}` };
  await database.run(`create table ${names.devices} as select * from devices where id = ${id}`);
  await database.run(`create table ${names.key_packages} as select * from key_packages where device_id = ${id}`);
  await database.run(`update ${names.devices} set session_id = null`);
  if (next) {
    // The reader sees nothing of the revocation.
    reader.lane.silence(other, await world.headOf(other));
    const shown = [...lists, ...(await next(second, lists))];
    reader.lane.onResponse(({ path }) => {
      const after = new RegExp(`^v1/users/${ben.userId}/device-lists\\?after=(\\d+)`).exec(path)?.[1];
      return after === undefined ? undefined : { newest: shown.length, lists: shown.slice(Number(after)) };
    });
  }
  await ben.call("revoke", { device: second.deviceId });
  await anna.until(async () => !(await anna.status(other)).devices.some(({ deviceId }) => deviceId === second.deviceId), 8000);
  attack.watch(anna, ben, reader);
  for (const [table, copy] of Object.entries(names)) {
    await database.run(`insert into ${table} select * from ${copy}`);
    await database.run(`drop table ${copy}`);
  }
  return { world, anna, ben, second };
}

/** The server lists the revoked device again. Anna has seen the revocation. */
async function oldDeviceList(attack) {
  const { anna } = await attack.cast();
  const { ben, second } = await loseDevice(attack, anna);
  const room = await attack.room([anna, ben]);
  const secret = attack.text("secret");
  await anna.call("send", { room, text: secret, wait: false });
  await ben.reads(room, secret, 5000);
  const read = (await attack.isIn(second, room, 1500)) && (await attack.spyReads(second, room, secret, anna, 4000));
  return attack.judge({
    harm: read ? `the revoked device read "${secret}" in a new room` : undefined,
    signs: await attack.signsWithin(1000, room, [anna, ben], { lines: true }),
    goesOn: Boolean(read) || (await attack.goesOn(room, anna, ben)),
  });
}

/** Cleo does not get the newest list, or gets a rival of it by the lost device. Ben's first message in the new room names the true one. */
function afterMention(next) {
  return async (attack) => {
    const { cleo } = await attack.cast();
    const { ben, second } = await loseDevice(attack, cleo, next);
    const made = await cleo.call("create", { members: [ben.username] }).catch((error) => ({ error: error.message }));
    if (made.error) return attack.judge({ signs: await attack.signs(undefined, [cleo], { lines: true }), detail: `refused: ${made.error}` });
    await ben.call("ready", { room: made });
    const text = attack.text("it is me");
    await ben.send(made, text);
    await cleo.reads(made, text, 5000);
    await attack.signsWithin(1500, made, [cleo]);
    const secret = attack.text("secret");
    await cleo.call("send", { room: made, text: secret, wait: false });
    const read = (await attack.isIn(second, made, 3000)) && (await attack.spyReads(second, made, secret, ben, 4000));
    const alarms = await attack.signs(made, [cleo]);
    return attack.judge({
      harm: read ? `the revoked device read "${secret}", which Cleo wrote after Ben's first message` : undefined,
      signs: alarms,
      goesOn: Boolean(read) || alarms.length > 0 || (await attack.goesOn(made, cleo, ben)),
    });
  };
}
const withheldList = afterMention(() => []);
const listFork = afterMention(async (second, lists) => (lists.length > 0 ? [await second.call("rivalList", { lists })] : []));

/** The server deletes one of Ben's devices; the clients take its leaf out. */
async function purgedDevice(attack) {
  const { world, anna, ben, cleo } = await withBen(attack);
  const { database } = world;
  const room = await attack.room([anna, ben, cleo]);
  await database.run(`delete from devices where id = ${database.id(ben.deviceId)}`);
  await world.insertEntry(room, "devicesChanged", { user_id: database.id(ben.userId) });
  for (const { lane } of [anna, cleo]) lane.resync(room);
  const gone = await anna.until(async () => !(await anna.status(room)).devices.some(({ userId }) => userId === ben.userId), 5000);
  return attack.judge({
    harm: gone ? "the clients removed a device because the server no longer names it" : undefined,
    signs: await attack.signs(room, [anna, cleo], { lines: true }),
    goesOn: await attack.goesOn(room, anna, cleo),
  });
}

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

export const devices = plansOf("devices", [
  ["revoked-returns", "T5", "refused", sqlite, "a revoked device registers a new one with the identity's key", revokedReturns],
  ["revoked-added", "T5", "warned", sqlite, "a member adds a contact together with a revoked device", revokedAdded, "harm"],
  ["silent-device", "T5", "warned", sqlite, "a new device that no client shows", silentDevice],
  ["old-device-list", "T5", "refused", both, "the server lists a revoked device again", oldDeviceList],
  ["withheld-list", "T5", "warned", sqlite, "the newest device list is withheld from one contact", withheldList],
  ["list-fork", "T5", "warned", sqlite, "a revoked device signs a rival of the newest device list", listFork],
  ["purged-device", "T2", "refused", sqlite, "the server deletes a device", purgedDevice],
  ["identity-by-password", "T6", "warned", sqlite, "a new identity with the password alone", identityByPassword],
  ["verified-identity", "T6", "warned", sqlite, "the same for a contact whose keys were compared", verifiedIdentity],
]);

// In a lane of their own.
export const entrances = plansOf("entrances", [
  ["swapped-link-key", "T5", "refused", sqlite, "the server's keys in the place of a waiting device's", swappedLinkKey],
  ["forged-approval", "T5", "refused", sqlite, "the server approves a new device with its own identity", forgedApproval],
  ["world-for-new-device", "T5", "refused", sqlite, "the server chooses the groups of a new own device", worldForNewDevice],
  ["swapped-welcome", "T2", "refused", sqlite, "a Welcome to a group that the server founded", swappedWelcome],
  ["stranger-welcome", "T1", "warned", sqlite, "such a Welcome with an invented chain", strangerWelcome],
  ["replayed-welcome", "T2", "refused", sqlite, "an old Welcome once more", replayedWelcome],
]);
