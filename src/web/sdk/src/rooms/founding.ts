/* Founding a room: its id is computed from what never changes in it, and the founder signs its first state. */
import { equal, fromBase64, idBytes, randomBytes, sha256, utf8, type Bytes } from "../base/bytes.js";
import { SecureMessagingError } from "../base/errors.js";
import { attempt } from "../trust/rules.js";
import { decodeFounding, encodeFounding, foundingHash, roomIdOf } from "../trust/founding.js";
import type { RoomSummary } from "../net/wire.js";
import type { RoomCore } from "./core.js";
import type { Initial } from "./records.js";
import { SignedRoom } from "./signedRoom.js";

/** A new room before the server has it. @internal */
export interface NewFounding {
  id: string;
  encoded: Bytes;
}

/**
 * The founding of a room by this user. With the id of a call, repeated calls give the same room. `other` is the second user of a direct room. @internal
 */
export async function makeFounding(by: { userId: string; identityKey: Bytes }, other: string | undefined, callId: string | undefined): Promise<NewFounding> {
  const nonce = callId === undefined ? randomBytes(16) : (await sha256(utf8("SecureMessaging 1.0 RoomNonce"), idBytes(callId))).slice(0, 16);
  const about = { founder: by.userId, identity: by.identityKey, nonce };
  const encoded = encodeFounding(other === undefined ? { kind: "group", ...about } : { kind: "direct", ...about, other });
  return { id: roomIdOf(await foundingHash(encoded)), encoded };
}

/**
 * The founding that the server has for a direct room of these two users. It may be one of an earlier call, on any device of the two.
 * @throws {@link SecureMessagingError} `Conflict` when the server answers with another room. @internal
 */
export async function requireFounding(summary: RoomSummary, users: readonly [string, string]): Promise<Bytes> {
  const encoded = summary.founding === undefined ? undefined : fromBase64(summary.founding);
  const decoded = encoded && attempt(() => decodeFounding(encoded));
  if (encoded && decoded?.ok) {
    const { kind, founder, other } = decoded.value;
    const isOfThem = kind === "direct" && users.includes(founder) && users.includes(other!);
    if (isOfThem && roomIdOf(await foundingHash(encoded)) === summary.id) return encoded;
  }
  throw SecureMessagingError.of("Conflict", "The server answers with another room than the one that was asked for.");
}

/** Whether this user has founded the room with this identity: then this device may sign the first statement. @internal */
export function isFounder(encoded: Uint8Array, by: { userId: string; identityKey: Uint8Array }): boolean {
  const { founder, identity } = decodeFounding(encoded);
  return founder === by.userId && equal(identity, by.identityKey);
}

/** This device founds the room. `initial` is what its first statement says; it is kept until a Commit carries it. @internal */
export const begin = (core: RoomCore, encoded: Bytes, initial: Initial): Promise<void> =>
  core.exclusively(async (draft) => {
    if (draft.signed) return false;
    draft.setSigned(await SignedRoom.begin(encoded));
    draft.state.initial = initial;
    return true;
  });
