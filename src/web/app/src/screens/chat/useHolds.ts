import { useEffect } from "react";
import type { Person, SharedHold } from "../../base/sdk.js";
import { useLoad } from "../../base/useLoad.js";
import { useApp, useAttempt } from "../../state/context.js";

/** Why the sends of a conversation wait, and the answer of the user. */
export function useHolds(roomId: string, people: ReadonlyMap<string, Person>): { holds: readonly SharedHold[]; accept: (userId: string) => void } {
  const { client } = useApp();
  const attempt = useAttempt();
  const { value, reload } = useLoad(() => client.holds(roomId), roomId);
  useEffect(() => void reload(), [people, reload]);
  useEffect(() => client.on("room", (event) => void (event.roomId === roomId && value?.length !== 0 && reload())), [client, roomId, reload, value]);
  return {
    holds: value ?? [],
    accept: (userId) =>
      attempt(async () => {
        await client.acceptPerson(userId);
        await client.acknowledge(roomId);
        await reload();
      }),
  };
}
