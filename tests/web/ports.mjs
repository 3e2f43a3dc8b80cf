import { createServer } from "node:net";

const [first, last] = (process.env.SECUREMESSAGING_TEST_PORTS ?? "20000-31999").split("-").map(Number);
const taken = new Set();

/**
 * A port for a server that may come back on it. It lies below the ports of outgoing connections (32768 and up on Linux), and tests/run.sh gives each suite
 * a range of its own, so nothing takes it while the server is down.
 */
export async function freePort() {
  for (;;) {
    const port = first + Math.floor(Math.random() * (last - first + 1));
    if (taken.has(port)) continue;
    const isFree = await new Promise((resolve) => {
      const probe = createServer()
        .once("error", () => resolve(false))
        .listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
    });
    if (!isFree) continue;
    taken.add(port);
    return port;
  }
}
