// Signed statements of the hostile member: correct in form, without the right to make them.
import { randomBytes } from "node:crypto";
import { keys, unpack } from "../../src/web/sdk/dist/store/store.js";
import { generateSigningKey } from "../../src/web/sdk/dist/mls/ed25519.js";
import { Group } from "../../src/web/sdk/dist/mls/group.js";
import { SignedRoom } from "../../src/web/sdk/dist/rooms/signedRoom.js";
import { deviceOf } from "../../src/web/sdk/dist/trust/device.js";
import {
  decodeDeviceList,
  deviceListHash,
  encodeDeviceList,
  listedDevice,
  noPrevious,
  reasons,
  signDeviceList,
  signListedDevice,
} from "../../src/web/sdk/dist/trust/deviceList.js";
import { encodeChain } from "../../src/web/sdk/dist/trust/chain.js";
import { exporterLabel, seal } from "../../src/web/sdk/dist/trust/sealed.js";
import { emptyState, encodeState, stateHash } from "../../src/web/sdk/dist/trust/state.js";
import { changes, decodeStatement, signStatement } from "../../src/web/sdk/dist/trust/statement.js";

/** What the SDK knows of the signed state of a room; undefined in a room without one. */
export async function signedRoom(store, room) {
  const stored = await store.get(keys.signed(room));
  return stored && SignedRoom.decode(stored);
}

/** The users who have signed the statements of a room. */
export async function authorsOf(signed) {
  const chain = await signed?.chainSince(1);
  return (chain?.statements ?? []).map((bytes) => decodeStatement(bytes).author.user);
}

/** The first device list of another user, by an identity and a device of this program. */
export async function signFirst({ credential, signature, identity }, username) {
  const { userId: user, deviceId: device } = credential;
  const { publicKey: linkKey } = await generateSigningKey();
  const listed = await signListedDevice(user, { device, signatureKey: signature.publicKey, linkKey, since: 1 }, signature.privateKey);
  const content = { user, username, number: 1, previous: noPrevious, identity: identity.publicKey, devices: [listed], reason: reasons.first, signer: device };
  return encodeDeviceList(await signDeviceList(content, { identity: identity.privateKey, device: signature.privateKey }));
}

/** A rival of the list after `last`, signed by the identity and by this device. */
export async function signRival(store, last) {
  const { deviceId, signature, identitySeed } = unpack(await store.get(keys.device));
  const before = decodeDeviceList(last);
  const { publicKey: linkKey } = await generateSigningKey();
  const own = listedDevice(before, deviceId);
  const changed = await signListedDevice(before.user, { ...own, linkKey }, signature.privateKey);
  const content = {
    ...before,
    number: before.number + 1,
    previous: await deviceListHash(last),
    reason: reasons.newKeys,
    signer: deviceId,
    devices: before.devices.map((each) => (each.device === deviceId ? changed : each)),
  };
  delete content.byIdentityBefore;
  return encodeDeviceList(await signDeviceList(content, { identity: identitySeed, device: signature.privateKey }));
}

/**
 * The next statement of a room, in form, also when its author may not make it. `wanted`: `{ add: { userId, identity, list, role } }` or `{ name }`. Returns
 * it with its sealed form, and the room's chain for a Welcome.
 */
export async function makeStatement({ state, signed, device, wanted }) {
  const group = new Group(state);
  const { head, state: before } = signed;
  const number = (head?.number ?? 0) + 1;
  const { made, after } = wanted.add ? addition(before, number, wanted.add) : naming(before, wanted.name);
  const statement = await signStatement(
    {
      room: group.roomId,
      generation: group.generation,
      epoch: group.epoch,
      number,
      previous: head?.hash ?? signed.foundingHash,
      before: await stateHash(encodeState(before)),
      state: await stateHash(encodeState(after)),
      changes: [made],
    },
    { device: deviceOf(device.credential, device.signature.publicKey), seed: device.signature.privateKey },
  );
  const sealed = await seal(statement, { key: await group.export(exporterLabel, new Uint8Array(), 16), groupId: group.id, epoch: group.epoch });
  return { statement, sealed, roomInfo: encodeChain({ founding: signed.encodedFounding, base: encodeState(before), statements: [statement] }) };
}

/**
 * A chain of its own for a room: from a state of this program's choice, in which its device is an owner, to the statement that adds the newcomer. Only the
 * founding is the true one.
 */
export async function inventChain({ state, device, founding, members, newcomer }) {
  const group = new Group(state);
  const { userId } = device.credential;
  const number = 5;
  const roster = members.map(({ userId: user, identity }) => ({ user, identity: new Uint8Array(Buffer.from(identity, "hex")), since: 1, list: 1 }));
  const before = { ...emptyState, roster: roster.toSorted((a, b) => (a.user < b.user ? -1 : 1)), roles: [{ user: userId, role: 3 }] };
  const { made, after } = addition(before, number, { ...newcomer, list: 1 });
  const statement = await signStatement(
    {
      room: group.roomId,
      generation: group.generation,
      epoch: group.epoch,
      number,
      previous: new Uint8Array(randomBytes(32)),
      before: await stateHash(encodeState(before)),
      state: await stateHash(encodeState(after)),
      changes: [made],
    },
    { device: deviceOf(device.credential, device.signature.publicKey), seed: device.signature.privateKey },
  );
  return encodeChain({ founding, base: encodeState(before), statements: [statement] });
}

function addition(before, number, { userId, identity, list = 0, role = 0 }) {
  const key = new Uint8Array(Buffer.from(identity, "hex"));
  const roster = [...before.roster, { user: userId, identity: key, since: number, list }].toSorted((a, b) => (a.user < b.user ? -1 : 1));
  return { made: changes.add(userId, key, role, list), after: { ...before, roster } };
}

const naming = (before, name) => ({ made: changes.set({ type: 3, value: new Uint8Array(Buffer.from(name)) }), after: { ...before, name } });
