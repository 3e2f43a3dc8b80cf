// Who is in the room, and with which role: T1 and T3.
import { plansOf } from "../attack.mjs";

const both = ["sqlite", "postgres"];
const sqlite = ["sqlite"];

/** Hides a user from the list of members that a client reads. The directory of devices keeps the user: that is what makes clients encrypt for it. */
export function hideFromMembers(clients, userId) {
  for (const { lane } of clients)
    lane.onResponse(({ path }, { body }) => (path.endsWith("/members") && Array.isArray(body) ? body.filter((member) => member.userId !== userId) : undefined));
}

/** A row in the server's table and an entry of the log that clients act on. Returns what the ghost reads of a secret. */
async function ghost(attack, room, clients, { direct = false } = {}) {
  const { world } = attack;
  const [anna, ben] = clients;
  const spy = await attack.person("ghost", { program: "member.mjs" });
  hideFromMembers(clients, spy.userId);
  attack.tap(...clients);
  await world.insertMember(room, spy.userId);
  await spy.call("rotate");
  for (const client of clients) client.lane.resync(room);
  const isIn = await attack.isIn(spy, room);
  const secret = attack.text("secret");
  await anna.call("send", { room, text: secret, wait: false }).catch(() => undefined);
  const read = isIn && (await attack.spyReads(spy, room, secret, anna));
  const [one, other] = await Promise.all([anna.status(room), ben.status(room)]);
  const same = one.code !== undefined && one.code === other.code ? "the codes of the room are equal on both sides" : "";
  return attack.judge({
    harm: read ? `the ghost read "${secret}"${direct ? " in a direct room" : ""}` : undefined,
    signs: await attack.signs(room, clients, { lines: true }),
    goesOn: Boolean(read) || (await attack.goesOn(room, anna, ben)),
    detail: same,
  });
}

async function ghostUser(attack) {
  const { anna, ben } = await attack.cast();
  return ghost(attack, await attack.room([anna, ben]), [anna, ben]);
}

async function ghostDirect(attack) {
  const [anna, ben] = await Promise.all([attack.person("anna"), attack.person("ben")]);
  return ghost(attack, await attack.direct(anna, ben), [anna, ben], { direct: true });
}

/** Only Anna's directory has the ghost, so Anna alone adds it; the others see a leaf that their directory does not know. */
async function forkedRoster(attack) {
  const { world } = attack;
  const { anna, ben, cleo } = await attack.cast();
  const room = await attack.room([anna, ben, cleo]);
  const spy = await attack.person("ghost", { program: "member.mjs" });
  hideFromMembers([anna, ben, cleo], spy.userId);
  for (const { lane } of [ben, cleo])
    lane.onResponse(({ path }, { body }) =>
      path === `v1/rooms/${room}/devices` && Array.isArray(body) ? body.filter((user) => user.userId !== spy.userId) : undefined,
    );
  attack.tap(anna, ben, cleo);
  await world.insertMember(room, spy.userId);
  await spy.call("rotate");
  anna.lane.resync(room);
  const isIn = await attack.isIn(spy, room);
  const secret = attack.text("secret");
  await anna.call("send", { room, text: secret, wait: false });
  const read = isIn && (await attack.spyReads(spy, room, secret, anna));
  return attack.judge({
    harm: read ? `the ghost read "${secret}"` : undefined,
    signs: await attack.signsWithin(read ? 4000 : 0, room, [anna, ben, cleo], { lines: true }),
    goesOn: Boolean(read) || (await attack.goesOn(room, ben, cleo)),
  });
}

/** The server gives a member a role, and the member adds a stranger with it. */
async function roleGiven(attack) {
  const { world } = attack;
  const { database } = world;
  const { anna, ben } = await attack.cast();
  const [mallory, spy] = await Promise.all([attack.member(), attack.person("ghost", { program: "member.mjs" })]);
  const room = await attack.room([anna, ben, mallory]);
  await database.run(`update room_members set role = 2 where room_id = ${database.id(room)} and user_id = ${database.id(mallory.userId)}`);
  await world.insertEntry(room, "roleChanged", { user_id: database.id(mallory.userId), role: "2" });
  hideFromMembers([anna, ben], spy.userId);
  await mallory.call("seize", { room });
  const [keyPackage, { identityKey: identity }] = [await world.claim(mallory, spy), await spy.call("identity")];
  const made = await mallory.call("craft", { room, what: "add", keyPackage, statement: { add: { userId: spy.userId, identity } } });
  attack.welcomes.push(made.welcome);
  await world.post(mallory, room, made, { roster: { add: [{ userId: spy.userId, role: "member" }] } });
  for (const { lane } of [anna, ben]) lane.resync(room);
  await anna.until(async () => (await anna.status(room)).epoch > made.epoch, 3000);
  await attack.isIn(spy, room, 3000);
  const secret = attack.text("secret");
  await anna.call("send", { room, text: secret, wait: false });
  const read = await attack.spyReads(spy, room, secret, anna);
  return attack.judge({
    harm: read ? `a member without the right added a ghost, which read "${secret}"` : undefined,
    signs: await attack.signs(room, [anna, ben], { lines: true }),
    goesOn: Boolean(read) || (await attack.goesOn(room, anna, ben)),
  });
}

/** The server takes the owner's role away. */
async function roleTaken(attack) {
  const { world } = attack;
  const { database } = world;
  const { anna, ben } = await attack.cast();
  const room = await attack.room([anna, ben]);
  await world.insertEntry(room, "roleChanged", { user_id: database.id(anna.userId), role: "0" });
  anna.lane.resync(room);
  const taken = await anna.until(async () => (await anna.status(room)).role === "member", 4000);
  return attack.judge({
    harm: taken ? "the owner's own client shows the role member" : undefined,
    signs: await attack.signs(room, [anna, ben]),
    goesOn: await attack.goesOn(room, anna, ben),
  });
}

/** The server alone removes Cleo: a row less and one entry, and the other members' clients commit the Remove. */
async function removedByServer(attack) {
  const { world } = attack;
  const { database } = world;
  const { anna, ben, cleo } = await attack.cast();
  const room = await attack.room([anna, ben, cleo]);
  await database.run(`delete from room_members where room_id = ${database.id(room)} and user_id = ${database.id(cleo.userId)}`);
  await world.insertEntry(room, "memberLeft", { user_id: database.id(cleo.userId) });
  for (const { lane } of [anna, ben]) lane.resync(room);
  const gone = await anna.until(async () => !(await anna.status(room)).devices.some(({ userId }) => userId === cleo.userId), 5000);
  return attack.judge({
    harm: gone ? "the members' clients removed Cleo, whom no member removed" : undefined,
    signs: await attack.signs(room, [anna, ben], { lines: true }),
    goesOn: await attack.goesOn(room, anna, ben),
  });
}

/** Two reports make the server reset the group; it adds a ghost to the members meanwhile. */
async function resetRoster(attack) {
  const { world } = attack;
  const { anna, ben } = await attack.cast();
  const room = await attack.room([anna, ben]);
  const spy = await attack.person("ghost", { program: "member.mjs" });
  hideFromMembers([anna, ben], spy.userId);
  attack.tap(anna, ben);
  await world.insertMember(room, spy.userId);
  const commit = (await world.log(anna, room)).findLast((entry) => entry.kind === "commit");
  for (const { lane } of [anna, ben]) await lane.act("POST", `v1/rooms/${room}/invalid-commits`, { seq: commit.seq }).catch(() => undefined);
  const isNew = await anna.until(async () => (await anna.status(room)).generation === 1, 8000);
  await attack.isIn(spy, room);
  const secret = attack.text("secret");
  await anna.call("send", { room, text: secret, wait: false });
  const read = await attack.spyReads(spy, room, secret, anna);
  return attack.judge({
    harm: read ? `the ghost is in the group after the reset and read "${secret}"` : undefined,
    signs: await attack.signs(room, [anna, ben], { lines: true }),
    goesOn: Boolean(read) || (await attack.goesOn(room, anna, ben)),
    detail: isNew ? "generation 1" : "no reset",
  });
}

/** A group is shown to one member as a direct room. */
async function roomKind(attack) {
  const { anna, ben, cleo } = await attack.cast();
  anna.lane.onResponse(({ path }, { body }) => (/^v1\/rooms\/[0-9a-f-]{36}$/.test(path) && body?.kind ? { ...body, kind: "direct" } : undefined));
  const room = await attack.room([cleo, anna, ben]);
  const { kind, devices } = await anna.status(room);
  return attack.judge({
    harm: kind === "direct" ? `Anna's client shows a room of ${new Set(devices.map(({ userId }) => userId)).size} people as direct` : undefined,
    signs: await attack.signs(room, [anna]),
    goesOn: await attack.goesOn(room, cleo, anna),
  });
}

/** Ben never sees the Commit that removes Mallory, and nothing after it. */
async function stalledRemoval(attack) {
  const { world } = attack;
  const { anna, ben } = await attack.cast();
  const mallory = await attack.member();
  const room = await attack.room([anna, ben, mallory]);
  await mallory.call("seize", { room });
  ben.lane.silence(room, await world.headOf(room));
  await anna.call("remove", { room, user: mallory.userId });
  const secret = attack.text("secret");
  const after = await world.headOf(room);
  await ben.call("send", { room, text: secret, wait: false });
  let texts = [];
  const read = await ben.until(async () => {
    texts = await mallory.call("read", { room, entries: await world.log(anna, room, after) });
    return texts.includes(secret);
  }, 8000);
  return attack.judge({
    harm: read ? `the removed member read "${secret}", which Ben sent after the removal` : undefined,
    signs: await attack.signs(room, [anna, ben]),
    allowed: "a Remove that the server delays looks like silence",
  });
}

/** The server says that the owner has erased her account, and gives the room to Ben. */
async function erasedOwner(attack) {
  const { world } = attack;
  const { database } = world;
  const { anna, ben, cleo } = await attack.cast();
  const room = await attack.room([anna, ben, cleo]);
  await database.run(`delete from room_members where room_id = ${database.id(room)} and user_id = ${database.id(anna.userId)}`);
  await database.run(`update room_members set role = 2 where room_id = ${database.id(room)} and user_id = ${database.id(ben.userId)}`);
  await world.insertEntry(room, "memberLeft", { user_id: database.id(anna.userId) });
  await world.insertEntry(room, "roleChanged", { user_id: database.id(ben.userId), role: "2" });
  for (const { lane } of [ben, cleo]) lane.resync(room);
  let owner;
  let gone;
  await ben.until(async () => {
    const { role, devices } = await ben.status(room);
    owner = role === "owner";
    gone = !devices.some(({ userId }) => userId === anna.userId);
    return owner && gone;
  }, 5000);
  return attack.judge({
    harm:
      owner || gone
        ? `${owner ? "Ben's client shows the role owner" : ""}${owner && gone ? ", and " : ""}${gone ? "the clients removed Anna" : ""}`
        : undefined,
    signs: await attack.signs(room, [ben, cleo], { lines: true }),
    goesOn: await attack.goesOn(room, ben, cleo),
  });
}

/** The server closes Ben's account. The members' clients decide by that who is in the group. */
async function disabledAccount(attack) {
  const { world } = attack;
  const { database } = world;
  const { anna, cleo } = await attack.cast();
  const ben = await attack.person("ben");
  const room = await attack.room([anna, ben, cleo]);
  await database.run(`update users set disabled = ${world.engine === "postgres" ? "true" : "1"} where id = ${database.id(ben.userId)}`);
  await world.insertEntry(room, "devicesChanged", { user_id: database.id(ben.userId) });
  for (const { lane } of [anna, cleo]) lane.resync(room);
  const gone = await anna.until(async () => !(await anna.status(room)).devices.some(({ userId }) => userId === ben.userId), 5000);
  return attack.judge({
    harm: gone ? "the clients removed Ben because the server closed his account" : undefined,
    signs: await attack.signs(room, [anna, cleo], { lines: true }),
    goesOn: await attack.goesOn(room, anna, cleo),
  });
}

/** A member shows to a stranger who added whom: a signature of Anna's device proves it. */
async function whoAddedWhom(attack) {
  const { anna, ben } = await attack.cast();
  const mallory = await attack.member();
  const room = await attack.room([anna, ben, mallory]);
  await mallory.call("seize", { room });
  const authors = await mallory.call("evidence", { room });
  const proven = authors.includes(anna.userId);
  return attack.judge({
    harm: proven ? "Mallory has a statement that Anna's device has signed" : undefined,
    allowed: "signed statements prove to every member who added whom",
    goesOn: await attack.goesOn(room, anna, ben),
    detail: authors.length > 0 ? "" : "the room has no statements",
  });
}

/** A member without a right renames the room. */
async function renamedRoom(attack) {
  const { world } = attack;
  const { anna, ben } = await attack.cast();
  const mallory = await attack.member();
  const room = await attack.room([anna, ben, mallory]);
  await mallory.call("seize", { room });
  const name = attack.text("Mallory's room");
  await world.post(mallory, room, await mallory.call("craft", { room, what: "state", statement: { name } }));
  const renamed = await anna.until(async () => (await anna.status(room)).name === name, 4000);
  return attack.judge({
    harm: renamed ? "a member without the right renamed the room" : undefined,
    signs: await attack.signs(room, [anna, ben], { lines: true }),
    goesOn: await attack.goesOn(room, anna, ben),
  });
}

export const people = plansOf("people", [
  ["ghost-user", "T1", "refused", both, "a user whom no member added, by one row and one entry", ghostUser],
  ["ghost-direct", "T3", "refused", sqlite, "the same in a direct room", ghostDirect],
  ["forked-roster", "T1", "refused", sqlite, "only one client's directory has the ghost", forkedRoster],
  ["role-given", "T1", "refused", both, "the server makes a member an owner, who adds a ghost", roleGiven, "harm"],
  ["role-taken", "T1", "refused", sqlite, "the server takes the owner's role", roleTaken],
  ["removed-by-server", "T1", "refused", both, "the server takes a member out", removedByServer],
  ["erased-owner", "T1", "refused", sqlite, "the server erases the owner and names a successor", erasedOwner],
  ["disabled-account", "T2", "refused", both, "the server closes an account", disabledAccount],
  ["reset-other-roster", "T1", "refused", both, "a group reset with another roster", resetRoster],
  ["room-kind", "T3", "refused", sqlite, "a group is shown as a direct room", roomKind],
  ["who-added-whom", "T1", "allowed", sqlite, "a member proves to a stranger who added whom", whoAddedWhom],
  ["renamed-room", "T1", "refused", sqlite, "a member without a right renames the room", renamedRoom],
  ["stalled-removal", "T7", "allowed", sqlite, "one client never sees the Commit of a removal", stalledRemoval],
]);
