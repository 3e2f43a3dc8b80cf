// Devices and accounts: a changed identity, approvals, wrong clocks, an interrupted sign-up, and the end of a session.
import { join } from "node:path";
import { SecureMessaging, SecureMessagingError } from "../../../../src/web/sdk/dist/index.js";
import { FileStore } from "../../../../src/web/sdk/dist/node.js";
import { toBase64 } from "../../../../src/web/sdk/dist/base/bytes.js";
import { signDevice } from "../../../../src/web/sdk/dist/mls/credential.js";
import { generateSigningKey } from "../../../../src/web/sdk/dist/mls/ed25519.js";
import { equal, folder, MortalStore, newName, open, person, roomOf, say, seenBy, server, signIn, test, until, watched } from "../clients.mjs";

await test("a changed identity is reported, and the room continues", async () => {
  const { clients, rooms } = await roomOf(2);
  const changes = [];
  clients[0].on("identityChanged", (change) => changes.push(change.userId));
  const before = await clients[0].safetyNumber(clients[1].username);
  equal(before, await clients[1].safetyNumber(clients[0].username));
  await clients[1].devices.replaceIdentity();
  await until("it is announced", () => changes.length > 0);
  equal(changes, [clients[1].userId]);
  equal(before === (await clients[0].safetyNumber(clients[1].username)), false);
  equal(await clients[1].safetyNumber(clients[0].username), await clients[0].safetyNumber(clients[1].username));
  await until("both are in one epoch again", () => rooms[1].isReady && rooms[0].epoch === rooms[1].epoch && rooms[0].core.group.leaves().length === 2);
  const shown = () =>
    rooms.every((room) =>
      room.core.group?.leaves().some((leaf) => leaf.userId === clients[1].userId && Buffer.from(leaf.identityKey).equals(clients[1].parts.device.identityKey)),
    );
  await until("the group shows the new identity", shown);
  await say(rooms[1], "still me");
  await until("it is read", () => rooms[0].seen.includes("still me"));
  const newcomer = await person();
  newcomer.on("identityChanged", (change) => changes.push(change.userId));
  await rooms[0].members.add(newcomer.username);
  const joined = await seenBy(newcomer, rooms[0].id);
  await say(rooms[1], "welcome");
  await until("it is read", () => joined.seen.includes("welcome"));
  equal(changes, [clients[1].userId]);
});

await test("a device with new keys that the server does not have follows another device's new identity", async () => {
  const {
    clients: [a, b],
    rooms,
  } = await roomOf(2);
  const second = await signIn(b.username);
  const approve = async () => {
    const { id, code } = (await second.devices.list()).find((device) => device.current);
    const confirmation = await b.devices.approve(id, code);
    await second.parts.device.reconcile();
    equal([second.devices.isOffered, second.devices.isApproved], [true, false]);
    await second.devices.confirm(confirmation);
    equal(second.devices.isApproved, true);
  };
  await approve();
  const { session } = second.parts;
  session.call = () => Promise.reject(SecureMessagingError.unreachable());
  equal((await second.devices.rotate().catch((error) => error)).code, "Unavailable");
  await b.devices.replaceIdentity();
  delete session.call;
  await second.parts.device.reconcile();
  equal([second.devices.isOffered, second.devices.isApproved], [false, true]);
  await until("the contact sees the new identity", async () => (await second.safetyNumber(a.username)) === (await a.safetyNumber(b.username)));
  await second.parts.keyPackages.topUp();
  await say(await seenBy(second, rooms[0].id), "it is me");
  await until("it is read", () => rooms[0].seen.includes("it is me"));
});

await test("an approval that the server has invented is not accepted, and the real one is", async () => {
  const {
    clients: [a],
  } = await roomOf(2);
  const second = await signIn(a.username);
  const own = (await second.devices.list()).find((device) => device.current);
  const { session, device } = second.parts;
  const identity = await generateSigningKey();
  const made = await signDevice(identity.privateKey, second.userId, own.id, device.signature.publicKey);
  session.call = async (method, path, body) => {
    const answer = await Object.getPrototypeOf(session).call.call(session, method, path, body);
    return path !== "v1/devices"
      ? answer
      : answer.map((each) => ({
          ...each,
          identityKey: toBase64(identity.publicKey),
          ...(each.id === own.id ? { identitySignature: toBase64(made) } : {}),
        }));
  };
  const confirmation = await a.devices.approve(own.id, own.code);
  await device.reconcile();
  equal([...new Set(second.warnings)], ["approvalNotValid"]);
  equal([second.devices.isOffered, (await second.devices.confirm(confirmation).catch((error) => error)).code], [false, "NotReady"]);
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
  await say(room, "one");
  await a.signOut();
  await say(other, "two");
  const again = await signIn(a.username, { store: await FileStore.open(path) });
  equal(again.devices.currentId, device);
  const same = await seenBy(again, room.id);
  await until("it is read", () => same.seen.length === 2);
  equal(same.seen, ["one", "two"]);
  await say(same, "three");
  await until("it is read", () => other.seen.length === 3);
});

await test("a clock that is wrong by hours or days does not exclude a device", async () => {
  const real = Date.now;
  const wrongBy = (hours) => {
    Date.now = () => real() + hours * 3_600_000;
  };
  try {
    for (const hours of [2, -2, 24 * 20, -24 * 13]) {
      const other = await person();
      wrongBy(hours);
      const wrong = await person();
      const stock = await wrong.parts.session.call("GET", `v1/devices/${wrong.devices.currentId}/key-packages`);
      equal([stock.available, stock.lastResort], [50, true]);
      await until("it is said", () => wrong.warnings.includes("clockWrong"));
      wrongBy(0);
      const room = await other.rooms.direct(wrong.username);
      const there = await seenBy(wrong, room.id);
      await say(room, "can you read this?");
      await until("it is read", () => there.seen.length === 1);
      // In the other direction, KeyPackages of others do not count as expired.
      wrongBy(hours);
      equal((await wrong.rooms.create([other.username])).devices().length, 2);
      wrongBy(0);
    }
  } finally {
    Date.now = real;
  }
});

await test("a sign-up that ends before any of its writes continues at the next start", async () => {
  for (let budget = 0; budget < 12; budget++) {
    const username = newName();
    const options = { url: server.url, username, email: `${username}@example.org`, password: "a long enough password" };
    const store = new MortalStore();
    store.budget = budget;
    // The process has ended, so its later work has no effect, for example the undo.
    const fetching = globalThis.fetch;
    globalThis.fetch = (...args) => (store.budget < 0 ? new Promise(() => undefined) : fetching(...args));
    let ended;
    let failed = false;
    SecureMessaging.signUp({ ...options, store }).then(
      (client) => {
        ended = client;
      },
      () => {
        failed = true;
      },
    );
    await until("the sign-up or its process ends", () => ended || failed || store.budget < 0);
    globalThis.fetch = fetching;
    const heir = store.budget < 0 ? store.heir() : store;
    if (ended && store.budget >= 0) await ended.close();
    const client = watched((await SecureMessaging.resume({ store: heir })) ?? (await SecureMessaging.signUp({ ...options, store: heir })));
    await until(
      `it can be reached although it died before write ${budget + 1}`,
      async () =>
        client.devices.isApproved &&
        (await client.parts.session.call("GET", `v1/devices/${client.devices.currentId}/key-packages`).catch(() => ({}))).available === 50,
    );
    // A request of this client during the next round would never be answered, and closing waits for requests.
    open.delete(client);
    await client.close();
  }
});

await test("a device whose keys the server rejects reports that others cannot write to it, until the server accepts them", async () => {
  const store = new MortalStore();
  await (await person({ store })).close();
  const real = globalThis.fetch;
  globalThis.fetch = (url, init) =>
    new URL(url).pathname.endsWith("/key-packages")
      ? Promise.resolve(new Response(JSON.stringify({ code: "Forbidden", detail: "Not now.", retryable: false }), { status: 403 }))
      : real(url, init);
  try {
    const client = watched(await SecureMessaging.resume({ store: store.heir() }));
    await until("it is said", () => client.deviceError?.code === "Forbidden" && client.warnings.includes("notReachable"));
    globalThis.fetch = real;
    await until("it is over", () => client.deviceError === undefined);
  } finally {
    globalThis.fetch = real;
  }
});

await test("abandoned private windows do not exclude a device", async () => {
  const a = await person();
  for (let i = 0; i < 25; i++) {
    const window = await SecureMessaging.signIn({ url: server.url, username: a.username, password: "a long enough password" });
    if (i % 2 === 0) await window.signOut();
    else await window.close();
  }
  const list = await a.devices.list();
  equal([list.length <= 20, list.filter(({ approved }) => approved).length], [true, 1]);
});

await test("a session that the server ends reports the reason: ended elsewhere, or with the account", async () => {
  const a = await person();
  const signedOut = (client) => new Promise((resolve) => client.on("signedOut", resolve));
  const [second, third] = [await signIn(a.username), await signIn(a.username)];
  await until("there are connections", () => second.isConnected && third.isConnected);
  const ended = signedOut(second);
  const { id } = (await second.sessions.list()).find((session) => session.current);
  await a.sessions.end(id);
  equal(await ended, { reason: "loggedOut" });
  const closed = signedOut(third);
  await a.account.delete("a long enough password");
  equal(await closed, { reason: "accountClosed" });
});

await test("one scan of a QR code approves a device, which knows the people whom the other one has compared", async () => {
  const {
    clients: [a, b],
    rooms: [room],
  } = await roomOf(2);
  await a.people.verify(b.userId);
  const second = await signIn(a.username);
  await a.devices.approveByQr(await second.devices.qrText());
  await until("it is approved", () => second.devices.isApproved);
  equal(second.people.get(b.userId).verified, "yes");
  equal(await second.people.safetyNumber(b.userId), await a.people.safetyNumber(b.userId));
  equal(
    (await second.devices.list()).map(({ listed }) => listed),
    [true, true],
  );
  await say(await seenBy(second, room.id), "from the second");
  await until("it is read", () => room.seen.includes("from the second"));
});

await test("a revoked device keeps its keys and history, and becomes a new device when a person says so", async () => {
  const {
    clients: [a],
    rooms: [room],
  } = await roomOf(2);
  const path = join(folder, "revoked.store");
  const second = await signIn(a.username, { store: await FileStore.open(path) });
  await a.devices.approveByQr(await second.devices.qrText());
  await until("it is approved", () => second.devices.isApproved);
  const there = await seenBy(second, room.id);
  await say(room, "before");
  await until("it is read", () => there.seen.includes("before"));
  const changes = [];
  a.on("devicesChanged", (change) => changes.push(change));
  const ended = new Promise((resolve) => second.on("signedOut", resolve));
  const id = second.devices.currentId;
  await a.devices.revoke(id);
  equal(
    changes.map(({ removed }) => removed),
    [[id]],
  );
  await ended;
  await second.close();
  const again = await signIn(a.username, { store: await FileStore.open(path) });
  await until("it is said", () => again.deviceError?.code === "DeviceUnknown");
  equal(again.devices.currentId, id);
  equal(
    (await (await again.rooms.get(room.id)).history()).map((message) => message.content.text),
    ["before"],
  );
  await again.devices.startOver();
  equal([again.devices.currentId === id, again.devices.isApproved], [false, false]);
  await a.devices.approveByQr(await again.devices.qrText());
  await until("it is approved", () => again.devices.isApproved);
  const back = await seenBy(again, room.id);
  await say(room, "after");
  await until("it is read", () => back.seen.includes("after"));
});

await test("an own device is revoked as stolen: contacts see the signed new identity, and compare again", async () => {
  const {
    clients: [a, b],
    rooms,
  } = await roomOf(2);
  const stolen = await signIn(a.username);
  await a.devices.approveByQr(await stolen.devices.qrText());
  await until("it is approved", () => stolen.devices.isApproved);
  await b.people.verify(a.userId);
  await a.devices.revoke(stolen.devices.currentId, { lost: true });
  await until("it is seen", () => b.people.get(a.userId).verified === "again");
  equal(b.people.holds, []);
  equal(await a.people.safetyNumber(b.userId), await b.people.safetyNumber(a.userId));
  equal((await a.devices.list()).length, 1);
  await until("both are in one epoch again", () => rooms[0].isReady && rooms[0].epoch === rooms[1].epoch && rooms[0].core.group.leaves().length === 2);
  await say(rooms[0], "still me");
  await until("it is read", () => rooms[1].seen.includes("still me"));
});

await test("all devices are lost: a contact who has compared the keys sends nothing until a person decides", async () => {
  const {
    clients: [a, b],
  } = await roomOf(2);
  await b.people.verify(a.userId);
  const number = await b.safetyNumber(a.username);
  await a.devices.revoke(a.devices.currentId).catch(() => undefined);
  const later = await signIn(a.username);
  await later.devices.startOver();
  await until("it is seen", () => b.people.get(a.userId).hold?.kind === "identityChanged");
  equal((await b.people.safetyNumber(a.userId)) === number, false);
  equal(await later.safetyNumber(b.username), await b.people.safetyNumber(a.userId));
  await b.people.verify(a.userId);
  equal([b.people.holds, b.people.get(a.userId).verified], [[], "yes"]);
});
