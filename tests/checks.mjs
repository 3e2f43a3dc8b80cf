// Counted checks of tests/rest and tests/graphql.
import { writeFileSync } from "node:fs";

let passed = 0;
let failed = 0;

/** Runs a check and prints a line for it. A check fails by throwing. */
export async function check(what, run) {
  try {
    await run();
    passed++;
    console.log(`ok      ${what}`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${what}: ${error.stdout ?? ""}${error.stderr ?? error.stack ?? error}`);
  }
}

/** Writes the numbers for suite.sh, and ends the program. */
export function finish(countFile) {
  writeFileSync(countFile, `${passed} ${failed}\n`);
  process.exit(failed === 0 ? 0 : 1);
}
