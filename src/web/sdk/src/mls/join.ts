/*
 * Joining with a Welcome (RFC 9420 section 12.4.3.1), built from parts of ts-mls. Its own joinGroup rejects valid trees: it requires all ancestors of an
 * unmerged leaf to list the same unmerged leaves, which is not so after a Commit whose path crosses only some of them. This code checks what section
 * 12.4.3.1 requires. It rejects pre-shared keys and resumption, which this protocol does not use.
 */
import { copy, equal, toHex, type Bytes } from "../base/bytes.js";
import { isPlain } from "./treeRules.js";
import {
  createSecretTree,
  decryptGroupInfo,
  decryptGroupSecrets,
  deriveKeySchedule,
  directPath,
  findLeafIndex,
  firstCommonAncestor,
  isLeaf,
  leafToNodeIndex,
  leafWidth,
  makeKeyPackageRef,
  mergePrivateKeyPaths,
  nodeToLeafIndex,
  pathToRoot,
  ratchetTreeFromExtension,
  toLeafIndex,
  toNodeIndex,
  toPrivateKeyPath,
  treeHashRoot,
  validateLeafNodeUpdateOrCommit,
  verifyGroupInfoConfirmationTag,
  verifyGroupInfoSignature,
  verifyLeafNodeSignatureKeyPackage,
  verifyParentHashes,
  type CiphersuiteImpl,
  type ClientConfig,
  type ClientState,
  type GroupContext,
  type KeyPackage,
  type LeafNode,
  type PrivateKeyPackage,
  type RatchetTree,
  type Welcome,
} from "./tsMls.js";

/** The extension of the group info with the room's founding and state, see section 5 of the signed objects. */
export const roomInfoExtension = 0xf0a1;

/**
 * A tree has at most as many leaves, blank ones included. The keys of each place are derived when a device joins, and a blank one costs an attacker a byte of
 * the Welcome, which needs no more than a KeyPackage of the device.
 */
export const mostLeaves = 16_384;

/** A Welcome or a tree is not valid. */
export class JoinError extends Error {
  override readonly name = "JoinError";
}

function must(condition: boolean, what: string): asserts condition {
  if (!condition) throw new JoinError(what);
}

export async function joinByWelcome(
  welcome: Welcome,
  keyPackage: KeyPackage,
  privateKeys: PrivateKeyPackage,
  cs: CiphersuiteImpl,
  clientConfig: ClientConfig,
): Promise<{ state: ClientState; signer: number; roomInfo: Bytes | undefined }> {
  const reference = await makeKeyPackageRef(keyPackage, cs.hash);
  const secrets = await decryptGroupSecrets(await cs.hpke.importPrivateKey(privateKeys.initPrivateKey), reference, welcome, cs.hpke);
  must(secrets !== undefined, "The group secrets cannot be read.");
  must(secrets.psks.length === 0, "The group uses pre-shared keys.");
  const pskSecret = new Uint8Array(cs.kdf.size);
  const info = await decryptGroupInfo(welcome, secrets.joinerSecret, pskSecret, cs);
  must(info !== undefined, "The group info cannot be read.");
  const context = info.groupContext;
  must(context.cipherSuite === keyPackage.cipherSuite && welcome.cipherSuite === keyPackage.cipherSuite, "Another suite.");
  must(context.version === "mls10" && context.extensions.length === 0, "The group uses what is not used here.");
  const tree = ratchetTreeFromExtension(info);
  must(tree !== undefined, "The Welcome brings no tree.");
  must(leafWidth(tree.length) <= mostLeaves, "The tree has too many leaves.");
  const others = info.extensions.filter(({ extensionType }) => extensionType !== "ratchet_tree");
  must(
    others.length <= 1 && others.every(({ extensionType }) => extensionType === roomInfoExtension),
    "The group info has an extension that is not used here.",
  );

  const signer = leafAt(tree, info.signer);
  must(await clientConfig.authService.validateCredential(signer.credential, signer.signaturePublicKey), "The signer's credential is not valid.");
  must(await verifyGroupInfoSignature(info, signer.signaturePublicKey, cs.signature), "The group info is not signed by its signer.");
  await validateTree(tree, context, cs, clientConfig);

  const own = findLeafIndex(tree, keyPackage.leafNode);
  must(own !== undefined, "The tree lacks this device.");
  const ownPath = { leafIndex: own, privateKeys: { [leafToNodeIndex(own)]: privateKeys.hpkePrivateKey } };
  const privatePath =
    secrets.pathSecret === undefined
      ? ownPath
      : mergePrivateKeyPaths(
          await toPrivateKeyPath(await pathToRoot(tree, firstCommonAncestor(tree, own, toLeafIndex(info.signer)), secrets.pathSecret, cs.kdf), own, cs),
          ownPath,
        );
  const [keySchedule, encryptionSecret] = await deriveKeySchedule(secrets.joinerSecret, pskSecret, context, cs.kdf);
  must(await verifyGroupInfoConfirmationTag(info, secrets.joinerSecret, pskSecret, cs), "The confirmation tag is wrong.");
  const state: ClientState = {
    groupContext: context,
    ratchetTree: tree,
    privatePath,
    signaturePrivateKey: privateKeys.signaturePrivateKey,
    confirmationTag: info.confirmationTag,
    unappliedProposals: {},
    keySchedule,
    secretTree: await createSecretTree(leafWidth(tree.length), encryptionSecret, cs.kdf),
    historicalReceiverData: new Map(),
    groupActiveState: { kind: "active" },
    clientConfig,
  };
  return { state, signer: info.signer, roomInfo: others[0] && copy(others[0].extensionData) };
}

function leafAt(tree: RatchetTree, index: number): LeafNode {
  const node = tree[leafToNodeIndex(toLeafIndex(index))];
  must(node?.nodeType === "leaf", "There is no such leaf.");
  return node.leaf;
}

/** RFC 9420 section 12.4.3.1, "verify the integrity of the ratchet tree", and section 7.9. */
async function validateTree(tree: RatchetTree, context: GroupContext, cs: CiphersuiteImpl, config: ClientConfig): Promise<void> {
  must(equal(context.treeHash, await treeHashRoot(tree, cs.hash)), "The tree is not the one that the group info names.");
  const encryptionKeys = new Set<string>();
  const signatureKeys = new Set<string>();
  const isNew = (keys: Set<string>, key: Uint8Array) => keys.size < keys.add(toHex(key)).size;
  for (const [i, node] of tree.entries()) {
    if (node === undefined) continue;
    const index = toNodeIndex(i);
    must(isLeaf(index) === (node.nodeType === "leaf"), "Leaves and parents are mixed up.");
    if (node.nodeType === "leaf") {
      must(isNew(encryptionKeys, node.leaf.hpkePublicKey) && isNew(signatureKeys, node.leaf.signaturePublicKey), "A key stands in two nodes.");
      await validateLeaf(node.leaf, nodeToLeafIndex(index), context, cs, config);
      continue;
    }
    must(isNew(encryptionKeys, node.parent.hpkePublicKey), "A key stands in two nodes.");
    for (const unmerged of node.parent.unmergedLeaves) {
      leafAt(tree, unmerged);
      const path = directPath(leafToNodeIndex(toLeafIndex(unmerged)), leafWidth(tree.length));
      const height = path.indexOf(index);
      must(height >= 0, "An unmerged leaf is no descendant.");
      for (const between of path.slice(0, height)) {
        const other = tree[between];
        must(other === undefined || (other.nodeType === "parent" && other.parent.unmergedLeaves.includes(unmerged)), "A node between lacks an unmerged leaf.");
      }
    }
  }
  must(await verifyParentHashes(tree, cs.hash), "A parent hash is wrong.");
}

async function validateLeaf(leaf: LeafNode, index: number, context: GroupContext, cs: CiphersuiteImpl, config: ClientConfig): Promise<void> {
  must(isPlain(leaf), "A leaf uses what is not used here.");
  if (leaf.leafNodeSource === "key_package") {
    must(await verifyLeafNodeSignatureKeyPackage(leaf, cs.signature), "A leaf is not signed.");
    must(await config.authService.validateCredential(leaf.credential, leaf.signaturePublicKey), "A credential is not valid.");
  } else {
    const error = await validateLeafNodeUpdateOrCommit(leaf, index, context, config.authService, cs.signature);
    if (error) throw error;
  }
}
