// What must not go wrong when things go wrong: lost answers, epochs that passed by, a Commit that nobody can apply, a device that lost its group, another identity. Clients of the SDK
// in this process against the real server. Usage: node recovery.mjs SERVER.dll [PART_OF_A_NAME …]
import { join } from "node:path";
import { MemoryStore, SecureMessaging, SecureMessagingError } from "../../../src/web/sdk/dist/index.js";
import { FileStore } from "../../../src/web/sdk/dist/node.js";
import { toBase64 } from "../../../src/web/sdk/dist/bytes.js";
import { signDevice } from "../../../src/web/sdk/dist/mls/credential.js";
import { generateSigningKey } from "../../../src/web/sdk/dist/mls/ed25519.js";
import { sealSignal } from "../../../src/web/sdk/dist/mls/signals.js";
import { equal, finish, folder, inside, newName, open, passEpochs, person, roomOf, seenBy, server, sleep, test, until, watched } from "./clients.mjs";

/** Stands for a process that may die at any write: from then on nothing is stored, and another one begins with what was. */
class MortalStore extends MemoryStore {
  budget = Infinity;

  async write(changes) {
    if (this.budget-- <= 0)
      throw new Error("the process is dead");
    await super.write(changes);
  }

  heir() {
    const heir = new MortalStore();
    for (const [key, value] of this.values)
      heir.values.set(key, value);
    return heir;
  }
}

await server.start();

await test("whichever write a process dies before, nothing is lost, doubled or encrypted under a used key", async () => {
  let store = new MortalStore();
  let a = await person({ store });
  const [b, guest] = [await person(), await person()];
  const { id } = await a.rooms.create([b.username]);
  const other = await seenBy(b, id);
  const kept = [];
  const told = [];
  let deaths = 0;
  for (let turn = 0; turn < 27; turn++) {
    const room = await a.rooms.get(id);
    await room.whenReady();
    store.budget = turn % 9;
    const work = [
      ...[1, 2].map((n) => room.send(`a ${turn}.${n}`).then(({ id: name }) => kept.push({ name, text: `a ${turn}.${n}` }), () => undefined)),
      turn % 2 === 0 ? (turn % 4 === 0 ? room.members.add(guest.username) : room.members.remove(guest.username)).catch(() => undefined) : undefined,
    ];
    told.push(`b ${turn}`);
    await (await other.send(`b ${turn}`)).stored;
    await Promise.race([Promise.allSettled(work), sleep(600)]);
    await sleep(150);
    deaths += store.budget < 0 ? 1 : 0;
    // What it still does in memory is no one's business; what it had sent without having stored it would show now.
    store.budget = -1;
    const heir = store.heir();
    open.delete(a);
    await a.close();
    store = heir;
    a = watched(await SecureMessaging.resume({ store }));
  }
  const room = await seenBy(a, id);
  await until("all is sent and read", () => a.unsent === 0 && kept.every(({ text }) => other.seen.includes(text)) && told.every((text) => room.seen.includes(text)));
  const sent = other.seen.filter((text) => text.startsWith("a "));
  equal(sent.filter((text) => kept.some((each) => each.text === text)).length, kept.length);
  equal(new Set(other.seen).size, other.seen.length);
  equal(room.seen.filter((text) => text.startsWith("b ")), told);
  equal(new Set(room.seen).size, room.seen.length);
  equal([...room.seen, ...other.seen].filter((text) => text === "unreadable"), []);
  equal(room.seen, other.seen);
  console.log(`        it died ${deaths} times in the middle of ${kept.length + told.length} messages`);
  equal(deaths >= 10, true);
});

await test("a store that fails for a while holds sends up, and they go out by themselves", async () => {
  const store = new MortalStore();
  const a = await person({ store });
  const b = await person();
  const { id } = await a.rooms.create([b.username]);
  const [roomA, roomB] = [await seenBy(a, id), await seenBy(b, id)];
  // Each is on the device before it is encrypted, which is what fails.
  const write = store.write.bind(store);
  store.write = (changes) => [...changes.keys()].some((key) => key.startsWith("ratchet/")) ? Promise.reject(new Error("the disk is full")) : write(changes);
  await Promise.all([roomA.send("one"), roomA.send("two")]);
  await until("a write has failed", () => a.warnings.includes("outboxFailed"));
  store.write = write;
  await until("all is read, here too", () => roomB.seen.length >= 2 && a.unsent === 0, 8_000);
  equal(roomB.seen, ["one", "two"]);
});

await test("a batch that is refused as a whole goes out one by one, in order, and only who is to blame stays behind", async () => {
  const { clients: [client], rooms: [a, b] } = await roomOf(2);
  const failed = [];
  client.on("sendFailed", ({ id }) => failed.push(id));
  const { hub } = inside(a);
  const real = hub.sendBatch.bind(hub);
  let calls = 0;
  hub.sendBatch = async (requests) => {
    // The first waits until the others lie behind it.
    if (++calls === 1)
      await sleep(300);
    if (requests.length > 1 || requests[0].timeToLiveSeconds === 60)
      throw new SecureMessagingError({ code: "Invalid", message: "No.", retryable: false });
    // In between the server is busy.
    if (calls === 4)
      return [{ error: { code: "RateLimited", message: "Later.", retryable: true, retryAfterMs: 20 } }];
    return real(requests);
  };
  const first = await a.send("0");
  const sent = [first];
  for (let n = 1; n <= 6; n++)
    sent.push(await a.send(String(n), n === 3 ? { timeToLiveSeconds: 60 } : {}));
  sent[3].stored.catch(() => undefined);
  await until("all is read", () => b.seen.length >= 6);
  equal(b.seen, ["0", "1", "2", "4", "5", "6"]);
  equal(failed, [sent[3].id]);
});

await test("a server that wants another epoch than its own log has come to is asked with pauses", async () => {
  const { rooms: [a, b] } = await roomOf(2);
  const { hub } = inside(a);
  const real = hub.sendBatch.bind(hub);
  let calls = 0;
  let mended = false;
  hub.sendBatch = (requests) => {
    calls++;
    return mended ? real(requests) : Promise.resolve(requests.map(() => ({ error: { code: "WrongEpoch", message: "No.", retryable: false } })));
  };
  const sent = await a.send("patience");
  await sleep(2_000);
  equal(calls > 1 && calls < 40, true);
  mended = true;
  await sent.stored;
  await until("it is read", () => b.seen.length === 1);
});

await test("an answer that is lost stores nothing twice", async () => {
  const { rooms: [a, b] } = await roomOf(2);
  const { hub } = inside(a);
  const real = hub.sendBatch.bind(hub);
  let lost = 0;
  hub.sendBatch = async (requests) => {
    const answer = await real(requests);
    if (lost++ < 3)
      throw SecureMessagingError.unreachable();
    return answer;
  };
  const sends = await Promise.all(["one", "two", "three"].map((text) => a.send(text)));
  await Promise.all(sends.map((sent) => sent.stored));
  await until("all is read", () => b.seen.length >= 3 && a.seen.length >= 3);
  await sleep(300);
  equal(b.seen, ["one", "two", "three"]);
  equal(a.seen, ["one", "two", "three"]);
  equal(a.unsent, 0);
});

await test("a message whose epoch has passed is encrypted again, and keeps its place among its sender's", async () => {
  const { rooms: [a, b] } = await roomOf(2);
  const { hub } = inside(b);
  const real = hub.sendBatch.bind(hub);
  let held;
  hub.sendBatch = async (requests) => {
    if (!held) {
      held = requests;
      await passEpochs(a, 5);
    }
    return real(requests);
  };
  await b.send("first");
  await b.send("second");
  await until("all is read", () => a.seen.length >= 2);
  await sleep(300);
  equal(a.seen, ["first", "second"]);
  equal(b.seen, ["first", "second"]);
  equal(held[0].epoch < b.epoch - 3, true);
});

await test("nor twice when it had been stored and only the answer was late by epochs", async () => {
  const { rooms: [a, b] } = await roomOf(2);
  const { hub } = inside(b);
  const real = hub.sendBatch.bind(hub);
  let first = true;
  hub.sendBatch = async (requests) => {
    const answer = await real(requests);
    if (first) {
      first = false;
      await passEpochs(a, 5);
      throw SecureMessagingError.unreachable();
    }
    return answer;
  };
  await (await b.send("once")).stored;
  await until("it is read", () => a.seen.length >= 1 && b.seen.length >= 1 && b.unsent === 0);
  await sleep(500);
  equal([a.seen, b.seen], [["once"], ["once"]]);
});

await test("members who change the group at once all get their way", async () => {
  const { clients, rooms } = await roomOf(3);
  const guests = [await person(), await person(), await person()];
  await clients[0].context.session.call("PATCH", `v1/rooms/${rooms[0].id}/members/${clients[1].userId}`, { role: "admin" });
  await clients[0].context.session.call("PATCH", `v1/rooms/${rooms[0].id}/members/${clients[2].userId}`, { role: "admin" });
  await Promise.all(rooms.map((room, i) => room.members.add(guests[i].username)));
  await Promise.all(guests.map((guest) => seenBy(guest, rooms[0].id)));
  await until("all are in one epoch", () => rooms.every((room) => room.devices().length === 6 && room.epoch === rooms[0].epoch));
  equal(new Set(await Promise.all(rooms.map((room) => room.code()))).size, 1);
});

await test("a Commit that nobody can apply resets the group, and all go on", async () => {
  const { clients, rooms } = await roomOf(3);
  await (await rooms[1].send("before")).stored;
  await until("it is read", () => rooms.every((room) => room.seen.length === 1));
  // A member whose client is not ours: the framing is right, what is in it is noise.
  const own = await rooms[2].core.group.commit({ remove: [], add: [] });
  const commit = Buffer.from(own.commit);
  commit[commit.length - 1] ^= 1;
  await clients[2].context.session.call("POST", `v1/rooms/${rooms[2].id}/commits`, { id: crypto.randomUUID(), epoch: rooms[2].epoch, commit: commit.toString("base64"), welcomes: [] });
  await until("the group has begun anew", () => rooms.every((room) => room.core.state.generation === 1 && room.isReady));
  await (await rooms[0].send("after")).stored;
  await (await rooms[2].send("me too")).stored;
  await until("it is read", () => rooms.every((room) => room.seen.length === 3));
  for (const room of rooms)
    equal(room.seen, ["before", "after", "me too"]);
});

await test("a device that cannot follow the others starts anew and is let in again", async () => {
  const { clients, rooms } = await roomOf(4);
  await (await rooms[0].send("before")).stored;
  await until("it is read", () => rooms.every((room) => room.seen.length === 1));
  // Its state is damaged: the others can apply the next Commit, it alone cannot.
  await rooms[3].core.exclusively(async (draft) => { draft.state.broken = { seq: draft.state.cursor, why: "chain", since: Date.now() }; });
  clients[3].rooms.open.get(rooms[3].id).keeper.kick(0);
  await until("it has started anew", () => clients[3].warnings.includes("healing"));
  await until("it is in again", () => rooms[3].isReady && rooms.every((room) => room.devices().length === 4), 60_000);
  await (await rooms[3].send("back")).stored;
  await (await rooms[1].send("welcome back")).stored;
  await until("it is read", () => rooms.every((room) => room.seen.includes("welcome back")));
  equal(rooms[3].seen.slice(-2), ["back", "welcome back"]);
});

for (const welcomeFirst of [true, false]) await test(`whoever was removed and added again while a device was away is let in there by the Welcome, ${welcomeFirst ? "read before" : "read after"} the log, and sends for nothing older`, async () => {
  const [a, guest] = [await person(), await person()];
  let store = new MortalStore();
  const first = await person({ store });
  const { id } = await a.rooms.create([first.username]);
  const room = await seenBy(a, id);
  const { epoch } = await seenBy(first, id);
  await (await room.send("before")).stored;
  await until("it is read", async () => (await first.rooms.get(id)).seen.length === 1);
  // Sealed and stored, and not sent.
  inside(await first.rooms.get(id)).hub.sendBatch = () => new Promise(() => undefined);
  await (await first.rooms.get(id)).send("sealed before");
  await until("it is sealed", () => first.context.outbox.items[0]?.ciphertext !== undefined);
  store = store.heir();
  open.delete(first);
  await first.close();
  await room.members.remove(first.username);
  await (await room.send("not for all")).stored;
  await room.members.add(guest.username);
  const other = await seenBy(guest, id);
  await room.members.add(first.username);
  await (await room.send("after")).stored;
  const back = watched(await SecureMessaging.resume({ store }));
  const same = back.rooms.list()[0];
  // In one run the Welcome is there before the log is read, in the other after it.
  const fetch = back.rooms.fetchWelcomes.bind(back.rooms);
  const { hub } = inside(same);
  const sync = hub.sync.bind(hub);
  if (welcomeFirst)
    hub.sync = async (...args) => {
      await fetch();
      return sync(...args);
    };
  else
    back.rooms.fetchWelcomes = async () => {
      await until("the log has been read past the gap", () => same.core.state.wasAway || same.core.state.broken);
      return fetch();
    };
  // Here nothing is known yet of what happened, and sends of the epoch that it was in would be taken.
  equal([same.epoch, same.isReady, room.epoch <= epoch + 3], [epoch, true, true]);
  const sent = await same.send("I am back");
  const seen = [];
  void (async () => {
    for await (const message of same.messages({ after: 0 }))
      seen.push(message.content.text ?? message.content.type);
  })();
  await sent.stored;
  await until("all is read", () => [seen, room.seen, other.seen].every((texts) => texts.includes("I am back")));
  equal(seen, ["before", "after", "sealed before", "I am back"]);
  equal(other.seen, ["after", "sealed before", "I am back"]);
  equal(room.seen, ["before", "not for all", "after", "sealed before", "I am back"]);
  equal(back.warnings, []);
});

await test("nor does it wait in vain when the group stayed as it was", async () => {
  const a = await person();
  let store = new MortalStore();
  const first = await person({ store });
  const { id } = await a.rooms.create([first.username]);
  const room = await seenBy(a, id);
  const { epoch } = await seenBy(first, id);
  store = store.heir();
  open.delete(first);
  await first.close();
  // Nobody's client compares in between.
  const { keeper } = a.rooms.open.get(id);
  const kick = keeper.kick.bind(keeper);
  keeper.kick = () => undefined;
  await a.context.session.call("DELETE", `v1/rooms/${id}/members/${first.userId}`);
  await a.context.session.call("POST", `v1/rooms/${id}/members`, { username: first.username, role: "member" });
  keeper.kick = kick;
  await (await room.send("still the same")).stored;
  let back = watched(await SecureMessaging.resume({ store }));
  await back.rooms.list()[0].send("so it is");
  // Also when it ends before it has found out.
  await until("the gap is seen", async () => (await back.rooms.get(id)).core.state.wasAway === true);
  const heir = store.heir();
  open.delete(back);
  await back.close();
  back = watched(await SecureMessaging.resume({ store: heir }));
  await until("it is read", () => room.seen.length === 2);
  equal([room.epoch, room.seen, (await back.rooms.list()[0].history()).map(({ content }) => content.text)], [epoch, ["still the same", "so it is"], ["still the same", "so it is"]]);
  equal(back.warnings, []);
});

await test("a Welcome that comes while a later part of the log is being read costs nothing of what lies between", async () => {
  const { rooms: [room] } = await roomOf(2);
  const newcomer = await person();
  const { hub } = newcomer.context;
  const fetch = newcomer.rooms.fetchWelcomes.bind(newcomer.rooms);
  newcomer.rooms.fetchWelcomes = async () => undefined;
  await room.members.add(newcomer.username);
  for (const text of ["one", "two"])
    await (await room.send(text)).stored;
  const { core } = await newcomer.rooms.get(room.id);
  await until("the log has been read past them", () => core.state.cursor >= room.core.state.cursor);
  newcomer.rooms.received = () => undefined;
  await (await room.send("three")).stored;
  const sync = hub.sync.bind(hub);
  let calls = 0;
  hub.sync = async (...args) => {
    const page = await sync(...args);
    if (++calls === 1)
      await fetch();
    return page;
  };
  await core.catchUp();
  const other = await seenBy(newcomer, room.id);
  await until("all is read", () => other.seen.length === 3);
  equal([calls > 0, other.seen], [true, ["one", "two", "three"]]);
});

await test("a Commit that takes out and lets in against the roster is put right, and said", async () => {
  const { clients: [a, b, c], rooms: [roomA, roomB, roomC] } = await roomOf(3);
  const stranger = await person();
  // Nothing else is about to make the members compare.
  await sleep(4000);
  const group = roomB.core.group;
  const { keyPackages: [claimed] } = await b.context.session.call("POST", "v1/key-packages/claim", { userIds: [stranger.userId] });
  const remove = group.leaves().filter((leaf) => leaf.userId === c.userId).map((leaf) => leaf.index);
  const own = await group.commit({ remove, add: [Buffer.from(claimed.keyPackage, "base64")] });
  const after = own.before.merge(own.after);
  const id = crypto.randomUUID();
  await roomB.core.exclusively(async (draft) => {
    draft.usedKeys(own.before, own.before.epoch);
    draft.setPending({ id, generation: 0, epoch: group.epoch, commit: own.commit, welcomes: [], base: after.encodeBase(), ratchets: after.epochs.map((epoch) => [epoch, after.encodeRatchet(epoch)]) });
  });
  await b.context.session.call("POST", `v1/rooms/${roomB.id}/commits`, { id, epoch: group.epoch, commit: Buffer.from(own.commit).toString("base64"), welcomes: [] });
  await until("it is put right", () => roomC.isReady && roomA.epoch === 3 && roomC.epoch === 3);
  equal(roomA.devices().map(({ userId }) => userId).sort(), [a, b, c].map((client) => client.userId).sort());
  equal(a.warnings.includes("rosterMismatch"), true);
});

await test("another identity is announced, and the room goes on", async () => {
  const { clients, rooms } = await roomOf(2);
  const changes = [];
  clients[0].on("identityChanged", (change) => changes.push(change.userId));
  const before = await clients[0].safetyNumber(clients[1].username);
  equal(before, await clients[1].safetyNumber(clients[0].username));
  await clients[1].devices.replaceIdentity();
  await until("it is announced", () => changes.length > 0);
  equal(changes, [clients[1].userId]);
  equal(before === await clients[0].safetyNumber(clients[1].username), false);
  equal(await clients[1].safetyNumber(clients[0].username), await clients[0].safetyNumber(clients[1].username));
  await until("both are in one epoch again", () => rooms[1].isReady && rooms[0].epoch === rooms[1].epoch && rooms[0].core.group.leaves().length === 2);
  const shown = () => rooms.every((room) => room.core.group?.leaves().some((leaf) =>
    leaf.userId === clients[1].userId && Buffer.from(leaf.identityKey).equals(clients[1].context.device.identityKey)));
  await until("the group shows the new identity", shown);
  await (await rooms[1].send("still me")).stored;
  await until("it is read", () => rooms[0].seen.includes("still me"));
  const newcomer = await person();
  newcomer.on("identityChanged", (change) => changes.push(change.userId));
  await rooms[0].members.add(newcomer.username);
  await seenBy(newcomer, rooms[0].id);
  await sleep(300);
  equal(changes, [clients[1].userId]);
});

await test("new keys that another device's new identity has overtaken are taken anyway, and wait for approval", async () => {
  const { clients: [a, b], rooms } = await roomOf(2);
  const second = watched(await SecureMessaging.signIn({ url: server.url, username: b.username, password: "a long enough password", store: new MemoryStore() }));
  const approve = async () => {
    const { id, code } = (await second.devices.list()).find((device) => device.current);
    const confirmation = await b.devices.approve(id, code);
    await second.context.device.reconcile();
    equal([second.devices.isOffered, second.devices.isApproved], [true, false]);
    await second.devices.confirm(confirmation);
    equal(second.devices.isApproved, true);
  };
  await approve();
  const { session } = second.context;
  session.call = () => Promise.reject(SecureMessagingError.unreachable());
  equal((await second.devices.rotate().catch((error) => error)).code, "Unavailable");
  await b.devices.replaceIdentity();
  delete session.call;
  await second.context.device.reconcile();
  equal(second.devices.isApproved, false);
  await approve();
  equal(await second.safetyNumber(a.username), await a.safetyNumber(b.username));
  await second.context.keyPackages.topUp();
  await (await (await seenBy(second, rooms[0].id)).send("it is me")).stored;
  await until("it is read", () => rooms[0].seen.includes("it is me"));
});

await test("an approval that the server has made up is not believed, and the true one is", async () => {
  const { clients: [a] } = await roomOf(2);
  const second = watched(await SecureMessaging.signIn({ url: server.url, username: a.username, password: "a long enough password", store: new MemoryStore() }));
  const own = (await second.devices.list()).find((device) => device.current);
  const confirmation = await a.devices.approve(own.id, own.code);
  const { session, device } = second.context;
  const identity = await generateSigningKey();
  const made = await signDevice(identity.privateKey, second.userId, own.id, device.signature.publicKey);
  session.call = async (method, path, body) => {
    const answer = await Object.getPrototypeOf(session).call.call(session, method, path, body);
    return path !== "v1/devices" ? answer : answer.map((each) => ({ ...each, identityKey: toBase64(identity.publicKey), ...(each.id === own.id ? { identitySignature: toBase64(made), sealedIdentity: undefined } : {}) }));
  };
  await until("the approval is there", async () => {
    await device.reconcile();
    return device.offer && toBase64(device.offer.identityKey) === toBase64(identity.publicKey);
  });
  equal((await second.devices.confirm(confirmation).catch((error) => error)).code, "Forbidden");
  equal(second.devices.isApproved, false);
  delete session.call;
  await device.reconcile();
  await second.devices.confirm(confirmation);
  equal(second.devices.isApproved, true);
  equal(await a.devices.approve(own.id, own.code), confirmation);
});

await test("signing out and in again on the same store is the same device", async () => {
  const path = join(folder, "again.store");
  const store = await FileStore.open(path);
  const [a, b] = [await person({ store }), await person()];
  const room = await a.rooms.create([b.username]);
  const other = await seenBy(b, room.id);
  const device = a.devices.currentId;
  await (await room.send("one")).stored;
  await a.signOut();
  await (await other.send("two")).stored;
  const again = watched(await SecureMessaging.signIn({ url: server.url, username: a.username, password: "a long enough password", store: await FileStore.open(path) }));
  equal(again.devices.currentId, device);
  const same = await seenBy(again, room.id);
  await until("it is read", () => same.seen.length === 2);
  equal(same.seen, ["one", "two"]);
  await (await same.send("three")).stored;
  await until("it is read", () => other.seen.length === 3);
});

await test("edits, reactions, receipts and deletions arrive at the message that they are about, and only its author's", async () => {
  const { clients, rooms: [a, b] } = await roomOf(2);
  const first = await a.send("frist");
  await until("it is read", () => b.seen.length === 1);
  await (await a.edit(first.id, "first")).stored;
  await (await b.edit(first.id, "forged")).stored;
  await (await b.react(first.id, "👍")).stored;
  await (await b.react(first.id, "constructor")).stored;
  const read = new Promise((resolve) => a.on("read", resolve));
  const [message] = await b.history();
  b.markRead(message);
  await until("it is changed", async () => Object.keys((await a.history())[0].reactions ?? {}).length === 2);
  const [seen] = await a.history();
  equal([seen.content.text, seen.edited, seen.reactions], ["first", true, { "👍": [clients[1].userId], constructor: [clients[1].userId] }]);
  equal((await read).upTo, message.seq);
  await (await a.delete(seen)).stored;
  await until("it is gone", async () => (await b.history())[0].deleted && (await b.history())[0].retracted);
  equal((await b.history())[0].content.text, "");
});

/** Where the server's log of a room ends. */
const headOf = async (client, room) => (await client.context.hub.heads()).find((head) => head.roomId === room.id).headSeq;

await test("reading makes no entry of the log: it goes by signal, inside the next message, and is asked for after a time away", async () => {
  const store = new MemoryStore();
  const alice = await person({ store });
  const bob = await person();
  const a = await alice.rooms.create([bob.username]);
  const b = await seenBy(bob, a.id);
  const say = async (text) => (await (await a.send(text)).stored).seq;
  const known = async (room, user) => (await room.reads()).get(user.userId);
  const one = await say("one");
  await until("it is there", () => b.seen.length === 1);
  const head = await headOf(alice, a);
  const read = new Promise((resolve) => a.on("read", resolve));
  await b.markRead(one);
  equal(await read, { userId: bob.userId, upTo: one });
  equal(await headOf(alice, a), head);

  // A signal is lost: the next message brings it.
  const two = await say("two");
  await until("it is there", () => b.seen.length === 2);
  const { signal } = Object.getPrototypeOf(bob.context.hub);
  bob.context.hub.signal = async () => undefined;
  await b.markRead(two);
  await sleep(1500);
  equal(await known(a, bob), one);
  await (await b.react((await b.history())[0], "👍")).stored;
  await until("it came inside the reaction", async () => await known(a, bob) === two);
  bob.context.hub.signal = signal;

  // Read while the other was away: asked for when they are back.
  const three = await say("three");
  await until("it is there", () => b.seen.length === 3);
  await alice.close();
  await b.markRead(three);
  await sleep(1500);
  const quiet = await headOf(bob, b);
  const back = watched(await SecureMessaging.resume({ store }));
  const again = await back.rooms.get(a.id);
  await until("it was asked for", async () => await known(again, bob) === three);
  equal(await headOf(bob, b), quiet);

  // Nothing that is not there can have been read.
  await bob.context.hub.signal(b.id, await sealSignal(b.core.group, new TextEncoder().encode(JSON.stringify({ type: "read", upTo: 1e9 }))));
  await sleep(300);
  equal(await known(again, bob) <= await headOf(back, again), true);
});

await test("what was read on one device counts as read on the user's other device, also when that one was away", async () => {
  const { clients: [, b], rooms: [a] } = await roomOf(2);
  const store = new MemoryStore();
  const second = watched(await SecureMessaging.signIn({ url: server.url, username: b.username, password: "a long enough password", store }));
  const { id, code } = (await second.devices.list()).find((device) => device.current);
  const confirmation = await b.devices.approve(id, code);
  await second.context.device.reconcile();
  await second.devices.confirm(confirmation);
  const first = (await b.rooms.list())[0];
  const twin = await seenBy(second, a.id);
  const one = (await (await a.send("one")).stored).seq;
  await until("it is on both", () => first.seen.includes("one") && twin.seen.includes("one"));
  await first.markRead(one);
  await until("the other knows", async () => (await twin.reads()).get(b.userId) === one);
  await second.close();
  const two = (await (await a.send("two")).stored).seq;
  await until("it is there", () => first.seen.includes("two"));
  await first.markRead(two);
  await sleep(1500);
  const back = watched(await SecureMessaging.resume({ store }));
  await until("the other knows", async () => (await back.rooms.list()[0].reads()).get(b.userId) === two);
});

await test("what a device does not tell it does not see of others either: receipts and typing", async () => {
  const silent = await person({ privacy: { readReceipts: false, typing: false } });
  const other = await person();
  const a = await silent.rooms.create([other.username]);
  const b = await seenBy(other, a.id);
  await a.whenReady();
  const events = [];
  for (const [name, room] of [["silent", a], ["other", b]])
    for (const event of ["read", "typing"])
      room.on(event, ({ userId }) => events.push(`${name} ${event} ${userId === silent.userId ? "silent" : "other"}`));
  const mine = (await (await a.send("one")).stored).seq;
  await until("it is there", () => b.seen.length === 1);
  const theirs = (await (await b.send("two")).stored).seq;
  await b.markRead(mine);
  await b.typing();
  await a.markRead(theirs);
  await a.typing();
  await (await a.send("three")).stored;
  await (await b.send("four")).stored;
  await until("all is there", () => b.seen.length === 4);
  await sleep(1500);
  equal(events.filter((event) => !event.endsWith("other read other")), []);
  equal([[...(await a.reads()).keys()], (await b.reads()).has(silent.userId)], [[], false]);

  await silent.privacy.set({ readReceipts: true, typing: true });
  const seen = new Promise((resolve) => b.on("read", ({ userId, upTo }) => userId === silent.userId && resolve(upTo)));
  const typing = new Promise((resolve) => a.on("typing", resolve));
  await a.markRead(theirs);
  equal(await seen, theirs);
  await sleep(3000);
  await b.typing();
  equal((await typing).userId, other.userId);
  equal(silent.privacy.settings, { readReceipts: true, typing: true });
});

await test("who has written, edited or left types no longer", async () => {
  const { clients: [, bob, cleo], rooms: [a, b, c] } = await roomOf(3);
  const ended = [];
  a.on("typingEnded", ({ userId }) => ended.push(userId));
  const typed = async (room) => {
    const told = new Promise((resolve) => a.on("typing", resolve));
    room.typedAt = 0;
    await room.typing();
    await told;
  };
  await typed(b);
  const sent = await b.send("here it is");
  await until("it ends", () => ended.length === 1);
  await typed(b);
  await b.edit(sent.id, "here it is, mended");
  await until("it ends", () => ended.length === 2);
  await typed(c);
  await c.leave();
  await until("it ends", () => ended.length === 3);
  equal(ended, [bob.userId, bob.userId, cleo.userId]);
  await b.react(sent.id, "👍");
  await sleep(300);
  equal(ended.length, 3);
});

/** An account with a session and no device: what a client of the server's API makes, or a sign-up that was left in the middle. */
async function account() {
  const username = newName();
  const body = JSON.stringify({ username, email: `${username}@example.org`, password: "a long enough password" });
  const response = await fetch(`${server.url}/v1/auth/sign-up`, { method: "POST", headers: { "content-type": "application/json" }, body });
  const { userId, accessToken } = await response.json();
  const call = (method, path, content) => fetch(`${server.url}/${path}`, {
    method, headers: { "content-type": "application/json", authorization: `Bearer ${accessToken}` }, body: content && JSON.stringify(content),
  });
  return { username, userId, call, signIn: async () => watched(await SecureMessaging.signIn({ url: server.url, username, password: "a long enough password" })) };
}

const codeOf = (promise) => promise.then(() => "done", (error) => error.code);

await test("nothing is opened with people who have no device, or no account any more", async () => {
  const [a, b, none, gone] = [await person(), await person(), await account(), await person()];
  await gone.account.delete("a long enough password");
  const error = await a.rooms.direct(none.username).catch((e) => e);
  equal([error.code, error.retryable, error.message.includes(none.username)], ["NoDevice", false, true]);
  equal(await codeOf(a.rooms.create([b.username, none.username], { name: "with none" })), "NoDevice");
  equal([await codeOf(a.rooms.direct(gone.username)), await codeOf(a.rooms.create([b.username, gone.username]))], ["NotFound", "NotFound"]);
  equal([(await a.context.session.call("GET", "v1/rooms")).length, a.rooms.list().length], [0, 0]);
  const later = await none.signIn();
  const room = await a.rooms.direct(none.username);
  await (await room.send("now you can read")).stored;
  const there = await seenBy(later, room.id);
  await until("it is read", () => there.seen.includes("now you can read"));
});

await test("what is sent where no other member can read it waits, says so, and is read by the first device that comes", async () => {
  const [a, b] = [await person(), await person()];
  const room = await a.rooms.direct(b.username);
  await (await room.send("before")).stored;
  await seenBy(b, room.id);
  equal(room.canBeRead, true);
  // The only device of the other is gone, and with it the last reader.
  await b.devices.revoke(b.devices.currentId).catch(() => undefined);
  await until("the room is known to be without readers", () => room.canBeRead === false);
  const sent = await room.send("is anybody there?");
  let stored = false;
  sent.stored.then(() => { stored = true; });
  await until("it is said", () => a.warnings.includes("nobodyCanRead"));
  await sleep(1_500);
  equal([stored, a.unsent], [false, 1]);
  const later = watched(await SecureMessaging.signIn({ url: server.url, username: b.username, password: "a long enough password" }));
  await sent.stored;
  const other = await seenBy(later, room.id);
  await until("it is read", () => other.seen.length > 0);
  equal([other.seen, room.canBeRead], [["is anybody there?"], true]);
  // A group of one's own is for oneself.
  const own = await a.rooms.create([]);
  await (await own.send("note to self")).stored;
});

await test("and to a person whose account is gone nothing is sent any more", async () => {
  const [a, b] = [await person(), await person()];
  const room = await a.rooms.direct(b.username);
  await (await room.send("before")).stored;
  await b.account.delete("a long enough password");
  await until("the room is known to be without readers", () => room.canBeRead === false);
  await room.send("too late");
  await sleep(1_500);
  equal(a.unsent, 1);
});

await test("a direct room of another scheme does not keep two people from one of their own", async () => {
  const [a, b] = [await person(), await person()];
  const shared = await b.context.session.call("POST", "v1/rooms", { kind: "direct", members: [a.username], visible: false, scheme: "opaque" });
  const rooms = await Promise.all([a.rooms.direct(b.username), b.rooms.direct(a.username)]);
  equal([rooms[0].id === rooms[1].id, rooms[0].id === shared.id, await a.rooms.get(shared.id)], [true, false, undefined]);
  const other = await seenBy(b, rooms[0].id);
  await (await rooms[0].send("hello")).stored;
  await until("it is read", () => other.seen.length === 1);
});

await test("a clock that is wrong by hours or days keeps no device out", async () => {
  const real = Date.now;
  const wrongBy = (hours) => { Date.now = () => real() + hours * 3_600_000; };
  try {
    for (const hours of [2, -2, 24 * 20, -24 * 13]) {
      const other = await person();
      wrongBy(hours);
      const wrong = await person();
      const stock = await wrong.context.session.call("GET", `v1/devices/${wrong.devices.currentId}/key-packages`);
      equal([stock.available, stock.lastResort], [50, true]);
      await until("it is said", () => wrong.warnings.includes("clockWrong"));
      wrongBy(0);
      const room = await other.rooms.direct(wrong.username);
      const there = await seenBy(wrong, room.id);
      await (await room.send("can you read this?")).stored;
      await until("it is read", () => there.seen.length === 1);
      // And the other way round: what others have made is not taken for expired.
      wrongBy(hours);
      equal((await wrong.rooms.create([other.username])).devices().length, 2);
      wrongBy(0);
    }
  } finally {
    Date.now = real;
  }
});

await test("a sign-up that dies before any of its writes goes on at the next start", async () => {
  for (let budget = 0; budget < 8; budget++) {
    const username = newName();
    const options = { url: server.url, username, email: `${username}@example.org`, password: "a long enough password" };
    const store = new MortalStore();
    store.budget = budget;
    // The process: what it does after its death counts for nothing, as taking back would.
    const fetching = globalThis.fetch;
    globalThis.fetch = (...args) => store.budget < 0 ? new Promise(() => undefined) : fetching(...args);
    const signing = SecureMessaging.signUp({ ...options, store });
    const ended = await Promise.race([signing.then(watched, () => undefined), sleep(2_000)]);
    globalThis.fetch = fetching;
    const heir = store.budget < 0 ? store.heir() : store;
    if (ended && store.budget >= 0)
      await ended.close();
    const client = watched(await SecureMessaging.resume({ store: heir }) ?? await SecureMessaging.signUp({ ...options, store: heir }));
    await until(`it can be reached although it died before write ${budget + 1}`, async () =>
      client.devices.isApproved && (await client.context.session.call("GET", `v1/devices/${client.devices.currentId}/key-packages`).catch(() => ({}))).available === 50);
  }
});

await test("a device whose keys the server refuses says that others cannot write to it, until they are taken", async () => {
  const store = new MortalStore();
  await (await person({ store })).close();
  const real = globalThis.fetch;
  globalThis.fetch = (url, init) => String(url).endsWith("/key-packages")
    ? Promise.resolve(new Response(JSON.stringify({ code: "Forbidden", detail: "Not now.", retryable: false }), { status: 403 })) : real(url, init);
  try {
    const client = watched(await SecureMessaging.resume({ store: store.heir() }));
    await until("it is said", () => client.deviceError?.code === "Forbidden" && client.warnings.includes("notReachable"));
    globalThis.fetch = real;
    await until("it is over", () => client.deviceError === undefined);
  } finally {
    globalThis.fetch = real;
  }
});

await test("an item that the server can never store is given up, and what is behind it goes out", async () => {
  const { clients: [client], rooms: [a, b] } = await roomOf(2);
  const failures = [];
  client.on("sendFailed", ({ id, error }) => failures.push([id, error.code]));
  const { hub } = inside(a);
  const real = hub.sendBatch.bind(hub);
  let poisoned = true;
  const poison = await a.send("held", {});
  await poison.stored;
  let bad;
  hub.sendBatch = async (requests) => {
    if (poisoned && requests.some((request) => request.clientMessageId === bad()))
      throw new SecureMessagingError({ code: "Internal", message: "The database will not have it.", retryable: true });
    return real(requests);
  };
  let first;
  bad = () => client.context.outbox.items.find((item) => item.id === first)?.clientMessageId;
  first = crypto.randomUUID();
  const sent = await a.send("poison", { id: first });
  sent.stored.catch(() => undefined);
  await a.send("behind it");
  await until("what is behind it is read", () => b.seen.includes("behind it"), 60_000);
  equal([failures, client.context.outbox.failed(a.id).map(({ id }) => id), client.warnings.includes("outboxFailed")], [[[first, "Internal"]], [first], true]);
  poisoned = false;
  await client.context.outbox.retry(a.id, first);
  await until("by hand it goes out", () => b.seen.includes("poison"));
});

await test("private windows that are left keep no device out", async () => {
  const a = await person();
  for (let i = 0; i < 25; i++) {
    const window = await SecureMessaging.signIn({ url: server.url, username: a.username, password: "a long enough password" });
    if (i % 2 === 0)
      await window.signOut();
    else
      await window.close();
  }
  const list = await a.devices.list();
  equal([list.length <= 20, list.filter(({ approved }) => approved).length], [true, 1]);
});

await test("a server that is away is named with the cause, and once", async () => {
  const a = await person();
  const said = [];
  a.on("warning", (warning) => said.push(warning));
  await until("there is a connection", () => a.isConnected);
  await server.kill();
  await until("it is said", () => said.some(({ area, kind, error, retrying }) => area === "connection" && kind === "notConnected" && retrying && error.message.includes("ECONNREFUSED") && error.message.includes(server.url)));
  await sleep(2_000);
  equal(said.filter(({ error }) => error?.message.includes("ECONNREFUSED")).length <= 2, true);
  await server.start();
  await until("there is a connection again", () => a.isConnected);
});

await test("an outbox survives, and a wrong code approves nothing", async () => {
  const path = join(folder, "outbox.store");
  const a = await person({ store: await FileStore.open(path) });
  const b = await person();
  const room = await a.rooms.create([b.username]);
  const other = await seenBy(b, room.id);
  await server.kill();
  await room.send("written while the server was gone");
  await a.close();
  const again = watched(await SecureMessaging.resume({ store: await FileStore.open(path) }));
  equal(again.rooms.list().length, 1);
  await again.rooms.list()[0].send("and after a restart");
  await server.start();
  await until("both are read", () => other.seen.length === 2);
  equal(other.seen, ["written while the server was gone", "and after a restart"]);
  const second = watched(await SecureMessaging.signIn({ url: server.url, username: a.username, password: "a long enough password", store: new MemoryStore() }));
  const error = await again.devices.approve(second.devices.currentId, "00000 00000 00000 00000 00000 00000").catch((e) => e);
  equal(error.code, "Forbidden");
  equal(second.devices.isApproved, false);
  equal((await second.rooms.create([b.username]).catch((e) => e)).code, "NotReady");
});

await test("a session that the server ends says why: ended from elsewhere, or with the account", async () => {
  const a = await person();
  const signIn = async () => watched(await SecureMessaging.signIn({ url: server.url, username: a.username, password: "a long enough password" }));
  const told = (client) => new Promise((resolve) => client.on("signedOut", resolve));
  const [second, third] = [await signIn(), await signIn()];
  await until("there are connections", () => second.isConnected && third.isConnected);
  const ended = told(second);
  const { id } = (await second.sessions.list()).find((session) => session.current);
  await a.sessions.end(id);
  equal(await ended, { reason: "loggedOut" });
  const closed = told(third);
  await a.account.delete("a long enough password");
  equal(await closed, { reason: "accountClosed" });
});

await finish();
