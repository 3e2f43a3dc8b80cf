// Section 4: statements.
import { bytes, keyPair, signWithSmallOrder, zeros } from "./codec.mjs";
import {
  named,
  uuid,
  write,
  flip,
  anna,
  ben,
  cleo,
  dora,
  founding,
  room,
  directFounding,
  directRoom,
  member,
  owner,
  admin,
  link,
  invitation,
  phone,
  laptop,
  benPhone,
  cleoPhone,
  doraPhone,
} from "./fixtures.mjs";
import { lists, first, on, asList } from "./devices.mjs";
import * as o from "./objects.mjs";

// 4. Statements: a group from its founding on
export const cleoAfter = keyPair(named("cleo identity after the loss"));
export const renewed = { ...cleoPhone, identity: cleoAfter };
export const cleoList = o.deviceList({
  ...first(cleo),
  number: 2,
  previous: o.deviceListHash(o.deviceList(first(cleo))),
  identity: cleoAfter,
  before: cleo.identity,
  reason: 4,
});
export const chain = (of, foundation) => {
  const all = [];
  const say = (about, leaves, author, changes, after, place = {}) => {
    const last = all.at(-1);
    const fields = {
      room: of,
      generation: 0,
      epoch: all.length,
      number: all.length + 1,
      previous: last ? o.statementHash(last.encoded) : o.foundingHash(foundation),
      before: o.stateHash(last ? last.state : o.state([])),
      state: o.stateHash(o.state(after)),
      changes,
      author,
      ...place,
    };
    all.push({ about, leaves, of: fields, state: o.state(after), encoded: o.statement(fields) });
  };
  return { all, say };
};
export const { all: statements, say } = chain(room, founding);
export const kitchen = o.parts.name("Kitchen");
export const hour = o.parts.timeToLive(3600);
export const two = [member(anna, 1), member(ben, 1)];
export const three = [...two, member(cleo, 2, cleo.identity.key, 1)];
export const stateOf = (members, roles, ...more) => [o.parts.roster(members), o.parts.roles(roles), ...more];
export const withRenewed = [...two, member(cleo, 2, cleoAfter.key, 2)];
export const withDora = member(dora, 7, dora.identity.key, 1);
export const openLink = { ...invitation, uses: 2 };
export const madeLink = { ...openLink, inviter: ben.user, since: 6 };
export const usedLink = { ...madeLink, uses: 1, used: [dora.user] };
export const accept = (of, fields = {}) => o.acceptance({ room, invitation: link, since: 6, list: 1, author: of, ...fields });
export const annaAt2 = member(anna, 1, anna.identity.key, 2);
export const place = (epoch) => ({ generation: 1, epoch });
export const links = (each) => o.parts.invitations([each]);
say(
  "Anna founds the room with Ben",
  [phone],
  phone,
  [o.change.add(anna.user, anna.identity.key, 3), o.change.add(ben.user, ben.identity.key, 0), o.change.set(kitchen)],
  stateOf(two, [owner], kitchen),
);
say("Anna adds Cleo", [phone, benPhone], phone, [o.change.add(cleo.user, cleo.identity.key, 0, 1)], stateOf(three, [owner], kitchen));
export const all3 = [phone, benPhone, cleoPhone];
say("Anna makes Ben an admin", all3, phone, [o.change.role(ben.user, 2)], stateOf(three, [owner, admin], kitchen));
say("Ben sets the time to live and unsets the name", all3, benPhone, [o.change.set(hour), o.change.unset(3)], stateOf(three, [owner, admin], hour));
say("Anna carries out Cleo's renewal", all3, phone, [o.change.renew(cleoList)], stateOf(withRenewed, [owner, admin], hour));
say(
  "the group was reset; Ben makes a link",
  [phone, benPhone, renewed],
  benPhone,
  [o.change.invite(openLink)],
  stateOf(withRenewed, [owner, admin], hour, links(madeLink)),
  place(1),
);
say(
  "Cleo lets Dora in by the link",
  [phone, benPhone, renewed],
  renewed,
  [o.change.admit(accept(doraPhone))],
  stateOf([...withRenewed, withDora], [owner, admin], hour, links(usedLink)),
  place(2),
);
export const token = o.leave({ room, since: 2, author: renewed });
say(
  "Dora carries out Cleo's leave",
  [phone, benPhone, renewed, doraPhone],
  doraPhone,
  [o.change.leave(token)],
  stateOf([...two, withDora], [owner, admin], hour, links(usedLink)),
  place(3),
);
export const others = [phone, benPhone, doraPhone];
say(
  "Dora announces Anna's devices",
  others,
  doraPhone,
  [o.change.devices(lists[1].encoded)],
  stateOf([annaAt2, member(ben, 1), withDora], [owner, admin], hour, links(usedLink)),
  place(4),
);
export const rule = o.parts.policy([{ action: 3, role: 0 }]);
say(
  "Ben bans Dora and sets a rule",
  [...others, laptop],
  benPhone,
  [o.change.remove(dora.user), o.change.set(o.parts.bans([dora.user])), o.change.set(rule)],
  stateOf([annaAt2, member(ben, 1)], [owner, admin], hour, rule, o.parts.bans([dora.user]), links(usedLink)),
  place(5),
);
say(
  "Anna gives the room to Ben; his link goes with a second change",
  [phone, laptop, benPhone],
  laptop,
  [o.change.role(ben.user, 3), o.change.role(anna.user, 0), o.change.uninvite(link.key)],
  stateOf([annaAt2, member(ben, 1)], [{ user: ben.user, role: 3 }], hour, rule, o.parts.bans([dora.user])),
  place(6),
);
export const { all: ofDirect, say: sayDirect } = chain(directRoom, directFounding);
sayDirect(
  "Anna writes to Ben",
  [phone],
  phone,
  [o.change.add(anna.user, anna.identity.key, 0), o.change.add(ben.user, ben.identity.key, 0)],
  [o.parts.roster(two)],
);
sayDirect("Ben sets the time to live", [phone, benPhone], benPhone, [o.change.set(hour)], [o.parts.roster(two), hour]);
sayDirect(
  "Anna carries out Ben's leave",
  [phone, benPhone],
  phone,
  [o.change.leave(o.leave({ room: directRoom, since: 1, author: benPhone }))],
  [o.parts.roster([member(anna, 1), member(ben, 3)]), hour],
);

export const shownDevice = (each) => ({ user: each.user, device: each.device, identityKey: each.identity.key, signatureKey: each.signing.key });
export const shown = ({ about, leaves, of, state, encoded }) => ({
  about,
  number: of.number,
  generation: of.generation,
  epoch: of.epoch,
  leaves: leaves.map(shownDevice),
  author: shownDevice(of.author),
  authorSeed: of.author.signing.seed,
  changes: of.changes,
  state,
  stateHash: of.state,
  encoded,
  hash: o.statementHash(encoded),
});
export const instead = (number, failed, fields, about) => ({
  number,
  rule: failed,
  ...(about ? { about } : {}),
  encoded: o.statement({ ...statements[number - 1].of, ...fields }),
});
export const outcome = (...args) => o.stateHash(o.state(stateOf(...args)));
export const invented = { device: uuid("invented"), signing: keyPair(named("invented")) };
export const forUser = { ...invitation, invitation: doraPhone.identity.key, user: dora.user, uses: 1, approval: true };
export const { encoded: second } = statements[1];
write(
  "statements",
  "Section 4: the statements of a group and of a direct room. `leaves` is the group before the Commit. Each of `invalid` comes instead of the statement " +
    "with the given number, in a Commit of its author.",
  {
    group: { founding, roomId: room, valid: statements.map(shown) },
    direct: { founding: directFounding, roomId: directRoom, valid: ofDirect.map(shown) },
    leave: { encoded: token, user: cleo.user, since: 2 },
    acceptance: { encoded: accept(doraPhone), user: dora.user, invitation: link.key, invitationSeed: link.seed },
    invalid: [
      { number: 2, rule: "length", encoded: second.subarray(0, -1) },
      { number: 2, rule: "length", encoded: bytes(second, [0]) },
      { number: 2, rule: "signature", encoded: flip(second, -1) },
      {
        number: 2,
        rule: "signature",
        encoded: o.statement({ ...statements[1].of, signature: (name, content) => signWithSmallOrder(phone.signing, name, content) }),
      },
      instead(1, "author", { author: benPhone }, "not by the founder"),
      instead(
        1,
        "change",
        { changes: [o.change.add(ben.user, ben.identity.key, 0), o.change.add(anna.user, anna.identity.key, 3)] },
        "the founder is not the first",
      ),
      instead(2, "version", { version: 2 }),
      instead(2, "room", { room: directRoom }),
      instead(2, "generation", { generation: 1 }),
      instead(2, "epoch", { epoch: 2 }),
      instead(2, "number", { number: 3 }),
      instead(2, "previous", { previous: zeros(32) }),
      instead(2, "before", { before: zeros(32) }),
      instead(2, "state", { state: zeros(32) }),
      instead(2, "approval", { author: { ...phone, approval: o.approval({ ...phone, identity: dora.identity }) } }),
      instead(2, "author", { author: { ...phone, identity: dora.identity } }, "the identity is not that of the state"),
      instead(2, "author", { author: doraPhone }, "the author is not in the room"),
      instead(2, "role", { author: benPhone }, "a member adds"),
      instead(2, "change", { changes: [] }, "no change"),
      instead(2, "change", { changes: [{ type: 12, value: Buffer.alloc(0) }] }, "a change of a later version"),
      instead(2, "change", { changes: [o.change.add(ben.user, ben.identity.key, 0)] }, "Ben is there already"),
      instead(2, "change", { changes: [o.change.add(cleo.user, cleo.identity.key, 4)] }, "a role of a later version"),
      instead(3, "role", { author: benPhone }, "a member makes himself an admin"),
      instead(4, "change", { changes: [o.change.unset(6)] }, "there are no bans"),
      instead(
        4,
        "role",
        { changes: [o.change.remove(anna.user)], state: outcome([member(ben, 1), member(cleo, 2, cleo.identity.key, 1)], [admin], kitchen) },
        "an admin removes the owner",
      ),
      instead(4, "role", { changes: [o.change.set(o.parts.policy([{ action: 2, role: 3 }]))] }, "a rule above the author's role"),
      instead(5, "change", { changes: [o.change.renew(flip(cleoList, -2))] }, "the former identity has not signed"),
      instead(
        5,
        "change",
        {
          changes: [
            o.change.renew(
              o.deviceList({
                ...first(cleo),
                number: 2,
                identity: cleoAfter,
                before: cleo.identity,
                reason: 4,
                devices: [on({ ...cleoPhone, ...invented }, 2)],
                signer: { ...cleoPhone, ...invented },
              }),
            ),
          ],
        },
        "the signer is no leaf: only the identity is stolen",
      ),
      instead(5, "change", { changes: [o.change.devices(cleoList)] }, "a list with reason 4 needs the change renew"),
      instead(6, "role", { author: renewed }, "a member invites"),
      instead(6, "change", { changes: [o.change.set(links({ ...openLink, role: 3 }))] }, "invitations are not set"),
      instead(6, "change", { changes: [o.change.invite({ ...openLink, uses: 0 })] }, "for no use"),
      instead(7, "change", { changes: [o.change.admit(flip(accept(doraPhone), -1))] }, "not by the link"),
      instead(7, "change", { changes: [o.change.admit(accept(doraPhone, { room: directRoom }))] }, "for another room"),
      instead(7, "change", { changes: [o.change.admit(accept(doraPhone, { invitation: dora.identity }))] }, "no such invitation"),
      instead(7, "change", { changes: [o.change.admit(accept(doraPhone, { since: 5 }))] }, "for an earlier invitation with this key"),
      instead(8, "change", { changes: [o.change.leave(o.leave({ room, since: 1, author: renewed }))] }, "of an earlier membership"),
      instead(8, "change", { changes: [o.change.leave(o.leave({ room: directRoom, since: 2, author: renewed }))] }, "of another room"),
      instead(8, "change", { changes: [o.change.leave(o.leave({ room, since: 2, author: { ...renewed, ...invented } }))] }, "by a device that is no leaf"),
      instead(8, "change", { changes: [o.change.admit(accept(doraPhone))] }, "the acceptance was used"),
      instead(8, "role", { author: renewed, changes: [o.change.invite(forUser)] }, "a member invites a user"),
      instead(9, "change", { changes: [o.change.devices(asList(2, { identity: cleoAfter }))] }, "not by the identity of the state"),
      instead(10, "change", { changes: [o.change.set(o.parts.bans([dora.user]))] }, "a ban of a user who is there"),
      instead(10, "change", { author: laptop, changes: [o.change.devices(lists[0].encoded)] }, "an older list"),
      instead(
        11,
        "owner",
        { changes: [o.change.role(anna.user, 0)], state: outcome([annaAt2, member(ben, 1)], [admin], hour, rule, o.parts.bans([dora.user]), links(usedLink)) },
        "no owner is left",
      ),
      instead(
        11,
        "role",
        { author: benPhone, changes: [o.change.set(o.parts.policy([{ action: 2, role: 0 }])), o.change.role(ben.user, 3)] },
        "rights are those before the statement",
      ),
    ],
    invalidDirect: [
      {
        number: 2,
        rule: "change",
        about: "a third user",
        encoded: o.statement({ ...ofDirect[1].of, changes: [o.change.add(cleo.user, cleo.identity.key, 0)] }),
      },
      { number: 2, rule: "change", about: "a removal", encoded: o.statement({ ...ofDirect[1].of, changes: [o.change.remove(anna.user)] }) },
      { number: 2, rule: "change", about: "a role", encoded: o.statement({ ...ofDirect[1].of, changes: [o.change.role(ben.user, 3)] }) },
    ],
  },
);
