/* Builds and signs the statement of an own Commit. */
import type { Bytes } from "../base/bytes.js";
import { SecureMessagingError } from "../base/errors.js";
import { applyChanges } from "../trust/change.js";
import type { Signer } from "../trust/device.js";
import type { RoomAt } from "../trust/follow.js";
import type { RuleName } from "../trust/rules.js";
import { encodeState, stateHash } from "../trust/state.js";
import { signStatement, statementHash, type RawChange, type StatementContent } from "../trust/statement.js";
import { toDevice } from "./judge.js";
import type { Leaf, RoomGroup } from "./ports.js";
import type { SignedRoom } from "./signedRoom.js";

/** A signed statement, and the room after it. @internal */
export interface Made extends RoomAt {
  statement: Bytes;
}

/** The device of a group's own leaf, with its private key. @internal */
export function signerOf(group: RoomGroup): Signer {
  const own = group.leaves().find((leaf) => leaf.index === group.ownLeafIndex);
  if (!own) throw new TypeError("The group lacks this device.");
  return { device: toDevice(own), seed: group.ownSignatureSeed() };
}

/**
 * The next statement of the room, in a Commit of the group's current epoch. `before` are the leaves of the group before a reset.
 * @throws {@link SecureMessagingError} when the members would refuse it. @internal
 */
export async function makeStatement(signed: SignedRoom, group: RoomGroup, changes: RawChange[], before: readonly Leaf[] = group.leaves()): Promise<Made> {
  const { founding, foundingHash, head, state } = signed;
  const signer = signerOf(group);
  const content: Omit<StatementContent, "state"> = {
    room: signed.id,
    generation: group.generation,
    epoch: group.epoch,
    number: (head?.number ?? 0) + 1,
    previous: head?.hash ?? foundingHash,
    before: await stateHash(encodeState(state)),
    changes,
  };
  const unsigned = { ...content, state: new Uint8Array(32), author: signer.device, signature: new Uint8Array(64) };
  const applied = await applyChanges(state, unsigned, { founding, leaves: before.map(toDevice) });
  if (!applied.ok) throw refusal(applied.rule);
  const statement = await signStatement({ ...content, state: await stateHash(encodeState(applied.state)) }, signer);
  return { statement, state: applied.state, head: { number: content.number, hash: await statementHash(statement) } };
}

/** What a person learns of a rule that an own Commit would break. @internal */
export function refusal(rule: RuleName): SecureMessagingError {
  switch (rule) {
    case "role":
      return SecureMessagingError.of("Forbidden", "Your role in this room does not allow this.");
    case "owner":
      return SecureMessagingError.of("Conflict", "The room would have no owner. Give another member the owner role first.");
    case "length":
      return SecureMessagingError.of("TooLarge", "The room would have more members, or more settings, than it may have.");
    default:
      return SecureMessagingError.of("Invalid", `The members would refuse this change: it breaks the rule "${rule}".`);
  }
}
