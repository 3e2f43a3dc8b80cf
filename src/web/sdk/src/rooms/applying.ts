import type { Emitter } from "../base/events.js";
import type { Draft } from "./draft.js";
import type { Message, OutboxItem, OwnSend } from "./records.js";
import type { Leaf, Ports, RoomGroup } from "./ports.js";

/** Why the group's leaves may differ from the members' devices. @internal */
export type ReconcileCause = "roster" | "devices" | "reset" | "joined" | "away" | "broken";

/** What a room reports to the rest of the client, after the change is stored. @internal */
export interface CoreEvents {
  /** A message was stored. */
  message: Message;
  /** An earlier message has changed. */
  changed: Message;
  read: { userId: string; upTo: number };
  /** A member has sent a message or has left, so the member no longer types. */
  stoppedTyping: { userId: string };
  roster: undefined;
  settings: undefined;
  /** The group has another epoch, or other members; undefined while this device cannot follow it. */
  group: { group: RoomGroup | undefined };
  /** Another member's Commit has changed the group. The server cannot read Commits, so the members check it. */
  committed: { added: Leaf[]; removed: Leaf[] };
  /** The server's directory of members and devices has changed at this place of the log. */
  directory: { change: "joined" | "left" | "devices"; userId: string | undefined };
  /** The group's leaves may differ from the members' devices. */
  reconcile: ReconcileCause;
  /** Sends that had to wait may now be possible. */
  sendable: undefined;
  ended: "left" | "deleted";
}

/** The sends of this device, as the log meets them again. The outbox is the real one. @internal */
export interface OwnSends {
  find(roomId: string, clientMessageId: string): OutboxItem | undefined;
  /** The acknowledged sends up to a place that the log has not delivered, oldest first. */
  ackedUpTo(roomId: string, seq: number): OwnSend[];
  /** The log has delivered a send. */
  passed(draft: Draft, roomId: string, clientMessageId: string, seq: number): void;
  /** Earlier encrypted sends of the room are encrypted again. */
  encryptAnew(draft: Draft): void;
}

/** What an entry of the log is applied with, besides the draft that it changes. @internal */
export interface Applying extends Pick<Ports, "clock" | "device" | "mls" | "people" | "privacy" | "reports"> {
  sends: OwnSends;
  events: Emitter<CoreEvents>;
}
