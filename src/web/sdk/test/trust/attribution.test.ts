import { expect, test } from "vitest";
import type { Draft } from "../../src/rooms/draft.js";
import { standingOf, type Standing } from "../../src/rooms/reading.js";
import { decodeState } from "../../src/trust/state.js";
import { fromHex, vectors } from "./vectors.js";

interface ShownDevice {
  user: string;
  device: string;
  identityKey: string;
  signatureKey: string;
}
interface Case {
  about: string;
  standing: Standing;
  type: string;
  sender: ShownDevice;
  stateOfEpoch: string;
  leavesAtPlace: ShownDevice[];
  stateAtPlace: string;
}

const leafOf = ({ user, device, identityKey, signatureKey }: ShownDevice) => ({
  userId: user,
  deviceId: device,
  identityKey: fromHex(identityKey),
  signatureKey: fromHex(signatureKey),
});

/** A room that is one epoch further than the message. */
function draftOf({ stateOfEpoch, leavesAtPlace, stateAtPlace }: Case): Draft {
  const state = decodeState(fromHex(stateOfEpoch));
  return {
    group: { generation: 0, epoch: 5, leaves: () => leavesAtPlace.map(leafOf) },
    signed: { at: () => ({ state }), state: decodeState(fromHex(stateAtPlace)) },
  } as unknown as Draft;
}

test("a content counts for the user of a device that is still in the room, with the rights of both states", () => {
  const cases = vectors("attribution").cases as Case[];
  expect(cases).toHaveLength(33);
  for (const each of cases) {
    const type = each.type === "hologram" ? "unsupported" : (each.type as "text");
    expect(standingOf(draftOf(each), { leaf: leafOf(each.sender), epoch: { generation: 0, epoch: 4 } }, type), each.about).toBe(each.standing);
  }
});
