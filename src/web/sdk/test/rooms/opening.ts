/* How most tests of a room begin: Anna has founded it with Ben, and each of them has one device that runs. */
import { afterEach, beforeEach } from "vitest";
import type { SimDevice } from "../simulation/device.js";
import { Scene } from "./scene.js";

/** The scene of the running test, and the two devices. */
export let scene: Scene;
export let anna: SimDevice;
export let ben: SimDevice;

/** Before each test of a file: two people in a new room, in which Anna has written `text`, if any. */
export function openRoomBeforeEach(text?: string): void {
  beforeEach(async () => {
    scene = new Scene();
    [anna, ben] = [await scene.person("anna"), await scene.person("ben")];
    await scene.found(anna, ["ben"]);
    if (text === undefined) return;
    await scene.run(anna.send(scene.room.id, text));
    await scene.world.pass(3_000);
  });
  afterEach(() => scene.end());
}
