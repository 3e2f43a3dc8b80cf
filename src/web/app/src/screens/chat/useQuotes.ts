import { useEffect, useState } from "react";
import { codeOf } from "../../base/errors.js";
import { useClient } from "../../state/context.js";
import { keyOfReference, referenceTo } from "../../base/reference.js";
import type { RoomView } from "../../state/room.js";
import type { Quotes } from "./rows.js";

/** Reads answered messages that lie before the loaded part of the history. */
export function useQuotes(roomId: string, view: RoomView): Quotes {
  const client = useClient();
  const [quotes, setQuotes] = useState<Quotes>(new Map());
  const { messages, outgoing } = view;
  useEffect(() => {
    const held = new Set(messages.map((message) => keyOfReference(referenceTo(message) ?? { author: "", id: message.id })));
    const answered = [...messages.map(({ content }) => (content.type === "reply" ? content.to : undefined)), ...outgoing.map(({ replyTo }) => replyTo)];
    const wanted = new Map(answered.flatMap((to) => (to && !held.has(keyOfReference(to)) ? [[keyOfReference(to), to]] : [])));
    if (wanted.size === 0) return () => undefined;
    let left = false;
    Promise.all([...wanted].map(async ([key, to]) => [key, await client.message(roomId, to)] as const)).then(
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
