// A client with the types that openapi-typescript has generated from /openapi/v1.json. Wrong types do not compile.
import createClient from "openapi-fetch";
import type { paths, components } from "./api.d.ts";

declare const process: { argv: string[]; stdout: { write(text: string): void } };
const baseUrl = process.argv[2]!;

/** The result of an operation. Throws an error with the error code. */
function need<T>(reply: { data?: T; error?: components["schemas"]["Problem"] | undefined }): T {
  if (reply.error) throw new Error(`${reply.error.code}: ${reply.error.detail}`);
  return reply.data as T;
}

const open = createClient<paths>({ baseUrl });

async function signUp(username: string) {
  const tokens = need(await open.POST("/v1/auth/sign-up", { body: { username, email: `${username}@example.org`, password: "a long enough password" } }));
  return createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${tokens.accessToken}` } });
}

const anna = await signUp("generated-anna");
const ben = await signUp("generated-ben");
const room = need(await anna.POST("/v1/rooms", { body: { kind: "group", members: ["generated-ben"] } }));
const inRoom = { params: { path: { roomId: room.id } } };
const clientMessageId = crypto.randomUUID();
const ack = need(await anna.POST("/v1/rooms/{roomId}/messages", { ...inRoom, body: { roomId: room.id, clientMessageId, ciphertext: btoa("hello") } }));
const page = need(await ben.GET("/v1/rooms/{roomId}/log", { params: { path: { roomId: room.id }, query: { afterSeq: ack.seq - 1 } } }));
const entry: components["schemas"]["LogEntry"] | undefined = page.entries[0];
if (entry?.id !== clientMessageId || entry.kind !== "message" || atob(entry.ciphertext ?? "") !== "hello") throw new Error(JSON.stringify(page));

// The document lists the possible error codes of each status.
const refused = await ben.DELETE("/v1/rooms/{roomId}/messages/{seq}", { params: { path: { roomId: room.id, seq: ack.seq } } });
if (refused.response.status !== 403 || refused.error?.code !== "Forbidden") throw new Error(JSON.stringify(refused.error));
process.stdout.write("read back\n");
