/* The events of the leader's rooms, for all tabs. */
import type { Room, RoomEvents } from "../rooms/room.js";
import type { SecureMessaging } from "../client/client.js";
import type { Notify } from "./link.js";

/** The events that only get the room's id. The compiler reports one that is missing. `typing` also gets the username, and has an order of its own. */
const passed: Record<Exclude<keyof RoomEvents, "typing" | "typingEnded" | "holds">, true> = {
  message: true,
  changed: true,
  expired: true,
  transcriptMismatch: true,
  stateMismatch: true,
  signal: true,
  read: true,
  members: true,
  settings: true,
  line: true,
  withheld: true,
  problem: true,
  pending: true,
  epoch: true,
};

/** Reports what happens in a room to all tabs. @internal */
export function passOn(room: Room, client: SecureMessaging, notify: Notify): void {
  const roomId = room.id;
  for (const name of Object.keys(passed) as (keyof typeof passed)[]) room.on(name, (event: RoomEvents[typeof name]) => notify(name, { ...event, roomId }));
  room.on("holds", (holds) => notify("holds", { roomId, holds }));
  passOnTyping(room, client, notify);
}

function passOnTyping(room: Room, client: SecureMessaging, notify: Notify): void {
  const roomId = room.id;
  // The username may become known only after the member's message has arrived.
  const latest = new Map<string, object>();
  room.on("typing", ({ userId, deviceId }) => {
    const typing = {};
    latest.set(userId, typing);
    void client
      .usernameOf(userId)
      .then((username) => {
        if (userId !== client.userId && latest.get(userId) === typing) notify("typing", { roomId, userId, deviceId, username: username ?? "" });
      })
      .catch(client.reports.failed("tabs", "typistUnknown", { roomId, retrying: true }));
  });
  room.on("typingEnded", ({ userId }) => {
    latest.delete(userId);
    notify("typingEnded", { roomId, userId });
  });
}
