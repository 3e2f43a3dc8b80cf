// The limits of the specification, each at its value and one above. Large values are written as pieces, so that the file stays small.
import { bytes, id, sign, uint16, uint64, vector, zeros } from "./codec.mjs";
import { anna, founding, hex, member, owner, phone, room, uuid, write } from "./fixtures.mjs";
import * as o from "./objects.mjs";

// Pieces: bytes, a unit with the number of its repetitions, or a number that counts up, with the bytes before and after it.
const repeat = (unit, times) => ({ repeat: hex(unit), times });
const count = (from, times, width, { before = [], after = [] } = {}) => ({ from, times, width, before: hex(before), after: hex(after) });
const expand = (pieces) =>
  bytes(
    ...pieces.flatMap((piece) => {
      if (piece instanceof Uint8Array) return [piece];
      if (piece.repeat !== undefined) return [Buffer.from(piece.repeat.repeat(piece.times), "hex")];
      return Array.from({ length: piece.times }, (_, i) => {
        const number = Buffer.alloc(piece.width);
        number.writeUIntBE(piece.from + i, piece.width - Math.min(6, piece.width), Math.min(6, piece.width));
        return bytes(Buffer.from(piece.before, "hex"), number, Buffer.from(piece.after, "hex"));
      });
    }),
  );
const sizeOf = (pieces) => expand(pieces).length;
/** The header of a vector with this content. */
const header = (length) => vector(Buffer.alloc(length)).subarray(0, length < 64 ? 1 : length < 16_384 ? 2 : 4);
const inVector = (pieces) => [header(sizeOf(pieces)), ...pieces];
const part = (type, pieces) => [uint16(type), ...inVector(pieces)];
const listPart = (type, items) => part(type, inVector(items));

const KiB = 1024;
const cases = [];
/** `made` gives the pieces for a number of items or bytes. */
const limit = (of, about, most, rule, made) => cases.push({ of, about, most, rule, at: made(most), above: made(most + 1) });

// State
const kept = (length) => [uint16(9), header(length), repeat([0x61], length)];
limit("state", "bytes of a state", 256 * KiB, "length", (size) => kept(size - 6));
limit("state", "parts", 64, "length", (number) => [count(9, number, 2, { after: [0] })]);
limit("state", "users in the roster", 2048, "length", (number) =>
  listPart(1, [count(1, number, 16, { after: bytes(anna.identity.key, uint64(1), uint64(0)) })]),
);
limit("state", "bans", 4096, "length", (number) => listPart(6, [count(1, number, 16)]));
const terms = bytes(id(anna.user), uint64(1), [0], [0, 0, 0, 1], uint64(1_900_000_000), [0], [0], vector([]));
limit("state", "invitations", 256, "length", (number) => listPart(7, [count(1, number, 32, { after: terms })]));
limit("state", "uses of an invitation", 1024, "uses", (uses) => [
  o.state([o.parts.invitations([{ invitation: anna.identity.key, inviter: anna.user, since: 1, role: 0, uses, expires: 0, approval: false, used: [] }])]),
]);
limit("state", "bytes of a name", 800, "text", (length) => part(3, [repeat([0x61], length)]));
limit("state", "seconds to live", 2 ** 31, "number", (seconds) => [o.state([o.parts.timeToLive(seconds)])]);
const roster = (since) => [o.state([o.parts.roster([{ ...member(anna, 1), since }]), o.parts.roles([owner])])];
cases.push({
  of: "state",
  about: "numbers",
  most: Number.MAX_SAFE_INTEGER,
  rule: "number",
  at: roster(Number.MAX_SAFE_INTEGER),
  above: roster(2n ** 53n),
});

// Statement: only its form is judged here, so the values of the changes need not be valid
const statement = (changes) => {
  const place = bytes(uint16(1), id(room), zeros(4), uint64(1), uint64(2), o.foundingHash(founding), zeros(32), zeros(32));
  const content = [place, ...inVector(changes), o.author(phone)];
  return [...content, sign(phone.signing, "Statement", expand(content))];
};
const nothing = (type, times) => repeat(bytes(uint16(type), vector([])), times);
const unset = bytes(uint16(7), vector(uint16(3)));
const around = sizeOf(statement(part(6, kept(20_000)))) - 20_000;
limit("statement", "bytes of a statement", 256 * KiB, "length", (size) => statement(part(6, kept(size - around))));
limit("statement", "changes", 2048, "length", (number) => statement([repeat(unset, number)]));
limit("statement", "device lists in one statement", 16, "length", (number) => statement([nothing(4, 8), nothing(8, number - 8)]));
limit("statement", "leaves in one statement", 16, "length", (number) => statement([nothing(3, number)]));
limit("statement", "acceptances in one statement", 64, "length", (number) => statement([nothing(11, number)]));
limit("statement", "bans inside a change", 4096, "length", (number) => statement(part(6, listPart(6, [count(1, number, 16)]))));
const later = (value) => statement([bytes(uint16(1), vector(bytes(id(anna.user), anna.identity.key, [0], uint64(value))))]);
cases.push({
  of: "statement",
  about: "numbers inside a change",
  most: Number.MAX_SAFE_INTEGER,
  rule: "number",
  at: later(Number.MAX_SAFE_INTEGER),
  above: later(2n ** 53n),
});

// Device list: only its form, so signatures are zeros
const entry = bytes(anna.identity.key, anna.identity.key, uint64(1), zeros(64));
const deviceList = (devices, username = 4) => [
  bytes(uint16(1), id(anna.user)),
  ...inVector([repeat([0x61], username)]),
  bytes(uint64(1), zeros(32), anna.identity.key),
  ...inVector([count(1, devices, 16, { after: entry })]),
  bytes([1], id(anna.user), zeros(128), [0]),
];
limit("deviceList", "devices", 64, "length", (number) => deviceList(number));
limit("deviceList", "bytes of a username", 32, "length", (length) => deviceList(1, length));
// A valid list has less than 16 KiB by the two limits before.
cases.push({ of: "deviceList", about: "bytes of a list", most: 16 * KiB, rule: "length", above: deviceList(107) });

// The chain in a Welcome
const chain = (base, number, size) => [uint16(1), vector(founding), ...inVector(base), ...inVector([repeat(vector(Buffer.alloc(size)), number)])];
limit("chain", "statements of a chain", 512, "length", (number) => chain([], number, 0));
limit("chain", "bytes of base and statements", 384 * KiB, "length", (size) => chain([repeat([0x61], size - 1000)], 10, 100));

// Content
const content = (members, fill) => {
  const json = JSON.stringify({
    v: 1,
    id: uuid("content limit"),
    sent: 1_800_000_000_000,
    room: { number: 1, hash: "AAAAAAAAAAAAAAAAAAAAAA" },
    list: { number: 1, hash: "AAAAAAAAAAAAAAAAAAAAAA" },
    ...members,
  });
  const [before, after = ""] = json.split(fill ? "…" : '"…"');
  return [Buffer.from(before), ...(fill ? [repeat(Buffer.from(fill[0]), fill[1]), Buffer.from(after)] : [])];
};
const target = { author: anna.user, id: uuid("content target") };
const textAround = sizeOf(content({ type: "text", text: "…" }, ["a", 0]));
limit("content", "bytes of a content", 32_255, "malformed", (size) => content({ type: "text", text: "…" }, ["a", size - textAround]));
limit("content", "UTF-16 units of an emoji", 32, "malformed", (units) => content({ type: "reaction", target, emoji: "…" }, ["a", units]));
limit("content", "UTF-16 units of a kind", 64, "malformed", (units) => content({ type: "custom", kind: "…", data: null }, ["a", units]));
const nested = (levels) => (levels === 0 ? 1 : [nested(levels - 1)]);
limit("content", "levels of the data of a custom content", 32, "malformed", (levels) => content({ type: "custom", kind: "k", data: nested(levels) }));
const file = { blob: uuid("blob"), get: "AA", delete: "AA", key: "AA", size: 1, hash: "AA", name: "a", media: "image/png" };
limit("content", "files", 32, "malformed", (number) => content({ type: "file", files: Array.from({ length: number }, () => file) }));
limit("content", "places of a deletion", 16, "malformed", (number) => content({ type: "delete", target: target.id, seqs: Array(number).fill(7) }));
limit("content", "places of a moderation", 16, "malformed", (number) => content({ type: "moderate", target, seqs: Array(number).fill(7) }));
limit("content", "seconds to live of a content", 2 ** 31, "malformed", (ttl) => content({ type: "text", text: "a", ttl }));
const read = (number) => content({ type: "text", text: "a", read: "…" }).concat(Buffer.from(`${number}}`));
cases.push({
  of: "content",
  about: "numbers of a content",
  most: Number.MAX_SAFE_INTEGER,
  rule: "malformed",
  at: read(2n ** 53n - 1n),
  above: read(2n ** 53n),
});

write(
  "limits",
  "The limits: `at` has the value `most` and is accepted, `above` has one more and is refused by `rule`. A piece is bytes; or `repeat`, `times` times; " +
    "or `times` numbers from `from` on, big-endian with `width` bytes, each between `before` and `after`. Only the form is judged: signatures and hashes " +
    "may be wrong.",
  { cases },
);
