// All attacks, in the order of the table.
import { answers } from "./attacks/answers.mjs";
import { authorship } from "./attacks/authorship.mjs";
import { devices } from "./attacks/devices.mjs";
import { directory } from "./attacks/directory.mjs";
import { entrances } from "./attacks/entrances.mjs";
import { history } from "./attacks/history.mjs";
import { honestRuns } from "./attacks/honest.mjs";
import { people } from "./attacks/people.mjs";
import { welcomes } from "./attacks/welcomes.mjs";

export const catalogue = [...people, ...history, ...authorship, ...devices, ...entrances, ...welcomes, ...directory, ...answers, ...honestRuns];
