import { expect, test } from "vitest";
import type { Directory } from "../../src/account/directory.js";
import { fetchLists } from "../../src/account/lists.js";
import { toHex, type Bytes } from "../../src/base/bytes.js";
import { generateSigningKey, publicKeyOf } from "../../src/mls/ed25519.js";
import { hpke } from "../../src/mls/suite.js";
import * as lists from "../../src/trust/deviceList.js";
import { decodeContactCode, encodeContactCode, safetyNumber } from "../../src/trust/safety.js";
import { checkTransfer, decodeTransfer, encodeTransfer, openTransfer, sealTransfer, signTransfer } from "../../src/trust/transfer.js";
import { fromHex, fuzz, ruleOf, vectors } from "./vectors.js";

const file = vectors("devices");

/** The valid lists up to a number, each checked against the one before. */
async function knownAt(number: number): Promise<lists.KnownList | undefined> {
  let known: lists.KnownList | undefined;
  for (const { encoded } of file.valid.slice(0, number)) {
    const result = await lists.checkDeviceList(fromHex(encoded), file.user, known);
    if (!result.ok) throw new Error(result.rule);
    known = result;
  }
  return known;
}

test("lists follow each other", async () => {
  expect(file.valid).toHaveLength(7);
  for (const each of file.valid) {
    const known = await knownAt(each.number);
    expect(known!.list).toMatchObject({ user: file.user, number: each.number, username: each.username, reason: each.reason, signer: each.signer });
    expect(toHex(known!.list.identity)).toBe(each.identityKey);
    const shown = known!.list.devices.map(({ device, signatureKey, linkKey, since }) => ({
      device,
      signatureKey: toHex(signatureKey),
      linkKey: toHex(linkKey),
      since,
    }));
    expect(shown.toSorted((a, b) => (a.device < b.device ? -1 : 1))).toEqual(
      each.devices.toSorted((a: { device: string }, b: { device: string }) => (a.device < b.device ? -1 : 1)),
    );
    expect(toHex(known!.hash)).toBe(each.hash);
    expect(toHex(lists.encodeDeviceList(known!.list))).toBe(each.encoded);
  }
});

test("invalid lists name their rule", async () => {
  expect(file.invalid).toHaveLength(14);
  for (const [i, { number, rule, encoded }] of file.invalid.entries())
    expect(await lists.checkDeviceList(fromHex(encoded), file.user, await knownAt(number - 1)), `${i}`).toEqual({ ok: false, rule });
  expect(await lists.checkDeviceList(fromHex(file.valid[1].encoded), file.user)).toEqual({ ok: false, rule: "number" });
});

test("two lists of one number are a fork", async () => {
  expect(file.fork).toHaveLength(2);
  const [one, other] = file.fork.map(({ encoded }: { encoded: string }) => fromHex(encoded));
  const checked = await lists.checkDeviceList(one, file.user, await knownAt(1));
  if (!checked.ok) throw new Error(checked.rule);
  const known = { newest: { ...checked, encoded: one }, first: (await knownAt(1))!.hash };
  const shown = (second: Bytes) => {
    const chain = [fromHex(file.valid[0].encoded), second];
    const directory = { lists: async (_: string, after: number) => ({ newest: chain.length, lists: chain.slice(after) }) };
    return fetchLists(directory as unknown as Directory, file.user, known);
  };
  expect(await shown(one)).toEqual({ kind: "same" });
  expect(await shown(other)).toMatchObject({ kind: "fork", newest: { list: { number: 2 } } });
});

test("differences are described for people", async () => {
  const at = async (number: number) => (await knownAt(number))?.list;
  const [phone, laptop, tablet] = [file.valid[0].devices[0], file.valid[1].devices[1], file.valid[3].devices[2]].map((each: { device: string }) => each.device);
  const none = { added: [], removed: [], newKeys: [], identity: false, username: false };
  expect(lists.describe(undefined, (await at(1))!)).toEqual({ ...none, added: [phone] });
  expect(lists.describe(await at(1), (await at(2))!)).toEqual({ ...none, added: [laptop] });
  expect(lists.describe(await at(2), (await at(3))!)).toEqual({ ...none, newKeys: [laptop] });
  expect(lists.describe(await at(4), (await at(5))!)).toEqual({ ...none, username: true });
  expect(lists.describe(await at(5), (await at(6))!)).toEqual({ ...none, removed: [phone], identity: true });
  expect(lists.describe(await at(1), (await at(7))!)).toEqual({ added: [laptop], removed: [phone], newKeys: [], identity: true, username: true });
  expect(lists.describe(await at(6), (await at(7))!)).toEqual({ ...none, removed: [tablet] });
});

test("damaged lists and transfers are rejected or encode to the same bytes", () => {
  for (const each of [file.valid[0], file.valid[5]]) fuzz(fromHex(each.encoded), lists.decodeDeviceList, lists.encodeDeviceList);
  fuzz(fromHex(file.transfer), decodeTransfer, encodeTransfer);
});

test("a signed first list and its successor are accepted; keys that are used twice are not", async () => {
  const [identity, one, two] = await Promise.all([generateSigningKey(), generateSigningKey(), generateSigningKey()]);
  const listed = (device: string, keys: typeof one, since: number, linkKey = keys.publicKey.map((byte) => byte ^ 1)) =>
    lists.signListedDevice(file.user, { device, signatureKey: keys.publicKey, linkKey, since }, keys.privateKey);
  const phone = await listed("00000000-0000-4000-8000-000000000002", one, 1);
  const laptop = await listed("00000000-0000-4000-8000-000000000001", two, 2);
  const seeds = { identity: identity.privateKey, device: one.privateKey };
  const first: lists.DeviceListContent = {
    user: file.user,
    username: "ä",
    number: 1,
    previous: lists.noPrevious,
    identity: identity.publicKey,
    devices: [phone],
    reason: lists.reasons.first,
    signer: phone.device,
  };
  const known = await lists.checkDeviceList(lists.encodeDeviceList(await lists.signDeviceList(first, seeds)), file.user);
  expect(known).toMatchObject({ ok: true });
  if (!known.ok) return;
  const next = { ...first, number: 2, previous: known.hash, reason: lists.reasons.added };
  const check = async (content: lists.DeviceListContent) =>
    lists.checkDeviceList(lists.encodeDeviceList(await lists.signDeviceList(content, seeds)), file.user, known);
  expect(await check({ ...next, devices: [phone, laptop] })).toMatchObject({ ok: true });
  const twice = await listed(laptop.device, two, 2, phone.linkKey);
  expect(await check({ ...next, devices: [phone, twice] })).toEqual({ ok: false, rule: "own" });
  expect(await check({ ...next, devices: [phone, laptop], username: "b" })).toEqual({ ok: false, rule: "reason" });
  expect(await check({ ...next, devices: [phone], reason: lists.reasons.name })).toEqual({ ok: false, rule: "reason" });
  expect(await check({ ...next, devices: [phone, laptop], username: "x".repeat(33) })).toEqual({ ok: false, rule: "length" });
  expect(ruleOf(() => lists.decodeDeviceList(lists.encodeDeviceList({ ...known.list, devices: [laptop, phone].toReversed() })))).toBe("length");
});

test("a transfer is opened by the new device alone, and checked against the list", async () => {
  const transfer = decodeTransfer(fromHex(file.transfer));
  const known = (await knownAt(2))!;
  const laptop = known.list.devices.find((each) => each.device !== transfer.from)!;
  const to = { user: file.user, device: laptop.device, signatureKey: laptop.signatureKey };
  const identity = await publicKeyOf(transfer.identitySeed);
  expect(await checkTransfer(fromHex(file.transfer), { to, identity, list: known })).toEqual({ ok: true, transfer });
  const rule = async (fields: object, encoded = fromHex(file.transfer)) => checkTransfer(encoded, { to, identity, list: known, ...fields });
  expect(await rule({ identity: new Uint8Array(32) })).toEqual({ ok: false, rule: "identity" });
  expect(await rule({ list: await knownAt(3) })).toEqual({ ok: false, rule: "number" });
  expect(await rule({ to: { ...to, signatureKey: new Uint8Array(32) } })).toEqual({ ok: false, rule: "device" });
  const signed = await signTransfer(transfer, { device: { device: transfer.from }, seed: transfer.identitySeed });
  expect(await rule({}, signed)).toEqual({ ok: false, rule: "signature" });
  expect(signed.slice(0, -64)).toEqual(fromHex(file.transfer).slice(0, -64));

  const { kem } = hpke();
  const pair = await kem.generateKeyPair();
  const [privateKey, linkKey] = await Promise.all([kem.serializePrivateKey(pair.privateKey), kem.serializePublicKey(pair.publicKey)]);
  const sealed = await sealTransfer(fromHex(file.transfer), { ...to, linkKey: new Uint8Array(linkKey) });
  expect(await openTransfer(sealed, to, new Uint8Array(privateKey))).toEqual(fromHex(file.transfer));
  expect(await openTransfer(sealed, { ...to, device: transfer.from }, new Uint8Array(privateKey))).toBeUndefined();
  for (let length = 0; length < 64; length++) expect(await openTransfer(sealed.slice(0, length), to, new Uint8Array(privateKey))).toBeUndefined();
});

test("contact codes and safety numbers", async () => {
  const { user, identityKey, number, list, code } = file.contactCode;
  const contact = { user, identity: fromHex(identityKey), number, list: fromHex(list) };
  expect(encodeContactCode(contact)).toBe(code);
  expect(decodeContactCode(code)).toEqual(contact);
  expect(ruleOf(() => decodeContactCode(code.slice(0, -1)))).toBe("length");
  expect(ruleOf(() => decodeContactCode(`Ag${code.slice(2)}`))).toBe("version");
  const own = { userId: user, identityKey: contact.identity };
  const other = { userId: "00000000-0000-4000-8000-000000000000", identityKey: new Uint8Array(32).fill(7) };
  const shown = await safetyNumber(own, other);
  expect(shown).toMatch(/^(\d{5} ){11}\d{5}$/);
  expect(await safetyNumber(other, own)).toBe(shown);
  expect(await safetyNumber(own, { ...other, identityKey: new Uint8Array(32).fill(8) })).not.toBe(shown);
  await expect(safetyNumber(own, { ...other, identityKey: new Uint8Array(31) })).rejects.toThrow(RangeError);
});
