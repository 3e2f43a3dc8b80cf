// Sections 8 to 10: content, transcript and author proof.
import { bytes, zeros } from "./codec.mjs";
import { anna, ben, directRoom, dora, doraPhone, flip, founding, groupIdOf, laptop, named, phone, room, uuid, write } from "./fixtures.mjs";
import { lists } from "./devices.mjs";
import { token, statements } from "./statements.mjs";
import * as o from "./objects.mjs";

// 8. Content
const short = (value) => Buffer.from(value.subarray(0, 16)).toString("base64url");
const base64 = (value) => Buffer.from(value).toString("base64url");
const common = (name) => ({
  v: 1,
  id: uuid(`content ${name}`),
  sent: 1_800_000_000_000,
  ttl: 3600,
  seen: { seq: 41, gap: 0, hashes: [short(named("transcript"))] },
  room: { number: 4, hash: short(o.statementHash(statements[3].encoded)) },
  list: { number: 2, hash: short(o.deviceListHash(lists[1].encoded)) },
});
const target = { author: ben.user, id: uuid("content target") };
const file = {
  blob: uuid("blob"),
  get: base64(named("get")),
  delete: base64(named("delete")),
  key: base64(named("file")),
  size: 70_000,
  hash: base64(named("file hash")),
  name: "a.png",
  media: "image/png",
  width: 640,
  height: 480,
  alt: "a table",
};
const contents = [
  { type: "text", text: "Grüße 👋" },
  { type: "reply", to: target, text: "yes" },
  { type: "edit", target: uuid("content own"), text: "corrected" },
  { type: "delete", target: uuid("content own"), seqs: [40, 41] },
  { type: "moderate", target, seqs: [39] },
  { type: "pin", target },
  { type: "reaction", target, emoji: "👍" },
  { type: "leave", token: base64(token) },
  { type: "file", text: "a picture", files: [file] },
  { type: "custom", kind: "poll", data: { question: "When?", answers: [1, null] } },
];
const json = (content, fields = {}) => JSON.stringify({ ...common(content.type), ...content, ...fields });
write("content", "Section 8: contents as the plaintext of a message, before the padding.", {
  valid: contents.map((content) => ({ content: JSON.parse(json(content)), json: json(content), padded: o.padContent(Buffer.from(json(content))).length })),
  unsupported: [json(contents[0], { type: "hologram" }), json(contents[0], { v: 2 })],
  malformed: [
    "[]",
    "null",
    "{",
    `\ufeff${json(contents[0])}`,
    json(contents[0]).replace('"v":1', '"v":1,"v":1'),
    json(contents[0]).replace("41", "41.0"),
    json(contents[0], { id: "1" }),
    json(contents[0], { text: 1 }),
    json(contents[0], { ttl: 0 }),
    json(contents[0], { ttl: 2 ** 31 + 1 }),
    json(contents[0], { seen: { seq: "41", gap: 0, hashes: [] } }),
    json(contents[0], { seen: { seq: 41, gap: 42, hashes: [] } }),
    json(contents[0], { seen: undefined, room: undefined }),
    json(contents[4], { target: { author: ben.user } }),
    json(contents[8], { files: [] }),
  ],
});

// 9. Transcript
const entries = [3, 4, 7, 250, 255, 256, 257, 300, 1023, 1024, 1100, 1279, 1280].map((seq, i) => ({
  seq,
  kind: i % 3 === 0 ? 2 : 1,
  message: named(`entry ${seq}`),
}));
const seen = (seq, gap = 0) => ({ seq, gap, hashes: o.transcript({ founding: o.foundingHash(founding), gap, seq, entries }).map(short) });
write("transcript", "Section 9: `seen` at some places of a log with these message and Commit entries; the other places have entries of the server.", {
  founding: o.foundingHash(founding),
  entries,
  seen: [seen(3), seen(255), seen(257), seen(1024), seen(1280), seen(1280, 1100), seen(1280, 1280), seen(1279, 511)],
});

// 10. Author proof
const data = o.padContent(Buffer.from(json(contents[0])));
const framed = { groupId: groupIdOf(room, 0), epoch: 3, leaf: 0, data, treeHash: named("tree"), transcriptHash: named("confirmed transcript") };
const proofOf = (of, fields = {}, more = {}) => {
  const tbs = o.framedContentTbs({ ...framed, ...fields });
  return o.authorProof({ tbs, signature: o.signMls(of.signing, "FramedContentTBS", tbs), leaf: o.leafNode(of, named("encryption key")), ...more });
};
write(
  "proof",
  "Section 10: the proof that a device of the given user wrote `data`, the message, in the room; `data` of the first valid one is the message of all. " +
    "`unknown` is signed, but the identity is not that of the user.",
  {
    roomId: room,
    valid: [{ user: anna.user, device: phone.device, data, encoded: proofOf(phone) }],
    unknown: [{ user: anna.user, encoded: proofOf({ ...phone, identity: dora.identity }) }],
    invalid: [
      { rule: "signature", encoded: proofOf(laptop, {}, { leaf: o.leafNode(phone, named("encryption key")) }) },
      {
        rule: "signature",
        about: "the leaf of another user around the device's key",
        encoded: proofOf(phone, {}, { leaf: flip(o.leafNode({ ...doraPhone, signing: phone.signing }, named("encryption key")), -1) }),
      },
      { rule: "approval", encoded: proofOf({ ...phone, approval: zeros(64) }) },
      { rule: "group", encoded: proofOf(phone, { groupId: groupIdOf(directRoom, 0) }) },
      { rule: "data", encoded: proofOf(phone, { data: o.padContent(Buffer.from(json(contents[1]))) }) },
      { rule: "length", encoded: bytes(proofOf(phone), [0]) },
    ],
  },
);
