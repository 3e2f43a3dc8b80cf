import { expect, test } from "vitest";
import { toHex } from "../../src/base/bytes.js";
import { decodeDeviceQr } from "../../src/account/transfers.js";
import { safetyNumber } from "../../src/trust/safety.js";
import { openTransfer, sealTransfer } from "../../src/trust/transfer.js";
import { fromHex, vectors } from "./vectors.js";

const file = vectors("transfers");
const to = { user: file.to.user, device: file.to.device, signatureKey: fromHex(file.to.signatureKey) };
const linkPrivateKey = fromHex(file.to.linkPrivateKey);
const secretOf = ({ secret }: { secret: string | null }) => (secret === null ? undefined : fromHex(secret));

test("a transfer is encrypted to the link key of the new device, in the mode PSK with the secret of its code", async () => {
  expect(file.valid.map(({ mode }: { mode: string }) => mode)).toEqual(["base", "psk"]);
  const encoded = fromHex(file.transfer);
  for (const each of file.valid) {
    expect(await openTransfer(fromHex(each.sealed), to, linkPrivateKey, secretOf(each)), each.mode).toEqual(encoded);
    const sealed = await sealTransfer(encoded, { ...to, linkKey: fromHex(file.to.linkKey) }, secretOf(each));
    expect(sealed, each.mode).toHaveLength(fromHex(each.sealed).length);
    expect(await openTransfer(sealed, to, linkPrivateKey, secretOf(each)), each.mode).toEqual(encoded);
  }
});

test("what was not encrypted for this device, key and secret does not open", async () => {
  expect(file.invalid).toHaveLength(10);
  for (const each of file.invalid) expect(await openTransfer(fromHex(each.sealed), to, linkPrivateKey, secretOf(each)), each.about).toBeUndefined();
});

test("the code of a waiting device has its keys and a secret", async () => {
  const { code, secret, ...keys } = file.waiting;
  const read = await decodeDeviceQr(code);
  const { user, device, signatureKey, linkKey } = read!;
  expect({ user, device, signatureKey: toHex(signatureKey), linkKey: toHex(linkKey) }).toEqual(keys);
  expect(toHex(read!.secret)).toBe(secret);
  expect(await decodeDeviceQr(code.slice(0, -4))).toBeUndefined();
  // The first byte is the version, the next the user, whose id the device has signed.
  for (const damaged of [`Ag${code.slice(2)}`, `AX${code.slice(2)}`]) expect(await decodeDeviceQr(damaged)).toBeUndefined();
});

test("two users have the same safety number in either order", async () => {
  const { numbers } = vectors("safety");
  expect(numbers).toHaveLength(5);
  for (const { users, number } of numbers) {
    const [a, b] = users.map(({ user, identityKey }: { user: string; identityKey: string }) => ({ userId: user, identityKey: fromHex(identityKey) }));
    expect(await safetyNumber(a, b)).toBe(number);
  }
  expect(numbers[0].number).toBe(numbers[1].number);
  expect(new Set(numbers.map(({ number }: { number: string }) => number)).size).toBe(4);
});
