// The official SignalR client in a real browser. A browser sends no header with a WebSocket, so the client puts the result of accessTokenFactory into the
// URL: it must be a ticket.
import { readFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { chromium } from "playwright-core";

const library = readFileSync(new URL("node_modules/@microsoft/signalr/dist/browser/signalr.min.js", import.meta.url), "utf8");

export async function checkStockClient(check, origin) {
  await check("the official client in a browser reconnects by itself, with a new ticket in each URL", async () => {
    const json = async (path, body, token) => {
      const response = await fetch(origin + path, {
        method: "POST",
        headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
        body: JSON.stringify(body),
      });
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      return response.json();
    };
    const name = `stock-${Date.now()}`;
    const { accessToken } = await json("/v1/auth/sign-up", { username: name, email: `${name}@example.org`, password: "a long enough password" });
    const room = await json("/v1/rooms", { kind: "group", members: [] }, accessToken);

    const executablePath = ["chromium", "chromium-browser", "google-chrome"]
      .map((program) => spawnSync("which", [program]).stdout.toString().trim())
      .find(Boolean);
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
    try {
      // A page of the server's origin, without its policy, so that the test can load the client.
      const page = await (await browser.newContext({ bypassCSP: true })).newPage();
      const sockets = [];
      page.on("websocket", (socket) => sockets.push(new URL(socket.url())));
      await page.goto(`${origin}/v1/limits`);
      await page.evaluate(library);
      await page.evaluate(
        async ([token, roomId]) => {
          const Original = window.WebSocket;
          window.WebSocket = class extends Original {
            constructor(...given) {
              super(...given);
              window.socket = this;
            }
          };
          const hub = new signalR.HubConnectionBuilder()
            .withUrl("/hubs/chat", {
              skipNegotiation: true,
              transport: signalR.HttpTransportType.WebSockets,
              accessTokenFactory: async () =>
                (await (await fetch("/v1/auth/ticket", { method: "POST", headers: { authorization: `Bearer ${token}` } })).json()).ticket,
            })
            .withAutomaticReconnect([0, 100, 500, 1000, 2000])
            .configureLogging(signalR.LogLevel.None)
            .build();
          window.seen = [];
          window.reconnects = 0;
          hub.on("Received", (id, entries) => id === roomId && window.seen.push(...entries.map((entry) => entry.seq)));
          hub.onreconnected(() => window.reconnects++);
          await hub.start();
          window.heads = () => hub.invoke("Heads");
        },
        [accessToken, room.id],
      );
      for (let connection = 1; connection <= 3; connection++) {
        // The answer shows that the connection has its rooms.
        await page.evaluate(() => window.heads());
        const { seq } = await json(`/v1/rooms/${room.id}/messages`, { roomId: room.id, clientMessageId: crypto.randomUUID(), ciphertext: "AQ==" }, accessToken);
        await page.waitForFunction((wanted) => window.seen.includes(wanted), seq, { timeout: 30_000 });
        if (connection === 3) break;
        await page.evaluate(() => window.socket.close(4000, "lost"));
        await page.waitForFunction((wanted) => window.reconnects === wanted, connection, { timeout: 30_000 });
      }
      const tickets = sockets.map((url) => url.searchParams.get("access_token"));
      if (
        sockets.length !== 3 ||
        new Set(tickets).size !== 3 ||
        tickets.some((ticket) => !ticket || ticket.includes(".")) ||
        sockets.some((url) => url.searchParams.size !== 1)
      )
        throw new Error(
          `the URLs were ${sockets.map((url) => `${url.pathname} ${[...url.searchParams.keys()].join("&")}`).join(", ")}, ${new Set(tickets).size} tickets`,
        );
    } finally {
      await browser.close();
    }
  });
}
