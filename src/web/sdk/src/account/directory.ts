/* The calls of the server for device lists and people, as a port: tests give another one. */
import { fromBase64, toBase64, type Bytes } from "../base/bytes.js";
import { SecureMessagingError } from "../base/errors.js";
import type { Session } from "../net/session.js";
import type { UserKeys, WireDeviceLists } from "../net/wire.js";

/** @internal */
export interface Directory {
  /** The user that the server has for a name. */
  user(username: string): Promise<UserKeys>;
  /** One page of a user's device lists with a number above `after`, oldest first. Without lists, `newest` is 0. */
  lists(userId: string, after: number): Promise<{ newest: number; lists: Bytes[] }>;
  /** Stores the own next list. Rejects with `Conflict` when it does not continue the newest one. */
  publish(list: Uint8Array): Promise<void>;
}

/** The directory of the real server. @internal */
export const directoryOf = (session: Session): Directory => ({
  user: (username) => session.call<UserKeys>("GET", `v1/users/${encodeURIComponent(username)}/devices`),
  async lists(userId, after) {
    try {
      const { newest, lists } = await session.call<WireDeviceLists>("GET", `v1/users/${userId}/device-lists?after=${after}`);
      return { newest, lists: lists.map(fromBase64) };
    } catch (error) {
      // A user whom the server does not know has no lists.
      if (error instanceof SecureMessagingError && error.code === "NotFound") return { newest: 0, lists: [] };
      throw error;
    }
  },
  async publish(list) {
    await session.call("PUT", "v1/me/device-list", { list: toBase64(list) });
  },
});
