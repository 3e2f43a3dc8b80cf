/* Shows people where the server's members differ from those that the members have signed. */
import { keys } from "../store/store.js";
import { admin, roleOf } from "../trust/state.js";
import type { RoomCore } from "./core.js";
import { addLine, firstIndex } from "./notices.js";
import type { Ports } from "./ports.js";

/** A member who leaves is gone from the server before another member has committed it, so a difference counts only after this time. */
const patienceMs = 60_000;
/** By then the devices of the others have shown the difference, too. */
const takeOutMs = 3 * patienceMs;
/** So many differences of each kind are shown one by one: the server can name any number of users. */
const mostNamed = 16;
/** And so many lines stand at one place of the log. */
const mostLines = 64;

/** The server's members differ from the signed ones. */
interface Difference {
  /** A sentence for people. */
  detail: string;
  /** The user whom only the server lists. */
  stranger?: string;
}

/** @internal */
export class RosterAlarm {
  /** The differences, by their sentences. */
  private readonly known = new Map<string, { since: number; isShown: boolean; isTakenOut: boolean }>();

  constructor(
    private readonly ports: Pick<Ports, "clock" | "device" | "reports" | "server">,
    private readonly core: RoomCore,
    private readonly later: (delayMs: number) => void,
  ) {}

  /** Compares the server's members with the signed ones. */
  compare(userIds: readonly string[]): void {
    const { clock, reports } = this.ports;
    const now = clock.ticks();
    const differences = this.differences(userIds);
    const details = new Set(differences.map(({ detail }) => detail));
    for (const each of [...this.known.keys()]) if (!details.has(each)) this.known.delete(each);
    for (const { detail, stranger } of differences) {
      const found = this.known.get(detail) ?? { since: now, isShown: false, isTakenOut: false };
      this.known.set(detail, found);
      const age = now - found.since;
      if (age >= patienceMs && !found.isShown) {
        found.isShown = true;
        void this.show(detail).catch(reports.failed("store", "lineNotStored", { roomId: this.core.id }));
      }
      if (age >= takeOutMs && stranger !== undefined && !found.isTakenOut) {
        found.isTakenOut = true;
        void this.takeOut(stranger).catch(reports.failed("room", "strangerNotTakenOut", { roomId: this.core.id }));
      }
      if (age < (stranger === undefined ? patienceMs : takeOutMs)) this.later(patienceMs);
    }
  }

  /** The server follows the members: an admin takes out who is not one of them. */
  private async takeOut(userId: string): Promise<void> {
    const { device, server } = this.ports;
    const { signed, id } = this.core;
    if (signed?.founding.kind === "group" && roleOf(signed.state, device.userId) >= admin) await server.removeMember(id, userId);
  }

  private differences(userIds: readonly string[]): Difference[] {
    const { signed, state } = this.core;
    if (!signed?.head) return [];
    const signedUsers = new Set(signed.state.roster.map(({ user }) => user));
    const listed = new Set(userIds);
    const strangers = [...listed].filter((user) => !signedUsers.has(user));
    // A member whose leave is signed may be gone at the server.
    const absent = [...signedUsers].filter((user) => !listed.has(user) && !state.leaves?.[user]);
    return [
      ...strangers.slice(0, mostNamed).map((stranger) => ({ detail: `The server lists user ${stranger}, who is not a member.`, stranger })),
      ...(strangers.length > mostNamed ? [{ detail: "The server lists more users who are not members." }] : []),
      ...absent.slice(0, mostNamed).map((user) => ({ detail: `The server does not list user ${user}, who is a member.` })),
      ...(absent.length > mostNamed ? [{ detail: "The server does not list more users who are members." }] : []),
    ];
  }

  private async show(detail: string): Promise<void> {
    const { clock, reports } = this.ports;
    reports.warn({ area: "room", kind: "rosterMismatch", roomId: this.core.id, retrying: false, detail });
    await this.core.exclusively(async (draft) => {
      const seq = draft.state.cursor ?? 0;
      let index: number = firstIndex.roster;
      while ((await draft.get(keys.line(draft.state.id, seq, index))) !== undefined) if (++index === firstIndex.roster + mostLines) return false;
      await addLine(draft, { seq, index, at: clock.now(), kind: "rosterMismatch", detail }, this.core);
      return true;
    });
  }
}
