// Welcomes and Commits that are right by MLS and lead away from the group of the others: T2 and T5. The attacker has been a member.
import { randomUUID } from "node:crypto";
import { plansOf } from "../attack.mjs";
import { showWorld } from "../fake.mjs";
import { isMarked, withMember } from "./authorship.mjs";

const sqlite = ["sqlite"];

/**
 * Mallory's Commit is valid, and all follow it. The Welcome that comes with it leads Ben, who is in the group, into another group of Mallory's, with the room's
 * true statements.
 */
async function privateWelcome(attack) {
  const { world, anna, ben, mallory, room } = await withMember(attack);
  const { epoch } = await ben.status(room);
  await mallory.call("ownPackage", { name: "founder" });
  const keyPackages = [await world.claim(mallory, ben)];
  const { welcome } = await mallory.call("found", { room, generation: 0, name: "founder", keyPackages, emptyCommits: epoch + 1, chain: true, as: "fork" });
  const first = await mallory.call("craft", { room, what: "state" });
  await world.post(mallory, room, { ...first, welcome }, { welcomes: true });
  // The next epoch of the room is the one that Mallory's group has: the server takes Ben's messages.
  const second = await mallory.call("craft", { room, what: "state" });
  await world.post(mallory, room, second);
  await ben.until(async () => (await ben.status(room)).epoch > second.epoch, 5000);
  const isWarned = () => ben.shownSince(attack.marks.get(ben), room).some(({ event, value }) => event === "warning" && value.kind === "welcomeRefused");
  await ben.until(async () => isWarned() || (await ben.status(room)).devices.length < 3, 10_000);
  const secret = attack.text("secret");
  const after = await world.headOf(room);
  await ben.call("send", { room, text: secret, wait: false });
  await ben.until(async () => (await world.headOf(room)) > after, 3000);
  const texts = await mallory.call("read", { room, entries: await world.log(ben, room, after), only: "fork" });
  return attack.judge({
    harm: texts.includes(secret) ? `Ben wrote "${secret}" into a group of Mallory's, which the others cannot read` : undefined,
    signs: await attack.signs(room, [anna, ben]),
    goesOn: texts.includes(secret) || (await attack.goesOn(room, anna, ben)),
    detail: isWarned() ? "Ben's client has refused the Welcome" : "",
  });
}

/**
 * Ben has revoked a device. Cleo knows the newest list, but the server withholds the end of the log from her, and shows her a Commit of the revoked device,
 * which adds her anew by a Welcome. Then that device writes.
 */
async function revokedWelcome(attack) {
  const { world } = attack;
  const { anna } = await attack.cast();
  const [ben, cleo] = await Promise.all([attack.person("ben"), attack.person("cleo")]);
  const [other, second] = [await attack.room([ben, cleo]), await attack.secondDevice(ben, { program: "member.mjs" })];
  const room = await attack.room([anna, ben, cleo]);
  await cleo.until(async () => (await cleo.status(room)).devices.some(({ deviceId }) => deviceId === second.deviceId));
  await second.call("seize", { room });
  await cleo.reads(room, "before the attack");
  const keyPackage = await world.claim(ben, cleo);
  const head = await world.headOf(room);
  cleo.lane.silence(room, head);
  await ben.call("revoke", { device: second.deviceId });
  await ben.send(other, attack.text("I have lost a device"));
  const { commit, welcome, epoch } = await second.call("craft", { room, what: "readd", userId: cleo.userId, keyPackage });
  attack.watch(cleo);
  // The server does not take the Commit by which Cleo's client would remove the device.
  cleo.lane.onRequest(({ method, path }) => (method === "POST" && path === `v1/rooms/${room}/commits` ? { status: 503, body: {} } : undefined));
  const fake = showWorld(cleo.lane, { room, welcome, epoch, seq: head + 1, ciphertext: Buffer.from(commit, "base64") });
  for (const socket of cleo.lane.sockets) socket.terminate();
  const isIn = await cleo.until(async () => (await cleo.status(room)).epoch === epoch + 1, 8000);
  const text = attack.text("I am Ben");
  const sealed = await second.call("seal", { room, content: { type: "text", text } });
  fake.append(Buffer.from(sealed.ciphertext, "base64"), sealed.epoch);
  await cleo.reads(room, text, 5000);
  await cleo.until(async () => isMarked((await cleo.find(room, text)) ?? {}), 2000);
  const shown = await cleo.find(room, text);
  const secret = attack.text("secret");
  await cleo.call("send", { room, text: secret, wait: false });
  await cleo.until(() => fake.sent.length > 0, 2000);
  const entries = fake.sent.map((bytes) => ({ kind: "message", ciphertext: Buffer.from(bytes).toString("base64") }));
  const read = (await second.call("read", { room, entries })).includes(secret);
  const { holds } = await cleo.status(room);
  const marks = shown && isMarked(shown) ? [`cleo: ${Object.keys(shown.marks).join(", ")}`, ...holds.map(({ kind }) => `cleo: holds sends for ${kind}`)] : [];
  return attack.judge({
    harm: read ? `the revoked device read "${secret}"` : shown ? `Cleo's client shows "${text}" of the revoked device as Ben's` : undefined,
    signs: read ? [] : marks,
    detail: isIn ? "" : "Cleo's client did not enter",
  });
}

/** After a reset, the server shows Ben the Welcome of the group before once more. It names his KeyPackage of last resort, whose keys he has. */
async function formerGroup(attack) {
  const { world } = attack;
  const { database } = world;
  const { anna } = await attack.cast();
  const ben = await attack.person("ben");
  await database.run(
    `delete from key_packages where device_id = ${database.id(ben.deviceId)} and ${world.engine === "postgres" ? "not last_resort" : "last_resort = 0"}`,
  );
  let old;
  ben.lane.onResponse(({ method, path }, { body }) => {
    if (method === "GET" && path.endsWith("/welcomes") && Array.isArray(body)) old ??= body[0];
  });
  const room = await attack.room([anna, ben]);
  const commit = (await world.log(anna, room)).findLast((entry) => entry.kind === "commit");
  for (const { lane } of [anna, ben]) await lane.act("POST", `v1/rooms/${room}/invalid-commits`, { seq: commit.seq }).catch(() => undefined);
  const isNew = await ben.until(async () => (await ben.status(room)).generation === 1 && (await ben.status(room)).ready, 10_000);
  const { seq } = (await world.log(anna, room)).findLast((entry) => entry.kind === "commit");
  let isShown = false;
  ben.lane.onResponse(({ method, path }, { body }) => {
    if (method !== "GET" || !path.endsWith("/welcomes") || !Array.isArray(body)) return undefined;
    isShown = true;
    return [...body, { ...old, seq }];
  });
  ben.lane.onRequest(({ method, path }) => (method === "DELETE" && path.includes(`/welcomes/${room}/`) ? { status: 204 } : undefined));
  attack.watch(anna, ben);
  ben.lane.push("WelcomesWaiting", ben.deviceId);
  await ben.until(() => isShown, 5000);
  const back = await ben.until(async () => (await ben.status(room)).generation !== 1 || !(await ben.status(room)).ready, 2000);
  return attack.judge({
    harm: back ? "Ben's client is back in the group before the reset" : undefined,
    signs: await attack.signs(room, [ben]),
    goesOn: await attack.goesOn(room, anna, ben),
    detail: old && isNew && isShown ? "" : "the Welcome was not shown",
  });
}

/** Posts a Commit of Mallory's that no member may follow, and tells who is named as its author. */
async function commitOf(attack, all, what, options) {
  const { anna, ben, mallory, room } = all;
  const made = await mallory.call("craft", { room, what, ...options });
  await attack.world.post(mallory, room, made);
  const followed = await anna.until(async () => (await anna.status(room)).epoch > made.epoch, 2500);
  return { made, followed, named: () => authorsOf([anna, ben], attack, room) };
}

/** Whom the clients have named, by a signature, as the author of a Commit that is not valid. */
const authorsOf = (clients, attack, room) => [
  ...new Set(
    clients.flatMap((client) =>
      client
        .shownSince(attack.marks.get(client), room)
        .flatMap(({ event, value }) => (event === "line" && value?.kind === "invalidCommit" && value.by ? [value.by.userId] : [])),
    ),
  ),
];

/** A proposal of MLS that rooms do not use, in a Commit that is right by MLS. */
function unused(kind) {
  return async (attack) => {
    const all = await withMember(attack);
    const { anna, ben, mallory, room } = all;
    const { followed, named } = await commitOf(attack, all, "proposal", { kind });
    const isNamed = await anna.until(() => named().includes(mallory.userId), 3000);
    return attack.judge({
      harm: followed ? `the clients followed a Commit with a proposal of the kind ${kind}` : undefined,
      signs: await attack.signs(room, [anna, ben]),
      goesOn: followed || (await attack.goesOn(room, anna, ben)),
      detail: isNamed ? "its author is named" : "",
    });
  };
}

/** Mallory's new leaf breaks the group for all later Commits. Who makes the next one must not be taken for the culprit. */
const badLeaf = (what) => async (attack) => {
  const all = await withMember(attack);
  const { anna, ben, mallory, room } = all;
  const { followed, named } = await commitOf(attack, all, what, { userId: anna.userId });
  await anna.call("rename", { room, name: attack.text("name") }).catch(() => undefined);
  await ben.until(() => named().length > 0, 5000);
  const wrong = named().filter((userId) => userId !== mallory.userId);
  return attack.judge({
    harm:
      wrong.length > 0
        ? "the clients name a member who has done nothing as the author of the Commit that broke the room"
        : followed
          ? "the clients followed it"
          : undefined,
    signs: wrong.length > 0 ? [] : await attack.signs(room, [anna, ben]),
    goesOn: wrong.length > 0 || (await attack.goesOn(room, anna, ben)),
  });
};

/** Mallory gives the group info away, and a stranger lets itself in with an external Commit. */
async function externalCommit(attack) {
  const all = await withMember(attack);
  const { world, anna, ben, mallory, room } = all;
  const { database } = world;
  const made = await mallory.call("craft", { room, what: "external", userId: randomUUID() });
  const refused = await world.post(mallory, room, made).then(
    () => "",
    (error) => error.message,
  );
  if (refused) {
    const bytes = database.bytes(Buffer.from(made.commit, "base64"));
    await world.insertEntry(room, "commit", { ciphertext: bytes, epoch: String(made.epoch), id: database.id(randomUUID()) });
    for (const { lane } of [anna, ben]) lane.resync(room);
  }
  const followed = await anna.until(async () => (await anna.status(room)).epoch > made.epoch, 2500);
  const secret = attack.text("secret");
  const after = await world.headOf(room);
  await anna.call("send", { room, text: secret, wait: false });
  await ben.reads(room, secret, 3000);
  const texts = await mallory.call("read", { room, entries: await world.log(ben, room, after), only: "outside" });
  return attack.judge({
    harm: texts.includes(secret) || followed ? `a stranger let itself in and read "${secret}"` : undefined,
    signs: await attack.signs(room, [anna, ben]),
    goesOn: followed || (await attack.goesOn(room, anna, ben)),
    detail: refused ? "the honest server rejects it; the hostile one has stored it" : "",
  });
}

export const welcomes = plansOf("welcomes", [
  ["private-welcome", "T2", "refused", sqlite, "a valid Commit with a Welcome into another group", privateWelcome, "harm"],
  ["revoked-welcome", "T5", "warned", sqlite, "a Welcome of a revoked device, which then writes", revokedWelcome, "silence"],
  ["former-group-welcome", "T2", "refused", sqlite, "after a reset, the Welcome of the group before once more", formerGroup],
  ["external-commit", "T2", "refused", sqlite, "a stranger lets itself in with an external Commit", externalCommit],
  ["reinit-proposal", "T2", "refused", sqlite, "a Commit that ends the group (ReInit)", unused("reinit")],
  ["psk-proposal", "T2", "refused", sqlite, "a Commit with a pre-shared key", unused("psk")],
  ["context-proposal", "T2", "refused", sqlite, "a Commit that changes the extensions of the group", unused("context")],
  ["shared-key", "T2", "refused", sqlite, "a leaf with the encryption key of another", badLeaf("sharedKey")],
  ["strange-leaf", "T2", "refused", sqlite, "a leaf that keeps every other one from a change", badLeaf("strangeLeaf")],
]);
