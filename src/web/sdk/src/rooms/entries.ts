import { equal, idBytes, toHex } from "../bytes.js";
import { decodeContent, type Content, type Decoded } from "../content.js";
import { generationOf, Group, groupIdOf, type Leaf } from "../mls/group.js";
import { readHeader } from "../mls/messages.js";
import { keys } from "../store/store.js";
import { readRole, type LogEntry } from "../wire.js";
import type { Context } from "./context.js";
import type { CoreListener, RoomCore } from "./core.js";
import type { Draft } from "./draft.js";
import { isEncrypted, toMessage, type MessageRecord, type RoomState, type Sender, type UnreadableContent } from "./records.js";

/** What one entry of the log does. Everything in it may be hostile; nothing it holds makes this throw, only the store does. @internal */
export async function applyEntry(core: RoomCore, draft: Draft, entry: LogEntry, listener: CoreListener): Promise<void> {
  const { state } = draft;
  // A Welcome for a place that has been passed waits until the log is read again from there.
  if (draft.welcome && draft.welcome.seq <= entry.seq && draft.welcome.seq >= (state.cursor ?? -1))
    await enter(core, draft, listener);
  // Read before, and now again with the group that was missing: only what needed it counts.
  const again = entry.seq <= state.high;
  if (isEncrypted(entry.kind) && entry.ciphertext) {
    if (entry.kind === "message")
      await applyMessage(core, draft, entry, listener);
    else if (entry.kind === "commit")
      await applyCommit(core, draft, entry, listener);
    else
      await applyProposal(core, draft, entry);
    return;
  }
  if (again)
    return;
  switch (entry.kind) {
    case "memberJoined":
    case "memberLeft":
      if (entry.kind === "memberLeft" && entry.userId !== undefined)
        draft.after.push(() => listener.spoke(entry.userId!));
      draft.after.push(() => listener.roster(), () => listener.reconcile("roster"));
      break;
    case "roleChanged":
      if (entry.userId === core.context.session.userId && entry.role)
        state.role = readRole(entry.role);
      draft.after.push(() => listener.roster());
      break;
    case "settingsChanged":
      state.timeToLiveSeconds = entry.settings?.timeToLiveSeconds ?? undefined;
      draft.after.push(() => listener.settings());
      break;
    case "devicesChanged":
      draft.after.push(() => listener.reconcile("devices"));
      break;
    case "groupReset":
      if (entry.generation !== undefined && entry.generation > state.generation) {
        state.generation = entry.generation;
        delete state.broken;
        delete state.out;
        draft.setPending(undefined);
        await draft.replaceGroup(undefined);
        tellGroup(draft, listener);
        draft.after.push(() => listener.reconcile("reset"));
      }
      break;
    case "retraction":
      await changeRecord(draft, entry.targetSeq ?? -1, listener, (record) => { record.retracted = true; });
      break;
    case "gone":
      if (entry.id)
        core.context.outbox.passed(draft, state.id, entry.id, entry.seq);
      break;
    default:
      // A kind of a later version: it has its place.
      keep(draft, { seq: entry.seq, id: entry.id ?? "", mine: false, at: entry.createdAt.getTime(), content: { type: "unsupported", name: String(entry.kind) } }, listener);
      break;
  }
}

/** Whether the group's state is the one that the log has come to. @internal */
export const canFollow = ({ group, state }: { group: Group | undefined; state: RoomState }): boolean => group !== undefined && !state.broken && !state.out;

/** The log has come to the Commit of the Welcome. @internal */
export async function enter(core: RoomCore, draft: Draft, listener: CoreListener): Promise<void> {
  const welcome = draft.welcome!;
  draft.setWelcome(undefined);
  const known = draft.group;
  if (welcome.generation < draft.state.generation || (known && canFollow(draft) && known.generation === welcome.generation && known.epoch >= welcome.epoch))
    return;
  draft.state.generation = welcome.generation;
  delete draft.state.broken;
  delete draft.state.out;
  delete draft.state.wasAway;
  draft.setPending(undefined);
  // What this device had sent before it fell out of the group, and has not shown yet, stands before everything that it reads from here on.
  for (const own of core.context.outbox.ackedUpTo(core.id, welcome.seq))
    await acceptOwn(core, draft, own, listener);
  const joined = Group.restore(welcome.base, new Map([[welcome.epoch, welcome.ratchet]]));
  await draft.replaceGroup(known ? joined.inherit(known) : joined);
  tellGroup(draft, listener);
  draft.after.push(() => core.context.dispatcher.wake(core.id), () => listener.reconcile("joined"));
}

async function applyMessage(core: RoomCore, draft: Draft, entry: LogEntry, listener: CoreListener): Promise<void> {
  const { state } = draft;
  const { id: roomId } = state;
  const own = entry.id === undefined ? undefined : core.context.outbox.find(roomId, entry.id);
  if (own?.ciphertext && equal(own.ciphertext, entry.ciphertext!)) {
    // Out of the group for the moment, this device may have to read from before here again; then this has its turn.
    if (canFollow(draft))
      await acceptOwn(core, draft, { clientMessageId: entry.id!, id: own.id, content: own.content, seq: entry.seq, at: entry.createdAt.getTime() }, listener);
    return;
  }
  const record = await draft.get<MessageRecord>(keys.message(roomId, entry.seq));
  if (record)
    return;
  const header = readHeader(entry.ciphertext!);
  const group = draft.group;
  // Without a group, or of an epoch that this device was not in: not for it. Nothing to show, and nothing lost if a Welcome comes yet.
  if (!group || !canFollow(draft) || (header && equal(header.groupId, group.id) && header.epoch < group.epoch && !group.epochs.includes(header.epoch))) {
    if (!group && !own)
      state.earlier = true;
    return;
  }
  if (header && isLater(header, group)) {
    breakChain(draft, entry.seq, listener);
    return;
  }
  if (!header || header.contentType !== "application" || !equal(header.groupId, group.id)) {
    await unreadable(draft, entry, "not a message of this group", listener);
    return;
  }
  let opened: { group: Group; sender: Leaf; plaintext: Uint8Array };
  try {
    opened = await group.decrypt(entry.ciphertext!);
  } catch (error) {
    await unreadable(draft, entry, error instanceof Error ? error.message : "", listener);
    return;
  }
  draft.usedKeys(opened.group, header.epoch);
  const sender: Sender = { userId: opened.sender.userId, deviceId: opened.sender.deviceId };
  const decoded = decodeContent(opened.plaintext);
  if ("content" in decoded)
    await accept(core, draft, { seq: entry.seq, at: entry.createdAt.getTime() }, sender, decoded, listener);
  else
    keep(draft, { seq: entry.seq, id: entry.id ?? "", from: sender, mine: false, at: entry.createdAt.getTime(), content: decoded }, listener);
}

/** A send of this device's own, whose plaintext it never lost. @internal */
export interface OwnSend { clientMessageId: string; id: string; content: Content; seq: number; at: number }

/** @internal */
export async function acceptOwn(core: RoomCore, draft: Draft, own: OwnSend, listener: CoreListener): Promise<void> {
  core.context.outbox.passed(draft, draft.state.id, own.clientMessageId, own.seq);
  await accept(core, draft, own, { userId: core.context.session.userId, deviceId: core.context.device.id }, { id: own.id, content: own.content }, listener);
}

async function unreadable(draft: Draft, entry: LogEntry, reason: string, listener: CoreListener): Promise<void> {
  const content: UnreadableContent = { type: "unreadable", reason };
  keep(draft, { seq: entry.seq, id: entry.id ?? "", mine: false, at: entry.createdAt.getTime(), content }, listener);
}

/** An authenticated content: into the history, and onto the message that it is about. */
async function accept(core: RoomCore, draft: Draft, entry: { seq: number; at: number }, from: Sender, { id, content, read }: Decoded, listener: CoreListener): Promise<void> {
  const { state } = draft;
  const mine = from.userId === core.context.session.userId;
  const upTo = content.type === "receipt" ? content.upTo : read;
  if (upTo !== undefined && upTo < entry.seq && isShownHere(core.context, from.userId))
    await putRead(draft, from.userId, upTo, listener);
  if (content.type === "receipt")
    return;
  if (content.type === "text" || content.type === "reply" || content.type === "custom" || content.type === "edit")
    draft.after.push(() => listener.spoke(from.userId));
  // A sender that did not learn what became of a message may have sent it twice; it arrives once. One id is one sender's.
  const named = keys.messageId(state.id, `${from.userId}/${id}`);
  if (await draft.get<number>(named) !== undefined)
    return;
  draft.put(named, entry.seq);
  if (content.type === "name") {
    state.name = content.name;
    draft.after.push(() => listener.settings());
  }
  if (content.type === "edit" || content.type === "delete") {
    // Only one's own.
    const seq = await draft.get<number>(keys.messageId(state.id, `${from.userId}/${content.target}`));
    await changeRecord(draft, seq ?? -1, listener, (record) => {
      if (content.type === "delete") {
        record.deleted = true;
        record.content = { type: "text", text: "" };
      } else if (!record.deleted && (record.content.type === "text" || record.content.type === "reply")) {
        record.content = { ...record.content, text: content.text };
        record.edited = true;
      }
    });
  } else if (content.type === "reaction") {
    const seq = await findTarget(core, draft, content.target);
    await changeRecord(draft, seq ?? -1, listener, (record) => {
      const reactions = { ...record.reactions };
      const users = (Object.hasOwn(reactions, content.emoji) ? reactions[content.emoji]! : []).filter((user) => user !== from.userId);
      if (!content.removed)
        users.push(from.userId);
      if (users.length > 0)
        reactions[content.emoji] = users;
      else
        delete reactions[content.emoji];
      record.reactions = reactions;
    });
  } else {
    keep(draft, { seq: entry.seq, id, from, mine, at: entry.at, content }, listener);
  }
}

/** Who has turned receipts off does not see others' either. What this user has read on another device counts in any case. @internal */
export const isShownHere = ({ privacy, session }: Context, userId: string): boolean => privacy.settings.readReceipts || userId === session.userId;

/** A member has read up to here. Returns whether that is farther than what was known. @internal */
export async function putRead(draft: Draft, userId: string, upTo: number, listener: CoreListener): Promise<boolean> {
  const key = keys.read(draft.state.id, userId);
  if (upTo <= (await draft.get<number>(key) ?? 0))
    return false;
  draft.put(key, upTo);
  draft.after.push(() => listener.read(userId, upTo));
  return true;
}

/** Anyone's message: ids are told apart by their authors, so look under each. */
async function findTarget(core: RoomCore, draft: Draft, target: string): Promise<number | undefined> {
  const authors = new Set([core.context.session.userId, ...draft.group?.leaves().map((leaf) => leaf.userId) ?? []]);
  for (const author of authors) {
    const seq = await draft.get<number>(keys.messageId(draft.state.id, `${author}/${target}`));
    if (seq !== undefined)
      return seq;
  }
  return undefined;
}

function keep(draft: Draft, record: MessageRecord, listener: CoreListener): void {
  draft.put(keys.message(draft.state.id, record.seq), record);
  draft.after.push(() => listener.message(toMessage(record)));
}

async function changeRecord(draft: Draft, seq: number, listener: CoreListener, change: (record: MessageRecord) => void): Promise<void> {
  const key = keys.message(draft.state.id, Math.max(0, seq));
  const record = seq < 0 ? undefined : await draft.get<MessageRecord>(key);
  if (!record)
    return;
  change(record);
  draft.put(key, record);
  draft.after.push(() => listener.changed(toMessage(record)));
}

async function applyCommit(core: RoomCore, draft: Draft, entry: LogEntry, listener: CoreListener): Promise<void> {
  const { state, pending } = draft;
  if (pending && entry.id === pending.id && equal(entry.ciphertext!, pending.commit)) {
    const after = Group.restore(pending.base, new Map(pending.ratchets));
    await draft.replaceGroup(draft.group ? draft.group.merge(after) : after);
    draft.setPending(undefined);
    tellGroup(draft, listener);
    draft.after.push(() => core.context.dispatcher.wake(core.id));
    return;
  }
  const header = readHeader(entry.ciphertext!);
  const group = draft.group;
  if (!header || !equal(header.groupId, groupIdOf(idBytes(state.id), state.generation)))
    return;
  // Somebody else's Commit ended the epoch that the own one was for.
  if (pending && header.epoch >= pending.epoch)
    draft.setPending(undefined);
  if (!group || !canFollow(draft) || header.epoch < group.epoch)
    return;
  if (header.epoch > group.epoch) {
    breakChain(draft, entry.seq, listener);
    return;
  }
  delete state.wasAway;
  let next: Group | undefined;
  try {
    ({ group: next } = await group.applyCommit(entry.ciphertext!));
  } catch (error) {
    core.context.failed("room", "invalidCommit", { roomId: state.id, retrying: true })(error);
    state.broken = { seq: entry.seq, why: "commit", since: Date.now() };
    draft.after.push(() => listener.reconcile("broken"));
    return;
  }
  const notIn = (others: Leaf[]) => {
    const keys = new Set(others.map((leaf) => toHex(leaf.signatureKey)));
    return (leaf: Leaf) => !keys.has(toHex(leaf.signatureKey));
  };
  const added = next?.leaves().filter(notIn(group.leaves())) ?? [];
  const removed = next ? group.leaves().filter(notIn(next.leaves())) : [];
  if (next)
    await draft.replaceGroup(next);
  else
    state.out = true;
  tellGroup(draft, listener);
  draft.after.push(() => void core.context.people.seeLeaves(added).catch(core.context.failed("store", "identitiesNotSeen", { roomId: state.id })), () => core.context.dispatcher.wake(core.id));
  if (added.length + removed.length > 0)
    draft.after.push(() => listener.committed(added, removed));
}

/** Of an epoch that the group has not come to here, or of a group that the room has begun since. The server hands out neither before the entry that leads there. */
const isLater = (header: { groupId: Uint8Array; epoch: number }, group: Group): boolean => equal(header.groupId, group.id)
  ? header.epoch > group.epoch
  : equal(header.groupId.subarray(0, 16), group.id.subarray(0, 16)) && generationOf(header.groupId) > group.generation;

/** The group went on without this device: a Commit that it needs is not in the log that it can read. @internal */
export function breakChain(draft: Draft, seq: number, listener: CoreListener): void {
  delete draft.state.wasAway;
  draft.state.broken = { seq, why: "chain", since: Date.now() };
  draft.after.push(() => listener.reconcile("broken"));
}

/** Each state is told, also when the next one follows at once. */
function tellGroup(draft: Draft, listener: CoreListener): void {
  const group = canFollow(draft) ? draft.group : undefined;
  draft.after.push(() => listener.group(group));
}

async function applyProposal(core: RoomCore, draft: Draft, entry: LogEntry): Promise<void> {
  if (!draft.group || !canFollow(draft) || readHeader(entry.ciphertext!)?.epoch !== draft.group.epoch)
    return;
  try {
    await draft.replaceGroup(await draft.group.applyProposal(entry.ciphertext!));
  } catch (error) {
    // It changes nothing; a Commit that refers to it will be found invalid.
    core.context.failed("room", "invalidProposal", { roomId: draft.state.id })(error);
  }
}
