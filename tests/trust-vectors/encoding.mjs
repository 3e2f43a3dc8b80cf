// Sections 1 to 3: encoding, founding and state.
import { bytes, hash, id, labelled, list, sign, signWithSmallOrder, uint16, uint64, vector, withLargeS, zeros } from "./codec.mjs";
import { hex, write, anna, ben, cleo, dora, group, direct, founding, member, owner, invitation, phone } from "./fixtures.mjs";
import * as o from "./objects.mjs";

// 1. Encoding
const header = (length) => {
  if (length < 64) return [length];
  return length < 16_384 ? [0x40 | (length >> 8), length & 255] : [0x80 | (length >>> 24), (length >> 16) & 255, (length >> 8) & 255, length & 255];
};
write("encoding", "Section 1. A decoder rejects the headers in invalidHeaders, and a verifier the signatures in invalidSignatures.", {
  headers: [0, 1, 63, 64, 16_383, 16_384, 1_073_741_823].map((length) => ({ length, header: hex(header(length)) })),
  invalidHeaders: ["4001", "403f", "80000040", "80003fff", "c000000000000000", "40", "800000", ""],
  hashes: ["Founding", "State", "Statement", "DeviceList", "Transcript"].map((name) => ({
    name,
    value: "00",
    input: labelled(name, [0]),
    hash: hash(name, [0]),
  })),
  signature: { seed: phone.signing.seed, key: phone.signing.key, name: "Statement", value: "00", signature: sign(phone.signing, "Statement", [0]) },
  invalidSignatures: [
    {
      about: "R is the neutral element",
      key: phone.signing.key,
      name: "Statement",
      value: "00",
      signature: signWithSmallOrder(phone.signing, "Statement", [0]),
    },
    { about: "the key is a point of order 4", key: bytes(zeros(32)), name: "Statement", value: "00", signature: bytes(zeros(64)) },
    { about: "S + order in place of S", key: phone.signing.key, name: "Statement", value: "00", signature: withLargeS(sign(phone.signing, "Statement", [0])) },
    { about: "the key is not canonical", key: bytes([0xee], Buffer.alloc(30, 0xff), [0x7f]), name: "Statement", value: "00", signature: bytes([1], zeros(63)) },
  ],
  device: { user: phone.user, device: phone.device, identitySeed: phone.identity.seed, signatureKey: phone.signing.key, encoded: o.author(phone) },
});

// 2. Founding
write("founding", "Section 2: the founding and the room's id.", {
  valid: [group, direct].map((each) => ({ ...each, encoded: o.founding(each), hash: o.foundingHash(o.founding(each)), roomId: o.roomId(o.founding(each)) })),
  invalid: [
    { rule: "length", encoded: founding.subarray(0, -1) },
    { rule: "length", encoded: bytes(founding, [0]) },
    { rule: "version", encoded: bytes([0, 2], founding.subarray(2)) },
    { rule: "kind", encoded: o.founding({ ...group, kind: 3 }) },
    { rule: "scheme", encoded: o.founding({ ...group, scheme: "mls11" }) },
    { rule: "other", encoded: o.founding({ ...direct, other: anna.user }) },
  ],
});

// 3. State
const everyPart = [
  o.parts.roster([member(anna, 1), member(ben, 1), member(cleo, 2, cleo.identity.key, 7)]),
  o.parts.roles([owner, { user: ben.user, role: 1 }]),
  o.parts.name("Küche 🥘"),
  o.parts.timeToLive(86_400),
  o.parts.policy([
    { action: 1, role: 2 },
    { action: 4, role: 0 },
  ]),
  o.parts.bans([dora.user]),
  o.parts.invitations([
    { ...invitation, used: [cleo.user] },
    { ...invitation, invitation: dora.identity.key, user: dora.user, approval: true },
  ]),
  o.parts.history(30),
];
const stateCase = (all) => ({ parts: all, encoded: o.state(all), hash: o.stateHash(o.state(all)) });
const roster = o.parts.roster([member(anna, 1)]);
const later = (type) => ({ type, value: Buffer.from("later") });
write("state", "Section 3. `encoded` is the content of the vector of parts. `ignored` is valid; `critical` is valid and holds sends.", {
  valid: [stateCase([]), stateCase([roster]), stateCase(everyPart)],
  ignored: [stateCase([...everyPart, later(9)])],
  critical: [stateCase([...everyPart, later(0x8009)])],
  invalid: [
    { rule: "order", encoded: bytes(uint16(3), vector([0x61]), uint16(1), vector([0])) },
    { rule: "order", encoded: bytes(uint16(3), vector([0x61]), uint16(3), vector([0x62])) },
    { rule: "length", encoded: o.state(everyPart).subarray(0, -1) },
    { rule: "empty", encoded: o.state([roster, o.parts.bans([])]) },
    {
      rule: "order",
      encoded: o.state([
        {
          type: 1,
          value: list(
            [ben, anna].toSorted((a, b) => Buffer.compare(id(b.user), id(a.user))).map((each) => bytes(id(each.user), each.identity.key, uint64(1), uint64(0))),
          ),
        },
      ]),
    },
    { rule: "role", encoded: o.state([roster, o.parts.roles([{ user: dora.user, role: 2 }])]) },
    { rule: "role", encoded: o.state([roster, o.parts.roles([{ user: anna.user, role: 0 }])]) },
    { rule: "role", encoded: o.state([roster, o.parts.roles([{ user: anna.user, role: 4 }])]) },
    { rule: "text", encoded: o.state([roster, { type: 3, value: Buffer.from([0xff]) }]) },
    { rule: "number", encoded: o.state([roster, { type: 4, value: Buffer.from("0020000000000000", "hex") }]) },
    { rule: "number", encoded: o.state([roster, o.parts.timeToLive(0)]) },
    { rule: "bans", encoded: o.state([roster, o.parts.bans([anna.user])]) },
    { rule: "uses", encoded: o.state([roster, o.parts.invitations([{ ...invitation, uses: 0 }])]) },
  ],
});
