/* Shows people where the server's members differ from those that the members have signed. */
import { keys } from "../store/store.js";
import { admin, memberOf, roleOf } from "../trust/state.js";
import type { RoomCore } from "./core.js";
import { addLine, firstIndex } from "./notices.js";
import type { Ports } from "./ports.js";

/** A member who leaves is gone from the server before another member has committed it, so a difference counts only after this time. */
const patienceMs = 60_000;
/** By then the devices of the others have shown the difference, too. */
const takeOutMs = 3 * patienceMs;

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
    const strangers = this.strangersIn(userIds);
    const differences = this.differences(userIds, strangers);
    for (const each of [...this.known.keys()]) if (!differences.includes(each)) this.known.delete(each);
    for (const detail of differences) {
      const found = this.known.get(detail) ?? { since: now, isShown: false, isTakenOut: false };
      this.known.set(detail, found);
      const age = now - found.since;
      if (age >= patienceMs && !found.isShown) {
        found.isShown = true;
        void this.show(detail).catch(reports.failed("store", "lineNotStored", { roomId: this.core.id }));
      }
      const stranger = strangers.find((user) => detail.includes(user));
      if (age >= takeOutMs && stranger !== undefined && !found.isTakenOut) {
        found.isTakenOut = true;
        void this.takeOut(stranger).catch(reports.failed("room", "strangerNotTakenOut", { roomId: this.core.id }));
      }
      if (age < (stranger === undefined ? patienceMs : takeOutMs)) this.later(patienceMs);
    }
  }

  private strangersIn(userIds: readonly string[]): string[] {
    const { signed } = this.core;
    return signed?.head ? userIds.filter((user) => !memberOf(signed.state, user)) : [];
  }

  /** The server follows the members: an admin takes out who is not one of them. */
  private async takeOut(userId: string): Promise<void> {
    const { device, server } = this.ports;
    const { signed, id } = this.core;
    if (signed?.founding.kind === "group" && roleOf(signed.state, device.userId) >= admin) await server.removeMember(id, userId);
  }

  private differences(userIds: readonly string[], strangers: readonly string[]): string[] {
    const { signed, state } = this.core;
    if (!signed?.head) return [];
    const more = strangers.map((user) => `The server lists user ${user}, who is not a member.`);
    // A member whose leave is signed may be gone at the server.
    const fewer = signed.state.roster
      .filter(({ user }) => !userIds.includes(user) && !state.leaves?.[user])
      .map(({ user }) => `The server does not list user ${user}, who is a member.`);
    return [...more, ...fewer];
  }

  private async show(detail: string): Promise<void> {
    const { clock, reports } = this.ports;
    reports.warn({ area: "room", kind: "rosterMismatch", roomId: this.core.id, retrying: false, detail });
    await this.core.exclusively(async (draft) => {
      const seq = draft.state.cursor ?? 0;
      let index: number = firstIndex.roster;
      while ((await draft.get(keys.line(draft.state.id, seq, index))) !== undefined) index++;
      await addLine(draft, { seq, index, at: clock.now(), kind: "rosterMismatch", detail }, this.core);
      return true;
    });
  }
}
