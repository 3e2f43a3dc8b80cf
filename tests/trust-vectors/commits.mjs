// Sections 5 and 6: how statements travel, and what makes a Commit valid.
import { bytes, zeros } from "./codec.mjs";
import {
  anna,
  ben,
  benPhone,
  cleo,
  cleoPhone,
  directFounding,
  directRoom,
  dora,
  doraPhone,
  flip,
  founding,
  groupIdOf,
  laptop,
  named,
  phone,
  room,
  uuid,
  write,
} from "./fixtures.mjs";
import { renewed, kitchen, two, others, shownDevice, outcome, invented, statements, ofDirect, second } from "./statements.mjs";
import * as o from "./objects.mjs";

// 6. Commits: the group before, what the Commit removes and adds, and its statement
const leaf = (each) => ({ ...shownDevice(each), approval: each.approval ?? o.approval(each) });
const commit = (about, number, fields) => {
  const { leaves, of, encoded } = statements[number - 1];
  return { about, number, before: leaves.map(leaf), committer: of.author.device, statement: encoded, remove: [], add: [], ...fields };
};
const leavesOf = (...all) => all.map(leaf);
write(
  "commits",
  "Section 6: Commits to the group of statements.json (or to the given room), with the statement of the given number or without one. `before` are the " +
    "leaves, `remove` device ids, `add` leaves.",
  {
    valid: [
      commit("Cleo's device is added with her", 2, { add: leavesOf(cleoPhone) }),
      commit("Cleo's renewal", 5, { remove: [cleoPhone.device], add: leavesOf(renewed) }),
      commit("Cleo leaves", 8, { remove: [renewed.device] }),
      commit("Anna's laptop comes with her list", 9, { add: leavesOf(laptop) }),
      commit("a device is added again with its key", 9, { statement: null, remove: [benPhone.device], add: leavesOf(benPhone), committer: phone.device }),
      commit("an own device is removed", 10, { statement: null, remove: [laptop.device], committer: phone.device }),
    ],
    invalid: [
      commit("a ghost of a user who is not in the room", 3, { rule: "leaf", add: leavesOf(doraPhone) }),
      commit("a ghost with Ben's id and an identity of its own", 3, { rule: "leaf", add: leavesOf({ ...doraPhone, user: ben.user }) }),
      commit("Ben's identity without its approval", 3, { rule: "leaf", add: [{ ...leaf({ ...benPhone, ...invented }), approval: zeros(64) }] }),
      commit("a second leaf of Ben's device", 3, { rule: "device", add: leavesOf({ ...benPhone, signing: invented.signing }) }),
      commit("a new device of a member, without her list", 3, { rule: "addition", add: leavesOf(laptop) }),
      commit("a removal without a reason", 3, { rule: "removal", remove: [benPhone.device] }),
      commit("added again with another key", 9, {
        rule: "addition",
        statement: null,
        committer: phone.device,
        remove: [benPhone.device],
        add: leavesOf({ ...benPhone, signing: invented.signing }),
      }),
      commit("a leave that removes nothing", 8, { rule: "leaf" }),
      commit("a device list without the device keeps its leaf", 9, {
        rule: "removal",
        before: leavesOf(...others, { ...phone, ...invented }),
        add: leavesOf(laptop),
      }),
      commit("a leave from a direct room that removes nothing", 3, {
        rule: "removal",
        room: directRoom,
        before: leavesOf(phone, benPhone),
        statement: ofDirect[2].encoded,
        committer: phone.device,
      }),
      commit("a statement of another device than the committer", 3, { rule: "author", committer: benPhone.device }),
    ],
  },
);

// 5. How statements travel
const groupId = groupIdOf(room, 0);
const sealing = { key: named("exporter").subarray(0, 16), nonce: named("seal").subarray(0, 12), groupId, epoch: 1, plaintext: second };
write("sealed", "Section 5: a statement in the authenticated data of its Commit. `key` is the value of the exporter.", {
  valid: [{ ...sealing, exporter: "SecureMessaging 1.0 Statement", padded: o.pad(second).length, sealed: o.seal(sealing) }],
  padding: [0, 1, 1023, 1024, 1025, 2047].map((length) => ({ length, padded: o.pad(Buffer.alloc(length)).length })),
  invalid: [
    { rule: "sealed", about: "of another epoch", sealed: o.seal({ ...sealing, epoch: 2 }) },
    { rule: "sealed", about: "of another group", sealed: o.seal({ ...sealing, groupId: groupIdOf(room, 1) }) },
    { rule: "sealed", about: "one bit", sealed: flip(o.seal(sealing), -1) },
    { rule: "sealed", about: "2,048 bytes where 1,024 are enough", sealed: o.seal({ ...sealing, padded: bytes(second, [0x80], zeros(2047 - second.length)) }) },
    { rule: "sealed", about: "no end mark", sealed: o.seal({ ...sealing, padded: bytes(second, zeros(1024 - second.length)) }) },
    { rule: "version", sealed: bytes([0, 2], o.seal(sealing).subarray(2)) },
  ],
});
const welcome = (from, to, fields = {}) => {
  const all = statements.slice(from - 1, to);
  return o.extension({ founding, base: from === 1 ? o.state([]) : statements[from - 2].state, statements: all.map(({ encoded }) => encoded), ...fields });
};
const forged = o.statement({
  ...statements[1].of,
  author: { ...benPhone, device: uuid("invented") },
  before: o.stateHash(statements[0].state),
  changes: [o.change.role(ben.user, 3)],
  state: outcome(two, [{ user: ben.user, role: 3 }], kitchen),
});
write("welcome", "Section 5: the extension of the group info, for a new device of the given user. `state` is the room's state afterwards.", {
  type: "f0a1",
  roomId: room,
  valid: [
    { user: cleo.user, head: 2, encoded: welcome(2, 2), state: statements[1].state },
    { user: cleo.user, head: 5, encoded: welcome(2, 5), state: statements[4].state },
    { user: anna.user, head: 11, encoded: welcome(1, 11), state: statements[10].state },
  ],
  known: [
    { about: "the head is in the chain", user: cleo.user, stored: 3, enters: true, encoded: welcome(2, 5) },
    { about: "the head is before the chain", user: anna.user, stored: 4, enters: true, encoded: welcome(5, 7) },
    { about: "a part between is missing", user: anna.user, stored: 3, enters: false, encoded: welcome(5, 7) },
    {
      about: "added again after a removal that this device itself followed",
      user: dora.user,
      stored: 1,
      followedRemoval: true,
      enters: true,
      encoded: welcome(7, 7),
    },
    { about: "the head is later: an old Welcome", user: anna.user, stored: 9, enters: false, encoded: welcome(5, 7) },
    {
      about: "added again meanwhile, and this device did not see the removal: a person decides",
      user: dora.user,
      stored: 1,
      enters: false,
      encoded: welcome(7, 7),
    },
  ],
  invalid: [
    { user: cleo.user, rule: "before", encoded: welcome(2, 2, { base: o.state([]) }) },
    { user: cleo.user, rule: "room", encoded: welcome(2, 2, { founding: directFounding }) },
    { user: cleo.user, rule: "number", encoded: welcome(2, 4, { statements: [statements[1], statements[3]].map(({ encoded }) => encoded) }) },
    { user: cleo.user, rule: "since", encoded: welcome(3, 4) },
    { user: dora.user, rule: "since", encoded: welcome(2, 2) },
    { user: cleo.user, rule: "role", about: "a member's statement makes him an owner", encoded: welcome(2, 2, { statements: [forged] }) },
  ],
});
