/*
 * What holds for a tree after each Commit, as `join.ts` requires it of a Welcome: no key stands in two nodes (RFC 9420 section 7.3), and each leaf uses only
 * what rooms use. ts-mls compares the nodes that are there, and not the new ones with them. So it accepts a Commit that breaks this, and rejects all later
 * ones.
 */
import { toHex } from "../base/bytes.js";
import {
  leafToNodeIndex,
  toLeafIndex,
  verifyKeyPackage,
  verifyLeafNodeSignatureKeyPackage,
  type CiphersuiteImpl,
  type ClientConfig,
  type KeyPackage,
  type LeafNode,
  type RatchetTree,
} from "./tsMls.js";

/** Whether a leaf uses only what rooms use. One that does not support basic credentials keeps every other leaf from a change. */
export const isPlain = ({ credential, capabilities, extensions }: LeafNode): boolean =>
  credential.credentialType === "basic" && capabilities.credentials.includes("basic") && extensions.length === 0;

/** The keys of a tree, in hex; undefined when one stands in two nodes. */
function keysOf(tree: RatchetTree): Set<string> | undefined {
  const keys = new Set<string>();
  let count = 0;
  const add = (key: Uint8Array) => {
    keys.add(toHex(key));
    count += 1;
  };
  for (const node of tree)
    if (node?.nodeType === "parent") add(node.parent.hpkePublicKey);
    else if (node) [node.leaf.hpkePublicKey, node.leaf.signaturePublicKey].forEach(add);
  return keys.size === count ? keys : undefined;
}

export const isWellFormed = (tree: RatchetTree): boolean => keysOf(tree) !== undefined && tree.every((node) => node?.nodeType !== "leaf" || isPlain(node.leaf));

/**
 * Which of these KeyPackages can be added to a tree when these leaves are removed: those that are valid, and whose keys are neither in the tree nor in an
 * earlier one of them.
 */
export async function addable(
  keyPackages: readonly KeyPackage[],
  { tree, leaving }: { tree: RatchetTree; leaving: readonly number[] },
  cs: CiphersuiteImpl,
  config: ClientConfig,
): Promise<boolean[]> {
  const valid = await Promise.all(keyPackages.map((each) => isValid(each, cs, config)));
  const left = new Set<number>(leaving.map((index) => leafToNodeIndex(toLeafIndex(index))));
  const taken = keysOf(tree.map((node, i) => (left.has(i) ? undefined : node))) ?? new Set<string>();
  return keyPackages.map(({ initKey, leafNode }, i) => {
    const keys = [initKey, leafNode.hpkePublicKey, leafNode.signaturePublicKey].map(toHex);
    const isOwn = valid[i]! && new Set(keys).size === keys.length && !keys.some((key) => taken.has(key));
    if (isOwn) for (const key of keys) taken.add(key);
    return isOwn;
  });
}

async function isValid(keyPackage: KeyPackage, cs: CiphersuiteImpl, config: ClientConfig): Promise<boolean> {
  const { version, cipherSuite, leafNode, extensions } = keyPackage;
  return (
    version === "mls10" &&
    cipherSuite === cs.name &&
    extensions.length === 0 &&
    isPlain(leafNode) &&
    (await verifyKeyPackage(keyPackage, cs.signature)) &&
    (await verifyLeafNodeSignatureKeyPackage(leafNode, cs.signature)) &&
    config.authService.validateCredential(leafNode.credential, leafNode.signaturePublicKey)
  );
}
