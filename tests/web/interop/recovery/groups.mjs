// Groups: concurrent changes, a Commit that no member can apply, a device that has lost its group, and a Welcome that comes late.
import { SecureMessaging } from "../../../../src/web/sdk/dist/index.js";
import { equal, inside, MortalStore, open, person, roomOf, say, seenBy, test, until, watched } from "../clients.mjs";

await test("concurrent changes of the group by several members all take effect", async () => {
  const { clients, rooms } = await roomOf(3);
  const guests = [await person(), await person(), await person()];
  for (const client of clients.slice(1)) await rooms[0].members.setRole(client.userId, "admin");
  await until("all know their roles", () => rooms.every((room, i) => room.role === (i === 0 ? "owner" : "admin")));
  await Promise.all(rooms.map((room, i) => room.members.add(guests[i].username)));
  await Promise.all(guests.map((guest) => seenBy(guest, rooms[0].id)));
  await until("all are in one epoch", () => rooms.every((room) => room.devices().length === 6 && room.epoch === rooms[0].epoch));
  equal(new Set(await Promise.all(rooms.map((room) => room.code()))).size, 1);
});

await test("a Commit that no member can apply resets the group, and all continue", async () => {
  const { clients, rooms } = await roomOf(3);
  await say(rooms[1], "before");
  await until("it is read", () => rooms.every((room) => room.seen.length === 1));
  // A member with another client: the framing is valid, the content is random.
  const own = await rooms[2].core.group.commit({ remove: [], add: [] });
  const commit = Buffer.from(own.commit);
  commit[commit.length - 1] ^= 1;
  await clients[2].parts.session.call("POST", `v1/rooms/${rooms[2].id}/commits`, {
    id: crypto.randomUUID(),
    epoch: rooms[2].epoch,
    commit: commit.toString("base64"),
    welcomes: [],
  });
  await until("the group was reset", () => rooms.every((room) => room.core.state.generation === 1 && room.isReady));
  await say(rooms[0], "after");
  await say(rooms[2], "me too");
  await until("it is read", () => rooms.every((room) => room.seen.length === 3));
  for (const room of rooms) equal(room.seen, ["before", "after", "me too"]);
});

await test("a device that cannot follow the others replaces its keys and is added again", async () => {
  const { clients, rooms } = await roomOf(4);
  await say(rooms[0], "before");
  await until("it is read", () => rooms.every((room) => room.seen.length === 1));
  // Its state is damaged: only this device cannot apply the next Commit.
  await rooms[3].core.exclusively(async (draft) => {
    draft.state.broken = { seq: draft.state.cursor, why: "chain", since: Date.now() };
  });
  clients[3].rooms.open.get(rooms[3].id).reconciler.kick(0);
  await until("it has replaced its keys", () => clients[3].warnings.includes("healing"));
  await until("it is in again", () => rooms[3].isReady && rooms.every((room) => room.devices().length === 4), 60_000);
  await say(rooms[3], "back");
  await say(rooms[1], "welcome back");
  await until("it is read", () => rooms.every((room) => room.seen.includes("welcome back")));
  equal(rooms[3].seen.slice(-2), ["back", "welcome back"]);
});

for (const order of ["before", "after"])
  await test(`a device whose user was removed and added again while it was offline joins with the Welcome, read ${order} the log`, async () => {
    const [a, guest] = [await person(), await person()];
    let store = new MortalStore();
    const first = await person({ store });
    const { id } = await a.rooms.create([first.username]);
    const room = await seenBy(a, id);
    const { epoch } = await seenBy(first, id);
    await say(room, "before");
    await until("it is read", async () => (await first.rooms.get(id)).seen.length === 1);
    // Encrypted and stored, but not sent.
    inside(await first.rooms.get(id)).hub.sendBatch = () => new Promise(() => undefined);
    await (await first.rooms.get(id)).send("sealed before");
    await until("it is sealed", () => first.parts.outbox.items[0]?.ciphertext !== undefined);
    store = store.heir();
    open.delete(first);
    await first.close();
    await room.members.remove(first.username);
    await say(room, "not for all");
    await room.members.add(guest.username);
    const other = await seenBy(guest, id);
    await room.members.add(first.username);
    await say(room, "after");
    const back = watched(await SecureMessaging.resume({ store }));
    const same = back.rooms.list()[0];
    // A person has asked the other members.
    same.on("holds", () => void (same.holds().some(({ kind }) => kind === "reentryHeld") && same.agreeToEnter()));
    // One run has the Welcome before the log is read, the other one after it.
    const fetch = back.rooms.fetchWelcomes.bind(back.rooms);
    const { hub } = inside(same);
    const sync = hub.sync.bind(hub);
    if (order === "before")
      hub.sync = async (...args) => {
        await fetch();
        return sync(...args);
      };
    else
      back.rooms.fetchWelcomes = async () => {
        await until("the log has been read past the gap", () => same.core.state.wasAway || same.core.state.broken);
        return fetch();
      };
    // The device does not know yet what happened, and the server would accept sends of its old epoch.
    equal([same.epoch, same.isReady, room.epoch <= epoch + 3], [epoch, true, true]);
    const sent = await same.send("I am back");
    const seen = [];
    void (async () => {
      for await (const message of same.messages({ after: 0 })) seen.push(message.content.text ?? message.content.type);
    })();
    await sent.stored;
    await until("all is read", () => [seen, room.seen, other.seen].every((texts) => texts.includes("I am back")));
    // The places that it could not read while its user was out stay visible: it cannot know that they were not for it.
    equal(seen, ["before", "missing", "after", "sealed before", "I am back"]);
    equal(other.seen, ["after", "sealed before", "I am back"]);
    equal(room.seen, ["before", "not for all", "after", "sealed before", "I am back"]);
    equal(back.warnings, []);
  });

await test("such a device continues when the group has not changed", async () => {
  const a = await person();
  let store = new MortalStore();
  const first = await person({ store });
  const { id } = await a.rooms.create([first.username]);
  const room = await seenBy(a, id);
  const { epoch } = await seenBy(first, id);
  store = store.heir();
  open.delete(first);
  await first.close();
  // No client compares in between.
  const { reconciler } = a.rooms.open.get(id);
  const kick = reconciler.kick.bind(reconciler);
  reconciler.kick = () => undefined;
  await a.parts.session.call("DELETE", `v1/rooms/${id}/members/${first.userId}`);
  await a.parts.session.call("POST", `v1/rooms/${id}/members`, { username: first.username, role: "member" });
  reconciler.kick = kick;
  await say(room, "still the same");
  let back = watched(await SecureMessaging.resume({ store }));
  await back.rooms.list()[0].send("so it is");
  // Also when its process ends before it knows.
  await until("the gap is seen", async () => (await back.rooms.get(id)).core.state.wasAway === true);
  const heir = store.heir();
  open.delete(back);
  await back.close();
  back = watched(await SecureMessaging.resume({ store: heir }));
  await until("it is read", () => room.seen.length === 2);
  equal(
    [room.epoch, room.seen, (await back.rooms.list()[0].history()).map(({ content }) => content.text ?? content.type)],
    [epoch, ["still the same", "so it is"], ["missing", "still the same", "so it is"]],
  );
  equal(back.warnings, []);
});

await test("a Welcome that arrives while a later part of the log is read causes no loss of the messages between", async () => {
  const {
    rooms: [room],
  } = await roomOf(2);
  const newcomer = await person();
  const { hub } = newcomer.parts;
  const fetch = newcomer.rooms.fetchWelcomes.bind(newcomer.rooms);
  newcomer.rooms.fetchWelcomes = async () => undefined;
  await room.members.add(newcomer.username);
  for (const text of ["one", "two"]) await say(room, text);
  const { core } = await newcomer.rooms.get(room.id);
  await until("the log has been read past them", () => core.state.cursor >= room.core.state.cursor);
  newcomer.rooms.received = () => undefined;
  await say(room, "three");
  const sync = hub.sync.bind(hub);
  let calls = 0;
  hub.sync = async (...args) => {
    const page = await sync(...args);
    if (++calls === 1) await fetch();
    return page;
  };
  await core.catchUp();
  const other = await seenBy(newcomer, room.id);
  await until("all is read", () => other.seen.length === 3);
  equal([calls > 0, other.seen], [true, ["one", "two", "three"]]);
});

await test("a Commit that removes and adds what no member has signed is refused, and the group is founded anew", async () => {
  const {
    clients: [a, b, c],
    rooms: [roomA, roomB, roomC],
  } = await roomOf(3);
  const stranger = await person();
  const group = roomB.core.group;
  const {
    keyPackages: [claimed],
  } = await b.parts.session.call("POST", "v1/key-packages/claim", { userIds: [stranger.userId] });
  const remove = group
    .leaves()
    .filter((leaf) => leaf.userId === c.userId)
    .map((leaf) => leaf.index);
  const own = await group.commit({ remove, add: [Buffer.from(claimed.keyPackage, "base64")] });
  await b.parts.session.call("POST", `v1/rooms/${roomB.id}/commits`, {
    id: crypto.randomUUID(),
    epoch: group.epoch,
    commit: Buffer.from(own.commit).toString("base64"),
    welcomes: [],
  });
  await until("the group is founded anew", () => [roomA, roomB, roomC].every((room) => room.isReady && room.core.state.generation === 1));
  for (const room of [roomA, roomC]) {
    const [line] = (await room.lines()).filter(({ kind }) => kind === "invalidCommit");
    equal([line.by.userId, line.rule], [b.userId, "leaf"]);
    const ascending = (x, y) => (x < y ? -1 : 1);
    equal(
      room
        .devices()
        .map(({ userId }) => userId)
        .toSorted(ascending),
      [a, b, c].map((client) => client.userId).toSorted(ascending),
    );
  }
  equal(a.warnings.includes("invalidCommit"), true);
});
