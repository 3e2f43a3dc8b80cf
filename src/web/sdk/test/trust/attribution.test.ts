import { expect, test } from "vitest";
import { actions, decodeState, may } from "../../src/trust/state.js";
import { fromHex, vectors } from "./vectors.js";

interface ShownDevice {
  user: string;
  device: string;
  identityKey: string;
  signatureKey: string;
}
interface Case {
  about: string;
  standing: "counts" | "late" | "notAllowed";
  type: string;
  sender: ShownDevice;
  stateOfEpoch: string;
  leavesAtPlace: ShownDevice[];
  stateAtPlace: string;
}

/* The rule of section 8 in its shortest form. */
function standingOf({ type, sender, stateOfEpoch, leavesAtPlace, stateAtPlace }: Case): Case["standing"] {
  const isLeaf = leavesAtPlace.some(
    ({ user, device, identityKey, signatureKey }) =>
      user === sender.user && device === sender.device && identityKey === sender.identityKey && signatureKey === sender.signatureKey,
  );
  if (!isLeaf) return "late";
  const states = [stateOfEpoch, stateAtPlace].map((encoded) => decodeState(fromHex(encoded)));
  const mayAlways = (action: number) => states.every((state) => may(state, sender.user, action));
  const needed: number[] = type === "delete" || type === "leave" ? [] : [actions.send];
  if (type === "moderate") needed.push(actions.moderate);
  if (type === "pin") needed.push(actions.pin);
  return needed.every(mayAlways) ? "counts" : "notAllowed";
}

test("a content counts for the user of a device that is still in the room, with the rights of both states", () => {
  const cases = vectors("attribution").cases as Case[];
  expect(cases).toHaveLength(33);
  for (const each of cases) expect(standingOf(each), each.about).toBe(each.standing);
  for (const standing of ["counts", "late", "notAllowed"]) expect(cases.some((each) => each.standing === standing)).toBe(true);
});
