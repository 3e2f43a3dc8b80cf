import { useEffect } from "react";
import type { Person } from "../../base/sdk.js";
import { useLoad } from "../../base/useLoad.js";
import { useApp } from "../../state/context.js";
import type { LineFacts } from "../../text/lines.js";

const none: readonly LineFacts[] = [];

/** What has happened in a conversation beside the messages. */
export function useLines(roomId: string, people: ReadonlyMap<string, Person>): readonly LineFacts[] {
  const { client } = useApp();
  const { value, reload } = useLoad<readonly LineFacts[]>(() => client.lines(roomId), roomId);
  useEffect(() => void reload(), [people, reload]);
  useEffect(() => client.on("lines", (event) => void (event.roomId === roomId && reload())), [client, roomId, reload]);
  return value ?? none;
}
