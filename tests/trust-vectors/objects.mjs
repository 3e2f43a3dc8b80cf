// The signed objects, in the order of src/SecureMessaging.Protocol/Trust/README.md.
import { createCipheriv } from "node:crypto";
import { bytes, hash, id, idText, list, sha256, sign, signBare, uint16, uint32, uint64, uint8, vector, zeros } from "./codec.mjs";

const by = (key) => (a, b) => Buffer.compare(key(a), key(b));
const byUser = by((each) => id(each.user));
const optional = (value) => (value === undefined ? uint8(0) : bytes([1], value));
const typed = ({ type, value }) => bytes(uint16(type), vector(value));

// 1. Encoding: an author
export const approval = ({ identity, user, device, signing }) =>
  signBare(identity, bytes(Buffer.from("SecureMessaging 1.0 DeviceCredential"), id(user), id(device), signing.key));
export const credential = (of) => bytes(id(of.user), id(of.device), of.identity.key, of.approval ?? approval(of));
export const author = (of) => bytes(credential(of), of.signing.key);

// 2. Founding
export const founding = ({ kind, scheme, founder, identityKey, nonce, other }) =>
  bytes(uint16(1), vector(Buffer.from(scheme)), uint8(kind), id(founder), identityKey, nonce, other === undefined ? [] : id(other));
export const foundingHash = (encoded) => hash("Founding", encoded);
export function roomId(encoded) {
  const value = Buffer.from(foundingHash(encoded).subarray(0, 16));
  value[6] = (value[6] & 0x0f) | 0x40;
  value[8] = (value[8] & 0x3f) | 0x80;
  return idText(value);
}

// 3. State. Empty lists have no part.
const users = (all) => list(all.map((user) => id(user)).toSorted((a, b) => Buffer.compare(a, b)));
const parts = {
  roster: (all) => ({
    type: 1,
    value: list(all.toSorted(byUser).map((each) => bytes(id(each.user), each.identityKey, uint64(each.since), uint64(each.list)))),
  }),
  roles: (all) => ({ type: 2, value: list(all.toSorted(byUser).map((each) => bytes(id(each.user), uint8(each.role)))) }),
  name: (text) => ({ type: 3, value: Buffer.from(text) }),
  timeToLive: (seconds) => ({ type: 4, value: uint64(seconds) }),
  policy: (rules) => ({ type: 5, value: list(rules.toSorted((a, b) => a.action - b.action).map((rule) => bytes(uint16(rule.action), uint8(rule.role)))) }),
  bans: (all) => ({ type: 6, value: users(all) }),
  invitations: (all) => ({
    type: 7,
    value: list(
      all.toSorted(by((each) => each.invitation)).map((each) => bytes(each.invitation, id(each.inviter), uint64(each.since), terms(each), users(each.used))),
    ),
  }),
  history: (days) => ({ type: 8, value: uint32(days) }),
};
const terms = (each) => bytes(uint8(each.role), uint32(each.uses), uint64(each.expires), uint8(each.approval ? 1 : 0), optional(each.user && id(each.user)));
export { parts };
export const state = (all) => bytes(...all.toSorted((a, b) => a.type - b.type).map(typed));
export const stateHash = (encoded) => hash("State", encoded);

// 4. Statements
export const change = {
  add: (user, identityKey, role, listNumber = 0) => ({ type: 1, value: bytes(id(user), identityKey, uint8(role), uint64(listNumber)) }),
  remove: (user) => ({ type: 2, value: id(user) }),
  leave: (token) => ({ type: 3, value: token }),
  renew: (devices) => ({ type: 4, value: devices }),
  role: (user, role) => ({ type: 5, value: bytes(id(user), uint8(role)) }),
  set: (part) => ({ type: 6, value: typed(part) }),
  unset: (type) => ({ type: 7, value: uint16(type) }),
  devices: (devices) => ({ type: 8, value: devices }),
  invite: (each) => ({ type: 9, value: bytes(each.invitation, terms(each)) }),
  uninvite: (invitation) => ({ type: 10, value: invitation }),
  admit: (accepted) => ({ type: 11, value: accepted }),
};
const signed = (name, of, ...fields) => {
  const content = bytes(...fields);
  return bytes(content, of.signature?.(name, content) ?? sign(of.author.signing, name, content));
};
export const statement = (of) =>
  signed(
    "Statement",
    of,
    uint16(of.version ?? 1),
    id(of.room),
    uint32(of.generation),
    uint64(of.epoch),
    uint64(of.number),
    of.previous,
    of.before,
    of.state,
    list(of.changes.map(typed)),
    author(of.author),
  );
export const statementHash = (encoded) => hash("Statement", encoded);
export const leave = (of) => signed("Leave", of, uint16(1), id(of.room), uint64(of.since), author(of.author));
export function acceptance(of) {
  const content = bytes(uint16(1), id(of.room), of.invitation.key, uint64(of.since), of.author.identity.key, uint64(of.list), author(of.author));
  return bytes(content, sign(of.author.signing, "Acceptance", content), sign(of.invitation, "Invitation", content));
}

// 5. How statements travel
export function pad(content) {
  let size = 1024;
  while (size <= content.length) size *= 2;
  return bytes(content, [0x80], zeros(size - content.length - 1));
}
// 8. The padding of a content
export function padContent(content) {
  const size = [256, 512, 1024, 2048, 4096, 8192, 16_384, 32_256].find((each) => each > content.length);
  return bytes(content, [0x80], zeros(size - content.length - 1));
}
export function seal({ key, nonce, groupId, epoch, plaintext, padded = pad(plaintext) }) {
  const cipher = createCipheriv("aes-128-gcm", key, nonce).setAAD(bytes(vector(groupId), uint64(epoch)));
  const ciphertext = bytes(cipher.update(padded), cipher.final(), cipher.getAuthTag());
  return bytes(uint16(1), nonce, vector(ciphertext));
}
export const extension = (of) => bytes(uint16(1), vector(of.founding), vector(of.base), list(of.statements.map(vector)));

// 7. Device lists
export const ownEntry = (each) => bytes(id(each.user), id(each.device), each.signing.key, each.linkKey);
const listed = (each) => bytes(id(each.device), each.signing.key, each.linkKey, uint64(each.since), sign(each.signing, "Device", ownEntry(each)));
export function deviceList(of) {
  const content = bytes(
    uint16(1),
    id(of.user),
    vector(Buffer.from(of.username)),
    uint64(of.number),
    of.previous,
    of.identity.key,
    list(of.devices.toSorted(by((each) => id(each.device))).map(listed)),
    uint8(of.reason),
    id(of.signer.device),
  );
  const signature = (pair) => sign(pair, "DeviceList", content);
  return bytes(content, signature(of.identity), signature(of.signer.signing), optional(of.before && signature(of.before)));
}
export const deviceListHash = (encoded) => hash("DeviceList", encoded);
export function transfer(of) {
  const content = bytes(
    uint16(1),
    of.identitySeed,
    uint64(of.number),
    of.list,
    list(of.rooms.map((each) => bytes(id(each.room), each.founding, uint32(each.generation), uint64(each.number), each.head))),
    list(
      of.pins.map((each) =>
        bytes(id(each.user), vector(Buffer.from(each.username)), each.identityKey, uint64(each.number), each.list, uint8(each.verified ? 1 : 0)),
      ),
    ),
    id(of.from.device),
  );
  return bytes(content, sign(of.from.signing, "Transfer", content));
}
export const contactCode = (of) => bytes(uint8(1), id(of.user), of.identityKey, uint64(of.number), of.list).toString("base64url");

// 9. Transcript
export function transcript({ founding: ofRoom, gap, seq, entries }) {
  const hashes = [];
  for (let block = Math.floor(seq / 256); block >= 0 && hashes.length < 4 && 256 * block + 255 > gap; block--) {
    const within = entries.filter((each) => Math.floor(each.seq / 256) === block && each.seq > gap && each.seq <= seq);
    const encoded = within.map((each) => bytes(uint64(each.seq), uint8(each.kind), sha256(each.message)));
    hashes.push(hash("Transcript", bytes(ofRoom, uint64(block), uint64(gap), uint64(seq), list(encoded))).subarray(0, 16));
  }
  return hashes;
}

// 10. Author proof, with the parts of RFC 9420 that it contains
export const authorProof = ({ tbs, signature, leaf }) => bytes(uint16(1), vector(tbs), signature, vector(leaf));
const labelledByMls = (name, content) => bytes(vector(Buffer.from(`MLS 1.0 ${name}`)), vector(content));
export const signMls = (pair, name, content) => signBare(pair, labelledByMls(name, content));
/** A LeafNode of a KeyPackage (RFC 9420 section 7.2). */
export function leafNode(of, encryptionKey) {
  const capabilities = bytes(list([uint16(1)]), list([uint16(1)]), list([]), list([]), list([uint16(1)]));
  const content = bytes(
    vector(encryptionKey),
    vector(of.signing.key),
    uint16(1),
    vector(credential(of)),
    capabilities,
    uint8(1),
    uint64(1_700_000_000),
    uint64(1_900_000_000),
    list([]),
  );
  return bytes(content, vector(signMls(of.signing, "LeafNodeTBS", content)));
}
export function framedContentTbs(of) {
  const content = bytes(vector(of.groupId), uint64(of.epoch), uint8(1), uint32(of.leaf), vector([]), uint8(1), vector(of.data));
  const context = bytes(uint16(1), uint16(1), vector(of.groupId), uint64(of.epoch), vector(of.treeHash), vector(of.transcriptHash), vector([]));
  return bytes(uint16(1), uint16(2), content, context);
}
