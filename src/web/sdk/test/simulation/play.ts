import { expect, vi } from "vitest";
import { check, stateOf } from "./checks.js";
import { Run, type RunOptions } from "./run.js";
import { cryptoAtOnce } from "./subtle.js";

/** One seed, to repeat a run that has failed. */
const only = process.env.SIMULATION_SEED;
/** How many runs and the first seed, in place of those that a test gives. */
const { SIMULATION_RUNS: exactly, SIMULATION_FROM: from } = process.env;

/**
 * Plays runs one after another, the same ones on each machine. A failure does not end the others, and its message names the seed. Returns the number of
 * runs.
 */
export async function play(first: number, count: number, options: Omit<RunOptions, "seed">): Promise<number> {
  const seeds = only === undefined ? Array.from({ length: Number(exactly ?? count) }, (_, i) => Number(from ?? first) + i) : [Number(only)];
  const failures: Error[] = [];
  for (const seed of seeds) await playOne({ ...options, seed }).catch((error: Error) => failures.push(error));
  if (failures.length > 0) throw new Error(failures.map(({ message }) => message).join("\n"), { cause: failures[0] });
  // A long run says what it has played.
  if (exactly !== undefined) console.log(`${seeds.length} runs of seeds ${seeds[0]} to ${seeds.at(-1)}: no failure`);
  return seeds.length;
}

async function playOne(options: RunOptions): Promise<void> {
  const run = new Run(options);
  const restoreCrypto = cryptoAtOnce();
  const ids = vi.spyOn(crypto, "randomUUID").mockImplementation(() => run.world.uuid());
  try {
    await run.play();
    expect(await check(run)).toEqual([]);
    if (run.isThorough && !run.isLost) {
      const states = () => Promise.all(run.devices.map((device) => stateOf(device, run.room.id)));
      const before = await states();
      for (const device of run.devices) device.die();
      await run.calm();
      expect(await states()).toEqual(before);
      expect(await check(run)).toEqual([]);
    }
  } catch (error) {
    throw new Error(`SIMULATION_SEED=${options.seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  } finally {
    ids.mockRestore();
    restoreCrypto();
  }
}
