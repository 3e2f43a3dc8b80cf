/* Commits that break the rules are reported with their author, and the others go on without them. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { newId } from "../../src/base/bytes.js";
import { enforced } from "../../src/trust/enforced.js";
import { roomInfoSince } from "../../src/rooms/newMembers.js";
import { changes } from "../../src/trust/statement.js";
import { keys, pack } from "../../src/store/store.js";
import { SimDevice } from "../simulation/device.js";
import { Scene } from "./scene.js";

let scene: Scene;
let anna: SimDevice;
let ben: SimDevice;
let cleo: SimDevice;
beforeEach(async () => {
  scene = new Scene();
  [anna, ben, cleo] = [await scene.person("anna"), await scene.person("ben"), await scene.person("cleo")];
  await scene.found(anna, ["ben", "cleo"]);
});
afterEach(() => scene.end());

const ruleOf = async (device: SimDevice) => (await (await scene.roomOf(device)).lines()).find(({ kind }) => kind === "invalidCommit");

test("a plain member cannot remove another one, also not in the eyes of the removed device", async () => {
  await scene.commitAs(ben, { remove: [cleo.id] });
  for (const device of [anna, cleo]) {
    expect(await ruleOf(device)).toMatchObject({ rule: "removal", by: { userId: ben.user.id, deviceId: ben.id } });
    expect(device.warnings).toContainEqual(expect.objectContaining({ kind: "invalidCommit", detail: expect.stringContaining(ben.id) as string }));
    expect(scene.coreOf(device)!.state.out).toBeUndefined();
  }
});

test("a statement without the right, and a device of another user, are refused", async () => {
  await scene.commitAs(ben, { changes: [changes.role(ben.user.id, 3)] });
  expect(await ruleOf(anna)).toMatchObject({ rule: "role", by: { userId: ben.user.id } });
  expect(await scene.membersOf(anna)).toEqual(["anna owner", "ben member", "cleo member"]);
});

test("a leaf with another user's id and an identity of its own is refused", async () => {
  await scene.commitAs(ben, { add: [await scene.packageOf("ben", { userId: cleo.user.id })] });
  expect(await ruleOf(anna)).toMatchObject({ rule: "leaf", by: { userId: ben.user.id } });
  expect(scene.coreOf(anna)!.group!.leaves()).toHaveLength(3);
});

test("a device that no signed list of its user announces is refused, also when its identity is the right one", async () => {
  await scene.commitAs(ben, { add: [await scene.packageOf("ben", {})] });
  expect(await ruleOf(anna)).toMatchObject({ rule: "addition", by: { userId: ben.user.id } });
});

test("the next device of a user is added with the list that announces it, and people see by whom", async () => {
  const second = await scene.device("cleo");
  await scene.world.pass(10_000);
  expect(
    scene
      .coreOf(anna)!
      .group!.leaves()
      .map((leaf) => leaf.deviceId),
  ).toContain(second.id);
  const lines = await (await scene.roomOf(anna)).lines();
  expect(lines.find(({ kind }) => kind === "deviceAdded")).toMatchObject({ userId: cleo.user.id, deviceId: second.id });
  expect(scene.coreOf(second)!.isReady).toBe(true);
});

test("the list of each leaf that a Commit adds is fetched, also when no statement names its user", async () => {
  const dora = await scene.person("dora");
  scene.server.lie(scene.room, "join", dora.user.id);
  await scene.world.pass(3_000);
  const seen: { kinds: string[]; at: number }[] = [];
  (await scene.roomOf(anna)).on("holds", (holds) => seen.push({ kinds: holds.map(({ kind }) => kind), at: scene.world.now }));
  enforced.t1 = false;
  try {
    await scene.commitAs(ben, { changes: [changes.role(ben.user.id, 3)], add: [await scene.packageOf("dora", {})] });
  } finally {
    enforced.t1 = true;
  }
  expect(scene.coreOf(anna)!.group!.leaves()).toHaveLength(4);
  expect(seen.map(({ kinds }) => kinds)).toEqual([["listWithheld"], ["unlistedDevice"]]);
  expect(seen[1]!.at - seen[0]!.at).toBeLessThan(300);
});

test("a message of the epoch that an invalid Commit began is not readable, and the others go on in the epoch before it", async () => {
  scene.server.reportInvalidCommit = () => ({ reset: false, generation: 0 });
  const { group } = scene.coreOf(ben)!;
  const { epoch } = group!;
  const made = await group!.commit({ remove: group!.leaves().flatMap((leaf) => (leaf.deviceId === cleo.id ? [leaf.index] : [])), add: [] });
  const { message } = await made.after.encrypt(new Uint8Array(256));
  scene.server.commit(ben.user.id, scene.room.id, { id: newId(), epoch, commit: made.commit, welcomes: [] });
  scene.server.inject(scene.room, { kind: "message", id: newId(), ciphertext: message, epoch: epoch + 1 });
  await scene.world.pass(3_000);
  expect(scene.coreOf(anna)!.state.broken).toMatchObject({ why: "commit" });
  await scene.run(anna.send(scene.room.id, "still here"));
  await scene.world.pass(3_000);
  expect(await scene.textsOf(cleo)).toEqual(["still here"]);
  expect((await (await scene.roomOf(anna)).history()).map(({ content }) => content.type)).toEqual(["unreadable", "text"]);
});

test("after an invalid Commit the others read and send in the epoch before it, until the group is founded anew", async () => {
  const { epoch } = scene.coreOf(anna)!.group!;
  // The reset is kept away for a while: the server does not hear of the reports.
  const report = scene.server.reportInvalidCommit.bind(scene.server);
  scene.server.reportInvalidCommit = () => ({ reset: false, generation: 0 });
  await scene.commitAs(ben, { remove: [cleo.id] });
  await scene.run(anna.send(scene.room.id, "still here"));
  await scene.world.pass(3_000);
  expect(scene.coreOf(anna)!.group!.epoch).toBe(epoch);
  expect(await scene.textsOf(cleo)).toEqual(["still here"]);
  scene.server.reportInvalidCommit = report;
  await scene.world.pass(180_000);
  for (const device of [anna, cleo, ben]) {
    const core = scene.coreOf(device)!;
    expect(core.group).toMatchObject({ generation: 1 });
    expect(core.signed!.head!.number).toBe(1);
    expect(await scene.linesOf(device)).toContain("reset");
  }
  await scene.run(cleo.send(scene.room.id, "in the new group"));
  await scene.world.pass(3_000);
  expect(await scene.textsOf(anna)).toEqual(["still here", "in the new group"]);
});

test("no member adds a third user to a direct room", async () => {
  await scene.found(anna, ["ben"], { direct: true });
  const { identityKey, id } = cleo.user;
  await scene.commitAs(anna, { changes: [changes.add(id, identityKey, 0, 1)] });
  expect(await ruleOf(ben)).toMatchObject({ rule: "change", by: { userId: anna.user.id } });
  expect(await scene.membersOf(ben)).toEqual(["anna member", "ben member"]);
});

test("after two resets in a row, the group is founded with the head that all have, and every device is shown what differs", async () => {
  const { room, server } = scene;
  for (const generation of [1, 2]) {
    Object.assign(room, { generation, epoch: 0, commitSeq: 0 });
    server.inject(room, { kind: "groupReset", generation });
  }
  await scene.world.pass(60_000);
  for (const device of [anna, ben, cleo]) {
    const core = scene.coreOf(device)!;
    expect(core.group).toMatchObject({ generation: 2 });
    expect(core.signed!.head!.number).toBe(1);
    const [line] = (await (await scene.roomOf(device)).lines()).filter(({ kind }) => kind === "reset");
    expect(line).toBeDefined();
    expect([...(line!.missing ?? []), ...(line!.added ?? [])]).toEqual([]);
  }
});

test.each([17, 2 ** 32, 2 ** 53, 1.5, -1, NaN, "1", undefined])("a reset to the generation %s changes nothing, and is reported", async (generation) => {
  scene.server.inject(scene.room, { kind: "groupReset", generation: generation as number });
  await scene.world.pass(10_000);
  for (const device of [anna, ben, cleo]) {
    expect(scene.coreOf(device)!.state.generation).toBe(0);
    expect(device.warnings).toContainEqual(expect.objectContaining({ kind: "resetIgnored", detail: expect.stringContaining(String(generation)) as string }));
  }
  await scene.run(anna.send(scene.room.id, "to all"));
  await scene.world.pass(3_000);
  expect(await scene.textsOf(cleo)).toEqual(["to all"]);
});

test("a reset to a generation that the log has passed is no alarm", async () => {
  scene.server.inject(scene.room, { kind: "groupReset", generation: 0 });
  await scene.world.pass(10_000);
  expect(anna.warnings.map(({ kind }) => kind)).not.toContain("resetIgnored");
});

test("a new device does not follow the server's word for a generation that is none", async () => {
  const summary = scene.server.summary.bind(scene.server);
  scene.server.summary = (...of) => ({ ...summary(...of), generation: 2 ** 32 });
  const second = await scene.device("cleo");
  await scene.world.pass(10_000);
  expect(scene.coreOf(second)!.isReady).toBe(true);
  expect(second.warnings).toContainEqual(expect.objectContaining({ kind: "resetIgnored", detail: expect.stringContaining("4294967296") as string }));
});

test.each([0, 1])("a new device with a transfer of generation %s enters that group or a later one", async (generation) => {
  const start = vi.spyOn(SimDevice.prototype, "start");
  const { head, foundingHash } = scene.coreOf(anna)!.signed!;
  const given = { room: scene.room.id, founding: foundingHash, generation, number: head!.number, head: head!.hash };
  start.mockImplementationOnce(async function (this: SimDevice) {
    await this.disk.write(new Map([[keys.transferredRoom(scene.room.id), pack(given)]]));
    start.mockRestore();
    await this.start();
  });
  const second = await scene.device("cleo");
  await scene.world.pass(10_000);
  expect(scene.coreOf(second)!.isReady).toBe(generation === 0);
  const refusal = expect.objectContaining({ kind: "welcomeRefused" });
  expect(second.warnings).toEqual(generation === 0 ? [] : expect.arrayContaining([refusal]));
});

/** A Welcome for another member's device into a group that this device alone has founded, with the room's head, some epochs later. */
async function forkFor(by: SimDevice, victim: SimDevice): Promise<Uint8Array> {
  const { signed, group } = scene.coreOf(by)!;
  const leaf = group!.leaves().find(({ index }) => index === group!.ownLeafIndex)!;
  const own = await scene.mls.makeKeyPackage(leaf, { privateKey: group!.ownSignatureSeed(), publicKey: leaf.signatureKey }, 84, scene.world.now);
  let fork = await scene.mls.found(group!.id, own);
  for (let epoch = 0; epoch < group!.epoch + 4; epoch++) {
    const made = await fork.commit({ remove: [], add: [] });
    fork = made.before.merge(made.after);
  }
  const [claimed] = scene.server.directory.claim([victim.id]);
  const roomInfo = await roomInfoSince(signed!, 1, undefined);
  return (await fork.commit({ remove: [], add: [claimed!.keyPackage], roomInfo: roomInfo! })).welcome!;
}

test.each(["valid", "invalid"] as const)("a Welcome of a Commit that is %s and does not remove this device leads nowhere", async (which) => {
  scene.server.reportInvalidCommit = () => ({ reset: false, generation: 0 });
  const welcome = await forkFor(ben, cleo);
  const { group } = scene.coreOf(ben)!;
  const { epoch } = group!;
  const { index } = group!.leaves().find((leaf) => leaf.deviceId === anna.id)!;
  const made = await group!.commit({ remove: which === "valid" ? [] : [index], add: [] });
  scene.server.commit(ben.user.id, scene.room.id, { id: newId(), epoch, commit: made.commit, welcomes: [welcome] });
  await scene.world.pass(10_000);
  const core = scene.coreOf(cleo)!;
  expect(core.group!.leaves()).toHaveLength(3);
  expect(core.group!.epoch).toBe(which === "valid" ? epoch + 1 : epoch);
  expect((await scene.linesOf(cleo)).filter((kind) => kind === "entered")).toHaveLength(1);
  expect(cleo.warnings).toContainEqual(expect.objectContaining({ kind: "welcomeRefused", detail: expect.stringContaining(ben.id) as string }));
  await scene.run(anna.send(scene.room.id, "to all"));
  await scene.world.pass(3_000);
  expect(await scene.textsOf(cleo)).toEqual(["to all"]);
});
