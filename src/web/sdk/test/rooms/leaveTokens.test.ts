/* Which of the tokens of users who leave the next Commit carries out. */
import { expect, test } from "vitest";
import { planLeaves } from "../../src/rooms/plan.js";
import { signerOf } from "../../src/rooms/statements.js";
import { signLeave } from "../../src/trust/statement.js";
import { Lab, type LabDevice } from "./lab.js";

test("tokens that are not valid do not keep a valid one waiting, however many there are", async () => {
  const lab = await Lab.open(19);
  const [anna, mallory, ...others] = lab.devices as [LabDevice, LabDevice, ...LabDevice[]];
  const ben = others.pop()!;
  const about = { room: lab.room, since: 1 };
  const { seed } = signerOf(mallory.group);
  const tokens: Record<string, Uint8Array> = {};
  for (const other of others) tokens[other.userId] = await signLeave(about, { ...signerOf(other.group), seed });
  tokens[ben.userId] = await signLeave(about, signerOf(ben.group));
  expect(Object.keys(tokens)).toHaveLength(17);
  const own = { userId: anna.userId, deviceId: anna.of.identity.deviceId };
  const steps = await planLeaves({ state: anna.signed!.state, leaves: anna.group.leaves(), own }, tokens);
  expect(steps.map(({ userId }) => userId)).toEqual([ben.userId]);
});
