import type { RoomSettings } from "../src/net/wire.js";

/** Every setting of a room with a value. The compiler reports one that is missing. */
export const someSettings = { timeToLiveSeconds: 3600 } satisfies Required<RoomSettings>;
