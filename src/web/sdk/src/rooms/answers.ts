/* What a person decides about a room on this device. */
import type { HoldKind } from "../account/peopleTrust.js";
import type { RoomCore } from "./core.js";
import { answerFor, isAnswerable, type RoomHoldKind } from "./holds.js";
import type { KnownPeople } from "./ports.js";

/** A person agrees to enter the room after a removal that this device has not followed. @internal */
export async function agree(core: RoomCore): Promise<void> {
  await core.exclusively(async (draft) => {
    if (!draft.welcome?.isHeld) return false;
    draft.setWelcome({ ...draft.welcome, isAgreed: true });
    draft.after.push(() => core.events.emit("holds", undefined));
    return true;
  });
  await core.catchUp();
}

/** A person has answered the holds of this kind. The answer is valid for what they are about now. @internal */
export async function answer(core: RoomCore, kind: RoomHoldKind, people: Pick<KnownPeople, "decide">): Promise<void> {
  const holds = core.holds.filter((hold) => hold.kind === kind);
  if (holds.length === 0 || !isAnswerable(kind)) return;
  for (const { userId, isOfPerson } of holds) if (isOfPerson) await people.decide(userId!, false, { kind: kind as HoldKind });
  await core.exclusively(async (draft) => {
    draft.state.answered = [...new Set([...(draft.state.answered ?? []), ...holds.filter((hold) => !hold.isOfPerson).map(answerFor)])];
    draft.after.push(
      () => core.events.emit("holds", undefined),
      () => core.events.emit("sendable", undefined),
    );
  });
}
