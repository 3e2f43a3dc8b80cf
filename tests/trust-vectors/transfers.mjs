// The end of section 7: the encryption of a transfer, the QR code of a waiting device, and the safety number.
import { createHash } from "node:crypto";
import { bytes, id, sign, uint8, vector } from "./codec.mjs";
import { anna, ben, cleo, flip, laptop, named, phone, tablet, write } from "./fixtures.mjs";
import { transferred } from "./devices.mjs";
import { linkPair, seal } from "./hpke.mjs";
import * as o from "./objects.mjs";

const name = Buffer.from("SecureMessaging 1.0 Transfer");
const link = linkPair(named("laptop link"));
const ephemeral = linkPair(named("ephemeral"));
const secret = named("secret of the QR code");
const infoOf = (of) => bytes(vector(name), id(of.user), id(of.device), of.signing.key);
const psk = { id: name, key: secret };
const sealed = (fields) => seal({ recipient: link.key, ephemeral, info: infoOf(laptop), plaintext: transferred, ...fields });
const [inBase, inPsk] = [sealed({}), sealed({ psk })];
const waiting = { ...laptop, linkKey: link.key };
const code = bytes(uint8(1), id(laptop.user), id(laptop.device), laptop.signing.key, link.key, sign(laptop.signing, "Device", o.ownEntry(waiting)), secret);
write(
  "transfers",
  "Section 7: the transfer of devices.json, encrypted to the link key of a new device. Each of `invalid` does not open; `secret` is null in the mode base.",
  {
    to: { user: laptop.user, device: laptop.device, signatureKey: laptop.signing.key, linkKey: link.key, linkPrivateKey: link.seed },
    info: infoOf(laptop),
    transfer: transferred,
    valid: [
      { mode: "base", ephemeralPrivateKey: ephemeral.seed, secret: null, sealed: inBase },
      { mode: "psk", ephemeralPrivateKey: ephemeral.seed, secret, pskId: name, sealed: inPsk },
    ],
    invalid: [
      { about: "of the mode base, opened with a secret", secret, sealed: inBase },
      { about: "of the mode PSK, opened without the secret", secret: null, sealed: inPsk },
      { about: "another secret", secret: named("another secret"), sealed: inPsk },
      { about: "another psk_id", secret, sealed: sealed({ psk: { ...psk, id: Buffer.from("SecureMessaging 1.0 Statement") } }) },
      { about: "for another device", secret: null, sealed: sealed({ info: infoOf(tablet) }) },
      { about: "for another key of the device", secret: null, sealed: sealed({ info: infoOf({ ...laptop, signing: phone.signing }) }) },
      { about: "to another link key", secret: null, sealed: sealed({ recipient: linkPair(named("tablet link")).key }) },
      { about: "one bit", secret: null, sealed: flip(inBase, -1) },
      { about: "the encapsulated key alone", secret: null, sealed: inBase.subarray(0, 32) },
      { about: "less than an encapsulated key", secret: null, sealed: inBase.subarray(0, 31) },
    ],
    waiting: { user: laptop.user, device: laptop.device, signatureKey: laptop.signing.key, linkKey: link.key, secret, code: code.toString("base64url") },
  },
);

// The safety number
const numberOf = (a, b) => {
  const [first, second] = [a, b].toSorted((one, other) => Buffer.compare(id(one.user), id(other.user)));
  const both = [first, second].flatMap((each) => [id(each.user), each.identity.key]);
  const digest = createHash("sha512")
    .update(bytes(Buffer.from("SecureMessaging 1.0 SafetyNumber"), ...both))
    .digest();
  return Array.from({ length: 12 }, (_, group) => {
    const value = digest.subarray(5 * group, 5 * group + 5).reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
    return String(value % 100_000n).padStart(5, "0");
  });
};
const user = (of) => ({ user: of.user, identityKey: of.identity.key });
const pairs = [
  [anna, ben],
  [ben, anna],
  [anna, cleo],
  [cleo, ben],
  [anna, { ...ben, identity: cleo.identity }],
];
write("safety", "The end of section 7: the safety number of two users. It does not depend on their order.", {
  numbers: pairs.map(([a, b]) => ({ users: [user(a), user(b)], number: numberOf(a, b).join(" ") })),
});
