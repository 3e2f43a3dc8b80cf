import { expect, test } from "vitest";
import { play } from "./play.js";

test("entries of an attacker change nothing for the others", { timeout: 3_600_000 }, async () => {
  expect(await play(3000, 60, { isHostile: true })).toBeGreaterThan(0);
});
