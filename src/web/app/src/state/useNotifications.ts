import type { NotificationPreferences } from "../base/sdk.js";
import { useApp } from "./context.js";
import { useLoad } from "../base/useLoad.js";

export interface AllPreferences {
  everywhere: NotificationPreferences;
  rooms: Record<string, NotificationPreferences>;
}

/** The notification settings. A change is shown at once and undone when the server rejects it. */
export function useNotifications() {
  const { client, toasts } = useApp();
  const loaded = useLoad<AllPreferences>(() => client.notifications());
  const change = (settings: NotificationPreferences | undefined, roomId?: string): void => {
    const before = loaded.value;
    if (!before) return;
    const rooms = { ...before.rooms };
    if (roomId !== undefined) {
      if (settings) rooms[roomId] = settings;
      else delete rooms[roomId];
    }
    loaded.set({ everywhere: roomId === undefined && settings ? settings : before.everywhere, rooms });
    client.setNotifications(settings, roomId).catch((error: unknown) => {
      toasts.fail(error);
      loaded.set(before);
    });
  };
  return { loaded, change };
}
