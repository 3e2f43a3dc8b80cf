/* A platform that fails must not make honest signatures, messages and Commits look forged. */
import { afterEach, expect, test, vi } from "vitest";
import { randomBytes } from "../src/base/bytes.js";
import { isFault } from "../src/base/verdict.js";
import { generateSigningKey, sign, verify } from "../src/mls/ed25519.js";
import { Group } from "../src/mls/group.js";
import { requireHpke } from "../src/mls/suite.js";
import { judge } from "../src/rooms/judge.js";
import { openSignal, sealSignal } from "../src/rooms/signals.js";
import type { SignedRoom } from "../src/rooms/signedRoom.js";
import { open, seal } from "../src/trust/sealed.js";
import { openTransfer } from "../src/trust/transfer.js";
import { bytesOf, foundBy, newDevice, newUser, packageOf } from "./people.js";
import { Lab, type LabDevice } from "./rooms/lab.js";
import { fromHex, vectors } from "./trust/vectors.js";

afterEach(() => vi.restoreAllMocks());

/** The operation of WebCrypto fails, whatever it is called with. */
function fail(operation: "decrypt" | "deriveBits" | "importKey" | "verify", name = "NotSupportedError"): void {
  vi.spyOn(crypto.subtle, operation).mockRejectedValue(new DOMException("The platform has failed.", name));
}

const failure = { name: "NotSupportedError" };

test.each(["importKey", "verify"] as const)("a signature is not invalid because %s fails", async (operation) => {
  const { privateKey, publicKey } = await generateSigningKey();
  const signature = await sign(privateKey, bytesOf("x"));
  fail(operation);
  await expect(verify(publicKey, bytesOf("x"), signature)).rejects.toMatchObject(failure);
});

test("a key that WebCrypto does not accept makes the signature invalid", async () => {
  const { privateKey, publicKey } = await generateSigningKey();
  const signature = await sign(privateKey, bytesOf("x"));
  fail("importKey", "DataError");
  expect(await verify(publicKey, bytesOf("x"), signature)).toBe(false);
});

test("a statement is not refused because the platform fails", async () => {
  const context = { key: randomBytes(16), groupId: randomBytes(20), epoch: 7 };
  const sealed = await seal(bytesOf("statement"), context);
  expect(await open(sealed, { ...context, epoch: 8 })).toEqual({ ok: false, rule: "sealed" });
  fail("decrypt");
  await expect(open(sealed, context)).rejects.toMatchObject(failure);
});

test("a signal is not dropped silently because the platform fails", async () => {
  const group = await foundBy(await newDevice(await newUser()));
  const signal = await sealSignal(group, bytesOf("typing"));
  fail("decrypt");
  await expect(openSignal(group, signal)).rejects.toMatchObject(failure);
});

test("a transfer is not for another device because the platform fails", async () => {
  const file = vectors("transfers");
  const to = { user: file.to.user, device: file.to.device, signatureKey: fromHex(file.to.signatureKey) };
  const [{ sealed }] = file.valid;
  fail("deriveBits");
  const error: unknown = await openTransfer(fromHex(sealed), to, fromHex(file.to.linkPrivateKey)).catch((thrown: unknown) => thrown);
  expect([isFault(error), String(error)]).toEqual([true, expect.stringContaining("HPKE")]);
});

test("HPKE works on this platform", async () => {
  await expect(requireHpke()).resolves.toBeUndefined();
});

test("a Commit is not invalid because the platform fails", async () => {
  const [anna, ben, cleo] = await Promise.all([newDevice(await newUser()), newDevice(await newUser()), newDevice(await newUser())]);
  const packages = { ben: await packageOf(ben), cleo: await packageOf(cleo) };
  const first = await (await foundBy(anna)).commit({ remove: [], add: [packages.ben.message] });
  const { group } = await Group.join(first.welcome!, packages.ben);
  const second = await first.after.commit({ remove: [], add: [packages.cleo.message] });
  const renewal = await first.after.commit({ remove: [], add: [] });
  fail("decrypt");
  await expect(judge(group, second.commit, undefined as unknown as SignedRoom)).rejects.toMatchObject(failure);
  vi.restoreAllMocks();
  fail("deriveBits");
  const commit: unknown = await group.applyCommit(renewal.commit).catch((thrown: unknown) => thrown);
  const welcome: unknown = await Group.join(second.welcome!, packages.cleo).catch((thrown: unknown) => thrown);
  expect([isFault(commit), isFault(welcome)]).toEqual([true, true]);
  vi.restoreAllMocks();
  expect((await group.applyCommit(renewal.commit)).group!.epoch).toBe(2);
});

test("a message is read later when the platform has failed", async () => {
  const lab = await Lab.open(2);
  const [anna, ben] = lab.devices as [LabDevice, LabDevice];
  const { ciphertext } = await ben.seal({ type: "text", text: "hello" });
  const seq = await lab.enter("message", ciphertext, {}, []);
  fail("decrypt");
  await expect(anna.read(lab.log[seq - 1]!)).rejects.toMatchObject(failure);
  expect(await anna.at(seq)).toBeUndefined();
  vi.restoreAllMocks();
  // As the room does after a step that has failed.
  anna.readLog.forget();
  await anna.read(lab.log[seq - 1]!);
  expect(await anna.at(seq)).toMatchObject({ content: { text: "hello" } });
});
