/* The names of the rules of the signed objects, as clients report them. Each check returns the first rule that fails, in the order of the specification. */

/** The name of a rule. `src/SecureMessaging.Protocol/Trust/README.md` has the meaning of each. */
export type RuleName =
  | "sealed"
  | "length"
  | "version"
  | "room"
  | "generation"
  | "epoch"
  | "number"
  | "previous"
  | "before"
  | "approval"
  | "signature"
  | "author"
  | "role"
  | "change"
  | "owner"
  | "state"
  | "proposals"
  | "path"
  | "leaf"
  | "device"
  | "addition"
  | "removal"
  // A founding and a state.
  | "kind"
  | "scheme"
  | "other"
  | "order"
  | "empty"
  | "text"
  | "bans"
  | "uses"
  // A device list, and the way into a room.
  | "own"
  | "user"
  | "identity"
  | "since"
  | "reason"
  | "signer"
  | "head"
  // An author proof.
  | "group"
  | "data";

/** A failed check. */
export interface Refused {
  ok: false;
  rule: RuleName;
}

export const refused = (rule: RuleName): Refused => ({ ok: false, rule });

/** The only error that the decoders of this folder throw. */
export class FormatError extends Error {
  /**
   * @param rule The rule that the bytes break.
   * @param limit Whether they exceed a limit of the specification. Inside a change of a statement such an error keeps its rule; every other one becomes
   *   `change`.
   */
  constructor(
    readonly rule: RuleName,
    readonly limit = false,
  ) {
    super(`The bytes break the rule "${rule}".`);
    this.name = "FormatError";
  }
}

/** What `read` returns, or the rule of the `FormatError` that it throws. Other errors pass through. */
export function attempt<T>(read: () => T): { ok: true; value: T } | (Refused & { limit: boolean }) {
  try {
    return { ok: true, value: read() };
  } catch (error) {
    if (error instanceof FormatError) return { ok: false, rule: error.rule, limit: error.limit };
    throw error;
  }
}
