/*
 * Everything that the SDK uses of ts-mls, pinned to 1.6.4 and not audited. A newer version, or another library, is compared with this list. ts-mls declares no
 * stable interface for most of these modules.
 */
export type {
  CiphersuiteImpl,
  ClientConfig,
  ClientState,
  EpochReceiverData,
  FramedContent,
  GroupContext,
  GroupState,
  KeyPackage,
  LeafNode,
  MLSMessage,
  PrivateKeyPackage,
  PrivateMessage,
  Proposal,
  RatchetTree,
  Welcome,
} from "ts-mls";
export { createGroup, decodeGroupState, encodeGroupState, validateLeafNodeUpdateOrCommit } from "ts-mls/clientState.js";
export { encode } from "ts-mls/codec/tlsEncoder.js";
export { createCommit } from "ts-mls/createCommit.js";
export { createApplicationMessage } from "ts-mls/createMessage.js";
export { makeHashImpl } from "ts-mls/crypto/implementation/default/makeHashImpl.js";
export { makeKdfImpl } from "ts-mls/crypto/implementation/default/makeKdfImpl.js";
export { makeGenericHpke } from "ts-mls/crypto/implementation/hpke.js";
export { framedContentTBSEncoder, toTbs } from "ts-mls/framedContent.js";
export { ratchetTreeFromExtension, verifyGroupInfoConfirmationTag, verifyGroupInfoSignature } from "ts-mls/groupInfo.js";
export { decodeKeyPackage, encodeKeyPackage, generateKeyPackageWithKey, makeKeyPackageRef, verifyKeyPackage } from "ts-mls/keyPackage.js";
export { deriveKeySchedule, mlsExporter } from "ts-mls/keySchedule.js";
export { leafNodeEncoder, verifyLeafNodeSignatureKeyPackage } from "ts-mls/leafNode.js";
export { decodeMlsMessage, encodeMlsMessage } from "ts-mls/message.js";
export { unprotectPrivateMessage } from "ts-mls/messageProtection.js";
export { verifyParentHashes } from "ts-mls/parentHash.js";
export { pathToRoot } from "ts-mls/pathSecrets.js";
export { mergePrivateKeyPaths, toPrivateKeyPath } from "ts-mls/privateKeyPath.js";
export { processPrivateMessage } from "ts-mls/processMessages.js";
export { emptyPskIndex } from "ts-mls/pskIndex.js";
export { findLeafIndex } from "ts-mls/ratchetTree.js";
export { consumeRatchet, createSecretTree, decodeSecretTree, secretTreeEncoder } from "ts-mls/secretTree.js";
export { treeHashRoot } from "ts-mls/treeHash.js";
export { directPath, isLeaf, leafToNodeIndex, leafWidth, nodeToLeafIndex, toLeafIndex, toNodeIndex } from "ts-mls/treemath.js";
export { firstCommonAncestor } from "ts-mls/updatePath.js";
export { decryptGroupInfo, decryptGroupSecrets } from "ts-mls/welcome.js";
