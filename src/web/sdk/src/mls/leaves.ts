import { copy, type Bytes } from "../base/bytes.js";
import { decodeCredential, type DeviceIdentity } from "./credential.js";
import { leafToNodeIndex, nodeToLeafIndex, toLeafIndex, toNodeIndex, type LeafNode, type Proposal, type RatchetTree } from "./tsMls.js";

/** A leaf of the ratchet tree: one device. */
export interface Leaf extends DeviceIdentity {
  index: number;
  signatureKey: Bytes;
}

/** A change in a Commit. */
export type OpenedProposal = { type: "add" | "remove"; leaf: Leaf } | { type: "other"; name: string };

export function leavesOf(tree: RatchetTree): Leaf[] {
  return tree.flatMap((node, i) => (node?.nodeType === "leaf" ? (toLeaf(node.leaf, nodeToLeafIndex(toNodeIndex(i))) ?? []) : []));
}

export function leafNodeOf(tree: RatchetTree, index: number): LeafNode {
  const node = tree[leafToNodeIndex(toLeafIndex(index))];
  if (node?.nodeType !== "leaf") throw new TypeError("There is no such leaf.");
  return node.leaf;
}

export function leafOf(tree: RatchetTree, index: number): Leaf {
  const leaf = toLeaf(leafNodeOf(tree, index), index);
  if (!leaf) throw new TypeError("The leaf's credential cannot be read.");
  return leaf;
}

export function toLeaf(leaf: LeafNode, index: number): Leaf | undefined {
  const identity = leaf.credential.credentialType === "basic" ? decodeCredential(leaf.credential.identity) : undefined;
  return identity && { ...identity, index, signatureKey: copy(leaf.signaturePublicKey) };
}

export function openProposal(proposal: Proposal, tree: RatchetTree): OpenedProposal {
  if (proposal.proposalType === "remove") return { type: "remove", leaf: leafOf(tree, proposal.remove.removed) };
  const added = proposal.proposalType === "add" ? toLeaf(proposal.add.keyPackage.leafNode, -1) : undefined;
  return added ? { type: "add", leaf: added } : { type: "other", name: String(proposal.proposalType) };
}
