import { beforeEach, expect, test } from "vitest";
import { newId, toHex } from "../../src/base/bytes.js";
import { generateSigningKey } from "../../src/mls/ed25519.js";
import { fetchLists } from "../../src/account/lists.js";
import { People } from "../../src/account/people.js";
import { Pins } from "../../src/account/pins.js";
import { TrustBook, type IdentityChange } from "../../src/account/trustBook.js";
import { deviceListHash } from "../../src/trust/deviceList.js";
import { encodeContactCode } from "../../src/trust/safety.js";
import { MemoryStore } from "../../src/store/store.js";
import { isSame, ListUser, TestDirectory } from "./users.js";

const ownId = newId();
let store: MemoryStore;
let directory: TestDirectory;
let book: TrustBook;
let people: People;
let changes: IdentityChange[];
let anna: ListUser;

async function open(): Promise<void> {
  book = new TrustBook(await Pins.load(store), directory, ownId);
  people = new People(book, { userId: ownId, identityKey: (await generateSigningKey()).publicKey });
  changes = [];
  book.on("identityChanged", (change) => changes.push(change));
}

const kindsOf = async (user: ListUser): Promise<string[]> => (await book.linesOf(user.userId)).map((line) => line.kind);

beforeEach(async () => {
  store = new MemoryStore();
  directory = new TestDirectory();
  anna = await ListUser.create("anna");
  directory.show(anna);
  await open();
});

test("a name is pinned at first sight, with identity and list, and survives a restart without the server", async () => {
  const resolved = await book.resolve("Anna");
  expect(resolved).toMatchObject({ userId: anna.userId, username: "anna", list: 1 });
  await open();
  directory.isDown = true;
  expect(isSame(book.identityKeyOf(anna.userId), anna.identity.publicKey)).toBe(true);
  expect(book.listOf(anna.userId)).toMatchObject({ number: 1 });
  expect(people.get(anna.userId)).toMatchObject({ username: "anna", verified: "no" });
  expect(book.devicesOf(anna.userId).map((each) => each.deviceId)).toEqual([...anna.devices.keys()]);
});

test("a name that resolves to another user is not used until a person accepts it", async () => {
  await book.resolve("anna");
  const eve = await ListUser.create("anna");
  directory.show(eve);
  await expect(book.resolve("anna")).rejects.toMatchObject({ code: "NameChanged" });
  expect(book.holdOf(eve.userId)).toMatchObject({ kind: "nameChanged" });
  expect(await kindsOf(eve)).toEqual(["nameChanged"]);
  await expect(book.resolve("anna")).rejects.toMatchObject({ code: "NameChanged" });
  expect(people.get(anna.userId)).toMatchObject({ username: "anna" });
  await people.acceptName("anna");
  expect(await book.resolve("anna")).toMatchObject({ userId: eve.userId });
  expect(book.holdOf(eve.userId)).toBeUndefined();
});

test("a name whose user has signed another name is refused", async () => {
  directory.names.set("bea", anna);
  await expect(book.resolve("bea")).rejects.toMatchObject({ code: "NameChanged" });
  await book.resolve("anna");
  // The server's word does not take the name from the real user.
  const bea = await ListUser.create("bea");
  directory.show(bea);
  expect(await book.resolve("bea")).toMatchObject({ userId: bea.userId });
});

test("a name that a room's members had by the server's word gives way to the signed one", async () => {
  await book.learnName(anna.userId, "bea");
  await book.refresh([anna.userId]);
  expect(people.get(anna.userId)).toMatchObject({ username: "anna" });
  const bea = await ListUser.create("bea");
  directory.show(bea);
  expect(await book.resolve("bea")).toMatchObject({ userId: bea.userId });
});

test("the own identity never comes from an answer about this user", async () => {
  const mine = await generateSigningKey();
  await book.trustOwn(mine.publicKey, undefined);
  const rival = Object.assign(anna.clone(), { userId: ownId });
  await rival.begin();
  directory.show(rival);
  await book.refresh([ownId]);
  expect(book.holdOf(ownId)).toMatchObject({ kind: "identityChanged" });
  await people.accept(ownId);
  expect(isSame(book.identityKeyOf(ownId), mine.publicKey)).toBe(true);
  expect(book.listOf(ownId)).toBeUndefined();
});

test("lists are followed over pages, and each difference becomes a line", async () => {
  await book.resolve("anna");
  const phone = await anna.add();
  await anna.add();
  await anna.revoke(phone);
  await anna.rename("anne");
  directory.show(anna);
  await book.refresh([anna.userId]);
  const lines = await book.linesOf(anna.userId);
  expect(lines.map((line) => line.kind)).toEqual(["devices", "devices", "devices", "renamed"]);
  expect(lines[0]).toMatchObject({ added: [phone], removed: [], number: 2, signer: [...anna.devices.keys()][0] });
  expect(lines[2]).toMatchObject({ removed: [phone], number: 4 });
  expect(people.get(anna.userId)).toMatchObject({ username: "anne" });
  expect(book.listOf(anna.userId)!.number).toBe(5);
  expect(book.holdOf(anna.userId)).toBeUndefined();
});

test("an older chain and no chain change nothing", async () => {
  await book.resolve("anna");
  const early = [...anna.lists];
  await anna.add();
  directory.show(anna);
  await book.refresh([anna.userId]);
  for (const chain of [early, []]) {
    directory.chains.set(anna.userId, chain);
    await book.refresh([anna.userId]);
    expect(book.listOf(anna.userId)!.number).toBe(2);
    expect(book.holdOf(anna.userId)).toBeUndefined();
  }
});

test.each([0, 1])("two lists of one number are a fork, which a person can accept (rival %i ahead)", async (ahead) => {
  await book.resolve("anna");
  const rival = anna.clone();
  await anna.add();
  directory.show(anna);
  await book.refresh([anna.userId]);
  await rival.add();
  for (let i = 0; i < ahead; i++) await rival.add();
  directory.show(rival);
  await book.refresh([anna.userId]);
  expect(book.holdOf(anna.userId)).toMatchObject({ kind: "listFork" });
  expect(toHex(book.listOf(anna.userId)!.encoded)).toBe(toHex(anna.lists[1]!));
  await people.accept(anna.userId);
  await book.refresh([anna.userId]);
  expect(book.holdOf(anna.userId)).toBeUndefined();
  await rival.add();
  directory.show(rival);
  await book.refresh([anna.userId]);
  expect(book.holdOf(anna.userId)).toMatchObject({ kind: "listFork" });
});

test("a mentioned list is compared, and is withheld while it cannot be fetched", async () => {
  await book.resolve("anna");
  const first = book.listOf(anna.userId)!;
  expect(await book.mention(anna.userId, { number: 1, hash: first.hash.subarray(0, 16) })).toBe("same");
  await anna.add();
  expect(await book.mention(anna.userId, { number: 2, hash: new Uint8Array(16) })).toBe("newer");
  await book.refresh([anna.userId]);
  expect(book.holdOf(anna.userId)).toMatchObject({ kind: "listWithheld" });
  directory.show(anna);
  await book.refresh([anna.userId]);
  expect(book.holdOf(anna.userId)).toBeUndefined();
  expect(await book.mention(anna.userId, { number: 1, hash: first.hash })).toBe("older");
  expect(await book.mention(anna.userId, { number: 2, hash: new Uint8Array(16) })).toBe("fork");
  expect(book.holdOf(anna.userId)).toMatchObject({ kind: "listFork" });
});

test("a number that was compared marks no key that has come meanwhile", async () => {
  await book.resolve("anna");
  const compared = await people.safetyNumber(anna.userId);
  // The server shows another chain while two people read digits to each other.
  await anna.loseAll();
  directory.show(anna);
  await book.refresh([anna.userId]);
  await expect(people.verify(anna.userId, compared)).rejects.toMatchObject({ code: "Conflict" });
  expect(people.get(anna.userId)).toMatchObject({ verified: "no" });
  await people.verify(anna.userId, (await people.safetyNumber(anna.userId)).replaceAll(" ", "  "));
  // The same for a key that waits for a decision.
  const before = book.identityKeyOf(anna.userId);
  const now = await people.safetyNumber(anna.userId);
  await anna.loseAll();
  directory.show(anna);
  await book.refresh([anna.userId]);
  await expect(people.verify(anna.userId, now)).rejects.toMatchObject({ code: "Conflict" });
  expect(book.holdOf(anna.userId)).toMatchObject({ kind: "identityChanged" });
  expect(isSame(book.identityKeyOf(anna.userId), before!)).toBe(true);
});

test("an answer to one hold accepts nothing of another that has come meanwhile", async () => {
  await book.resolve("anna");
  await people.verify(anna.userId);
  expect(await book.mention(anna.userId, { number: 9, hash: new Uint8Array(16) })).toBe("newer");
  await book.refresh([anna.userId]);
  expect(book.holdOf(anna.userId)).toMatchObject({ kind: "listWithheld" });
  const before = book.identityKeyOf(anna.userId)!;
  await anna.loseAll();
  directory.show(anna);
  await book.refresh([anna.userId]);
  await book.decide(anna.userId, false, { kind: "listWithheld" });
  expect(book.holdOf(anna.userId)).toMatchObject({ kind: "identityChanged" });
  expect(isSame(book.identityKeyOf(anna.userId), before)).toBe(true);
});

test("a signed renewal holds nothing, and turns a verified mark into compare again", async () => {
  await book.resolve("anna");
  await people.verify(anna.userId);
  await anna.renew();
  directory.show(anna);
  await book.refresh([anna.userId]);
  expect(changes).toMatchObject([{ userId: anna.userId, signed: true, blocksSending: false }]);
  expect(await kindsOf(anna)).toEqual(["identityRenewed"]);
  expect(people.get(anna.userId)).toMatchObject({ verified: "again" });
  expect(book.holdOf(anna.userId)).toBeUndefined();
  expect(isSame(book.identityKeyOf(anna.userId), anna.identity.publicKey)).toBe(true);
});

test("a renewal of a key that is known only from a room becomes a line", async () => {
  await book.seeLeaves([{ userId: anna.userId, identityKey: anna.identity.publicKey }]);
  await people.verify(anna.userId);
  await anna.add();
  await anna.renew();
  directory.show(anna);
  await book.update(anna.userId);
  expect(people.get(anna.userId)).toMatchObject({ verified: "again" });
  expect(await kindsOf(anna)).toEqual(["identityRenewed"]);
});

test("a leaf with an identity from before a signed renewal is no news", async () => {
  await book.resolve("anna");
  const before = anna.identity.publicKey;
  await anna.renew();
  directory.show(anna);
  await book.refresh([anna.userId]);
  await book.seeLeaves([{ userId: anna.userId, identityKey: before }]);
  const calls = directory.calls;
  await expect.poll(() => directory.calls).toBeGreaterThanOrEqual(calls);
  await book.update(anna.userId);
  expect(changes.length).toBe(1);
});

test("an unsigned other identity is a line for others, and holds a verified user until a person decides", async () => {
  await book.resolve("anna");
  await anna.loseAll();
  directory.show(anna);
  await book.refresh([anna.userId]);
  expect(changes).toMatchObject([{ signed: false, blocksSending: false }]);
  expect(isSame(book.identityKeyOf(anna.userId), anna.identity.publicKey)).toBe(true);
  await people.verify(anna.userId);
  const before = anna.identity.publicKey;
  const number = await people.safetyNumber(anna.userId);
  await anna.loseAll();
  directory.show(anna);
  await book.refresh([anna.userId]);
  await book.refresh([anna.userId]);
  expect(changes).toMatchObject([{ blocksSending: false }, { signed: false, blocksSending: true }]);
  expect(people.holds).toMatchObject([{ userId: anna.userId, hold: { kind: "identityChanged" } }]);
  expect(isSame(book.identityKeyOf(anna.userId), before)).toBe(true);
  expect(await people.safetyNumber(anna.userId)).not.toBe(number);
  await open();
  expect(book.holdOf(anna.userId)).toMatchObject({ kind: "identityChanged" });
  await people.accept(anna.userId);
  expect(people.get(anna.userId)).toMatchObject({ verified: "again" });
  expect(isSame(book.identityKeyOf(anna.userId), anna.identity.publicKey)).toBe(true);
  await anna.add();
  directory.show(anna);
  await book.refresh([anna.userId]);
  expect(book.listOf(anna.userId)!.number).toBe(2);
  expect(book.holdOf(anna.userId)).toBeUndefined();
});

test("a leaf with another identity than the lists does not change the pin", async () => {
  await book.resolve("anna");
  const forged = (await generateSigningKey()).publicKey;
  await book.seeLeaves([{ userId: anna.userId, identityKey: forged }]);
  await expect.poll(() => changes).toMatchObject([{ signed: false, blocksSending: false }]);
  expect(isSame(book.identityKeyOf(anna.userId), anna.identity.publicKey)).toBe(true);
  expect(await kindsOf(anna)).toEqual(["identityChanged"]);
});

test("the devices of a directory answer count only with the pinned identity", async () => {
  await book.resolve("anna");
  expect(await book.verify([await anna.keys()])).toMatchObject([{ userId: anna.userId, deviceId: [...anna.devices.keys()][0] }]);
  const eve = anna.clone();
  eve.identity = await generateSigningKey();
  expect(await book.verify([await eve.keys()])).toEqual([]);
});

test("the QR code of a person verifies the keys and the list, also of a person who is not known yet", async () => {
  const first = { user: anna.userId, identity: anna.identity.publicKey, number: 1, list: await deviceListHash(anna.lists[0]!) };
  expect(await people.verifyByQr(encodeContactCode(first))).toMatchObject({ userId: anna.userId, username: "anna", verified: "yes" });
  const forged = (await generateSigningKey()).publicKey;
  await expect(people.verifyByQr(encodeContactCode({ ...first, identity: forged }))).rejects.toMatchObject({ code: "Forbidden" });
  await expect(people.verifyByQr(encodeContactCode({ ...first, list: new Uint8Array(32) }))).rejects.toMatchObject({ code: "Forbidden" });
  await expect(people.verifyByQr(encodeContactCode({ ...first, number: 2 }))).rejects.toMatchObject({ code: "Conflict" });
  // Everyone can print a code, so one that differs leaves no trace.
  expect([book.holdOf(anna.userId), people.get(anna.userId)!.verified]).toEqual([undefined, "yes"]);
  await book.refresh([anna.userId]);
  expect(book.holdOf(anna.userId)).toBeUndefined();
  await expect(people.verifyByQr("no code")).rejects.toMatchObject({ code: "Invalid" });
  await expect(people.verifyByQr(encodeContactCode({ ...first, user: ownId }))).rejects.toMatchObject({ code: "Invalid" });
});

test("a QR code of a third person does not verify that one when another person is compared", async () => {
  const bea = await ListUser.create("bea");
  directory.show(bea);
  await book.resolve("bea");
  await book.resolve("anna");
  const code = encodeContactCode({ user: bea.userId, identity: bea.identity.publicKey, number: 1, list: await deviceListHash(bea.lists[0]!) });
  await expect(people.verifyByQr(code, anna.userId)).rejects.toMatchObject({ code: "Invalid" });
  expect([people.get(anna.userId)!.verified, people.get(bea.userId)!.verified]).toEqual(["no", "no"]);
  expect(await people.verifyByQr(code, bea.userId)).toMatchObject({ verified: "yes" });
});

test("a signed name that no account can have is not shown: it can look like another one", async () => {
  for (const name of ["anna\u200b", "аnna", "\u202eanna", "a b"]) {
    const bea = await ListUser.create(name);
    directory.show(bea);
    await book.refresh([bea.userId]);
    expect(people.get(bea.userId)).toMatchObject({ devices: [{}] });
    expect(people.get(bea.userId)!.username).toBeUndefined();
  }
});

test("a user without any list is withheld where a room needs the list, and not resolved without devices", async () => {
  const bea = await ListUser.create("bea");
  directory.show(bea);
  directory.chains.delete(bea.userId);
  expect(await book.resolve("bea")).toMatchObject({ list: 0 });
  await book.refresh([bea.userId]);
  expect(book.holdOf(bea.userId)).toMatchObject({ kind: "listWithheld" });
  await people.accept(bea.userId);
  await book.refresh([bea.userId]);
  expect(book.holdOf(bea.userId)).toBeUndefined();
});

test("a server that has no end of lists is asked until the first one that is not valid", async () => {
  await anna.add();
  let asked = 0;
  const endless = { newest: Number.MAX_SAFE_INTEGER, lists: [...anna.lists] };
  directory.lists = async () => {
    // Without an end, the test fails here.
    if (++asked > 20) throw new Error("The server is asked without end.");
    return endless;
  };
  const troubles: string[] = [];
  book.on("trouble", ({ kind }) => troubles.push(kind));
  await book.update(anna.userId);
  expect(asked).toBe(2);
  expect(troubles).toEqual(["deviceListInvalid"]);
  expect(book.listOf(anna.userId)).toMatchObject({ number: 2 });
});

test("more valid lists than are read at once are an error, and as many are none", async () => {
  for (let i = 0; i < 4; i++) await anna.add();
  directory.show(anna);
  expect(await fetchLists(directory, anna.userId, undefined, 5)).toMatchObject({ kind: "newer", lists: { length: 5 } });
  directory.calls = 0;
  const error = { code: "Unavailable", message: `The server names more than 3 device lists of user ${anna.userId} at once.` };
  await expect(fetchLists(directory, anna.userId, undefined, 3)).rejects.toMatchObject(error);
  expect(directory.calls).toBe(2);
});
