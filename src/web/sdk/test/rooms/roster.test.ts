/* Who is in a room is what its members have signed, whatever the server says. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { newId } from "../../src/base/bytes.js";
import type { SimDevice } from "../simulation/device.js";
import { Scene } from "./scene.js";

let scene: Scene;
beforeEach(() => {
  scene = new Scene();
});
afterEach(() => scene.end());

async function three(): Promise<[SimDevice, SimDevice, SimDevice]> {
  const [anna, ben, cleo] = [await scene.person("anna"), await scene.person("ben"), await scene.person("cleo")];
  await scene.found(anna, ["ben"], { name: "Lunch" });
  return [anna, ben, cleo];
}

test("a room is founded by a first statement, and all devices follow it", async () => {
  const [anna, ben] = await three();
  for (const device of [anna, ben]) {
    const room = await scene.roomOf(device);
    expect(await scene.membersOf(device)).toEqual(["anna owner", "ben member"]);
    expect(room).toMatchObject({ name: "Lunch", kind: "group" });
    expect(scene.coreOf(device)!.signed).toMatchObject({ head: { number: 1 }, id: room.id });
  }
  expect((await scene.roomOf(anna)).isConfirmed).toBe(true);
  expect((await scene.roomOf(ben)).isConfirmed).toBe(false);
});

test("while sends wait, signals of this user wait with them, but not the read position", async () => {
  const [anna, ben] = await three();
  const room = await scene.roomOf(anna);
  await scene.run(ben.send(scene.room.id, "read this"));
  await scene.world.pass(5_000);
  const signal = vi.spyOn(anna.link!, "signal");
  const held = vi.spyOn(room.core, "isHeld", "get").mockReturnValue(true);
  await scene.run(room.signal({ secret: 1 }));
  await scene.run(room.typing());
  expect(signal).not.toHaveBeenCalled();
  await scene.run(room.markRead(room.last!));
  await scene.world.pass(5_000);
  expect(signal).toHaveBeenCalledTimes(1);
  held.mockReturnValue(false);
  await scene.run(room.signal({ secret: 1 }));
  expect(signal).toHaveBeenCalledTimes(2);
});

test("two members who say that they have one name are removed by their ids only", async () => {
  const [anna, ben, cleo] = await three();
  const room = await scene.roomOf(anna);
  await scene.run(room.members.add("cleo"));
  vi.spyOn(room.members, "list").mockResolvedValue(
    (await room.members.list()).map((each) => ({ ...each, username: each.userId === anna.user.id ? "anna" : "ben" })),
  );
  await expect(scene.run(room.members.remove("ben"))).rejects.toMatchObject({ code: "Conflict" });
  await scene.run(room.members.remove(cleo.user.id));
  vi.mocked(room.members.list).mockRestore();
  expect((await room.members.list()).map(({ userId }) => userId).toSorted()).toEqual([anna.user.id, ben.user.id].toSorted());
});

test("a change that the server acknowledges and does not put into the log is not reported as done", async () => {
  const [anna] = await three();
  const room = await scene.roomOf(anna);
  let lies = 0;
  const liar = vi.spyOn(scene.server, "commit").mockImplementation((userId, roomId, { id, epoch }) => {
    lies++;
    return { roomId, id, seq: scene.room.log.length, epoch: epoch + 1, duplicate: false };
  });
  await expect(scene.run(room.members.remove("ben"))).rejects.toMatchObject({ code: "Unavailable" });
  expect(await scene.membersOf(anna)).toEqual(["anna owner", "ben member"]);
  expect(lies).toBeGreaterThan(1);
  liar.mockRestore();
  await scene.run(room.members.remove("ben"));
  expect(await scene.membersOf(anna)).toEqual(["anna owner"]);
});

test("repeated calls with one id create one room", async () => {
  const anna = await scene.person("anna");
  await scene.person("ben");
  const id = newId();
  const { rooms } = anna.process!;
  const [first, second] = [await scene.run(rooms.create(["ben"], { id })), await scene.run(rooms.create(["ben"], { id }))];
  expect(second).toBe(first);
  expect(scene.server.rooms.size).toBe(1);
});

test("a newcomer's room is confirmed by a message of another user than the one who has added it", async () => {
  const [anna, ben, cleo] = await three();
  await scene.run((await scene.roomOf(anna)).members.add("cleo"));
  await scene.world.pass(5_000);
  expect((await scene.roomOf(cleo)).isConfirmed).toBe(false);
  await scene.run(anna.send(scene.room.id, "from the one who has added cleo"));
  await scene.world.pass(5_000);
  expect((await scene.roomOf(cleo)).isConfirmed).toBe(false);
  await scene.run(ben.send(scene.room.id, "from another one"));
  await scene.world.pass(5_000);
  expect((await scene.roomOf(cleo)).isConfirmed).toBe(true);
  expect(await scene.linesOf(cleo)).toEqual(["entered"]);
});

test("roles, the name and the members are changed by those who may", async () => {
  const [anna, ben, cleo] = await three();
  const bens = await scene.roomOf(ben);
  const { members } = bens;
  for (const act of [() => bens.rename("Ben's"), () => members.add("cleo"), () => members.setRole(ben.user.id, "owner"), () => members.remove("anna")])
    await expect(scene.run(act())).rejects.toMatchObject({ code: "Forbidden" });
  const annas = await scene.roomOf(anna);
  await scene.run(annas.members.setRole(ben.user.id, "admin"));
  await scene.run(bens.rename("Ben's"));
  await scene.run(bens.members.add("cleo"));
  await scene.world.pass(5_000);
  expect(await scene.membersOf(cleo)).toEqual(["anna owner", "ben admin", "cleo member"]);
  expect(annas.name).toBe("Ben's");
  expect(scene.room.members.get(ben.user.id)).toMatchObject({ role: "admin" });
  await expect(scene.run(annas.members.add("cleo"))).rejects.toMatchObject({ code: "Conflict" });
  await expect(scene.run(annas.members.setRole(anna.user.id, "member"))).rejects.toMatchObject({ code: "Conflict" });
  await scene.run(bens.members.remove("cleo"));
  await scene.world.pass(5_000);
  expect(await scene.membersOf(anna)).toEqual(["anna owner", "ben admin"]);
  // A removed member has followed the removal, and the room has ended there.
  expect(cleo.process!.rooms.list()).toEqual([]);
});

test("a user whom the server alone adds gets no key, and people see the difference", async () => {
  const [anna, ben, cleo] = await three();
  const { room, server } = scene;
  server.lie(room, "join", cleo.user.id);
  await scene.world.pass(120_000);
  for (const device of [anna, ben]) {
    expect(await scene.membersOf(device)).toEqual(["anna owner", "ben member"]);
    expect(
      scene
        .coreOf(device)!
        .group!.leaves()
        .map((leaf) => leaf.userId),
    ).not.toContain(cleo.user.id);
    expect(await scene.linesOf(device)).toContain("rosterMismatch");
  }
  expect(scene.coreOf(cleo)?.group).toBeUndefined();
  // The server's copy follows the members, by the client of an admin.
  await scene.world.pass(240_000);
  expect([...room.members.keys()]).toEqual([anna.user.id, ben.user.id]);
});

test("a role, a time to live and a removal that only the server says change nothing, and people see it", async () => {
  const [anna, ben] = await three();
  const { room, server } = scene;
  server.inject(room, { kind: "roleChanged", userId: ben.user.id, role: "owner" });
  server.inject(room, { kind: "settingsChanged", settings: { timeToLiveSeconds: 60 } });
  server.inject(room, { kind: "memberLeft", userId: ben.user.id });
  await scene.world.pass(10_000);
  for (const device of [anna, ben]) {
    expect(await scene.membersOf(device)).toEqual(["anna owner", "ben member"]);
    expect((await scene.roomOf(device)).settings).toEqual({});
    expect((await scene.linesOf(device)).filter((kind) => kind === "rosterMismatch")).toHaveLength(2);
    expect(device.warnings.filter(({ kind }) => kind === "rosterMismatch")).toHaveLength(2);
  }
});

test("whom the server names as the author of an invalid Commit is shown, as the word of the server", async () => {
  const [anna, ben] = await three();
  scene.server.inject(scene.room, { kind: "groupReset", generation: 1, userId: ben.user.id });
  await scene.world.pass(10_000);
  const named = (await (await scene.roomOf(anna)).lines()).filter(({ kind }) => kind === "invalidCommit");
  expect(named).toEqual([expect.objectContaining({ userId: ben.user.id, detail: expect.stringContaining("Only the server says so") as string })]);
  expect(named[0]).not.toHaveProperty("by");
  expect(await scene.membersOf(anna)).toEqual(["anna owner", "ben member"]);
});

test("who leaves signs it, and another member commits it", async () => {
  const [anna, ben] = await three();
  await scene.run((await scene.roomOf(ben)).leave());
  await scene.world.pass(10_000);
  expect(await scene.membersOf(anna)).toEqual(["anna owner"]);
  expect(await scene.linesOf(anna)).toContain("left");
  expect(ben.process!.rooms.list()).toEqual([]);
  expect([...scene.room.members.keys()]).toEqual([anna.user.id]);
});

test("who deletes the account hands groups over, and signs to leave them and the direct rooms", async () => {
  const [anna, ben] = await three();
  await scene.run(anna.process!.rooms.signOff());
  await scene.world.pass(10_000);
  expect(await scene.membersOf(ben)).toEqual(["ben owner"]);
  expect(await scene.linesOf(ben)).toEqual(expect.arrayContaining(["role", "left"]));
  await scene.found(ben, ["anna"], { direct: true });
  await scene.run(anna.process!.rooms.signOff());
  await scene.world.pass(10_000);
  const room = await scene.roomOf(ben);
  expect(room.devices().map(({ userId }) => userId)).toEqual([ben.user.id]);
  expect(room.canBeRead).toBe(false);
  expect(await scene.linesOf(ben)).toContain("left");
});

test("the owner who deletes the account hands a group over to the highest role, and of equal ones to the longest member", async () => {
  const [anna, ben, cleo] = await three();
  const dora = await scene.person("dora");
  const { members } = await scene.roomOf(anna);
  for (const device of [cleo, dora]) await scene.run(members.add(device.user.username));
  for (const device of [dora, cleo]) await scene.run(members.setRole(device.user.id, "moderator"));
  await scene.world.pass(5_000);
  const [entry] = [scene.room.log.length];
  await scene.run(anna.process!.rooms.signOff());
  await scene.world.pass(10_000);
  // One Commit hands over, then the token is sent, and another Commit removes the devices.
  const acts = scene.room.log.slice(entry).flatMap(({ kind }) => (kind === "commit" || kind === "message" ? [kind] : []));
  expect(acts).toEqual(["commit", "message", "commit"]);
  expect(await scene.membersOf(ben)).toEqual(["ben member", "cleo owner", "dora moderator"]);
  // The account is deleted, so the server and the members agree.
  scene.room.members.delete(anna.user.id);
  await scene.world.pass(200_000);
  for (const device of [ben, cleo, dora]) expect(device.warnings.filter(({ kind }) => kind === "rosterMismatch")).toEqual([]);
});

test("a room that does not answer does not prevent the deletion of an account, and is reported", async () => {
  const [anna, ben] = await three();
  const silent = await scene.roomOf(anna);
  await scene.found(anna, ["ben"], { name: "Dinner" });
  vi.spyOn(silent, "signOff").mockReturnValue(new Promise(() => undefined));
  const before = scene.world.now;
  await scene.run(anna.process!.rooms.signOff());
  expect(scene.world.now - before).toBeLessThan(11_000);
  const reported = anna.warnings.filter(({ kind }) => kind === "leaveNotSigned");
  expect(reported.map(({ roomId, error }) => [roomId, error?.code])).toEqual([[silent.id, "Unavailable"]]);
  await scene.world.pass(10_000);
  expect(await scene.membersOf(ben)).toEqual(["ben owner"]);
});

test("the last owner of a group with other members cannot leave, and a direct room is not left", async () => {
  const [anna, ben] = await three();
  await expect(scene.run((await scene.roomOf(anna)).leave())).rejects.toMatchObject({ code: "Conflict" });
  await scene.found(ben, ["anna"], { direct: true });
  await expect(scene.run((await scene.roomOf(ben)).leave())).rejects.toMatchObject({ code: "Conflict" });
  expect(await scene.membersOf(ben)).toEqual(["anna member", "ben member"]);
});

test("both users of a direct room get the same one, and no third user gets in", async () => {
  const [anna, ben] = await three();
  await scene.found(anna, ["ben"], { direct: true });
  const again = await scene.run(ben.process!.rooms.direct("anna"));
  expect(again.id).toBe(scene.room.id);
  await expect(scene.run(again.members.add("cleo"))).rejects.toMatchObject({ code: "Invalid" });
  expect((await scene.roomOf(anna)).kind).toBe("direct");
});
