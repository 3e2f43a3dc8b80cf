// A user's devices and keys: T5 and T6.
import { plansOf } from "../attack.mjs";
import { password } from "../world.mjs";

const sqlite = ["sqlite"];
const both = ["sqlite", "postgres"];

/** Anna shares a room with Ben, who is of this attack alone. */
export async function withBen(attack, { beside = [] } = {}) {
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

export const devices = plansOf("devices", [
  ["revoked-returns", "T5", "refused", sqlite, "a revoked device registers a new one with the identity's key", revokedReturns],
  ["revoked-added", "T5", "warned", sqlite, "a member adds a contact together with a revoked device", revokedAdded, "harm"],
  ["silent-device", "T5", "warned", sqlite, "a new device that no client shows", silentDevice],
  ["old-device-list", "T5", "refused", both, "the server lists a revoked device again", oldDeviceList],
  ["withheld-list", "T5", "warned", sqlite, "the newest device list is withheld from one contact", withheldList],
  ["list-fork", "T5", "warned", sqlite, "a revoked device signs a rival of the newest device list", listFork],
  ["purged-device", "T2", "refused", both, "the server deletes a device", purgedDevice],
  ["identity-by-password", "T6", "warned", sqlite, "a new identity with the password alone", identityByPassword],
  ["verified-identity", "T6", "warned", sqlite, "the same for a contact whose keys were compared", verifiedIdentity],
]);
