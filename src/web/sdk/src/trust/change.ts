/* Section 4 of the specification: what the changes of a statement do to the state of a room, and who may do them. */
import { equal } from "../base/bytes.js";
import { compareBytes } from "./codec.js";
import { isSame, type Device } from "./device.js";
import { isValidInStatement, lists, type DeviceList } from "./deviceList.js";
import type { Founding } from "./founding.js";
import { attempt, refused, type Refused, type RuleName } from "./rules.js";
import * as states from "./state.js";
import { changeTypes, decodeChange, isAcceptanceSigned, isLeaveSigned, type Acceptance, type Change, type Leave, type Statement } from "./statement.js";

type RoomState = states.RoomState;

/** What the changes of a statement are judged by, beside the state. */
export interface ChangeContext {
  founding: Founding;
  /** The leaves before the Commit, in a reset those of the group before. Without them, the checks that need leaves are left out. */
  leaves?: readonly Device[];
}

/** A statement after number 1 in epoch 0 is that of a reset. */
export const isReset = (statement: { number: number; epoch: number }): boolean => statement.number > 1 && statement.epoch === 0;

/**
 * Applies the changes of a statement in their order. The author must be known to be a user of `before` (for number 1: the founder); its signature, and the
 * hashes of the statement, are not checked here.
 */
export async function applyChanges(before: RoomState, statement: Statement, context: ChangeContext): Promise<{ ok: true; state: RoomState } | Refused> {
  const { number, changes } = statement;
  if (changes.length === 0) return refused("change");
  if (isReset(statement) && (changes.length !== 1 || changes[0]!.type !== changeTypes.renew)) return refused("change");
  const turn = new Turn(before, statement, context);
  let state = before;
  for (const [index, change] of changes.entries()) {
    const after = await turn.apply(state, change, index === 0);
    if (typeof after === "string") return refused(after);
    state = after;
  }
  if (states.encodeState(state).length > states.limits.stateBytes) return refused("length");
  const { kind, other } = context.founding;
  if (kind === "direct" && number === 1 && !states.memberOf(state, other!)) return refused("change");
  if (kind === "group" && !state.roles.some((each) => each.role === states.owner)) return refused("owner");
  return { ok: true, state };
}

/** The outcome of a change: the next state, or the rule that fails. */
type Outcome = RoomState | RuleName;

/** The changes of one statement. Rights are those before the statement; everything else is judged by the state that the changes before made. */
class Turn {
  private readonly role: states.Role;
  private readonly isDirect: boolean;
  private readonly isFirst: boolean;

  constructor(
    private readonly before: RoomState,
    private readonly statement: Statement,
    private readonly context: ChangeContext,
  ) {
    this.isFirst = statement.number === 1;
    this.isDirect = context.founding.kind === "direct";
    this.role = this.isFirst ? states.owner : states.roleOf(before, statement.author.user);
  }

  async apply(now: RoomState, raw: { type: number; value: Uint8Array<ArrayBuffer> }, leads: boolean): Promise<Outcome> {
    const decoded = attempt(() => decodeChange(raw));
    if (!this.belongsHere(raw.type, decoded.ok ? decoded.value : undefined, leads)) return "change";
    if (!this.isDirect && !this.mayChange(raw.type)) return "role";
    if (!decoded.ok) return this.isRoleOfOthers(raw.type, decoded.rule) ? "role" : "change";
    return this.effect(now, decoded.value);
  }

  /** The types that a first statement and a direct room allow. */
  private belongsHere(type: number, change: Change | undefined, leads: boolean): boolean {
    const { founder, identity, other } = this.context.founding;
    if (this.isFirst && leads) {
      if (change?.kind !== "add" || change.user !== founder || !equal(change.identity, identity)) return false;
      return change.role === (this.isDirect ? states.member : states.owner);
    }
    const isTimeToLive = (change?.kind === "set" && change.part.type === 4) || (change?.kind === "unset" && change.part === 4);
    if (this.isFirst && this.isDirect)
      return (change?.kind === "set" && isTimeToLive) || (change?.kind === "add" && change.user === other && change.role === 0);
    if (this.isFirst) return type === changeTypes.add || type === changeTypes.set;
    return !this.isDirect || isTimeToLive || [changeTypes.leave, changeTypes.renew, changeTypes.devices].some((each) => each === type);
  }

  /** Whether the author may make changes of this type at all. What depends on the value is judged with it. */
  private mayChange(type: number): boolean {
    switch (type) {
      case changeTypes.add:
        return this.mayDo(states.actions.add);
      case changeTypes.remove:
        return this.role >= states.admin;
      case changeTypes.role:
        return this.role >= states.owner;
      case changeTypes.invite:
        return this.mayDo(states.actions.invite);
      default:
        return true;
    }
  }

  private mayDo(action: number): boolean {
    return this.role >= states.roleFor(this.before, action);
  }

  /** A role of a later version is above a member's, too. */
  private isRoleOfOthers(type: number, rule: RuleName): boolean {
    return rule === "role" && this.role < states.owner && (type === changeTypes.add || type === changeTypes.invite);
  }

  private effect(now: RoomState, change: Change): Outcome | Promise<Outcome> {
    switch (change.kind) {
      case "add":
        if (change.role > states.member && this.role < states.owner) return "role";
        return this.add(now, change, change.role);
      case "remove": {
        const role = states.roleOf(now, change.user);
        if (this.role < states.owner && role >= this.role) return "role";
        return states.memberOf(now, change.user) ? without(now, change.user) : "change";
      }
      case "leave":
        return this.leave(now, change.token);
      case "renew":
        return this.list(now, change.list, true);
      case "devices":
        return this.list(now, change.list, false);
      case "role":
        return states.memberOf(now, change.user) ? withRole(now, change.user, change.role) : "change";
      case "set":
        return this.set(now, change.part);
      case "unset":
        return this.unset(now, change.part);
      case "invite":
        if (change.terms.role > states.member && this.role < states.owner) return "role";
        return this.invite(now, change.terms);
      case "uninvite": {
        const found = now.invitations.find((each) => equal(each.invitation, change.invitation));
        if (this.role < states.admin && found?.inviter !== this.statement.author.user) return "role";
        return found ? { ...now, invitations: now.invitations.filter((each) => each !== found) } : "change";
      }
      case "admit":
        return this.admit(now, change.acceptance);
    }
  }

  private add(now: RoomState, of: { user: string; identity: states.Member["identity"]; list: number }, role: states.Role): Outcome {
    const { user, identity, list } = of;
    if (states.memberOf(now, user) || now.bans.includes(user)) return "change";
    if (now.roster.length >= states.limits.roster) return "length";
    const added = { user, identity, since: this.statement.number, list };
    return withRole({ ...now, roster: insert(now.roster, added, (a, b) => a.user < b.user) }, user, role);
  }

  private async leave(now: RoomState, token: Leave): Promise<Outcome> {
    const { user, identity } = token.author;
    const member = states.memberOf(now, user);
    const known = states.memberOf(this.before, user);
    if (token.room !== this.statement.room || !member || member.since !== token.since || !known || !equal(known.identity, identity)) return "change";
    if (this.context.leaves && !this.context.leaves.some((leaf) => isSame(leaf, token.author))) return "change";
    if (!(await isLeaveSigned(token))) return "change";
    return this.isDirect ? withMember(now, { ...member, since: this.statement.number }) : without(now, user);
  }

  private async list(now: RoomState, list: DeviceList, renewal: boolean): Promise<Outcome> {
    const member = states.memberOf(now, list.user);
    if (!member) return "change";
    const { author } = this.statement;
    if (renewal && author.user === list.user && !isReset(this.statement)) return "change";
    // A list without the author would remove the author's own leaf, which no Commit can do.
    if (!renewal && list.number < member.list && !(author.user === list.user && lists(list, author))) return "change";
    if (!(await isValidInStatement(list, renewal, { identity: member.identity, leaves: this.context.leaves }))) return "change";
    return withMember(now, { ...member, identity: list.identity, list: list.number });
  }

  private set(now: RoomState, part: states.Part): Outcome {
    const may = this.maySet(part.type);
    if (may !== true) return may;
    const next = attempt(() => states.withPart(now, part));
    if (!next.ok) return next.limit ? next.rule : "change";
    if (!this.mayReplaceRules(now, next.value)) return "role";
    if (next.value.bans.some((user) => states.memberOf(now, user))) return "change";
    return states.partsOf(next.value).length > states.limits.parts ? "length" : next.value;
  }

  private unset(now: RoomState, type: number): Outcome {
    const may = this.maySet(type);
    if (may !== true) return may;
    const next = states.withoutPart(now, type);
    if (!next) return "change";
    return this.mayReplaceRules(now, next) ? next : "role";
  }

  private maySet(type: number): true | RuleName {
    if (this.isDirect) return true;
    switch (type) {
      case 1:
      case 2:
      case 7:
        return "change";
      case 3:
        return this.mayDo(states.actions.rename) || "role";
      case 4:
        return this.mayDo(states.actions.timeToLive) || "role";
      case 5:
        return this.mayDo(states.actions.policy) || "role";
      case 6:
      case 8:
        return this.role >= states.admin || "role";
      default:
        return this.role >= states.owner || "role";
    }
  }

  /** Rules with a role above the author's stay as they are. */
  private mayReplaceRules(now: RoomState, next: RoomState): boolean {
    const above = (state: RoomState) => state.policy.filter((rule) => rule.role > this.role).map((rule) => `${rule.action} ${rule.role}`);
    return above(now).join() === above(next).join();
  }

  private invite(now: RoomState, terms: states.InvitationTerms): Outcome {
    if (now.invitations.some((each) => equal(each.invitation, terms.invitation))) return "change";
    if (now.invitations.length >= states.limits.invitations) return "length";
    const made = { ...terms, inviter: this.statement.author.user, since: this.statement.number, used: [] };
    return { ...now, invitations: insert(now.invitations, made, (a, b) => compareBytes(a.invitation, b.invitation) < 0) };
  }

  private async admit(now: RoomState, accepted: Acceptance): Promise<Outcome> {
    const found = now.invitations.find((each) => equal(each.invitation, accepted.invitation));
    if (!found) return "change";
    if (found.approval && !this.mayDo(states.actions.add)) return "role";
    const needed = found.role > states.member ? states.owner : states.roleFor(now, states.actions.invite);
    if (!states.may(now, found.inviter, states.actions.invite) || states.roleOf(now, found.inviter) < needed) return "role";
    const { user, identity } = accepted.author;
    if (accepted.room !== this.statement.room || accepted.since !== found.since || !equal(accepted.identity, identity) || found.used.includes(user))
      return "change";
    if (found.user !== undefined && (found.user !== user || !equal(found.invitation, identity))) return "change";
    if (!(await isAcceptanceSigned(accepted))) return "change";
    const used = { ...found, uses: found.uses - 1, used: insert(found.used, user, (a, b) => a < b) };
    const invitations = now.invitations.flatMap((each) => (each !== found ? [each] : used.uses > 0 ? [used] : []));
    return this.add({ ...now, invitations }, { user, identity, list: accepted.list }, found.role);
  }
}

function insert<T>(sorted: readonly T[], item: T, isBelow: (a: T, b: T) => boolean): T[] {
  const at = sorted.findIndex((each) => isBelow(item, each));
  return sorted.toSpliced(at < 0 ? sorted.length : at, 0, item);
}

const withMember = (state: RoomState, member: states.Member): RoomState => ({
  ...state,
  roster: state.roster.map((each) => (each.user === member.user ? member : each)),
});

function withRole(state: RoomState, user: string, role: states.Role): RoomState {
  const roles = state.roles.filter((each) => each.user !== user);
  return { ...state, roles: role === states.member ? roles : insert(roles, { user, role }, (a, b) => a.user < b.user) };
}

const without = (state: RoomState, user: string): RoomState => ({
  ...state,
  roster: state.roster.filter((each) => each.user !== user),
  roles: state.roles.filter((each) => each.user !== user),
  invitations: state.invitations.filter((each) => each.inviter !== user),
});
