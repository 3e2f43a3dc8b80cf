// Prints what things weigh on the wire, in bytes. Usage: npm run build && node scripts/sizes.mjs
import { newId, idBytes } from "../dist/base/bytes.js";
import { buckets } from "../dist/content/padding.js";
import { signDevice } from "../dist/mls/credential.js";
import { generateSigningKey } from "../dist/mls/ed25519.js";
import { Group, groupIdOf } from "../dist/mls/group.js";
import { makeKeyPackage } from "../dist/mls/messages.js";

async function keyPackage() {
  const [identity, signature] = [await generateSigningKey(), await generateSigningKey()];
  const [userId, deviceId] = [newId(), newId()];
  const identitySignature = await signDevice(identity.privateKey, userId, deviceId, signature.publicKey);
  return makeKeyPackage({ userId, deviceId, identityKey: identity.publicKey, identitySignature }, signature, 84, Date.now());
}

const row = (...cells) => console.log(cells.map((cell, i) => (i === 0 ? String(cell).padEnd(34) : String(cell).padStart(9))).join(""));
const sizes = [2, 6, 20, 100];
const packages = [];
for (let i = 0; i <= Math.max(...sizes); i++) packages.push(await keyPackage());
row("KeyPackage", packages[0].message.length);
console.log();
row("devices in the group", ...sizes);
const lines = {
  "founding Commit": [],
  "its Welcome, for all others": [],
  "Commit that removes and adds one": [],
  "its Welcome": [],
  "state on the device": [],
  "of it, per message": [],
};
let group;
for (const size of sizes) {
  const founding = await (
    await Group.found(groupIdOf(idBytes(newId()), 0), packages[0])
  ).commit({ remove: [], add: packages.slice(1, size).map((each) => each.message) });
  group = founding.before.merge(founding.after);
  const next = await group.commit({ remove: [size - 1], add: [packages[size].message] });
  [
    founding.commit.length,
    founding.welcome.length,
    next.commit.length,
    next.welcome.length,
    group.encodeBase().length,
    group.encodeRatchet(group.epoch).length,
  ].forEach((bytes, i) => Object.values(lines)[i].push(bytes));
}
for (const [name, bytes] of Object.entries(lines)) row(name, ...bytes);
console.log();
row("content, padded to", ...buckets);
const messages = [];
for (const bucket of buckets) messages.push((await group.encrypt(new Uint8Array(bucket))).message.length);
row("message", ...messages);
