// Writes the test vectors of the signed objects (src/SecureMessaging.Protocol/Trust/README.md) beside itself, or into the given folder. The programs here use
// only node:crypto and none of the code under test, and each run writes the same bytes.
import "./encoding.mjs";
import "./devices.mjs";
import "./transfers.mjs";
import "./statements.mjs";
import "./commits.mjs";
import "./resets.mjs";
import "./limits.mjs";
import "./content.mjs";
import "./attribution.mjs";
