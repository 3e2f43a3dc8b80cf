/*
 * Author proofs (section 10 of the specification): what shows to a third person that a device has written a message. They are kept with the messages and edits
 * of other devices, and deleted with them.
 */
import type { Bytes } from "../base/bytes.js";
import { keys, type Store } from "../store/store.js";
import { enforced } from "../trust/enforced.js";
import { provenData } from "../trust/proof.js";
import type { Draft } from "./draft.js";
import type { MessageRecord } from "./records.js";

/** Stores the proof of a content that was stored as a message or an edit. Without a proof, nothing happens. @internal */
export function keepProof(draft: Draft, { seq, proof }: { seq: number; proof?: () => Bytes }): void {
  if (proof && enforced.t4) draft.changes.set(keys.proof(draft.state.id, seq), proof());
}

/** The proof that a device has written a message, for restored and forwarded history. */
export interface MessageProof {
  /** The proof: section 10 of the specification of signed objects. */
  proof: Uint8Array;
  /** The padded content that it is about. */
  content: Uint8Array;
}

/** The proofs of a message and of its edits, oldest first. @internal */
export async function proofsOf(store: Store, roomId: string, record: MessageRecord): Promise<MessageProof[]> {
  const found = await Promise.all([record.seq, ...(record.edits ?? [])].map((seq) => store.get(keys.proof(roomId, seq))));
  return found.flatMap((proof) => (proof ? [{ proof, content: provenData(proof) }] : []));
}
