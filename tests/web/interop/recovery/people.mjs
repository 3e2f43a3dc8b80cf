// Rooms with people who cannot read yet, or not any more.
import { equal, newName, person, readByAll, roomOf, say, seenBy, server, signIn, test, until } from "../clients.mjs";

/** An account with a session and without a device, like after an incomplete sign-up. */
async function account() {
  const username = newName();
  const body = JSON.stringify({ username, email: `${username}@example.org`, password: "a long enough password" });
  const response = await fetch(`${server.url}/v1/auth/sign-up`, { method: "POST", headers: { "content-type": "application/json" }, body });
  const { userId, accessToken } = await response.json();
  const call = (method, path, content) =>
    fetch(`${server.url}/${path}`, {
      method,
      headers: { "content-type": "application/json", authorization: `Bearer ${accessToken}` },
      body: content && JSON.stringify(content),
    });
  return {
    username,
    userId,
    call,
  };
}

const ascending = (x, y) => (x < y ? -1 : 1);

const codeOf = (promise) =>
  promise.then(
    () => "done",
    (error) => error.code,
  );

await test("no room is created with people without a device or an account", async () => {
  const [a, b, none, gone] = [await person(), await person(), await account(), await person()];
  await gone.account.delete("a long enough password");
  const error = await a.rooms.direct(none.username).catch((e) => e);
  equal([error.code, error.retryable, error.message.includes(none.username)], ["NoDevice", false, true]);
  equal(await codeOf(a.rooms.create([b.username, none.username], { name: "with none" })), "NoDevice");
  equal([await codeOf(a.rooms.direct(gone.username)), await codeOf(a.rooms.create([b.username, gone.username]))], ["NotFound", "NotFound"]);
  equal([(await a.parts.session.call("GET", "v1/rooms")).length, a.rooms.list().length], [0, 0]);
  const later = await signIn(none.username);
  // The server's word that the account has no device founds no identity.
  equal([later.devices.isApproved, later.parts.device.identityKey], [false, undefined]);
  await later.devices.startOver();
  const room = await a.rooms.direct(none.username);
  await say(room, "now you can read");
  const there = await seenBy(later, room.id);
  await until("it is read", () => there.seen.includes("now you can read"));
});

await test("sends without a reader wait, are reported, and are read by the first device that is added", async () => {
  const [a, b] = [await person(), await person()];
  // The server has no KeyPackage of the other person's only device for a while, so there is no reader.
  const { session } = a.parts;
  const call = session.call.bind(session);
  session.call = (method, path, ...rest) => (path === "v1/key-packages/claim" ? Promise.resolve({ keyPackages: [] }) : call(method, path, ...rest));
  const room = await a.rooms.direct(b.username);
  equal(room.canBeRead, false);
  const sent = await room.send("is anyone there?");
  let stored = false;
  sent.stored.then(() => {
    stored = true;
  });
  await until("it is said", () => a.warnings.includes("noReader"));
  // In a group without other people, messages are sent, also while that one waits.
  await say(await a.rooms.create([]), "note to self");
  equal([stored, room.unsent], [false, 1]);
  session.call = call;
  await room.reconcile();
  await sent.stored;
  const other = await seenBy(b, room.id);
  await until("it is read", () => other.seen.length > 0);
  equal([other.seen, room.canBeRead], [["is anyone there?"], true]);
});

await test("an account is deleted: the others see who is owner now, and that the user has left", async () => {
  const {
    clients: [a, b, c],
    rooms: [roomA, roomB, roomC],
  } = await roomOf(3);
  await say(roomA, "before");
  await a.account.delete("a long enough password");
  // Both were added by one statement, so the smaller id decides.
  const [owner, member] = [b.userId, c.userId].toSorted(ascending);
  for (const room of [roomB, roomC]) {
    await until("the devices are removed", () => room.devices().every(({ userId }) => userId !== a.userId));
    const members = (await room.members.list()).map(({ userId, role }) => [userId, role]);
    equal(
      members.toSorted(([x], [y]) => ascending(x, y)),
      [
        [owner, "owner"],
        [member, "member"],
      ],
    );
    const lines = (await room.lines()).filter(({ kind }) => kind === "role" || kind === "left");
    equal(
      lines.map(({ kind, userId, by }) => [kind, userId, kind === "role" ? by.userId : undefined]),
      [
        ["role", owner, a.userId],
        ["left", a.userId, undefined],
      ],
    );
    // A difference is a line only after a minute, so the test asks what the next comparison finds.
    await room.reconcile();
    equal([...room.reconciler.rosterAlarm.known.keys()], []);
  }
  await readByAll("the room goes on", roomB, roomC);
  equal([...b.warnings, ...c.warnings].includes("rosterMismatch"), false);
});

await test("a person whose account is deleted stays in a direct room, without a device, and sends wait", async () => {
  const [a, b] = [await person(), await person()];
  const room = await a.rooms.direct(b.username);
  await say(room, "before");
  await b.account.delete("a long enough password");
  await until("the device is removed", () => room.canBeRead === false);
  equal((await room.members.list()).map(({ userId }) => userId).toSorted(ascending), [a.userId, b.userId].toSorted(ascending));
  equal((await room.lines()).map(({ kind, userId }) => [kind, userId]).at(-1), ["left", b.userId]);
  await room.send("after");
  await until("it is said", () => a.warnings.includes("noReader"));
  equal([room.unsent, a.warnings.includes("rosterMismatch")], [1, false]);
});

await test("a direct room of another scheme does not prevent one with MLS", async () => {
  const [a, b] = [await person(), await person()];
  const shared = await b.parts.session.call("POST", "v1/rooms", { kind: "direct", members: [a.username], visible: false, scheme: "opaque" });
  const rooms = await Promise.all([a.rooms.direct(b.username), b.rooms.direct(a.username)]);
  equal([rooms[0].id === rooms[1].id, rooms[0].id === shared.id, await a.rooms.get(shared.id)], [true, false, undefined]);
  const other = await seenBy(b, rooms[0].id);
  await say(rooms[0], "hello");
  await until("it is read", () => other.seen.length === 1);
});
