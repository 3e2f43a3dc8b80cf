// Signed statements of the hostile member: correct in form, without the right to make them.
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
  reasons,
  signDeviceList,
  signListedDevice,
} from "../../src/web/sdk/dist/trust/deviceList.js";
import { exporterLabel, seal } from "../../src/web/sdk/dist/trust/sealed.js";
import { encodeState, stateHash } from "../../src/web/sdk/dist/trust/state.js";
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

/** The authenticated data of a Commit that adds a user as a member. */
export async function sealAddition({ state, signed, device, user, identity }) {
  const group = new Group(state);
  const { head, state: before } = signed;
  const number = (head?.number ?? 0) + 1;
  const member = { user, identity, since: number, list: 0 };
  const after = { ...before, roster: [...before.roster, member].toSorted((a, b) => (a.user < b.user ? -1 : 1)) };
  const statement = await signStatement(
    {
      room: group.roomId,
      generation: group.generation,
      epoch: group.epoch,
      number,
      previous: head?.hash ?? signed.foundingHash,
      before: await stateHash(encodeState(before)),
      state: await stateHash(encodeState(after)),
      changes: [changes.add(user, identity, 0, 0)],
    },
    { device: deviceOf(device.credential, device.signature.publicKey), seed: device.signature.privateKey },
  );
  return seal(statement, { key: await group.export(exporterLabel, new Uint8Array(), 16), groupId: group.id, epoch: group.epoch });
}
