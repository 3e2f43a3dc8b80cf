/* The device lists that messages mention: rule T5. A list that the server withholds, or a fork of it, shows as soon as its user says something. */
import type { Named } from "../content/message.js";
import { fromBase64Url } from "../trust/codec.js";
import type { Applying } from "./applying.js";
import type { Draft } from "./draft.js";

/** The last list of each user that was compared, so that a list is compared once. */
const compared = new WeakMap<Applying["people"], Map<string, string>>();

/** Compares the list of a message's author with the known one, after the message is stored. */
export function mentionList(draft: Draft, userId: string, list: Named, { people, reports }: Applying): void {
  if (list.number === 0) return;
  const name = `${list.number} ${list.hash}`;
  let known = compared.get(people);
  if (!known) compared.set(people, (known = new Map()));
  if (known.get(userId) === name) return;
  known.set(userId, name);
  const roomId = draft.state.id;
  draft.after.push(
    () =>
      void people
        .mention(userId, { number: list.number, hash: fromBase64Url(list.hash) ?? new Uint8Array() })
        .then((found) => (found === "newer" ? people.refresh([userId]) : undefined))
        .catch((error: unknown) => {
          // Without an answer of the server, the next message asks again.
          known.delete(userId);
          reports.failed("people", "listNotCompared", { roomId, retrying: true })(error);
        }),
  );
}
