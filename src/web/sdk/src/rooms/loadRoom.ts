/* Opens a room with what the store has of it. */
import { SecureMessagingError } from "../base/errors.js";
import type { Emitter } from "../base/events.js";
import type { RoomSummary } from "../net/wire.js";
import { keys, pack, read } from "../store/store.js";
import { isGeneration } from "../trust/generation.js";
import { memberOf } from "../trust/state.js";
import type { CoreEvents, OwnSends } from "./applying.js";
import { RoomCore, type CorePorts } from "./core.js";
import { loadGroup, loadSigned } from "./draft.js";
import type { RoomGroup } from "./ports.js";
import { ReadLog } from "./readLog.js";
import { newState, type PendingCommit, type RoomState, type StoredWelcome } from "./records.js";

/** Opens a room that the store has, or begins with the server's summary. Undefined when there is neither. @internal */
export async function loadRoom(
  ports: CorePorts,
  sends: OwnSends,
  events: Emitter<CoreEvents>,
  id: string,
  summary?: RoomSummary,
): Promise<RoomCore | undefined> {
  const { store, clock, reports } = ports;
  let state = await read<RoomState>(store, keys.room(id));
  if (!state) {
    if (!summary) return undefined;
    state = newState(id, summary);
    if (!isGeneration(summary.generation)) {
      const detail = `The server says that the room's group has the generation ${String(summary.generation)}.`;
      reports.warn({ area: "room", kind: "resetIgnored", roomId: id, retrying: false, detail });
    }
    await store.write(new Map([[keys.room(id), pack(state)]]));
  }
  let group: RoomGroup | undefined;
  try {
    group = await loadGroup(store, ports.mls, id);
  } catch (error) {
    if (error instanceof SecureMessagingError) throw error;
    reports.failed("store", "groupUnreadable", { roomId: id, retrying: true })(error);
    state = { ...state, broken: { seq: state.cursor ?? 0, why: "chain", since: clock.now() } };
  }
  const signed = await loadSigned(store, id);
  const pending = await read<PendingCommit>(store, keys.pending(id));
  const core = new RoomCore(
    ports,
    { ...ports, sends, events, readLog: new ReadLog(store, id) },
    state,
    group,
    pending,
    await read<StoredWelcome>(store, keys.welcome(id)),
    signed,
  );
  // The last process has followed the removal of this user, and stopped before it ended the room.
  if (state.out && signed?.head && !memberOf(signed.state, ports.device.userId)) core.end("left");
  return core;
}
