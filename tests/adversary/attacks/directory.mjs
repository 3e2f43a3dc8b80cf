// What the server answers about names, keys and rooms: T6 and T10.
import { plansOf } from "../attack.mjs";
import { password } from "../world.mjs";

const sqlite = ["sqlite"];
const both = ["sqlite", "postgres"];

/** Anna and Ben, both of this attack alone, in a room of which both know each other. */
async function pair(attack) {
  const [anna, ben] = await Promise.all([attack.person("anna"), attack.person("ben")]);
  const room = await attack.room([anna, ben]);
  const hello = attack.text("hello");
  await anna.send(room, hello);
  await ben.reads(room, hello);
  attack.watch(anna, ben);
  return { world: attack.world, anna, ben, room };
}

/** Makes a new connection, so that the client asks again for what it asks at a connect. */
async function reconnect(client) {
  const mark = client.mark();
  for (const socket of client.lane.sockets) socket.terminate();
  await client.until(() => client.notes.slice(mark).some(({ event }) => event === "connected"), 8000);
}

const swap = (value, from, to) => JSON.parse(JSON.stringify(value).replaceAll(`"${from}"`, `"${to}"`));

/** Ben's name leads to Mallory when Anna makes a new room. */
async function remap(attack) {
  const { anna, ben } = await pair(attack);
  const mallory = await attack.member();
  anna.lane.onRequest((request) => {
    request.path = request.path.replace(`v1/users/${ben.username}`, `v1/users/${mallory.username}`);
    if (request.body) request.body = swap(request.body, ben.username, mallory.username);
  });
  anna.lane.onResponse((_, { body }) => (body ? swap(body, mallory.username, ben.username) : undefined));
  return toWrongPerson(attack, anna, mallory, ben.username);
}

/** Anna makes a room with a name that she knows. Does another person read in it? */
async function toWrongPerson(attack, anna, mallory, username, { detail = "", allowed } = {}) {
  const made = await anna.call("create", { members: [username] }).catch((error) => ({ error: error.message }));
  const secret = attack.text("secret");
  let read;
  if (!made.error) {
    await mallory.until(async () => (await mallory.status(made)).ready, 7000);
    await anna.call("send", { room: made, text: secret, wait: false });
    read = await mallory.reads(made, secret, 4000).catch(() => undefined);
  }
  return attack.judge({
    harm: read ? `another person read "${secret}", which Anna wrote to ${username.replace(/\d+$/, "")}` : undefined,
    signs: await attack.signs(undefined, [anna]),
    allowed,
    detail: made.error ? `refused: ${made.error}` : detail,
  });
}

/** Ben deletes his account, and another takes the name. */
async function reusedName(attack) {
  const { world, anna, ben } = await pair(attack);
  await ben.call("deleteAccount", { password });
  let mallory = await attack.person("mallory", { program: "member.mjs", username: ben.username }).catch(() => undefined);
  let detail = "the server handed the name out again";
  if (!mallory) {
    mallory = await attack.member();
    detail = "the honest server kept the name back; a row in its table did not";
    await world.database.run(`update users set username = '${ben.username}' where id = ${world.database.id(mallory.userId)}`);
  }
  return toWrongPerson(attack, anna, mallory, ben.username, { detail });
}

/** In a room that Anna has been in for long, Mallory gets Ben's name. */
async function renamedUser(attack) {
  const { world, anna, ben } = await pair(attack);
  const { database } = world;
  const mallory = await attack.person("mallory", { program: "member.mjs" });
  const room = await attack.room([anna, ben, mallory]);
  await anna.call("members", { room });
  const rename = (user, name) => database.run(`update users set username = '${name}' where id = ${database.id(user.userId)}`);
  await rename(ben, `former${ben.username}`);
  await rename(mallory, ben.username);
  await reconnect(anna);
  const text = attack.text("it is me");
  await mallory.send(room, text);
  const shown = await anna.reads(room, text, 4000);
  const name = (await anna.call("members", { room })).find(({ userId }) => userId === shown?.from)?.username;
  return attack.judge({
    harm: name === ben.username ? `Anna's client shows Mallory's "${text}" under Ben's name` : undefined,
    signs: await attack.signs(room, [anna], { lines: true }),
    goesOn: await attack.goesOn(room, anna, ben),
  });
}

/** The directory has another identity and device for Ben. Mallory has its keys. */
async function swappedIdentity(attack, { anna, ben, allowed }) {
  const mallory = await attack.member();
  const fake = await mallory.call("keyPackage", { name: "fake", userId: ben.userId });
  const list = await mallory.call("firstList", { name: "fake", username: ben.username });
  const asUser = (user) =>
    user.userId === ben.userId
      ? {
          ...user,
          identityKey: fake.identityKey,
          devices: [{ deviceId: fake.deviceId, signatureKey: fake.signatureKey, identitySignature: fake.identitySignature }],
        }
      : user;
  let made;
  anna.lane.onResponse(({ path }, { body }) => {
    if (path.startsWith(`v1/users/${ben.userId}/device-lists`)) return { newest: 1, lists: path.endsWith("after=0") ? [list] : [] };
    if (/^v1\/users\/[^/]+\/devices$/.test(path)) return body?.userId ? asUser(body) : undefined;
    if (/^v1\/rooms\/[^/]+\/devices$/.test(path)) return Array.isArray(body) ? body.map(asUser) : undefined;
    if (path === "v1/key-packages/claim")
      return { keyPackages: [...(body.keyPackages ?? []).filter((each) => each.userId !== ben.userId), { userId: ben.userId, ...fake }] };
    return undefined;
  });
  anna.lane.onRequest((request) => {
    if (request.method !== "POST" || !request.path.endsWith("/commits") || !request.body.welcomes?.length) return;
    made = request.body.welcomes[0];
    request.body.welcomes = [];
  });
  const room = await anna.call("create", { members: [ben.username] }).catch((error) => ({ error: error.message }));
  const secret = attack.text("secret");
  let texts = [];
  if (!room.error && made) {
    await mallory.call("join", { room, name: "fake", welcome: made });
    await anna.call("send", { room, text: secret, wait: false });
    await anna.until(async () => {
      texts = await mallory.call("read", { room, entries: await attack.world.log(anna, room) });
      return texts.includes(secret);
    }, 4000);
  }
  return attack.judge({
    harm: texts.includes(secret) ? `Mallory read "${secret}" with keys that the server gave for Ben` : undefined,
    signs: await attack.signs(undefined, [anna]),
    allowed,
    detail: room.error ? `refused: ${room.error}` : made ? "" : "no Welcome for the keys of the server",
  });
}

const knownIdentity = async (attack) => swappedIdentity(attack, await pair(attack));

async function firstContact(attack) {
  const [anna, ben] = await Promise.all([attack.person("anna"), attack.person("ben")]);
  return swappedIdentity(attack, { anna, ben, allowed: "first contact without comparing keys trusts the server's directory" });
}

/** Only the KeyPackage is Mallory's; the list of devices is Ben's. */
async function swappedKeyPackage(attack) {
  const { anna, ben } = await pair(attack);
  const mallory = await attack.member();
  const fake = await mallory.call("keyPackage", { name: "fake", userId: ben.userId, deviceId: ben.deviceId });
  let made;
  const off = anna.lane.onResponse(({ path }, { body }) =>
    path === "v1/key-packages/claim" ? { keyPackages: body.keyPackages.map((each) => ({ ...each, keyPackage: fake.keyPackage })) } : undefined,
  );
  anna.lane.onRequest(({ method, path, body }) => {
    if (method === "POST" && path.endsWith("/commits")) made ??= body.welcomes?.[0];
  });
  const room = await anna.call("create", { members: [ben.username] }, 10_000).catch((error) => ({ error: error.message }));
  const joined = made && (await mallory.call("join", { room, name: "fake", welcome: made }).catch(() => undefined));
  off();
  const again = room.error ? await attack.room([anna, ben]) : room;
  await ben.call("ready", { room: again, timeoutMs: 15_000 }).catch(() => undefined);
  return attack.judge({
    harm: joined ? "Mallory is in the group with a KeyPackage for Ben" : undefined,
    signs: await attack.signs(undefined, [anna]),
    goesOn: await attack.goesOn(again, anna, ben),
  });
}

/** The directory lists one more device of Ben. Mallory has its keys, and the server has no signature of Ben's identity for it. */
async function ghostDevice(attack) {
  const { anna, ben, room } = await pair(attack);
  const mallory = await attack.member();
  const fake = await mallory.call("keyPackage", { name: "fake", userId: ben.userId });
  let claimed = 0;
  const { deviceId, signatureKey, identitySignature } = fake;
  const withGhost = (user) => (user.userId === ben.userId ? { ...user, devices: [...user.devices, { deviceId, signatureKey, identitySignature }] } : user);
  let asked = 0;
  anna.lane.onResponse(({ path }, { body }) => {
    if (path === `v1/rooms/${room}/devices` && Array.isArray(body)) {
      asked++;
      return body.map(withGhost);
    }
    if (path !== "v1/key-packages/claim") return undefined;
    claimed++;
    return { keyPackages: [...body.keyPackages, { userId: ben.userId, ...fake }] };
  });
  await ben.call("rotate");
  await anna.until(() => asked > 0, 5000);
  await anna.until(async () => (await anna.status(room)).devices.some((device) => device.deviceId === deviceId), 2500);
  const { devices } = await anna.status(room);
  return attack.judge({
    harm: devices.some((device) => device.deviceId === deviceId) ? "a device that Ben's identity has not signed is in the group" : undefined,
    signs: await attack.signs(room, [anna], { only: ["unlistedDevice", "listFork"] }),
    goesOn: await attack.goesOn(room, anna, ben),
    detail: `the directory was asked ${asked} times, KeyPackages ${claimed} times`,
  });
}

/** Something that the server says makes Anna's client end a room. `lie` returns a function that ends the lie. */
function amnesia(lie) {
  return async (attack) => {
    const { anna, ben, room } = await pair(attack);
    const before = await anna.status(room);
    const off = await lie(anna, room);
    const lost = await anna.until(async () => {
      const status = await anna.status(room);
      return !status.known || (!status.ready && !status.isWithheld);
    }, 3000);
    const ended = anna.notes.slice(attack.marks.get(anna)).some(({ event }) => event === "roomEnded");
    const signs = await attack.signs(room, [anna], { lines: true });
    off();
    await reconnect(anna);
    const back = lost && (await anna.until(async () => (await anna.status(room)).ready, 4000));
    return attack.judge({
      harm: lost
        ? `Anna's client ${ended ? "says that she left, and " : ""}deleted the group of epoch ${before.epoch}${back ? "" : "; it does not come back by itself"}`
        : undefined,
      signs,
      goesOn: Boolean(lost) || (await attack.goesOn(room, anna, ben)),
    });
  };
}

const notInHeads = amnesia(async (anna, room) => {
  const off = anna.lane.onResult(({ target }, result) => (target === "Heads" ? result.filter((each) => each.roomId !== room) : undefined));
  await reconnect(anna);
  return off;
});
const notFound = amnesia(async (anna, room) => {
  const off = anna.lane.onCall(({ target, args }) =>
    target === "Sync" && args[0] === room
      ? { error: 'HubException: {"code":"NotFound","message":"Not found, or you do not have access.","retryable":false}' }
      : undefined,
  );
  anna.lane.resync(room);
  return off;
});
const pushedLeft = amnesia(async (anna, room) => {
  anna.lane.push("RoomChanged", room, "left");
  return () => undefined;
});

/** The server says that Anna has no device at all. */
async function emptyDevices(attack) {
  const { anna, ben, room } = await pair(attack);
  const before = await anna.call("identity");
  const off = anna.lane.onResponse(({ method, path }, { body }) => (method === "GET" && path === "v1/devices" && Array.isArray(body) ? [] : undefined));
  anna.lane.onRequest(({ method, path, body }) =>
    method === "POST" && path === "v1/devices"
      ? { status: 200, body: { ...body, approved: true, current: true, createdOn: "2026-01-01", seenOn: "2026-01-01" } }
      : undefined,
  );
  await reconnect(anna);
  const lost = await anna.until(async () => (await anna.call("identity")).identityKey !== before.identityKey, 4000);
  const known = (await anna.status(room)).ready;
  const signs = await attack.signs(undefined, [anna], { lines: true });
  off();
  return attack.judge({
    harm: lost ? `Anna's client founded a new identity${known ? "" : " and forgot its groups"}` : undefined,
    signs,
    goesOn: Boolean(lost) || (await attack.goesOn(room, anna, ben)),
  });
}

/** Ben signs in on a new device, and the server says that it is his first one. */
async function secondAsFirst(attack) {
  const { anna, ben, room } = await pair(attack);
  const second = await attack.device("ben2");
  second.lane.onResponse(({ method, path }, { body }) => (method === "GET" && path === "v1/devices" && Array.isArray(body) ? [] : undefined));
  second.lane.onRequest(({ method, path, body }) => {
    if (method === "POST" && path === "v1/devices")
      return { status: 200, body: { ...body, approved: true, current: true, createdOn: "2026-01-01", seenOn: "2026-01-01" } };
    return path.endsWith("/key-packages") ? { status: 200, body: { available: 50, lastResort: true, lastResortUsed: false } } : undefined;
  });
  const entered = await second.call("signIn", { url: second.url, username: ben.username, password }, 8000).catch((error) => ({ error: error.message }));
  const founded = !entered.error && (await second.call("isApproved"));
  return attack.judge({
    harm: founded ? "Ben's new device founded a new identity for him, without asking" : undefined,
    signs: await attack.signs(undefined, [second, ben], { lines: true }),
    goesOn: await attack.goesOn(room, anna, ben),
    detail: entered.error ?? "",
  });
}

/** A room that was MLS is presented with another scheme. */
async function downgrade(attack) {
  const [anna, ben] = await Promise.all([attack.person("anna"), attack.person("ben")]);
  const room = await attack.direct(anna, ben);
  attack.watch(anna, ben);
  const plain = [];
  anna.lane.onResponse((_, { body }) => (body?.scheme === "mls10" ? { ...body, scheme: "opaque" } : undefined));
  const text = attack.text("secret");
  anna.lane.onCall(({ target, args }) => {
    if (target === "SendBatch") plain.push(...args[0].filter(({ ciphertext }) => Buffer.from(ciphertext).includes(text)));
  });
  await reconnect(anna);
  const again = await anna.call("direct", { username: ben.username }).catch((error) => ({ error: error.message }));
  await anna.call("send", { room: again.error ? room : again, text, wait: false }).catch(() => undefined);
  const forged = await ben.lane.append(room, Buffer.from(JSON.stringify({ v: 1, text: "plain" })), 1).catch(() => undefined);
  await ben.reads(room, text, 3000);
  const shown = forged && (await anna.find(room, "plain").catch(() => undefined));
  anna.lane.clear();
  return attack.judge({
    harm: plain.length > 0 ? `Anna's client sent "${text}" in the clear` : shown ? "Anna's client shows a text that is not encrypted" : undefined,
    signs: await attack.signs(room, [anna]),
    goesOn: await attack.goesOn(room, anna, ben),
  });
}

/** The server forgets the direct room of Anna and Ben, and makes another one for the same two. */
async function recreatedDirect(attack) {
  const { world } = attack;
  const { database } = world;
  const [anna, ben] = await Promise.all([attack.person("anna"), attack.person("ben")]);
  const room = await attack.direct(anna, ben);
  attack.watch(anna, ben);
  await database.run(`update rooms set direct_key = null where id = ${database.id(room)}`);
  const again = await anna.call("direct", { username: ben.username }).catch((error) => ({ error: error.message }));
  return attack.judge({
    harm: !again.error && again !== room ? "Anna's client has two direct rooms with Ben, and writes into the new one" : undefined,
    signs: await attack.signs(undefined, [anna], { lines: true }),
    goesOn: await attack.goesOn(room, anna, ben),
    detail: again.error ?? "",
  });
}

export const directory = plansOf("directory", [
  ["remap", "T6", "warned", sqlite, "a known name leads to another person", remap, "harm"],
  ["reused-name", "T6", "warned", sqlite, "the name of a deleted account is handed out again", reusedName],
  ["renamed-user", "T6", "warned", both, "a member gets the name of another", renamedUser],
  ["swapped-identity", "T6", "warned", sqlite, "other keys for a known person", knownIdentity],
  ["first-contact", "T6", "allowed", sqlite, "other keys for a person at first contact", firstContact],
  ["ghost-device", "T5", "refused", sqlite, "one more device in the directory's list of a user", ghostDevice],
  ["swapped-key-package", "T2", "refused", sqlite, "only the KeyPackage is the attacker's", swappedKeyPackage],
  ["missing-in-heads", "T10", "refused", sqlite, "a room is missing in `Heads`", notInHeads, "harm"],
  ["log-not-found", "T10", "refused", sqlite, "the log of a room is said not to exist", notFound],
  ["pushed-left", "T10", "refused", sqlite, "the server says that the user has left", pushedLeft],
  ["empty-device-list", "T10", "refused", sqlite, "the user is said to have no device", emptyDevices],
  ["second-as-first", "T10", "refused", sqlite, "a new device is said to be the first one", secondAsFirst],
  ["downgrade", "T10", "refused", sqlite, "an MLS room with another scheme", downgrade],
  ["recreated-direct", "T3", "warned", both, "a second direct room for the same two", recreatedDirect],
]);
