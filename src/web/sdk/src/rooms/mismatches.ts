/* Reports that another device has read another log, or follows another state. */
import type { CoreEvents } from "./applying.js";
import type { RoomCore } from "./core.js";
import type { Reports } from "./ports.js";
import type { Room } from "./room.js";
import type { Sender } from "./records.js";

/** After a fork each message shows it again, so each device is reported once for each stretch. @internal */
export function reportMismatches(room: Room, core: RoomCore, reports: Reports): void {
  const reported = new Set<string>();
  const isNew = ({ userId, deviceId }: Sender, what: string): boolean => {
    const name = `${userId} ${deviceId} ${what}`;
    const isFirst = !reported.has(name);
    reported.add(name);
    return isFirst;
  };
  core.events.on("transcriptMismatch", (mismatch) => {
    const { from, between } = mismatch;
    if (!isNew(from, `log ${Math.floor(between[0] / 256)}`)) return;
    reports.warn({ area: "room", kind: "transcriptMismatch", roomId: core.id, retrying: false, detail: detailOfMismatch(mismatch) });
    room.emit("transcriptMismatch", mismatch);
  });
  core.events.on("stateMismatch", (mismatch) => {
    const { from, seq } = mismatch;
    if (!isNew(from, "state")) return;
    const detail = `Device ${from.deviceId} of user ${from.userId} has sent the message at ${seq} for another state of the room than this device follows.`;
    reports.warn({ area: "room", kind: "stateMismatch", roomId: core.id, retrying: false, detail });
    room.emit("stateMismatch", mismatch);
  });
}

/** @internal */
export function detailOfMismatch({ from, device, seq, between: [first, last] }: CoreEvents["transcriptMismatch"]): string {
  const other = `Device ${from.deviceId} of user ${from.userId}`;
  return first > last || last >= seq
    ? `${other} says in its message at ${seq} that it has read the log to ${last}, so it has read another log than device ${device.deviceId}.`
    : `${other} and device ${device.deviceId} have read different entries between ${first} and ${last} of the log.`;
}
