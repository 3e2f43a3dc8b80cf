// Commits of the hostile member that are right by MLS, or nearly so, and that no client of the SDK makes.
import { randomBytes } from "node:crypto";
import { encodeMessage } from "../../src/web/sdk/dist/mls/messages.js";
import { suite } from "../../src/web/sdk/dist/mls/suite.js";
import { encodeChain } from "../../src/web/sdk/dist/trust/chain.js";

const ts = (name) => import(new URL(`../../src/web/node_modules/ts-mls/dist/src/${name}.js`, import.meta.url).href);
const [{ createGroupInfoWithExternalPubAndRatchetTree, joinGroupExternal }, { makePskIndex }] = await Promise.all(["createCommit", "clientState"].map(ts));

/** The statements of a room since the first one, as a Welcome has them. */
export const trueChain = async (signed) => encodeChain(await signed.chainSince(1));

/** Proposals of MLS that rooms do not use. */
const unused = {
  reinit: () => ({ proposalType: "reinit", reinit: { groupId: randomBytes(20), version: "mls10", cipherSuite: "", extensions: [] } }),
  context: () => ({
    proposalType: "group_context_extensions",
    groupContextExtensions: { extensions: [{ extensionType: 0xf0a2, extensionData: randomBytes(8) }] },
  }),
  psk: () => ({ proposalType: "psk", psk: { preSharedKeyId: { psktype: "external", pskId: new Uint8Array(8), pskNonce: new Uint8Array(randomBytes(32)) } } }),
};

/** The cipher suite, with this public key in the place of the new leaf's encryption key. */
async function withLeafKey(publicKey) {
  const cs = await suite();
  let leaf;
  const deriveKeyPair = async (secret) => {
    const pair = await cs.hpke.deriveKeyPair(secret);
    leaf ??= pair.publicKey;
    return pair;
  };
  return { ...cs, hpke: { ...cs.hpke, deriveKeyPair, exportPublicKey: (key) => (key === leaf ? Promise.resolve(publicKey) : cs.hpke.exportPublicKey(key)) } };
}

/** `of` has what member.mjs makes Commits with. */
export const oddCommits = ({ rooms, commit, made, addOf, bytesOf, base64, leafOf, nodeOf, newPackage, raise }) => {
  const make = async (room, proposals, options, from) => {
    const all = rooms.get(room);
    const result = await commit(from ?? all.self, proposals, options);
    const answer = made(all.self, result);
    all.self = result.newState;
    return answer;
  };
  return {
    /** Removes a user's device and adds it again, with a Welcome that has the room's true statements. */
    async readd(room, { userId, keyPackage }) {
      const { self, signed } = rooms.get(room);
      const removed = await leafOf(self, userId);
      return make(room, [{ proposalType: "remove", remove: { removed } }, addOf(bytesOf(keyPackage))], { roomInfo: await trueChain(signed) });
    },
    /** The own new leaf has the encryption key of another leaf. */
    async sharedKey(room, { userId }) {
      const { self } = rooms.get(room);
      const { hpkePublicKey } = nodeOf(self, await leafOf(self, userId));
      return make(room, [], { cipherSuite: await withLeafKey(hpkePublicKey) });
    },
    /** The own new leaf does not support the credentials that all leaves have. No other leaf can be changed in the group after it. */
    async strangeLeaf(room) {
      const { self } = rooms.get(room);
      const own = nodeOf(self, self.privatePath.leafIndex);
      const leaf = { ...own, capabilities: { ...own.capabilities, credentials: ["x509"] } };
      const ratchetTree = self.ratchetTree.map((node) => (node?.leaf === own ? { ...node, leaf } : node));
      return make(room, [], {}, { ...self, ratchetTree });
    },
    async proposal(room, { kind }) {
      const { self } = rooms.get(room);
      const proposal = unused[kind]?.() ?? raise(`no proposal ${kind}`);
      if (kind === "reinit") proposal.reinit.cipherSuite = (await suite()).name;
      const pskIndex = makePskIndex(self, { [base64(new Uint8Array(8))]: new Uint8Array(32) });
      return make(room, [proposal], { pskIndex });
    },
    /** A stranger lets itself in by the group info that this member gives away. The state of the stranger is "outside". */
    async external(room, { userId }) {
      const all = rooms.get(room);
      const cs = await suite();
      const info = await createGroupInfoWithExternalPubAndRatchetTree(all.self, [], cs);
      const { keyPackage, privateKeys } = await newPackage(userId);
      const { publicMessage, newState } = await joinGroupExternal(info, keyPackage, privateKeys, false, cs, undefined, all.self.clientConfig);
      all.outside = newState;
      const commitBytes = encodeMessage({ version: "mls10", wireformat: "mls_public_message", publicMessage });
      return { epoch: Number(all.self.groupContext.epoch), commit: base64(commitBytes) };
    },
  };
};
