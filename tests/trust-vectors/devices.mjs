// Section 7: device lists.
import { keyPair, zeros } from "./codec.mjs";
import { named, write, flip, anna, ben, founding, room, phone, laptop, tablet } from "./fixtures.mjs";
import * as o from "./objects.mjs";

// 7. Device lists, which statements contain
export const lists = [];
export const first = (of, device = of.devices[0]) => ({
  user: of.user,
  username: of.name,
  number: 1,
  previous: zeros(32),
  identity: of.identity,
  devices: [{ ...device, since: 1 }],
  reason: 1,
  signer: device,
});
export const publish = (about, fields) => {
  const last = lists.at(-1);
  const of = { ...first(anna), number: lists.length + 1, previous: last ? o.deviceListHash(last.encoded) : zeros(32), ...fields };
  lists.push({ about, of, encoded: o.deviceList(of) });
};
export const rekeyed = { ...laptop, signing: keyPair(named("anna laptop signing 2")) };
export const annaAfter = keyPair(named("anna identity after the theft"));
export const on = (device, since) => ({ ...device, since });
publish("the first device", {});
publish("a laptop is added", { devices: [on(phone, 1), on(laptop, 2)], reason: 2 });
publish("the laptop gets new keys", { devices: [on(phone, 1), on(rekeyed, 2)], reason: 5 });
publish("the laptop adds a tablet", { devices: [on(phone, 1), on(rekeyed, 2), on(tablet, 4)], reason: 2, signer: rekeyed });
publish("the name changes", { devices: [on(phone, 1), on(rekeyed, 2), on(tablet, 4)], reason: 6, username: "anna.b" });
publish("the phone is stolen", {
  devices: [on(rekeyed, 2), on(tablet, 4)],
  reason: 4,
  username: "anna.b",
  identity: annaAfter,
  before: anna.identity,
  signer: rekeyed,
});
publish("the tablet is revoked", { devices: [on(rekeyed, 2)], reason: 3, username: "anna.b", identity: annaAfter, signer: rekeyed });
export const asList = (number, fields) => o.deviceList({ ...lists[number - 1].of, ...fields });
export const device = ({ device: each, signing, linkKey, since }) => ({ device: each, signatureKey: signing.key, linkKey, since });
export const transferred = o.transfer({
  identitySeed: anna.identity.seed,
  number: 2,
  list: o.deviceListHash(lists[1].encoded),
  rooms: [{ room, founding: o.foundingHash(founding), generation: 0, number: 1, head: named("head") }],
  from: phone,
  pins: [{ user: ben.user, username: "ben", identityKey: ben.identity.key, number: 1, list: o.deviceListHash(o.deviceList(first(ben))), verified: true }],
});
write("devices", "Section 7: the device lists of one user. Each of `invalid` comes instead of the list with the given number.", {
  user: anna.user,
  valid: lists.map(({ about, of, encoded }) => ({
    about,
    number: of.number,
    username: of.username,
    reason: of.reason,
    identityKey: of.identity.key,
    signer: of.signer.device,
    devices: of.devices.map(device),
    encoded,
    hash: o.deviceListHash(encoded),
  })),
  invalid: [
    { number: 2, rule: "length", encoded: lists[1].encoded.subarray(0, -1) },
    { number: 2, rule: "signature", encoded: flip(lists[1].encoded, -2) },
    { number: 2, rule: "previous", encoded: asList(2, { previous: zeros(32) }) },
    { number: 2, rule: "number", encoded: asList(2, { number: 3 }) },
    { number: 2, rule: "user", encoded: asList(2, { user: ben.user, devices: [on({ ...phone, user: ben.user }, 1), on({ ...laptop, user: ben.user }, 2)] }) },
    { number: 2, rule: "signer", encoded: asList(2, { signer: laptop }) },
    { number: 2, rule: "own", encoded: asList(2, { devices: [on(phone, 1), on({ ...laptop, user: ben.user }, 2)] }) },
    { number: 2, rule: "since", encoded: asList(2, { devices: [on(phone, 1), on(laptop, 1)] }) },
    { number: 2, rule: "reason", encoded: asList(2, { devices: [on(phone, 1)] }) },
    { number: 2, rule: "identity", encoded: asList(2, { identity: annaAfter, before: anna.identity }) },
    { number: 3, rule: "reason", encoded: asList(3, { reason: 2 }) },
    { number: 6, rule: "identity", encoded: asList(6, { before: undefined }) },
    { number: 6, rule: "identity", encoded: asList(6, { before: annaAfter }) },
    { number: 6, rule: "signer", encoded: asList(6, { signer: phone }) },
  ],
  fork: [lists[1].encoded, asList(2, { devices: [on(phone, 1), on(tablet, 2)] })].map((encoded) => ({ number: 2, encoded })),
  transfer: transferred,
  contactCode: {
    user: anna.user,
    identityKey: anna.identity.key,
    number: 1,
    list: o.deviceListHash(lists[0].encoded),
    code: o.contactCode({ user: anna.user, identityKey: anna.identity.key, number: 1, list: o.deviceListHash(lists[0].encoded) }),
  },
});
