import { SecureMessagingError } from "../errors.js";
import { Http } from "../net/http.js";
import type { Message, MessageRecord } from "../rooms/records.js";
import { toMessage } from "../rooms/records.js";
import { keys, pack, read } from "../store/store.js";
import { sleep } from "../timing.js";
import { draftKey } from "./conversations.js";
import type { Host } from "./host.js";
import type { PendingSend, SharedClient, SharedMember } from "./shared.js";

/** What a tab asks of the leader. @internal */
export interface Call {
  /** Drawn by the asking tab, the same however often it asks: it names what the call makes, so that it is made once. */
  id: string;
  /** Who was signed in for the asking tab. For nobody else is it carried out. */
  userId?: string;
  method: Method;
  args: unknown[];
  /** An earlier leader may have done it, or a part of it. */
  repeated: boolean;
}

/** @internal */
export type Method = Exclude<{ [K in keyof SharedClient]: SharedClient[K] extends (...args: never[]) => Promise<unknown> ? K : never }[keyof SharedClient], "close">;

type Args<M extends Method> = Parameters<SharedClient[M]>;
type Calls = { [M in Method]: (host: Host, args: Args<M>, call: Call) => ReturnType<SharedClient[M]> };

/** Long enough for a server that is there. What is under way goes on; whoever asked learns that its outcome is not known. */
const patienceMs = 30_000;

/** Carries out a call on what the leader has. @internal */
export function perform(host: Host, call: Call): Promise<unknown> {
  if (!Object.hasOwn(calls, call.method) || !Array.isArray(call.args))
    return Promise.reject(SecureMessagingError.of("Invalid", "There is no such call."));
  if (call.userId !== undefined && host.isSignedIn && host.client.userId !== call.userId)
    return Promise.reject(SecureMessagingError.signedOut());
  const over = new AbortController();
  const work = (calls[call.method] as (host: Host, args: unknown[], call: Call) => Promise<unknown>)(host, call.args, call);
  return Promise.race([
    work, sleep(patienceMs, over.signal).then(() => Promise.reject(SecureMessagingError.unreachable())),
  ]).finally(() => over.abort(new Error("done")));
}

/** A repeated call that finds its work done, because an earlier leader had done it, has succeeded. */
async function unlessDone(call: Call, code: "NotFound" | "Conflict", work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!call.repeated || !(error instanceof SecureMessagingError) || error.code !== code)
      throw error;
  }
}

async function findMessage(host: Host, roomId: string, id: string, own: boolean): Promise<Message | undefined> {
  const authors = own ? [host.client.userId] : [host.client.userId, ...host.conversations.members(roomId).map((member) => member.userId)];
  for (const author of authors) {
    const seq = await read<number>(host.store, keys.messageId(roomId, `${author}/${id}`));
    const record = seq === undefined ? undefined : await read<MessageRecord>(host.store, keys.message(roomId, seq));
    if (record)
      return toMessage(record);
  }
  return undefined;
}

async function ownMessage(host: Host, roomId: string, id: string): Promise<Message> {
  const message = await findMessage(host, roomId, id, true);
  if (!message)
    throw SecureMessagingError.of("NotFound", "There is no message with this id.");
  return message;
}

const calls: Calls = {
  signUp: (host, [options], call) => host.signUp(options, call.repeated),
  signIn: (host, [options], call) => host.signIn(options, call.repeated),
  signOut: (host, [options], call) => call.repeated && !host.isSignedIn && !options?.wipe ? Promise.resolve() : host.signOut(options?.wipe === true),

  conversations: async (host) => host.conversations.list(),
  history: (host, [roomId, options]) => host.conversations.history(roomId, options),
  message: (host, [roomId, id]) => findMessage(host, roomId, id, false),
  pending: async (host, [roomId]) => {
    const { outbox } = host.client.context;
    const all: PendingSend[] = [];
    for (const { id, content, at, error } of outbox.failed(roomId))
      if (content.type === "text" || content.type === "reply")
        all.push({ id, roomId, text: content.text, ...(content.type === "reply" ? { replyTo: content.to } : {}), at: at ?? 0, state: "failed", error: error.code });
    for (const { id, content, at } of outbox.waiting(roomId))
      if (content.type === "text" || content.type === "reply")
        all.push({ id, roomId, text: content.text, ...(content.type === "reply" ? { replyTo: content.to } : {}), at: at ?? 0, state: "waiting" });
    return all.sort((a, b) => a.at - b.at);
  },
  marks: (host, [roomId]) => host.conversations.marks(roomId),
  send: (host, [roomId, text, options], call) => host.inOrder(roomId, async () => {
    const room = await host.room(roomId);
    const named = options?.id === undefined ? { id: call.id, repeated: call.repeated } : { id: options.id, repeated: true };
    await (options?.replyTo === undefined ? room.send(text, named) : room.reply(options.replyTo, text, named));
    return named.id;
  }),
  edit: (host, [roomId, target, text], { id, repeated }) => host.inOrder(roomId, async () => {
    await (await host.room(roomId)).edit(target, text, { id, repeated });
  }),
  remove: (host, [roomId, target], { id, repeated }) => host.inOrder(roomId, async () => {
    await (await host.room(roomId)).delete(await ownMessage(host, roomId, target), { id, repeated });
  }),
  react: (host, [roomId, target, emoji, on], { id, repeated }) => host.inOrder(roomId, async () => {
    await (await host.room(roomId)).react(target, emoji, { id, repeated, remove: !on });
  }),
  discard: async (host, [roomId, sendId]) => {
    await host.client.context.outbox.discard(roomId, sendId);
    host.changed(roomId);
  },
  retry: async (host, [roomId, sendId]) => {
    await host.room(roomId);
    await host.client.context.outbox.retry(roomId, sendId);
    host.changed(roomId);
  },
  typing: async (host, [roomId]) => (await host.room(roomId)).typing(),
  setPrivacy: (host, [settings]) => host.client.privacy.set(settings),
  markRead: (host, [roomId, seq]) => host.conversations.markRead(roomId, seq),
  secret: (host, [name]) => host.secret(name),
  draft: async (host, [roomId]) => await read<string>(host.store, draftKey(roomId)) ?? "",
  setDraft: async (host, [roomId, text]) => {
    void host.client;
    await host.store.write(new Map([[draftKey(roomId), text === "" ? null : pack(text)]]));
  },

  createDirect: async (host, [username]) => (await host.client.rooms.direct(username)).id,
  createGroup: async (host, [usernames, name], { id }) => (await host.client.rooms.create(usernames, { id, ...(name === "" ? {} : { name }) })).id,
  rename: async (host, [roomId, name], { id, repeated }) => void await (await host.room(roomId)).rename(name, { id, repeated }),
  setTimeToLive: async (host, [roomId, seconds]) => {
    await (await host.room(roomId)).setTimeToLive(seconds);
    host.changed(roomId);
  },
  members: async (host, [roomId]) => {
    const room = host.client.rooms.list().find((each) => each.id === roomId);
    const kept = host.conversations.members(roomId);
    // Without a connection, or after the room is over: as they were last seen.
    const members = room && (host.client.isConnected || kept.length === 0) ? await host.conversations.learnMembers(room).catch((error: unknown) => {
      if (kept.length > 0 && error instanceof SecureMessagingError && error.retryable)
        return kept;
      throw error;
    }) : kept;
    const devices = room?.devices() ?? [];
    return members.map((member): SharedMember => ({ ...member, devices: devices.filter((device) => device.userId === member.userId).length }));
  },
  addMember: async (host, [roomId, username], call) => unlessDone(call, "Conflict", (await host.room(roomId)).members.add(username)),
  removeMember: async (host, [roomId, userId], call) => unlessDone(call, "NotFound", (await host.room(roomId)).members.remove(userId)),
  setRole: async (host, [roomId, userId, role]) => (await host.room(roomId)).members.setRole(userId, role),
  leave: async (host, [roomId], call) => unlessDone(call, "NotFound", host.room(roomId).then((room) => room.leave())),
  deleteRoom: async (host, [roomId], call) => {
    const room = host.client.rooms.list().find((each) => each.id === roomId);
    if (room)
      await unlessDone(call, "NotFound", room.destroy());
    await host.conversations.forget(roomId);
  },
  roomCode: async (host, [roomId]) => {
    const code = await (await host.room(roomId)).code();
    if (code === undefined)
      throw SecureMessagingError.of("NotReady", "This device has not been let into the room's group.");
    return code;
  },
  safetyNumber: (host, [username]) => host.client.safetyNumber(username),
  acknowledge: (host, [roomId]) => host.conversations.acknowledge(roomId),

  devices: (host) => host.client.devices.list(),
  approveDevice: (host, [deviceId, code]) => host.client.devices.approve(deviceId, code),
  confirmDevice: (host, [code]) => host.client.devices.confirm(code),
  revokeDevice: (host, [deviceId], call) => unlessDone(call, "NotFound", host.client.devices.revoke(deviceId)),
  rotateDevice: (host) => host.client.devices.rotate(),
  replaceIdentity: (host, _, call) => host.client.devices.replaceIdentity(call.id),

  sessions: (host) => host.client.sessions.list(),
  endSession: (host, [sessionId], call) => unlessDone(call, "NotFound", host.client.sessions.end(sessionId)),
  endAllSessions: async (host, _, call) => {
    if (call.repeated && !host.isSignedIn)
      return;
    await host.leaving(() => host.client.sessions.endAll());
  },

  profile: (host) => host.client.account.profile(),
  changeEmail: (host, [password, email]) => host.client.account.changeEmail(password, email),
  changePassword: (host, [password, newPassword], call) => host.client.account.changePassword(password, newPassword).catch(async (error: unknown) => {
    // An earlier leader may have got the answer: then the new password is the one that counts.
    if (!call.repeated || !(error instanceof SecureMessagingError) || error.retryable)
      throw error;
    await host.client.account.changePassword(newPassword, newPassword).catch(() => { throw error; });
  }),
  deleteAccount: async (host, [password], call) => {
    if (!(call.repeated && !host.isSignedIn))
      await host.leaving(() => host.client.account.delete(password, call.repeated));
    await host.wipe();
  },
  dataHeld: (host) => host.client.account.dataHeld(),
  dataInventory: (host) => new Http(host.address).call("GET", ".well-known/data-inventory"),
  exportAll: (host) => exportAll(host),

  notifications: (host) => host.client.account.notifications(),
  setNotifications: (host, [settings, roomId]) => host.client.account.setNotifications(settings, roomId),
  pushRegistered: (host) => host.client.account.pushRegistered(),
  pushKey: (host) => host.client.account.pushKey(),
  setPushEndpoint: (host, [endpoint]) => host.client.account.setPushEndpoint(endpoint),
};

/** The names of the calls. @internal */
export const methods = Object.keys(calls) as Method[];

async function exportAll(host: Host): Promise<string> {
  const rooms: unknown[] = [];
  for (const conversation of host.conversations.list()) {
    const messages: Message[] = [];
    for (let page = await host.conversations.history(conversation.id, { limit: 500 }); page.length > 0;
      page = await host.conversations.history(conversation.id, { limit: 500, before: page[0]!.seq }))
      messages.unshift(...page);
    const { last: _, ...about } = conversation;
    rooms.push({ ...about, members: host.conversations.members(conversation.id), draft: await read<string>(host.store, draftKey(conversation.id)), messages });
  }
  const held = await host.client.account.dataHeld().catch((error: unknown) => {
    // What is on this device can be exported without a connection, too.
    if (error instanceof SecureMessagingError)
      return { error: error.code };
    throw error;
  });
  const { userId, username } = host.client;
  return JSON.stringify({ version: 1, exportedAt: new Date().toISOString(), userId, username, device: host.client.devices.currentId, rooms, server: held }, undefined, 1);
}
