// Section 5, resets: the first Commit of a new group, and the Welcome into it.
import { admin, ben, benPhone, cleo, cleoPhone, doraPhone, founding, laptop, owner, phone, room, write } from "./fixtures.mjs";
import { cleoAfter, cleoList, hour, invented, outcome, renewed, shownDevice, stateOf, statements, withRenewed } from "./statements.mjs";
import { first, on } from "./devices.mjs";
import * as o from "./objects.mjs";

const leaf = (each) => ({ ...shownDevice(each), approval: o.approval(each) });
const leavesOf = (...all) => all.map(leaf);

// The group before ends after statement 4, or after statement 5, in which Anna has carried out Cleo's renewal.
const groups = { 4: [phone, benPhone, cleoPhone], 5: [phone, benPhone, renewed] };
const stateAfter = stateOf(withRenewed, [owner, admin], hour);
/** Statement 5 in the first Commit of generation 1 in place of an ordinary Commit. */
const inReset = (fields) => o.statement({ ...statements[4].of, generation: 1, epoch: 0, author: renewed, ...fields });
const byCleo = inReset({});
const byBen = inReset({ author: benPhone });
/** A renewal of Cleo that a new device signs: a thief of both identities alone. */
const thief = { ...renewed, ...invented };
const stolen = o.deviceList({
  ...first(cleo, thief),
  number: 2,
  previous: o.deviceListHash(o.deviceList(first(cleo))),
  identity: cleoAfter,
  before: cleo.identity,
  reason: 4,
  devices: [on(thief, 2)],
});
const reset = (about, head, committer, added, fields = {}) => ({
  about,
  head,
  generation: 1,
  epoch: 0,
  groupBefore: leavesOf(...groups[head]),
  committer: leaf(committer),
  statement: null,
  add: leavesOf(...added),
  ...fields,
});
const valid = (about, head, committer, added, encoded) => ({
  ...reset(about, head, committer, added, encoded ? { statement: encoded } : {}),
  state: encoded ? o.state(stateAfter) : statements[head - 1].state,
  hash: o.statementHash(encoded ?? statements[head - 1].encoded),
});
const invalid = (rule, about, head, committer, added, fields) => ({ rule, ...reset(about, head, committer, added, fields) });

const welcome = (about, from, added, leaves, fields = {}) => ({
  about,
  user: ben.user,
  known: from,
  generation: 1,
  epoch: 1,
  groupBefore: leavesOf(...groups[from]),
  leaves: leavesOf(...leaves),
  signer: leaves[0].device,
  encoded: o.extension({ founding, base: statements[from - 2].state, statements: [statements[from - 1].encoded, ...added] }),
  ...fields,
});
const enters = (about, from, added, leaves, fields = {}) => ({
  missing: [],
  added: [],
  ...welcome(about, from, added, leaves, fields),
  state: added.length > 0 ? o.state(stateAfter) : statements[from - 1].state,
  hash: o.statementHash(added[0] ?? statements[from - 1].encoded),
});

write(
  "resets",
  "Section 5, resets. `commits`: the first Commit of a new group, whose only leaf before it is the committer; `head` is the newest statement of " +
    "statements.json, `groupBefore` are the leaves of the newest group that counts. `welcomes`: the group info's extension for a device whose head is the " +
    "statement `known`, or null. `missing` and `added`: devices, compared with the group before.",
  {
    roomId: room,
    commits: {
      valid: [
        valid("Ben founds the group with all others", 5, benPhone, [phone, renewed]),
        valid("a device may be missing", 5, benPhone, [phone]),
        valid("a device that was no leaf may be added", 5, benPhone, [phone, renewed, laptop]),
        valid("Cleo founds the group with her renewal", 4, renewed, [phone, benPhone], byCleo),
        valid("Ben founds the group with Cleo's renewal", 4, benPhone, [phone, renewed], byBen),
      ],
      invalid: [
        invalid("leaf", "the founder was no leaf of the group before", 5, laptop, [benPhone]),
        invalid("leaf", "the founder has another key than before", 5, { ...benPhone, signing: invented.signing }, [phone]),
        invalid("leaf", "a user who is not in the room", 5, benPhone, [phone, doraPhone]),
        invalid("leaf", "Cleo's device with the identity before the renewal", 4, benPhone, [phone, cleoPhone], { statement: byBen }),
        invalid("device", "two leaves of one device", 5, benPhone, [phone, { ...phone, signing: invented.signing }]),
        invalid("removal", "a device of Cleo that her renewal does not list", 4, benPhone, [phone, thief], { statement: byBen }),
        invalid("generation", "a statement of the group before", 4, phone, [benPhone], { statement: statements[4].encoded }),
        invalid("epoch", "a renewal of a reset in a later epoch", 4, renewed, [phone, benPhone], { statement: byCleo, epoch: 1 }),
        invalid("change", "a reset with another change", 4, phone, [benPhone, cleoPhone], {
          statement: inReset({ author: phone, changes: [o.change.unset(4)], state: outcome(withRenewed, [owner, admin]) }),
        }),
        invalid("change", "a renewal and another change", 4, renewed, [phone], {
          statement: inReset({ changes: [o.change.renew(cleoList), o.change.unset(4)], state: outcome(withRenewed, [owner, admin]) }),
        }),
        invalid("change", "a renewal by a device that was no leaf", 4, thief, [phone, benPhone], {
          statement: inReset({ author: thief, changes: [o.change.renew(stolen)] }),
        }),
        invalid("author", "by Cleo's identity before the renewal", 4, cleoPhone, [phone, benPhone], { statement: inReset({ author: cleoPhone }) }),
        invalid("author", "a statement of another device than the founder", 4, phone, [benPhone], { statement: byBen }),
      ],
    },
    welcomes: {
      valid: [
        enters("the chain is the head", 5, [], groups[5]),
        enters("the chain is the head and the renewal", 4, [byCleo], [renewed, phone, benPhone]),
        enters("a device is missing", 5, [], [benPhone, renewed], { missing: [phone.device] }),
        enters("a device is new", 5, [], [benPhone, phone, renewed, laptop], { added: [laptop.device] }),
      ],
      invalid: [
        { rule: "head", ...welcome("the chain is an earlier statement", 4, [], groups[4], { known: 5 }) },
        { rule: "head", ...welcome("the chain is a later statement", 5, [], groups[5], { known: 4 }) },
        { rule: "head", ...welcome("the chain goes on after the head without a renewal of this reset", 4, [statements[4].encoded], groups[5]) },
        { rule: "head", ...welcome("the renewal is that of an earlier reset", 4, [byCleo], [renewed, phone, benPhone], { generation: 2 }) },
        { rule: "since", ...welcome("a device without a head", 5, [], groups[5], { known: null }) },
        { rule: "leaf", ...welcome("the founder was no leaf of the group before", 5, [], [laptop, benPhone]) },
        {
          rule: "change",
          ...welcome("the renewal is by a device that was no leaf", 4, [byCleo], [renewed, phone], { groupBefore: leavesOf(phone, benPhone) }),
        },
        { rule: "leaf", ...welcome("a leaf of a user who is not in the room", 5, [], [benPhone, doraPhone]) },
      ],
    },
  },
);
