import { useEffect, useState } from "react";
import { codeOf } from "../../base/errors.js";
import { useClient } from "../../state/context.js";
import type { RoomView } from "../../state/room.js";
import type { Quotes } from "./rows.js";

/** Reads answered messages that lie before the loaded part of the history. */
export function useQuotes(roomId: string, view: RoomView): Quotes {
  const client = useClient();
  const [quotes, setQuotes] = useState<Quotes>(new Map());
  const { messages, outgoing } = view;
  useEffect(() => {
    const held = new Set(messages.map((message) => message.id));
    const wanted = new Set(
      [...messages.map(({ content }) => (content.type === "reply" ? content.to : undefined)), ...outgoing.map(({ replyTo }) => replyTo)].filter(
        (id) => id !== undefined && !held.has(id),
      ),
    );
    if (wanted.size === 0) return () => undefined;
    let left = false;
    Promise.all([...wanted].map(async (id) => [id!, await client.message(roomId, id!)] as const)).then(
      (found) => {
        if (!left) setQuotes(new Map(found));
      },
      (error: unknown) => console.warn("Quoted messages could not be read:", codeOf(error)),
    );
    return () => {
      left = true;
    };
  }, [client, roomId, messages, outgoing]);
  return quotes;
}
