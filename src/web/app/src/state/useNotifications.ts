import type { NotificationPreferences } from "../sdk.js";
import { useApp } from "./context.js";
import { useLoad } from "./useLoad.js";

export interface AllPreferences { everywhere: NotificationPreferences; rooms: Record<string, NotificationPreferences> }

/** The notification settings, and how to change them: shown at once, taken back when the server refuses. */
export function useNotifications() {
  const { client, toasts } = useApp();
  const loaded = useLoad<AllPreferences>(() => client.notifications());
  const change = (settings: NotificationPreferences | undefined, roomId?: string): void => {
    const before = loaded.value;
    if (!before)
      return;
    const rooms = { ...before.rooms };
    if (roomId !== undefined) {
      if (settings)
        rooms[roomId] = settings;
      else
        delete rooms[roomId];
    }
    loaded.set({ everywhere: roomId === undefined && settings ? settings : before.everywhere, rooms });
    client.setNotifications(settings, roomId).catch((error: unknown) => {
      toasts.fail(error);
      loaded.set(before);
    });
  };
  return { loaded, change };
}
