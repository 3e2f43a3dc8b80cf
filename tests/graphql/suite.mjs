// /graphql with clients of other authors. Called by suite.sh.
import { join } from "node:path";
import { serverAudits } from "graphql-http";
import { createClient } from "graphql-ws";
import { WebSocket } from "ws";
import { check, finish } from "../checks.mjs";

const [origin, management, folder] = process.argv.slice(2);
const url = `${origin}/graphql`;

function same(actual, expected) {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) throw new Error(`expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
}

async function ask(user, query, variables) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/graphql-response+json", ...(user && { authorization: `Bearer ${user.accessToken}` }) },
    body: JSON.stringify({ query, variables }),
  });
  const reply = await response.json();
  if (reply.errors) throw new Error(JSON.stringify(reply.errors));
  return reply.data;
}

const signUp = async (username) =>
  (
    await ask(null, "mutation($input: SignUpInput!) { signUp(input: $input) { userId username accessToken } }", {
      input: { username, email: `${username}@example.org`, password: "a long enough password" },
    })
  ).signUp;

const anna = await signUp("anna");
const ben = await signUp("ben");

// 1. GraphQL over HTTP: every audit of graphql-http, with the recommendations and options.
const audits = serverAudits({
  url,
  fetchFn: (target, init) => fetch(target, { ...init, headers: { ...init?.headers, authorization: `Bearer ${anna.accessToken}` } }),
});
if (audits.length < 50) throw new Error("the audits are missing");
const tally = {};
for (const audit of audits) {
  await check(`audit ${audit.id} ${audit.name}`, async () => {
    const result = await audit.fn();
    tally[result.status] = (tally[result.status] ?? 0) + 1;
    if (result.status !== "ok") throw new Error(`${result.status}: ${result.reason}`);
  });
}
console.log(`        ${audits.length} audits: ${JSON.stringify(tally)}`);

// 2. graphql-ws.
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const createRoom = async () =>
  (await ask(anna, "mutation($input: CreateRoomInput!) { createRoom(input: $input) { id } }", { input: { members: [ben.username] } })).createRoom.id;
const send = (roomId) =>
  ask(anna, "mutation($input: SendInput!) { send(input: $input) { seq } }", { input: { roomId, clientMessageId: crypto.randomUUID(), ciphertext: "AQID" } });
const roomEntries =
  "subscription($roomId: ID!, $afterSeq: Long) { roomEntries(roomId: $roomId, afterSeq: $afterSeq) { entries { seq kind ciphertext } headSeq } }";

function client(user, more = {}) {
  return createClient({
    url: url.replace("http", "ws"),
    webSocketImpl: WebSocket,
    lazy: true,
    connectionParams: async () => ({ accessToken: user.accessToken }),
    ...more,
  });
}

function follow(socket, roomId, afterSeq) {
  const entries = [];
  const followed = { entries };
  followed.ended = new Promise((resolve, reject) => {
    followed.stop = socket.subscribe(
      { query: roomEntries, variables: { roomId, afterSeq } },
      {
        next: (event) => (event.errors ? reject(new Error(JSON.stringify(event.errors))) : entries.push(...event.data.roomEntries.entries)),
        error: reject,
        complete: resolve,
      },
    );
  });
  followed.ended.catch(() => {});
  followed.until = async (count) => {
    for (let waited = 0; entries.length < count; waited += 20) {
      if (waited > 20000) throw new Error(`${entries.length} of ${count} entries came`);
      await pause(20);
    }
    return entries.map((entry) => entry.seq);
  };
  return followed;
}

const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

await check("graphql-ws: a query over the socket", async () => {
  const socket = client(ben);
  const results = [];
  for await (const result of socket.iterate({ query: "{ me { username } }" })) results.push(result.data.me.username);
  same(results, ["ben"]);
  await socket.dispose();
});

await check("graphql-ws: replay, then live", async () => {
  const roomId = await createRoom();
  for (let i = 0; i < 5; i++) await send(roomId);
  const socket = client(ben);
  const followed = follow(socket, roomId, 3);
  same(await followed.until(4), range(4, 7));
  for (let i = 0; i < 5; i++) await send(roomId);
  same(await followed.until(9), range(4, 12));
  followed.stop();
  await socket.dispose();
});

await check("graphql-ws: a client that reconnects continues at its cursor", async () => {
  const roomId = await createRoom();
  let sent = 2;
  const seqs = [];
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 10; i++, sent++) await send(roomId);
    let raw;
    const socket = client(ben, { on: { connected: (opened) => (raw = opened) }, retryAttempts: 0 });
    const cursor = seqs.at(-1) ?? 1;
    const followed = follow(socket, roomId, cursor);
    seqs.push(...(await followed.until(sent - cursor)));
    // The network connection is lost.
    raw.terminate();
    await followed.ended.catch(() => {});
    await socket.dispose();
  }
  // Seq 1 is older than the reader's membership.
  same(seqs, range(2, sent));
});

await check("graphql-ws: removal from the room ends the delivery", async () => {
  const roomId = await createRoom();
  const socket = client(ben);
  const followed = follow(socket, roomId, 0);
  await followed.until(1);
  await send(roomId);
  await ask(anna, "mutation($roomId: ID!, $userId: ID!) { removeMember(roomId: $roomId, userId: $userId) }", { roomId, userId: ben.userId });
  await send(roomId);
  await followed.ended;
  await pause(300);
  same(
    followed.entries.map((entry) => entry.kind),
    ["MEMBER_JOINED", "MESSAGE", "MEMBER_LEFT"],
  );
  const refused = await new Promise((resolve) =>
    socket.subscribe({ query: roomEntries, variables: { roomId } }, { next: resolve, error: resolve, complete: () => resolve(null) }),
  );
  same(refused[0].extensions.code, "NotFound");
  await socket.dispose();
});

await check("graphql-ws: a client does not retry after the end of its session", async () => {
  const carl = await signUp("carl");
  const socket = client(carl, { retryAttempts: 5 });
  const ended = new Promise((resolve) =>
    socket.subscribe({ query: "subscription { roomChanges { roomId } }" }, { next: () => {}, error: resolve, complete: () => resolve(null) }),
  );
  await new Promise((resolve) => socket.on("connected", resolve));
  await ask(carl, "mutation { logOut }");
  same((await ended).code, 4401);
  await socket.dispose();
});

// 3. GraphiQL at the management address: all files come from this server, and the policy allows only the API besides.
await check("the playground comes from this server only", async () => {
  const page = await fetch(`${management}/graphql/ui`);
  same(page.status, 200);
  const policy = page.headers.get("content-security-policy");
  if (
    !policy.startsWith("default-src 'none'; script-src 'self';") ||
    /\*|unsafe-eval/.test(policy) ||
    (policy.match(/https?:[^; ]*/g) ?? []).some((source) => source !== origin)
  )
    throw new Error(policy);
  const files = [...(await page.text()).matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]);
  if (files.length < 6) throw new Error(`only ${files.join(" ")}`);
  for (const file of files) {
    if (!file.startsWith("/graphql/ui/")) throw new Error(file);
    same((await fetch(management + file)).status, 200);
  }
});

finish(join(folder, "count"));
