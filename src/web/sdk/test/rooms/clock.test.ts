/* A device whose clock is wrong by weeks cannot add others, and says why. */
import { beforeEach, expect, test } from "vitest";
import type { SimDevice } from "../simulation/device.js";
import { anna, ben, openRoomBeforeEach, scene } from "./opening.js";

const dayMs = 86_400_000;

openRoomBeforeEach();
beforeEach(async () => {
  await scene.person("cleo");
  // The KeyPackages of this test are valid for 14 days before and after now.
  const read = scene.mls.readKeyPackage.bind(scene.mls);
  scene.mls.readKeyPackage = (message, now) => {
    const found = read(message, now);
    return found && { ...found, expired: Math.abs(now - scene.world.now) > 14 * dayMs };
  };
});

const alarms = (device: SimDevice) => device.warnings.filter(({ kind }) => kind === "clockWrong");
const devicesOf = async (device: SimDevice) =>
  (await (await scene.roomOf(device)).members.list()).map(({ devices }) => devices.length).toSorted((a, b) => a - b);

test.each([-15, 15])(
  "a clock that is wrong by %s days keeps others out of the group, is reported once, and is no alarm when it is right again",
  async (days) => {
    // Only anna's device can add the others.
    ben.die();
    anna.die();
    anna.aheadMs = days * dayMs;
    await scene.run(anna.start());
    await scene.run((await scene.roomOf(anna)).members.add("cleo"));
    await scene.world.pass(120_000);
    expect(await devicesOf(anna)).toEqual([0, 1, 1]);
    const where = days < 0 ? "behind" : "ahead of";
    const detail = expect.stringContaining(`21600 minutes ${where} the server's.`) as string;
    expect(alarms(anna).filter(({ area }) => area === "room")).toEqual([expect.objectContaining({ roomId: scene.room.id, retrying: true, detail })]);
    anna.die();
    anna.aheadMs = 0;
    anna.warnings.length = 0;
    await scene.run(anna.start());
    await scene.world.pass(120_000);
    expect(await devicesOf(anna)).toEqual([1, 1, 1]);
    expect(alarms(anna)).toEqual([]);
  },
);
