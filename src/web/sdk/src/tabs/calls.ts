import { SecureMessagingError } from "../base/errors.js";
import { Http } from "../net/http.js";
import { messageOf } from "../rooms/pages.js";
import { pendingOf } from "../rooms/pending.js";
import type { SendOptions } from "../rooms/outbox.js";
import type { Message, Reference } from "../rooms/records.js";
import type { Room } from "../rooms/room.js";
import { pack, read } from "../store/store.js";
import { sleep } from "../base/timing.js";
import { draftKey } from "./conversations.js";
import type { Leader } from "./leader.js";
import type { Call, Method } from "./methods.js";
import type { SharedMember } from "./conversation.js";
import type { SharedClient, SharedSendOptions } from "./sharedClient.js";

type Args<M extends Method> = Parameters<SharedClient[M]>;
type Calls = { [M in Method]: (leader: Leader, args: Args<M>, call: Call) => ReturnType<SharedClient[M]> };

/** An answer of the server takes less time. After it the caller gets `Unavailable`; the work itself continues. */
const patienceMs = 30_000;

/** Carries out a call. @internal */
export function perform(leader: Leader, call: Call): Promise<unknown> {
  if (!Object.hasOwn(calls, call.method) || !Array.isArray(call.args))
    return Promise.reject(SecureMessagingError.of("Invalid", "This version does not know the call."));
  if (call.userId !== undefined && leader.isSignedIn && leader.client.userId !== call.userId) return Promise.reject(SecureMessagingError.signedOut());
  const over = new AbortController();
  const work = (calls[call.method] as (leader: Leader, args: unknown[], call: Call) => Promise<unknown>)(leader, call.args, call);
  return Promise.race([work, sleep(patienceMs, over.signal).then(() => Promise.reject(SecureMessagingError.unreachable()))]).finally(() =>
    over.abort(new Error("done")),
  );
}

/** A repeated call succeeds when an earlier leader has already done its work. */
async function unlessDone(call: Call, code: "NotFound" | "Conflict", work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!call.repeated || !(error instanceof SecureMessagingError) || error.code !== code) throw error;
  }
}

const findRoom = (leader: Leader, roomId: string): Room | undefined => leader.client.rooms.list().find((each) => each.id === roomId);

async function requireMessage(leader: Leader, roomId: string, target: Reference): Promise<Message> {
  const message = await messageOf(leader.store, roomId, target);
  if (!message) throw SecureMessagingError.of("NotFound", "There is no message with this id.");
  return message;
}

/** Without an id of the application, the id of the call names the message, so that a repeated call sends it once. */
const sendOptions = ({ id, timeToLiveSeconds }: SharedSendOptions = {}, call: Call): SendOptions => ({
  ...(id === undefined ? { id: call.id, repeated: call.repeated } : { id, repeated: true }),
  ...(timeToLiveSeconds === undefined ? {} : { timeToLiveSeconds }),
});

const calls: Calls = {
  signUp: (leader, [options], call) => leader.signUp(options, call.repeated),
  signIn: (leader, [options], call) => leader.signIn(options, call.repeated),
  signOut: (leader, [options], call) => (call.repeated && !leader.isSignedIn && !options?.wipe ? Promise.resolve() : leader.signOut(options?.wipe === true)),

  conversations: async (leader) => leader.conversations.list(),
  history: (leader, [roomId, options]) => leader.conversations.history(roomId, options),
  message: (leader, [roomId, target]) => messageOf(leader.store, roomId, target),
  pending: async (leader, [roomId]) => pendingOf(leader.client.parts.outbox, roomId),
  marks: (leader, [roomId]) => leader.conversations.marks(roomId),
  send: (leader, [roomId, text, options], call) =>
    leader.inOrder(roomId, async () => {
      const room = await leader.room(roomId);
      const named = sendOptions(options, call);
      return (await (options?.replyTo === undefined ? room.send(text, named) : room.reply(options.replyTo, text, named))).id;
    }),
  sendCustom: (leader, [roomId, kind, data, options], call) =>
    leader.inOrder(roomId, async () => (await (await leader.room(roomId)).sendCustom(kind, data, sendOptions(options, call))).id),
  signal: async (leader, [roomId, data]) => (await leader.room(roomId)).signal(data),
  edit: (leader, [roomId, target, text], { id, repeated }) =>
    leader.inOrder(roomId, async () => {
      await (await leader.room(roomId)).edit(target, text, { id, repeated });
    }),
  delete: (leader, [roomId, target], { id, repeated }) =>
    leader.inOrder(roomId, async () => {
      await (await leader.room(roomId)).delete(await requireMessage(leader, roomId, { author: leader.client.userId, id: target }), { id, repeated });
    }),
  moderate: (leader, [roomId, target], { id, repeated }) =>
    leader.inOrder(roomId, async () => {
      await (await leader.room(roomId)).moderate(await requireMessage(leader, roomId, target), { id, repeated });
    }),
  pin: (leader, [roomId, target, on], { id, repeated }) =>
    leader.inOrder(roomId, async () => {
      await (await leader.room(roomId)).pin(target, { id, repeated, remove: !on });
    }),
  react: (leader, [roomId, target, emoji, on], { id, repeated }) =>
    leader.inOrder(roomId, async () => {
      await (await leader.room(roomId)).react(target, emoji, { id, repeated, remove: !on });
    }),
  // Also in a room that has ended.
  discard: (leader, [roomId, sendId]) => leader.client.parts.outbox.discard(roomId, sendId),
  retry: async (leader, [roomId, sendId]) => (await leader.room(roomId)).retry(sendId),
  typing: async (leader, [roomId]) => (await leader.room(roomId)).typing(),
  setPrivacy: (leader, [settings]) => leader.client.privacy.set(settings),
  refreshPrivacy: async (leader) => {
    await leader.client.privacy.refresh();
    await leader.refreshStatus();
  },
  proofOf: async (leader, [roomId, target]) => (await leader.room(roomId)).proofOf(await requireMessage(leader, roomId, target)),
  markRead: (leader, [roomId, seq]) => leader.conversations.markRead(roomId, seq),
  secret: (leader, [name]) => leader.secret(name),
  draft: async (leader, [roomId]) => (await read<string>(leader.store, draftKey(roomId))) ?? "",
  setDraft: async (leader, [roomId, text]) => {
    void leader.client;
    await leader.store.write(new Map([[draftKey(roomId), text === "" ? null : pack(text)]]));
  },

  createDirect: async (leader, [username]) => (await leader.client.rooms.direct(username)).id,
  createGroup: async (leader, [usernames, name, settings], { id }) =>
    (await leader.client.rooms.create(usernames, { ...settings, id, ...(name === "" ? {} : { name }) })).id,
  rename: async (leader, [roomId, name]) => (await leader.room(roomId)).rename(name),
  changeSettings: async (leader, [roomId, change]) => {
    await (await leader.room(roomId)).changeSettings(change);
    leader.changed(roomId);
  },
  members: async (leader, [roomId]) => {
    const known = findRoom(leader, roomId);
    const members = known ? await leader.conversations.membersOf(known) : [];
    if (members.length > 0) return members.map(({ devices, ...member }): SharedMember => ({ ...member, devices: devices.length }));
    // The room has ended, or this device is not in it yet.
    const { people } = leader.client;
    return leader.conversations
      .members(roomId)
      .map((member): SharedMember => ({ ...member, devices: 0, verified: people.get(member.userId)?.verified ?? "no" }));
  },
  addMember: async (leader, [roomId, username, role], call) => unlessDone(call, "Conflict", (await leader.room(roomId)).members.add(username, role)),
  removeMember: async (leader, [roomId, userId], call) => unlessDone(call, "NotFound", (await leader.room(roomId)).members.remove(userId)),
  setRole: async (leader, [roomId, userId, role]) => (await leader.room(roomId)).members.setRole(userId, role),
  answerHold: async (leader, [roomId, kind]) => (await leader.room(roomId)).answerHold(kind),
  agreeToEnter: async (leader, [roomId]) => (await leader.room(roomId)).agreeToEnter(),
  forgetRoom: async (leader, [roomId]) => findRoom(leader, roomId)?.forget(),
  reconcileRoom: async (leader, [roomId]) => (await leader.room(roomId)).reconcile(),
  lines: (leader, [roomId]) => leader.conversations.lines(roomId),
  leave: async (leader, [roomId], call) =>
    unlessDone(
      call,
      "NotFound",
      leader.room(roomId).then((room) => room.leave()),
    ),
  deleteRoom: async (leader, [roomId], call) => {
    const room = findRoom(leader, roomId);
    if (room) await unlessDone(call, "NotFound", room.destroy());
    await leader.conversations.forget(roomId);
  },
  roomDevices: async (leader, [roomId]) => (await leader.room(roomId)).devices(),
  roomCode: async (leader, [roomId]) => {
    const code = await (await leader.room(roomId)).code();
    if (code === undefined) throw SecureMessagingError.of("NotReady", "This device is not yet in the room's MLS group.");
    return code;
  },
  safetyNumber: (leader, [username]) => leader.client.safetyNumber(username),
  usernameOf: (leader, [userId]) => leader.client.usernameOf(userId),
  people: (leader) => Promise.resolve(leader.client.people.list()),
  personLines: (leader, [userId]) => leader.client.people.lines(userId),
  numberWith: (leader, [userId]) => leader.client.people.safetyNumber(userId),
  verifyPerson: (leader, [userId, number]) => leader.client.people.verify(userId, number),
  unverifyPerson: (leader, [userId]) => leader.client.people.unverify(userId),
  acceptPerson: (leader, [userId]) => leader.client.people.accept(userId),
  acceptName: (leader, [username]) => leader.client.people.acceptName(username),
  contactQr: (leader) => Promise.resolve().then(() => leader.client.people.qrText()),
  verifyByQr: (leader, [text, expected]) => leader.client.people.verifyByQr(text, expected),
  acknowledge: async (leader, [roomId]) => findRoom(leader, roomId)?.acknowledge(),

  devices: (leader) => leader.client.devices.list(),
  deviceNames: async (leader) => Object.fromEntries(await leader.client.devices.lastNames()),
  nameDevice: (leader, [deviceId, name]) => leader.client.devices.setName(deviceId, name),
  signUsername: (leader, [username]) => leader.client.devices.signUsername(username),
  approveDevice: (leader, [deviceId, code]) => leader.client.devices.approve(deviceId, code),
  confirmDevice: (leader, [code]) => leader.client.devices.confirm(code),
  deviceQr: (leader) => leader.client.devices.qrText(),
  approveDeviceByQr: (leader, [text]) => leader.client.devices.approveByQr(text),
  revokeDevice: (leader, [deviceId, options], call) => unlessDone(call, "NotFound", leader.client.devices.revoke(deviceId, options, call.id)),
  startOver: (leader, _, call) => unlessDone(call, "Conflict", leader.client.devices.startOver()),
  rotateDevice: (leader) => leader.client.devices.rotate(),
  replaceIdentity: (leader, _, call) => leader.client.devices.replaceIdentity(call.id),

  sessions: (leader) => leader.client.sessions.list(),
  endSession: (leader, [sessionId], call) => unlessDone(call, "NotFound", leader.client.sessions.end(sessionId)),
  endAllSessions: async (leader, _, call) => {
    if (call.repeated && !leader.isSignedIn) return;
    await leader.leaving(() => leader.client.sessions.endAll());
  },

  profile: (leader) => leader.client.account.profile(),
  changeEmail: (leader, [password, email]) => leader.client.account.changeEmail(password, email),
  changePassword: (leader, [password, newPassword], call) =>
    leader.client.account.changePassword(password, newPassword).catch(async (error: unknown) => {
      // An earlier leader may have changed it already. Then the new password is valid.
      if (!call.repeated || !(error instanceof SecureMessagingError) || error.retryable) throw error;
      await leader.client.account.changePassword(newPassword, newPassword).catch(() => {
        throw error;
      });
    }),
  deleteAccount: async (leader, [password], call) => {
    if (!(call.repeated && !leader.isSignedIn)) await leader.leaving(() => leader.client.account.delete(password, call.repeated));
    await leader.wipe();
  },
  dataHeld: (leader) => leader.client.account.dataHeld(),
  dataInventory: (leader) => new Http(leader.address).call("GET", ".well-known/data-inventory"),
  exportAll: (leader) => exportAll(leader),

  notifications: (leader) => leader.client.account.notifications(),
  setNotifications: (leader, [settings, roomId]) => leader.client.account.setNotifications(settings, roomId),
  pushRegistered: (leader) => leader.client.account.pushRegistered(),
  pushKey: (leader) => leader.client.account.pushKey(),
  setPushEndpoint: (leader, [endpoint]) => leader.client.account.setPushEndpoint(endpoint),
};

async function exportAll(leader: Leader): Promise<string> {
  const rooms: unknown[] = [];
  for (const conversation of leader.conversations.list()) {
    const messages: Message[] = [];
    for (
      let page = await leader.conversations.history(conversation.id, { limit: 500 });
      page.length > 0;
      page = await leader.conversations.history(conversation.id, { limit: 500, before: page[0]!.seq })
    )
      messages.unshift(...page);
    const { last: _, ...about } = conversation;
    rooms.push({
      ...about,
      members: leader.conversations.members(conversation.id),
      draft: await read<string>(leader.store, draftKey(conversation.id)),
      messages,
    });
  }
  const held = await leader.client.account.dataHeld().catch((error: unknown) => {
    // The export also works without a connection, with the data of this device.
    if (error instanceof SecureMessagingError) return { error: error.code };
    throw error;
  });
  const { userId, username } = leader.client;
  return JSON.stringify(
    { version: 1, exportedAt: new Date().toISOString(), userId, username, device: leader.client.devices.currentId, rooms, server: held },
    undefined,
    1,
  );
}
