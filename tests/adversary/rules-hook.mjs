// Makes a test build: `node --import rules-hook.mjs` with ADVERSARY_RULE_OFF=t1 loads the SDK with the rule T1 switched off. The SDK itself has no switch.
import { register } from "node:module";

register(new URL("rules-loader.mjs", import.meta.url));
