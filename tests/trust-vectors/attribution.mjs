// Section 8: for whom a content counts at its place in the log.
import { anna, ben, benPhone, cleo, cleoPhone, laptop, member, owner, phone, write } from "./fixtures.mjs";
import { invented, renewed, shownDevice } from "./statements.mjs";
import * as o from "./objects.mjs";

const members = [member(anna, 1), member(ben, 1), member(cleo, 1)];
const stateOf = (role, rules = []) =>
  o.state([
    o.parts.roster(members),
    o.parts.roles([owner, ...(role > 0 ? [{ user: ben.user, role }] : [])]),
    ...(rules.length > 0 ? [o.parts.policy(rules)] : []),
  ]);
const onlyAdminsSend = [{ action: 1, role: 2 }];
const plain = stateOf(0);
const all = [phone, benPhone, cleoPhone];

/** Ben's phone writes. `epoch` is the state in the epoch of the message, `now` that at its place, `leaves` are the leaves at its place. */
const content = (about, standing, type, { epoch = plain, now = epoch, leaves = all, sender = benPhone } = {}) => ({
  about,
  standing,
  type,
  sender: shownDevice(sender),
  stateOfEpoch: epoch,
  leavesAtPlace: leaves.map(shownDevice),
  stateAtPlace: now,
});
const without = (device, ...others) => [...all.filter((each) => each !== device), ...others];
const [silenced, moderator, admin] = [stateOf(0, onlyAdminsSend), stateOf(1), stateOf(2)];

write(
  "attribution",
  "Section 8: whether a content of the given type counts for the user of its sender. `sender` is the leaf in the message's epoch. `standing` is " +
    "`counts`, `late` (the device is no longer in the room with these keys) or `notAllowed` (a state does not give the right).",
  {
    cases: [
      content("the device is a leaf, and members may send", "counts", "text"),
      content("another device of the user came meanwhile", "counts", "text", { leaves: [...all, { ...laptop, user: ben.user, identity: ben.identity }] }),
      content("a type of a later version counts as one that needs the right to send", "counts", "hologram"),
      content("the device was removed", "late", "text", { leaves: without(benPhone) }),
      content("only another device of the user is left", "late", "text", { leaves: without(benPhone, { ...benPhone, ...invented }) }),
      content("the device was added again with another key", "late", "text", { leaves: without(benPhone, { ...benPhone, signing: invented.signing }) }),
      content("the identity was renewed", "late", "text", { sender: cleoPhone, leaves: without(cleoPhone, renewed) }),
      content("another user has a device with this id", "late", "text", { leaves: without(benPhone, { ...cleoPhone, device: benPhone.device }) }),
      content("a removed device deletes", "late", "delete", { leaves: without(benPhone) }),
      content("a removed device without the right to send", "late", "text", { epoch: silenced, leaves: without(benPhone) }),

      content("only admins may send", "notAllowed", "text", { epoch: silenced }),
      content("only admins could send in the epoch of the message", "notAllowed", "text", { epoch: silenced, now: plain }),
      content("only admins may send at its place", "notAllowed", "text", { epoch: plain, now: silenced }),
      content("an admin sends where only admins may", "counts", "text", { epoch: stateOf(2, onlyAdminsSend) }),
      content("an own message is deleted without the right to send", "counts", "delete", { epoch: silenced }),
      content("a user leaves without the right to send", "counts", "leave", { epoch: silenced }),
      ...["reply", "edit", "reaction", "file", "custom", "hologram"].map((type) =>
        content(`${type} without the right to send`, "notAllowed", type, { epoch: silenced }),
      ),

      content("a member edits an own message", "counts", "edit"),
      content("a member removes the message of another", "notAllowed", "moderate"),
      content("a moderator removes the message of another", "counts", "moderate", { epoch: moderator }),
      content("a moderator who is none any more at its place", "notAllowed", "moderate", { epoch: moderator, now: plain }),
      content("a moderator who was none in the epoch of the message", "notAllowed", "moderate", { epoch: plain, now: moderator }),
      content("a moderator without the right to send", "notAllowed", "moderate", { epoch: stateOf(1, onlyAdminsSend) }),
      content("a member where the policy lets members remove messages", "counts", "moderate", { epoch: stateOf(0, [{ action: 6, role: 0 }]) }),
      content("a moderator pins", "notAllowed", "pin", { epoch: moderator }),
      content("an admin pins", "counts", "pin", { epoch: admin }),
      content("an admin pins where only owners may", "notAllowed", "pin", { epoch: stateOf(2, [{ action: 5, role: 3 }]) }),
      content("a member pins where the policy lets members pin", "counts", "pin", { epoch: stateOf(0, [{ action: 5, role: 0 }]) }),
    ],
  },
);
