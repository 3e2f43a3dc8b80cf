/* Shows people where the server's members differ from those that the members have signed. */
import { keys } from "../store/store.js";
import { memberOf } from "../trust/state.js";
import type { RoomCore } from "./core.js";
import { addLine, firstIndex } from "./notices.js";
import type { Ports } from "./ports.js";

/** A member who leaves is gone from the server before another member has committed it, so a difference counts only after this time. */
const patienceMs = 60_000;

/** @internal */
export class RosterAlarm {
  /** Since when there is a difference, by its sentence; undefined after it was shown. */
  private readonly since = new Map<string, number | undefined>();

  constructor(
    private readonly ports: Pick<Ports, "clock" | "reports">,
    private readonly core: RoomCore,
    private readonly later: (delayMs: number) => void,
  ) {}

  /** Compares the server's members with the signed ones. */
  compare(userIds: readonly string[]): void {
    const { clock, reports } = this.ports;
    const now = clock.ticks();
    const differences = this.differences(userIds);
    for (const known of [...this.since.keys()]) if (!differences.includes(known)) this.since.delete(known);
    for (const detail of differences) {
      if (!this.since.has(detail)) this.since.set(detail, now);
      const since = this.since.get(detail);
      if (since === undefined) continue;
      if (now - since < patienceMs) {
        this.later(patienceMs);
        continue;
      }
      this.since.set(detail, undefined);
      void this.show(detail).catch(reports.failed("store", "lineNotStored", { roomId: this.core.id }));
    }
  }

  private differences(userIds: readonly string[]): string[] {
    const { signed, state } = this.core;
    if (!signed?.head) return [];
    const more = userIds.filter((user) => !memberOf(signed.state, user)).map((user) => `The server lists user ${user}, who is not a member.`);
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
