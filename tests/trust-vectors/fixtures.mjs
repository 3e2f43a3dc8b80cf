// The people, the rooms and the helpers of the vectors. Every key and nonce comes from a name.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { bytes, id, idText, keyPair, sha256, uint32 } from "./codec.mjs";
import * as o from "./objects.mjs";

const folder = process.argv[2] ?? import.meta.dirname;
export const hex = (value) => Buffer.from(value).toString("hex");
export const named = (name) => sha256(Buffer.from(`vector ${name}`));
export const uuid = (name) => {
  const value = Buffer.from(named(name).subarray(0, 16));
  value[6] = (value[6] & 0x0f) | 0x40;
  value[8] = (value[8] & 0x3f) | 0x80;
  return idText(value);
};
export const show = (value) => {
  if (value instanceof Uint8Array) return hex(value);
  if (Array.isArray(value)) return value.map(show);
  return typeof value === "object" && value !== null ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key, show(each)])) : value;
};
export const write = (name, about, content) => writeFileSync(join(folder, `${name}.json`), `${JSON.stringify({ about, ...show(content) }, null, 1)}\n`);
/** The same bytes with one bit changed. */
export const flip = (value, at) => {
  const copy = Buffer.from(value);
  copy[at < 0 ? copy.length + at : at] ^= 1;
  return copy;
};
/** A user with an identity and devices. */
export const person = (name, ...devices) => {
  const user = uuid(name);
  const identity = keyPair(named(`${name} identity`));
  const device = (each) => ({
    user,
    identity,
    device: uuid(`${name} ${each}`),
    signing: keyPair(named(`${name} ${each} signing`)),
    linkKey: named(`${name} ${each} link`),
  });
  return { name, user, identity, devices: devices.map(device) };
};
export const anna = person("anna", "phone", "laptop", "tablet");
export const ben = person("ben", "phone");
export const cleo = person("cleo", "phone");
export const dora = person("dora", "phone");
export const [phone, laptop, tablet] = anna.devices;
export const [benPhone] = ben.devices;
export const [cleoPhone] = cleo.devices;
export const [doraPhone] = dora.devices;

export const group = { kind: 1, scheme: "mls10", founder: anna.user, identityKey: anna.identity.key, nonce: named("group").subarray(0, 16) };
export const direct = { ...group, kind: 2, nonce: named("direct").subarray(0, 16), other: ben.user };
export const founding = o.founding(group);
export const room = o.roomId(founding);
export const directFounding = o.founding(direct);
export const directRoom = o.roomId(directFounding);
export const member = (of, since, identityKey = of.identity.key, listNumber = 0) => ({ user: of.user, identityKey, since, list: listNumber });
export const owner = { user: anna.user, role: 3 };
export const admin = { user: ben.user, role: 2 };
export const link = keyPair(named("invitation"));
export const invitation = { invitation: link.key, inviter: anna.user, since: 2, role: 0, uses: 2, expires: 1_900_000_000, approval: false, used: [] };

export const groupIdOf = (of, generation) => bytes(id(of), uint32(generation));
