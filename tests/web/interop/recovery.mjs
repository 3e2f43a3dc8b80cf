// Recovery from failures, one story after the other, with clients of the SDK in this process and the real server.
// Usage: node recovery.mjs SERVER.dll [PART_OF_A_NAME …]
import { finish, server } from "./clients.mjs";

await server.start();
for (const story of ["sending", "groups", "devices", "reading", "people"]) await import(`./recovery/${story}.mjs`);
await finish();
