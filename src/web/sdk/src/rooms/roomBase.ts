import { utf8 } from "../base/bytes.js";
import { SecureMessagingError } from "../base/errors.js";
import { Emitter } from "../base/events.js";
import type { Role, RoomKind, RoomSettings, SettingsChange, Unknown } from "../net/wire.js";
import { keys, pack, type Changes } from "../store/store.js";
import { memberOf } from "../trust/state.js";
import { agree, answer } from "./answers.js";
import type { TranscriptMismatch } from "./applying.js";
import type { RoomCore } from "./core.js";
import { toHold, type RoomHold, type RoomHoldKind } from "./holds.js";
import { finishLeave, leaveAgain, leaveToken, requireLeave, signToken, successorOf } from "./leaving.js";
import type { RoomLine } from "./line.js";
import { membersOf, type Member } from "./members.js";
import { linesOf } from "./notices.js";
import type { Ports } from "./ports.js";
import { acknowledge, problemOf, type RoomProblem } from "./problem.js";
import type { GroupReconciler } from "./reconciler.js";
import type { Message } from "./records.js";
import { roleNameOf, signedRole } from "./roles.js";
import type { Sender } from "./sender.js";
import { resolveUsers } from "./users.js";

/** The events of a room. */
export interface RoomEvents {
  /** A new message, own ones included, in order, each once. Edits, deletions and reactions are not messages: they cause `changed`. */
  message: Message;
  /** An earlier message was edited, deleted, pinned or reacted to, or it is now known why a place was never read. */
  changed: Message;
  /**
   * Messages are removed from this device, because their life is over, or because they were late and their author has sent them again; or places that were
   * never read, because their author has deleted them, or because this user was not a member there.
   */
  expired: { seqs: number[] };
  /** Another device has read another log than this one: the server has changed, left out or reordered something. Once for each device and stretch. */
  transcriptMismatch: TranscriptMismatch;
  /** A message was written for another state of the room than this device has. */
  stateMismatch: { from: Sender; seq: number };
  /** A member is typing. It repeats every few seconds. */
  typing: { userId: string; deviceId: string };
  /** A member who was typing has sent a message or left. It does not come when a member just stops: end `typing` after about 5 s. */
  typingEnded: { userId: string };
  /** A signal of the application, see {@link Room.signal}. */
  signal: { userId: string; deviceId: string; data: unknown };
  /** A member has read the log up to this place. */
  read: { userId: string; upTo: number };
  /** Members have joined, left, or have another role. */
  members: undefined;
  /** The room's name or time to live has changed. */
  settings: undefined;
  /** The members have changed something, or this device has noticed something. Show it between the messages. */
  line: RoomLine;
  /** Why sends of the room wait has changed. */
  holds: RoomHold[];
  /** The server does not show this room any more, or shows it again. Nothing on this device was deleted. */
  withheld: { isWithheld: boolean };
  /** {@link RoomBase.problem} has changed. */
  problem: { problem: RoomProblem | undefined };
  /** {@link Room.pending} has changed. */
  pending: undefined;
  /** The group has a new epoch (RFC 9420 section 2) with these devices. Without an epoch, this device is not in the group. */
  epoch: { epoch: number | undefined; devices: Sender[] };
}

/** @internal */
export type RoomPorts = Pick<Ports, "clock" | "closing" | "device" | "hub" | "mls" | "people" | "privacy" | "reports" | "server" | "store">;

/** What the members of a room have signed, and what this device believes of it. */
export abstract class RoomBase extends Emitter<RoomEvents> {
  /** Undefined until the holds were compared: a room may be held since before the start. */
  private shownHolds: string | undefined;
  private shownProblem: RoomProblem | undefined;

  /** @internal */
  protected constructor(
    /** @internal */ protected readonly ports: RoomPorts,
    /** @internal */ readonly core: RoomCore,
    /** @internal */ protected readonly reconciler: GroupReconciler,
  ) {
    super();
  }

  /** The room's id. */
  get id(): string {
    return this.core.id;
  }

  /** A group of any number of people, or a direct room of two. It is a part of the room's id and never changes. */
  get kind(): RoomKind | Unknown {
    return this.core.signed?.founding.kind ?? this.core.state.kind;
  }

  /** The name, as the members have signed it. The server does not know it. */
  get name(): string | undefined {
    return this.core.signed?.state.name;
  }

  /** The settings, as the members have signed them. */
  get settings(): RoomSettings {
    const timeToLiveSeconds = this.core.signed?.state.timeToLive;
    return timeToLiveSeconds === undefined ? {} : { timeToLiveSeconds };
  }

  /** This user's role, as the members have signed it. */
  get role(): Role {
    const { signed } = this.core;
    return signed ? roleNameOf(signed.state, this.ports.device.userId) : "member";
  }

  /**
   * Whether this device knows the room from more than one source. While it is false, the members, roles and settings are the word of the member who has added
   * this device. It becomes true with the first message that a device of a third user has sent for the same state of the room.
   */
  get isConfirmed(): boolean {
    return this.core.signed?.confirmed === true && this.core.signed.head !== undefined;
  }

  /** Whether the server does not show this room any more, although no member has removed this user. Sends wait. {@link RoomBase.forget} ends the room. */
  get isWithheld(): boolean {
    return this.core.isWithheld;
  }

  /** A problem to show until it is solved; undefined without one. The event `problem` reports each change. */
  get problem(): RoomProblem | undefined {
    return problemOf(this.core);
  }

  /** With the problem `invalidCommit`: the user who has made the Commit, by its signature; undefined when it has none that is valid. */
  get brokenBy(): string | undefined {
    return this.problem === "invalidCommit" ? this.core.state.broken?.by?.userId : undefined;
  }

  /** The user has seen the problem `logRewound`. */
  acknowledge(): Promise<void> {
    return acknowledge(this.core);
  }

  /** The members of the room, as they have signed it. */
  readonly members = {
    /** All members with their roles and devices. Empty until this device is in the room. */
    list: async (): Promise<Member[]> => {
      const { signed, group } = this.core;
      return signed ? membersOf(signed.state, group, this.ports.people) : [];
    },
    /** Adds a person with all devices. They read only messages from now on. Needs the role admin; a role above member needs the role owner. */
    add: async (username: string, role: Role = "member"): Promise<void> => {
      const [user] = await resolveUsers(this.ports.people, [username]);
      await this.reconciler.change({ add: [{ ...user!, role: signedRole(role) }] });
    },
    /**
     * Removes a person with all devices, by user id or username. They cannot decrypt later messages. An admin removes members and moderators, an owner
     * everyone. With this user's own id or name, it is {@link RoomBase.leave}.
     */
    remove: async (who: string): Promise<void> => {
      const [member, another] = (await this.members.list()).filter((each) => each.userId === who || each.username.toLowerCase() === who.toLowerCase());
      if (!member) throw SecureMessagingError.of("NotFound", "No member has this username or user id.");
      if (another) throw SecureMessagingError.of("Conflict", "Two members say that they have this username. Remove one by the user id.");
      if (member.userId === this.ports.device.userId) return this.leave();
      return this.reconciler.change({ remove: [member.userId] });
    },
    /** Changes the role of a member. Needs the role owner. */
    setRole: (userId: string, role: Role): Promise<void> => this.reconciler.change({ roles: [{ userId, role: signedRole(role) }] }),
  };

  /** Changes the settings that are given; null clears. Needs the role admin. */
  async changeSettings(change: SettingsChange): Promise<void> {
    await this.reconciler.change({ ...(change.timeToLiveSeconds === undefined ? {} : { timeToLiveSeconds: change.timeToLiveSeconds }) });
  }

  /** What the members have changed and what this device has noticed, oldest first. Show it between the messages. */
  lines(): Promise<RoomLine[]> {
    return linesOf(this.ports.store, this.id);
  }

  /** Why sends of this room wait; empty when they do not. */
  holds(): RoomHold[] {
    return this.core.holds.map(toHold);
  }

  /**
   * A person has seen why sends wait, and wants to send. It is valid for what the holds of this kind show now. `updateRequired` and `withheld` have no answer;
   * for `reentryHeld` call {@link RoomBase.agreeToEnter}.
   */
  answerHold(kind: RoomHoldKind): Promise<void> {
    return answer(this.core, kind, this.ports.people);
  }

  /** A person agrees that this device enters the room again, although it has not seen why the user was removed before. The room is not confirmed then. */
  agreeToEnter(): Promise<void> {
    return agree(this.core);
  }

  /** A person gives up a room that the server does not show any more. Its messages stay on this device. @throws `Conflict` while the server shows the room. */
  async forget(): Promise<void> {
    if (!this.isWithheld) throw SecureMessagingError.of("Conflict", "The server shows this room. Leave it instead.");
    this.core.end("left");
    await this.core.ending;
  }

  /** Changes the room's name. Needs the role admin. @throws `Invalid` for more than 800 bytes, `Forbidden`, `NotReady`. */
  async rename(name: string): Promise<void> {
    await this.reconciler.change({ name: requireName(name) });
  }

  /** Deletes the room and its log on the server, for all members. Needs the role owner. Devices keep what they have read. */
  async destroy(): Promise<void> {
    await this.ports.server.deleteRoom(this.id);
    this.core.end("deleted");
  }

  /**
   * Leaves the room: signs it in a message, so that another member removes this user's devices, and tells the server. This device keeps what it has read.
   * @throws `Conflict` for the last owner of a group with other members, and in a direct room. `NotReady` while this device is not in the room's
   * group, and when it was given other keys there meanwhile.
   */
  async leave(): Promise<void> {
    const { core } = this;
    const { clock, device, hub, server, store } = this.ports;
    const { userId } = device;
    const signed = core.signed?.head && memberOf(core.signed.state, userId) ? core.signed : undefined;
    if (signed) requireLeave(signed, userId);
    // A group that was never founded has no member who could follow a signature.
    const isAlone = signed ? signed.state.roster.length === 1 : (await server.room(this.id)).epoch === 0;
    const { group } = core;
    if (!isAlone && (!signed || this.isWithheld || !group))
      throw SecureMessagingError.of(
        "NotReady",
        "This device cannot sign now that you leave. Use another device, or wait until this one is in the room's group.",
      );
    // Stored with the message: a server that hears of the leaving before would refuse the message.
    const leaving: Changes = new Map([[keys.leaving(this.id), pack(core.state.cursor ?? 0)]]);
    // Without a reader, there is no member who could commit it.
    if (isAlone || !signed || !group || !core.canBeRead) await store.write(leaving);
    else await this.signLeaving(await leaveToken(signed, group, userId), leaving);
    await finishLeave({ clock, device, hub, server, store }, this.id, core);
  }

  private async signLeaving(token: string, leaving: Changes): Promise<void> {
    try {
      await this.sendLeave(token, leaving);
    } catch (error) {
      // When another member has committed the token already, only the server may not know it.
      if (this.core.hasEnded) return;
      await this.ports.store.write(new Map([[keys.leaving(this.id), null]]));
      if (error instanceof SecureMessagingError && error.code === "NotDelivered") throw leaveAgain(error);
      throw error;
    }
  }

  /**
   * @internal The account is about to be deleted: hands the room over when this user is its last owner, and signs that the user leaves, so that another member
   * removes the devices. The server alone could not say so.
   * @throws `NotReady` when this device cannot sign.
   */
  async signOff(): Promise<void> {
    const { core } = this;
    const { userId } = this.ports.device;
    const { signed } = core;
    // Without another member, or without a device of one, no client could read what is signed.
    if (!signed?.head || !memberOf(signed.state, userId) || signed.state.roster.length === 1 || core.canBeRead === false) return;
    const requireReady = () => {
      if (!core.isReady || !core.group || !core.signed) throw SecureMessagingError.of("NotReady", "This device cannot sign now that the user leaves.");
      return { signed: core.signed, group: core.group };
    };
    const successor = successorOf(requireReady().signed, userId);
    if (successor !== undefined) await this.reconciler.change({ roles: [{ userId: successor, role: signedRole("owner") }] });
    const now = requireReady();
    await this.sendLeave(await signToken(now.signed, now.group, userId));
  }

  /** @internal Reports the holds when they have changed. */
  compareHolds(): void {
    const holds = this.holds();
    const now = JSON.stringify(holds);
    if (now === this.shownHolds) return;
    this.shownHolds = now;
    this.emit("holds", holds);
    if (holds.length === 0) this.core.events.emit("sendable", undefined);
  }

  /** @internal Reports the problem when it has changed. */
  compareProblem(): void {
    const { problem } = this;
    if (problem === this.shownProblem) return;
    this.shownProblem = problem;
    this.emit("problem", { problem });
  }

  /** @internal Sends the token with which this user leaves, and stores the changes with it. Resolves when the log has delivered it. */
  protected abstract sendLeave(token: string, also?: Changes): Promise<void>;
}

/** @internal @throws `Invalid` for a name that a room cannot have. */
export function requireName(name: string): string {
  const isValid =
    typeof name === "string" &&
    !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(name) &&
    name.length > 0 &&
    utf8(name).length <= 800;
  if (!isValid) throw SecureMessagingError.of("Invalid", "name must be a string of 1 to 800 bytes in UTF-8, without half of a surrogate pair.");
  return name;
}
