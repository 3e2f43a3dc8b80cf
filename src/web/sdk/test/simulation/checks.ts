/* What must hold after each run. Each check returns sentences that say what is wrong. */
import { keys, unpack } from "../../src/store/store.js";
import type { MessageRecord, RoomState } from "../../src/rooms/records.js";
import type { SimDevice } from "./device.js";
import type { Run } from "./run.js";

/** Warnings of an attack, or that the state of a device is damaged. Runs without an attacker must not cause them. */
export const alarms = new Set([
  "groupUnreadable",
  "identitiesNotSeen",
  "invalidCommit",
  "invalidProposal",
  "logRewound",
  "reconcileStopped",
  "resetIgnored",
  "rosterMismatch",
  "notExpired",
  "stateMismatch",
  "transcriptMismatch",
  "welcomeRefused",
  "welcomeUnreadable",
  "failed",
]);

/** All members read the same log, also when it has entries of an attacker. */
const neverAlarms = new Set(["stateMismatch", "transcriptMismatch"]);

export async function historyOf(device: SimDevice, roomId: string): Promise<MessageRecord[]> {
  return (await device.disk.list(keys.messages(roomId))).map(([, value]) => unpack<MessageRecord>(value));
}

export async function check(run: Run): Promise<string[]> {
  const { room, devices } = run;
  const wrong = [...run.server.violations];
  const histories = new Map<SimDevice, MessageRecord[]>();
  for (const device of devices) histories.set(device, await historyOf(device, room.id));
  for (const device of devices) {
    wrong.push(...device.complaints.map((complaint) => `${device.name}: ${complaint}`));
    const wrongKinds = run.options.isHostile ? neverAlarms : alarms;
    for (const { kind, error, detail } of device.warnings.filter((warning) => wrongKinds.has(warning.kind)))
      wrong.push(`${device.name} warns: ${kind} ${error?.message ?? ""} ${detail ?? ""}`);
    wrong.push(...checkAuthors(run, device, histories.get(device)!), ...checkLives(run, device, histories.get(device)!));
    wrong.push(...checkShownOnce(device, histories.get(device)!), ...checkSends(run, device, histories.get(device)!));
  }
  const steady = devices.filter((device) => !run.notSteady.has(device) && run.isMember(device));
  for (const device of steady) wrong.push(...checkComplete(run, device, histories.get(device)!));
  for (const [i, device] of devices.entries()) {
    const other = devices[i + 1];
    if (other) wrong.push(...checkEqual(run, device, other, histories, steady.includes(device) && steady.includes(other)));
  }
  return wrong;
}

function checkShownOnce(device: SimDevice, history: MessageRecord[]): string[] {
  const seen = new Set<string>();
  return history.flatMap(({ from, id, seq }) => {
    const name = `${from?.userId}/${id}`;
    if (from && seen.has(name)) return [`${device.name} shows the message at ${seq} twice`];
    seen.add(name);
    return [];
  });
}

/** Each text was sent by the user under whose name it is shown. */
function checkAuthors(run: Run, device: SimDevice, history: MessageRecord[]): string[] {
  return history.flatMap(({ content, deleted, edited, from, id, seq }) => {
    if (content.type !== "text" || deleted || !from) return [];
    const asked = run.devices.filter(({ user }) => user.id === from.userId).flatMap((each) => each.asked.filter((send) => send.id === id));
    return asked.some(({ text }) => edited === true || text === content.text) ? [] : [`${device.name} shows at ${seq} what its author has not sent`];
  });
}

/** A timer may be late by the time that the disk takes. */
const lateMs = 1000;

/** Nothing is on a disk after its life. */
function checkLives({ world }: Run, device: SimDevice, history: MessageRecord[]): string[] {
  return history.flatMap(({ deadline, seq }) =>
    deadline !== undefined && deadline < world.now - lateMs
      ? [`${device.name} still has the message at ${seq}, ${world.now - deadline} ms after its life`]
      : [],
  );
}

/** A send that the outbox has kept is shown once, or was rejected; and the sends of a device keep their order. */
function checkSends(run: Run, device: SimDevice, history: MessageRecord[]): string[] {
  const wrong: string[] = [];
  let last = 0;
  for (const asked of device.asked) {
    const record = history.find(({ from, id }) => from?.userId === device.user.id && id === asked.id);
    const entry = asked.seq === undefined ? undefined : run.room.log[asked.seq - 1];
    if (asked.seq !== undefined && !entry) wrong.push(`${device.name}: "${asked.text}" was acknowledged at ${asked.seq}, and the log ends before`);
    if (record) {
      if (record.seq <= last) wrong.push(`${device.name}: "${asked.text}" at ${record.seq} overtook an earlier one at ${last}`);
      last = record.seq;
      continue;
    }
    const mayMiss = asked.expires || asked.error !== undefined || asked.mayBeLost || !asked.isKept || !run.isMember(device) || entry?.kind === "gone";
    // A message that is gone was stored, although no device may have read it. A rejected one is kept for the user.
    if (!mayMiss && run.gone.size === 0 && !device.disk.has(asked)) wrong.push(`${device.name}: "${asked.text}" is lost`);
  }
  return wrong;
}

/** A device that was in the group all the time can read all messages of honest members. */
function checkComplete(run: Run, device: SimDevice, history: MessageRecord[]): string[] {
  const wrong: string[] = [];
  for (const { seq, content } of history)
    if ((content.type === "unreadable" || content.type === "malformed") && !run.hostile.has(seq))
      wrong.push(`${device.name} cannot read the message at ${seq}: ${content.reason}`);
  for (const other of run.devices)
    for (const { expires, id, seq, text } of other.asked) {
      if (expires) continue;
      const shown = history.some((record) => record.from?.userId === other.user.id && record.id === id);
      if (seq !== undefined && !shown && run.room.log[seq - 1]?.kind === "message")
        wrong.push(`${device.name} does not show "${text}" of ${other.name} at ${seq}`);
    }
  return wrong;
}

/** What two devices both show is equal. */
function checkEqual(run: Run, a: SimDevice, b: SimDevice, histories: Map<SimDevice, MessageRecord[]>, isFull: boolean): string[] {
  const wrong: string[] = [];
  const theirs = new Map(histories.get(b)!.map((record) => [record.seq, record]));
  for (const mine of histories.get(a)!) {
    const other = theirs.get(mine.seq);
    if (!other || !mine.from || !other.from) continue;
    const view = ({ id, from, late, content, edited, deleted, reactions }: MessageRecord) =>
      JSON.stringify(isFull && run.gone.size === 0 ? { id, from, late, content, edited, deleted, reactions: sorted(reactions) } : { id, from, late });
    if (view(mine) !== view(other)) wrong.push(`${a.name} and ${b.name} differ at ${mine.seq}: ${view(mine)} and ${view(other)}`);
  }
  return wrong;
}

const sorted = (reactions: MessageRecord["reactions"]): unknown => (reactions ?? []).map(([emoji, users]) => `${emoji} ${users.toSorted().join()}`).toSorted();

/** What the disk says about the room, without what may change at any time. */
export async function stateOf(device: SimDevice, roomId: string): Promise<string> {
  const bytes = await device.disk.get(keys.room(roomId));
  const state = bytes && unpack<RoomState>(bytes);
  delete state?.uncompared;
  const stays = (await historyOf(device, roomId)).filter(({ deadline }) => deadline === undefined);
  return JSON.stringify([state, stays, (await device.disk.list(keys.outboxes)).length]);
}
