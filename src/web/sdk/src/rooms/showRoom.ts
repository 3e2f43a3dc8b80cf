/* What the core of a room reports, as the events of the room. */
import type { Reports } from "./ports.js";
import { devicesOf, type Room } from "./room.js";

/** The unread count, the newest message and the problem are those after the event. @internal */
export function showRoom(room: Room, ownUserId: string, reports: Reports): void {
  const { overview, id } = room;
  const { events } = room.core;
  // Only changes from now on are reported.
  room.compareProblem();
  const compare = () => {
    room.compareHolds();
    room.compareProblem();
  };
  events.on("message", (message) => {
    overview.arrived(message);
    room.notify();
    room.emit("message", message);
  });
  events.on("changed", (message) => {
    overview.changed(message);
    room.emit("changed", message);
  });
  events.on("read", (read) => {
    if (read.userId === ownUserId) overview.read(read.upTo);
    room.emit("read", read);
  });
  events.on("expired", (expired) => {
    const emit = () => room.emit("expired", expired);
    if (overview.removed(expired.seqs))
      void overview
        .findLast()
        .catch(reports.failed("store", "newestNotRead", { roomId: id }))
        .then(emit);
    else emit();
  });
  events.on("stoppedTyping", ({ userId }) => room.stoppedTyping(userId));
  events.on("transcriptMismatch", (mismatch) => room.emit("transcriptMismatch", mismatch));
  events.on("stateMismatch", (mismatch) => room.emit("stateMismatch", mismatch));
  events.on("line", (line) => room.emit("line", line));
  events.on("settings", () => room.emit("settings", undefined));
  events.on("roster", () => {
    room.emit("members", undefined);
    room.compareProblem();
  });
  events.on("withheld", (withheld) => {
    room.emit("withheld", withheld);
    room.compareProblem();
  });
  events.on("group", ({ group }) => {
    room.emit("epoch", { epoch: group?.epoch, devices: devicesOf(group) });
    compare();
  });
  events.on("holds", compare);
  for (const name of ["problem", "sendable"] as const) events.on(name, () => room.compareProblem());
}
