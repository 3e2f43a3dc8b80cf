import { useEffect } from "react";
import type { RoomView } from "../../state/room.js";
import { useClient } from "../../state/context.js";

/** Marks messages as read that are visible on a focused screen. */
export function useReading(roomId: string, view: RoomView, atBottom: boolean, unread: number): void {
  const client = useClient();
  const newest = view.messages.at(-1)?.seq;
  useEffect(() => {
    if (newest === undefined || !atBottom) return undefined;
    const tell = (): void => {
      if (document.visibilityState === "visible" && document.hasFocus() && unread > 0)
        client.markRead(roomId, newest).catch((error: unknown) => console.warn("Read messages could not be marked as read:", error));
    };
    tell();
    document.addEventListener("visibilitychange", tell);
    window.addEventListener("focus", tell);
    return () => {
      document.removeEventListener("visibilitychange", tell);
      window.removeEventListener("focus", tell);
    };
  }, [client, roomId, newest, atBottom, unread]);
}
