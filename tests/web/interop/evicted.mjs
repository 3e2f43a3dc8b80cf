// What a removed device can decrypt with its own state and the whole database of the server: every ciphertext, every Welcome.
import { FileStore } from "../../../src/web/sdk/dist/node.js";
import { loadGroup } from "../../../src/web/sdk/dist/rooms/draft.js";
import { Group } from "../../../src/web/sdk/dist/mls/group.js";
import { readHeader, welcomeReferences } from "../../../src/web/sdk/dist/mls/messages.js";
import { keys, read, unpack } from "../../../src/web/sdk/dist/store/store.js";

/** Tries all entries after `afterSeq` with the states of a store until nothing more can be decrypted. Returns the decrypted seqs. */
export async function attack(storePath, roomId, entries, welcomes, afterSeq) {
  const store = await FileStore.open(storePath);
  try {
    const packages = (await store.list(keys.keyPackages)).map(([key, value]) => [key.slice(keys.keyPackages.length), unpack(value)]);
    const states = [await loadGroup(store, Group, roomId)].filter(Boolean);
    const pending = await read(store, keys.pending(roomId));
    if (pending) states.push(Group.restore(pending.base, new Map(pending.ratchets)));
    for (const welcome of welcomes)
      for (const [reference, own] of packages) if (welcomeReferences(welcome).includes(reference)) states.push((await Group.join(welcome, own)).group);
    const heldEpochs = states.flatMap((state) => state.epochs);
    const decrypted = [];
    for (const entry of entries.filter(({ seq, ciphertext }) => seq > afterSeq && ciphertext)) {
      const type = readHeader(entry.ciphertext)?.contentType;
      for (const [i, state] of states.entries()) {
        try {
          if (type === "application") {
            states[i] = (await state.decrypt(entry.ciphertext)).group;
            decrypted.push(entry);
          } else if (type === "commit") {
            const { group } = await state.applyCommit(entry.ciphertext);
            if (group) states.push(group);
          }
        } catch {
          // This is the expected outcome.
        }
      }
    }
    return { decrypted, states: states.length, heldEpochs };
  } finally {
    await store.close();
  }
}
