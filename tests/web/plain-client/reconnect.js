// The official client, which reconnects by itself with a new ticket for each connection. The first line of standard input is { "server": "…", "token": "…",
// "roomId": "…" }. Prints "connected", "reconnected" with the number of tickets taken so far, and "seq N" for each entry, from the log or pushed. Ends with
// standard input.
import { createInterface } from "node:readline";
import { HttpTransportType, HubConnectionBuilder, LogLevel } from "@microsoft/signalr";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { server, token, roomId } = JSON.parse((await lines.next()).value);
let tickets = 0;
let cursor = 0;

async function ticket() {
  const response = await fetch(`${server}/v1/auth/ticket`, { method: "POST", headers: { authorization: `Bearer ${token}` } });
  tickets++;
  return (await response.json()).ticket;
}

const hub = new HubConnectionBuilder()
  .withUrl(`${server}/hubs/chat`, { skipNegotiation: true, transport: HttpTransportType.WebSockets, accessTokenFactory: ticket })
  .withAutomaticReconnect({ nextRetryDelayInMilliseconds: ({ previousRetryCount }) => Math.random() * Math.min(2000, 100 * 2 ** previousRetryCount) })
  .configureLogging(LogLevel.None)
  .build();

function apply(entry) {
  if (entry.seq <= cursor) return;
  cursor = entry.seq;
  console.log(`seq ${cursor}`);
}

async function catchUp() {
  for (let page; (page = await hub.invoke("Sync", roomId, cursor, 500)).entries.length > 0;) page.entries.forEach(apply);
}

hub.on("Received", (id, entries) => id === roomId && entries.forEach(apply));
hub.onreconnected(() => {
  catchUp().then(
    () => console.log(`reconnected ${tickets}`),
    // A server that stops may still take a connection. The client reconnects after it, too.
    (error) => console.error(String(error)),
  );
});
await hub.start();
await catchUp();
console.log("connected");
await lines.next();
process.exit(0);
