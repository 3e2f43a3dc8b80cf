// Edits, reactions, receipts and typing: each reaches the devices that it concerns, and no other.
import { MemoryStore, SecureMessaging } from "../../../../src/web/sdk/dist/index.js";
import { sealSignal } from "../../../../src/web/sdk/dist/rooms/signals.js";
import { keys, read as readStored } from "../../../../src/web/sdk/dist/store/store.js";
import { equal, person, roomOf, say, seenBy, signIn, sleep, test, until, watched } from "../clients.mjs";

/** The head of a room's log on the server. */
const headOf = async (client, room) => (await client.parts.hub.heads()).find((head) => head.roomId === room.id).headSeq;

/** Waits until this device has announced that it has read up to this place. */
const announced = (client, room, upTo) =>
  until("the position is announced", async () => (await readStored(client.parts.store, keys.announced(room.id))) === upTo);

await test("edits, reactions, receipts and deletions change their message, and edits and deletions only that of their author", async () => {
  const {
    clients,
    rooms: [a, b],
  } = await roomOf(2);
  const first = await a.send("frist");
  await until("it is read", () => b.seen.length === 1);
  await (
    await a.edit(first.id, "first")
  ).stored;
  await (
    await b.edit(first.id, "forged")
  ).stored;
  await (
    await b.react({ author: clients[0].userId, id: first.id }, "👍")
  ).stored;
  await (
    await b.react({ author: clients[0].userId, id: first.id }, "constructor")
  ).stored;
  const read = new Promise((resolve) => a.on("read", resolve));
  const [message] = await b.history();
  b.markRead(message);
  await until("it is changed", async () => Object.keys((await a.history())[0].reactions ?? {}).length === 2);
  const [seen] = await a.history();
  equal([seen.content.text, seen.edited, seen.reactions], ["first", true, { "👍": [clients[1].userId], constructor: [clients[1].userId] }]);
  equal((await read).upTo, message.seq);
  await (
    await a.delete(seen)
  ).stored;
  await until("it is gone", async () => (await b.history())[0].deleted);
  equal((await b.history())[0].content.text, "");
});

await test("reading makes no log entry: it is sent by signal and inside the next message, and is asked for after a time offline", async () => {
  const store = new MemoryStore();
  const alice = await person({ store });
  const bob = await person();
  const a = await alice.rooms.create([bob.username]);
  const b = await seenBy(bob, a.id);
  const known = async (room, user) => (await room.reads()).get(user.userId);
  const one = await say(a, "one");
  await until("it is there", () => b.seen.length === 1);
  const head = await headOf(alice, a);
  const read = new Promise((resolve) => a.on("read", resolve));
  await b.markRead(one);
  equal(await read, { userId: bob.userId, upTo: one });
  equal(await headOf(alice, a), head);

  // A lost signal: the next message has the position.
  const two = await say(a, "two");
  await until("it is there", () => b.seen.length === 2);
  let lost = 0;
  bob.parts.hub.signal = async () => {
    lost++;
  };
  await b.markRead(two);
  await until("its signal is lost", () => lost === 1);
  equal(await known(a, bob), one);
  await (
    await b.react((await b.history())[0], "👍")
  ).stored;
  await until("it came inside the reaction", async () => (await known(a, bob)) === two);
  delete bob.parts.hub.signal;

  // Read while the other device was offline: it asks after the connect.
  const three = await say(a, "three");
  await until("it is there", () => b.seen.length === 3);
  await alice.close();
  await b.markRead(three);
  await announced(bob, b, three);
  const quiet = await headOf(bob, b);
  const back = watched(await SecureMessaging.resume({ store }));
  const again = await back.rooms.get(a.id);
  await until("it was asked for", async () => (await known(again, bob)) === three);
  equal(await headOf(bob, b), quiet);

  // A position beyond the log does not count.
  await bob.parts.hub.signal(b.id, await sealSignal(b.core.group, new TextEncoder().encode(JSON.stringify({ type: "read", upTo: 1e9 }))));
  // Signals of one device arrive in order.
  const typing = new Promise((resolve) => again.on("typing", resolve));
  await b.typing();
  await typing;
  equal((await known(again, bob)) <= (await headOf(back, again)), true);
});

await test("messages read on one device count as read on the user's other device, also when that one was offline", async () => {
  const {
    clients: [, b],
    rooms: [a],
  } = await roomOf(2);
  const store = new MemoryStore();
  const second = await signIn(b.username, { store });
  const { id, code } = (await second.devices.list()).find((device) => device.current);
  const confirmation = await b.devices.approve(id, code);
  await second.parts.device.reconcile();
  await second.devices.confirm(confirmation);
  const first = (await b.rooms.list())[0];
  const twin = await seenBy(second, a.id);
  const one = await say(a, "one");
  await until("it is on both", () => first.seen.includes("one") && twin.seen.includes("one"));
  await first.markRead(one);
  await until("the other knows", async () => (await twin.reads()).get(b.userId) === one);
  await second.close();
  const two = await say(a, "two");
  await until("it is there", () => first.seen.includes("two"));
  await first.markRead(two);
  await announced(b, first, two);
  const back = watched(await SecureMessaging.resume({ store }));
  await until("the other knows", async () => (await back.rooms.list()[0].reads()).get(b.userId) === two);
});

await test("a device that does not send receipts or typing does not see those of others", async () => {
  const silent = await person({ privacy: { readReceipts: false, typing: false } });
  const other = await person();
  const a = await silent.rooms.create([other.username]);
  const b = await seenBy(other, a.id);
  await seenBy(silent, a.id);
  const events = [];
  for (const [name, room] of [
    ["silent", a],
    ["other", b],
  ])
    for (const event of ["read", "typing"]) room.on(event, ({ userId }) => events.push(`${name} ${event} ${userId === silent.userId ? "silent" : "other"}`));
  const mine = await say(a, "one");
  await until("it is there", () => b.seen.length === 1);
  const theirs = await say(b, "two");
  let sentBySilent = 0;
  silent.parts.hub.signal = async () => {
    sentBySilent++;
  };
  await a.markRead(theirs);
  await a.typing();
  await b.markRead(mine);
  await b.typing();
  // The silent device marked first, so its announcement would be due before the other's.
  await announced(other, b, mine);
  await say(a, "three");
  await say(b, "four");
  await until("all is there", () => a.seen.length === 4 && b.seen.length === 4);
  equal(sentBySilent, 0);
  delete silent.parts.hub.signal;
  // A device reports what its own user has read.
  equal(
    events.filter((event) => event !== "other read other" && event !== "silent read silent"),
    [],
  );
  equal([[...(await a.reads()).keys()], (await b.reads()).has(silent.userId)], [[], false]);

  await silent.privacy.set({ readReceipts: true, typing: true });
  const seen = new Promise((resolve) => b.on("read", ({ userId, upTo }) => userId === silent.userId && resolve(upTo)));
  const typing = new Promise((resolve) => a.on("typing", resolve));
  await a.markRead(theirs);
  equal(await seen, theirs);
  b.typedAt = -Infinity;
  await b.typing();
  equal((await typing).userId, other.userId);
  equal(silent.privacy.settings, { readReceipts: true, typing: true, deliveryCursor: true });
});

await test("a member who has sent, edited or left is not typing any more", async () => {
  const {
    clients: [, bob, cleo],
    rooms: [a, b, c],
  } = await roomOf(3);
  const ended = [];
  a.on("typingEnded", ({ userId }) => ended.push(userId));
  let typings = 0;
  a.on("typing", () => typings++);
  // A signal arrives at most once, and is not sent while sends are held: for a moment after a change of the room.
  const typed = async (room) => {
    const before = typings;
    await until("the typing is seen", async () => {
      room.typedAt = 0;
      await room.typing();
      for (let i = 0; i < 80 && typings === before; i++) await sleep(25);
      return typings > before;
    });
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
  await b.react({ author: bob.userId, id: sent.id }, "👍");
  await until("the reaction is there", async () => (await a.history()).some(({ reactions }) => reactions?.["👍"]));
  equal(ended.length, 3);
});
