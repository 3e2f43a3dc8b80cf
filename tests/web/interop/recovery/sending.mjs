// Sending: lost answers, past epochs, rejected sends, a failing store, and a process that ends in between.
import { join } from "node:path";
import { SecureMessaging, SecureMessagingError } from "../../../../src/web/sdk/dist/index.js";
import { FileStore } from "../../../../src/web/sdk/dist/node.js";
import {
  equal,
  folder,
  MortalStore,
  onSend,
  open,
  passEpochs,
  person,
  readByAll,
  roomOf,
  say,
  seenBy,
  server,
  signIn,
  sleep,
  test,
  until,
  watched,
} from "../clients.mjs";

await test("at whichever write a process ends, no message is lost, repeated or encrypted with a used key", async () => {
  let store = new MortalStore();
  let a = await person({ store });
  const [b, guest] = [await person(), await person()];
  const { id } = await a.rooms.create([b.username]);
  const other = await seenBy(b, id);
  const kept = [];
  const sentByB = [];
  let deaths = 0;
  for (let turn = 0; turn < 27; turn++) {
    const room = await a.rooms.get(id);
    await room.whenReady();
    store.budget = turn % 9;
    const work = [
      ...[1, 2].map((n) =>
        room.send(`a ${turn}.${n}`).then(
          ({ id: name }) => kept.push({ name, text: `a ${turn}.${n}` }),
          () => undefined,
        ),
      ),
      turn % 2 === 0 ? (turn % 4 === 0 ? room.members.add(guest.username) : room.members.remove(guest.username)).catch(() => undefined) : undefined,
    ];
    sentByB.push(`b ${turn}`);
    await say(other, `b ${turn}`);
    let settled = false;
    void Promise.allSettled(work).then(() => {
      settled = true;
    });
    await until("the process ends, or all is sent", () => store.budget < 0 || (settled && a.unsent === 0));
    // Time for a message that was sent before it was stored.
    await sleep(150);
    deaths += store.budget < 0 ? 1 : 0;
    // Its later work in memory does not count.
    store.budget = -1;
    const heir = store.heir();
    open.delete(a);
    await a.close();
    store = heir;
    a = watched(await SecureMessaging.resume({ store }));
  }
  const room = await seenBy(a, id);
  await until(
    "all is sent and read",
    () => a.unsent === 0 && kept.every(({ text }) => other.seen.includes(text)) && sentByB.every((text) => room.seen.includes(text)),
  );
  const sent = other.seen.filter((text) => text.startsWith("a "));
  equal(sent.filter((text) => kept.some((each) => each.text === text)).length, kept.length);
  equal(new Set(other.seen).size, other.seen.length);
  equal(
    room.seen.filter((text) => text.startsWith("b ")),
    sentByB,
  );
  equal(new Set(room.seen).size, room.seen.length);
  equal(
    [...room.seen, ...other.seen].filter((text) => text === "unreadable"),
    [],
  );
  equal(room.seen, other.seen);
  console.log(`        it ended ${deaths} times during ${kept.length + sentByB.length} messages`);
  equal(deaths >= 10, true);
});

await test("a store that fails for a while delays sends, and they are sent by themselves later", async () => {
  const store = new MortalStore();
  const a = await person({ store });
  const b = await person();
  const { id } = await a.rooms.create([b.username]);
  const [roomA, roomB] = [await seenBy(a, id), await seenBy(b, id)];
  // Each is stored on the device before its encryption, which fails.
  const write = store.write.bind(store);
  store.write = (changes) => ([...changes.keys()].some((key) => key.startsWith("ratchet/")) ? Promise.reject(new Error("the disk is full")) : write(changes));
  await Promise.all([roomA.send("one"), roomA.send("two")]);
  await until("a write has failed", () => a.warnings.includes("outboxFailed"));
  store.write = write;
  await until("all is read, here too", () => roomB.seen.length >= 2 && a.unsent === 0, 8_000);
  equal(roomB.seen, ["one", "two"]);
});

await test("a batch that is rejected as a whole is sent item by item, in order, and only the invalid item fails", async () => {
  const {
    clients: [client],
    rooms: [a, b],
  } = await roomOf(2);
  const failed = [];
  client.on("sendFailed", ({ id }) => failed.push(id));
  let calls = 0;
  let release;
  const queued = new Promise((resolve) => {
    release = resolve;
  });
  onSend(a, async (requests, real) => {
    // The first one waits until the others are behind it.
    if (++calls === 1) await queued;
    if (requests.length > 1 || requests[0].timeToLiveSeconds === 60) throw new SecureMessagingError({ code: "Invalid", message: "No.", retryable: false });
    // In between the server is overloaded.
    if (calls === 4) return [{ error: { code: "RateLimited", message: "Later.", retryable: true, retryAfterMs: 20 } }];
    return real(requests);
  });
  const first = await a.send("0");
  const sent = [first];
  for (let n = 1; n <= 6; n++) sent.push(await a.send(String(n), n === 3 ? { timeToLiveSeconds: 60 } : {}));
  sent[3].stored.catch(() => undefined);
  release();
  await until("all is read", () => b.seen.length >= 6);
  equal(b.seen, ["0", "1", "2", "4", "5", "6"]);
  equal(failed, [sent[3].id]);
});

await test("a server that rejects the epoch of its own log is asked with pauses", async () => {
  const {
    rooms: [a, b],
  } = await roomOf(2);
  const calls = [];
  let mended = false;
  onSend(a, (requests, real) => {
    calls.push(performance.now());
    return mended ? real(requests) : requests.map(() => ({ error: { code: "WrongEpoch", message: "No.", retryable: false } }));
  });
  const sent = await a.send("patience");
  await until("it has asked again and again", () => calls.length >= 6);
  // The pauses are random. Without pauses these calls take a few milliseconds.
  equal(calls[5] - calls[0] > 100, true);
  mended = true;
  await sent.stored;
  await until("it is read", () => b.seen.length === 1);
});

await test("a lost answer stores nothing twice", async () => {
  const {
    rooms: [a, b],
  } = await roomOf(2);
  let lost = 0;
  onSend(a, async (requests, real) => {
    const answer = await real(requests);
    if (lost++ < 3) throw SecureMessagingError.unreachable();
    return answer;
  });
  const sends = await Promise.all(["one", "two", "three"].map((text) => a.send(text)));
  await Promise.all(sends.map((sent) => sent.stored));
  await readByAll("four", a, b);
  equal(b.seen, ["one", "two", "three", "four"]);
  equal(a.seen, ["one", "two", "three", "four"]);
  equal(a.unsent, 0);
});

await test("a message of a past epoch is encrypted again, and keeps its order among its sender's messages", async () => {
  const {
    rooms: [a, b],
  } = await roomOf(2);
  let held;
  onSend(b, async (requests, real) => {
    if (!held) {
      held = requests;
      await passEpochs(a, 5);
    }
    return real(requests);
  });
  await b.send("first");
  await b.send("second");
  await readByAll("third", b, a);
  equal(a.seen, ["first", "second", "third"]);
  equal(b.seen, ["first", "second", "third"]);
  equal(held[0].epoch < b.epoch - 3, true);
});

await test("a message that was stored, and whose answer was late by epochs, is not stored twice", async () => {
  const {
    rooms: [a, b],
  } = await roomOf(2);
  let first = true;
  onSend(b, async (requests, real) => {
    const answer = await real(requests);
    if (first) {
      first = false;
      await passEpochs(a, 5);
      throw SecureMessagingError.unreachable();
    }
    return answer;
  });
  await say(b, "once");
  await readByAll("the end", b, a);
  equal(
    [a.seen, b.seen],
    [
      ["once", "the end"],
      ["once", "the end"],
    ],
  );
});

await test("an item that the server can never store fails, and the items behind it are sent", async () => {
  const {
    clients: [client],
    rooms: [a, b],
  } = await roomOf(2);
  const failures = [];
  client.on("sendFailed", ({ id, error }) => failures.push([id, error.code]));
  let poisoned = true;
  await say(a, "held");
  const first = crypto.randomUUID();
  const bad = () => client.parts.outbox.items.find((item) => item.id === first)?.clientMessageId;
  onSend(a, (requests, real) => {
    if (poisoned && requests.some((request) => request.clientMessageId === bad()))
      throw new SecureMessagingError({ code: "Internal", message: "The database will not have it.", retryable: true });
    return real(requests);
  });
  const sent = await a.send("poison", { id: first });
  sent.stored.catch(() => undefined);
  await a.send("behind it");
  await until("what is behind it is read", () => b.seen.includes("behind it"), 60_000);
  equal([failures, client.parts.outbox.failed(a.id).map(({ id }) => id), client.warnings.includes("outboxFailed")], [[[first, "Internal"]], [first], true]);
  poisoned = false;
  await client.parts.outbox.retry(a.id, first);
  await until("by hand it goes out", () => b.seen.includes("poison"));
});

await test("an absent server is reported once, with the cause", async () => {
  const a = await person();
  const said = [];
  a.on("warning", (warning) => said.push(warning));
  await until("there is a connection", () => a.isConnected);
  const { session } = a.parts;
  let tickets = 0;
  session.call = (method, path, body) => {
    tickets += path === "v1/auth/ticket" ? 1 : 0;
    return Object.getPrototypeOf(session).call.call(session, method, path, body);
  };
  await server.kill();
  await until("it is said", () =>
    said.some(
      ({ area, kind, error, retrying }) =>
        area === "connection" && kind === "notConnected" && retrying && error.message.includes("ECONNREFUSED") && error.message.includes(server.url),
    ),
  );
  await until("it has tried again and again", () => tickets >= 5);
  equal(said.filter(({ error }) => error?.message.includes("ECONNREFUSED")).length <= 2, true);
  await server.start();
  await until("there is a connection again", () => a.isConnected);
});

await test("an outbox survives a restart, and a wrong code approves no device", async () => {
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
  const second = await signIn(a.username);
  const error = await again.devices.approve(second.devices.currentId, "00000 00000 00000 00000 00000 00000").catch((e) => e);
  equal(error.code, "Forbidden");
  equal(second.devices.isApproved, false);
  equal((await second.rooms.create([b.username]).catch((e) => e)).code, "NotReady");
});
