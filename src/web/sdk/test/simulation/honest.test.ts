import { expect, test } from "vitest";
import { play } from "./play.js";

test(
  "whatever fails, all devices show the same messages in the same order, nothing is lost or doubled, and no alarm is raised",
  { timeout: 3_600_000 },
  async () => {
    expect(await play(1, 150, {})).toBeGreaterThan(0);
  },
);
