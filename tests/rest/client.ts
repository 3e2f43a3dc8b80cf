// A client in the types that openapi-typescript made of /openapi/v1.json: what does not fit them does not compile.
import createClient from 'openapi-fetch';
import type { paths, components } from './api.d.ts';

declare const process: { argv: string[]; stdout: { write(text: string): void } };
const baseUrl = process.argv[2]!;

/** What an operation returned, or an error that names the code of the catalogue. */
function need<T>(reply: { data?: T; error?: components['schemas']['Problem'] | undefined }): T {
  if (reply.error) throw new Error(`${reply.error.code}: ${reply.error.detail}`);
  return reply.data as T;
}

const open = createClient<paths>({ baseUrl });

async function signUp(username: string) {
  const tokens = need(await open.POST('/v1/auth/sign-up', { body: { username, email: `${username}@example.org`, password: 'a long enough password' } }));
  return createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${tokens.accessToken}` } });
}

const anna = await signUp('generated-anna');
const ben = await signUp('generated-ben');
const room = need(await anna.POST('/v1/rooms', { body: { kind: 'group', members: ['generated-ben'] } }));
const inRoom = { params: { path: { roomId: room.id } } };
const clientMessageId = crypto.randomUUID();
const ack = need(await anna.POST('/v1/rooms/{roomId}/messages', { ...inRoom, body: { roomId: room.id, clientMessageId, ciphertext: btoa('hello') } }));
const page = need(await ben.GET('/v1/rooms/{roomId}/log', { params: { path: { roomId: room.id }, query: { afterSeq: ack.seq - 1 } } }));
const entry: components['schemas']['LogEntry'] | undefined = page.entries[0];
if (entry?.id !== clientMessageId || entry.kind !== 'message' || atob(entry.ciphertext ?? '') !== 'hello') throw new Error(JSON.stringify(page));

// A refusal has the codes that the document lists for its status, and no others.
const refused = await ben.DELETE('/v1/rooms/{roomId}/messages/{seq}', { params: { path: { roomId: room.id, seq: ack.seq } } });
if (refused.response.status !== 403 || refused.error?.code !== 'Forbidden') throw new Error(JSON.stringify(refused.error));
process.stdout.write('read back\n');
