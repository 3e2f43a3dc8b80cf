/*
 * The one place that knows ts-mls (pinned to 1.6.4, unaudited), together with `suite.ts`, `join.ts` and `messages.ts`. A {@link Group} is a value: what changes it returns another, so
 * that a state is used only once it is stored. Epochs are numbers here.
 */
import type { ClientConfig, ClientState, EpochReceiverData, GroupState, Proposal } from "ts-mls";
import { createGroup, decodeGroupState, encodeGroupState } from "ts-mls/clientState.js";
import { encode } from "ts-mls/codec/tlsEncoder.js";
import { createCommit } from "ts-mls/createCommit.js";
import { createApplicationMessage } from "ts-mls/createMessage.js";
import { mlsExporter } from "ts-mls/keySchedule.js";
import { unprotectPrivateMessage } from "ts-mls/messageProtection.js";
import { processPrivateMessage } from "ts-mls/processMessages.js";
import { emptyPskIndex } from "ts-mls/pskIndex.js";
import { consumeRatchet, decodeSecretTree, secretTreeEncoder } from "ts-mls/secretTree.js";
import { leafToNodeIndex, nodeToLeafIndex, toLeafIndex, toNodeIndex } from "ts-mls/treemath.js";
import { copy, equal, idText, toHex, type Bytes } from "../bytes.js";
import { decodeCredential, encodeCredential, verifyDevice, type DeviceIdentity } from "./credential.js";
import { joinByWelcome } from "./join.js";
import { decodeMessage, decodeOwn, decodePackageMessage, decodePrivate, encodeMessage, type OwnKeyPackage } from "./messages.js";
import { suite } from "./suite.js";

/** A leaf of the tree: one device. */
export interface Leaf extends DeviceIdentity {
  index: number;
  signatureKey: Bytes;
}

/** A Commit on its way, and the state that it leads to. */
export interface OwnCommit {
  /** The state as it is until the Commit wins: its handshake key is used up. */
  before: Group;
  after: Group;
  commit: Bytes;
  welcome: Bytes | undefined;
}

const verified = new Set<string>();

const config: ClientConfig = {
  // The log is in order, so no key need wait for a late message: what was skipped is gone.
  keyRetentionConfig: { retainKeysForGenerations: 0, retainKeysForEpochs: 4, maximumForwardRatchetSteps: 2000 },
  lifetimeConfig: { maximumTotalLifetime: 10_000_000n, validateLifetimeOnReceive: false },
  keyPackageEqualityConfig: {
    compareKeyPackages: (a, b) => equal(a.leafNode.signaturePublicKey, b.leafNode.signaturePublicKey),
    compareKeyPackageToLeafNode: (a, b) => equal(a.leafNode.signaturePublicKey, b.signaturePublicKey),
  },
  paddingConfig: { kind: "padUntilLength", padUntilLength: 0 },
  authService: {
    async validateCredential(credential, signatureKey) {
      const identity = credential.credentialType === "basic" ? decodeCredential(credential.identity) : undefined;
      if (!identity)
        return false;
      const known = toHex(encodeCredential(identity)) + toHex(signatureKey);
      if (verified.has(known))
        return true;
      const good = await verifyDevice(identity, signatureKey);
      if (good)
        verified.add(known);
      return good;
    },
  },
};

/** The group's id: the room's id and its generation. */
export function groupIdOf(room: Uint8Array, generation: number): Bytes {
  const id = new Uint8Array(20);
  id.set(room);
  new DataView(id.buffer).setUint32(16, generation);
  return id;
}

/** Which group of its room, as its id tells; -1 of an id that was made otherwise. */
export const generationOf = (groupId: Uint8Array): number => groupId.length === 20 ? new DataView(groupId.buffer, groupId.byteOffset).getUint32(16) : -1;

export class Group {
  private constructor(private readonly state: ClientState) {}

  /** Founds a group of one. */
  static async found(groupId: Uint8Array, own: OwnKeyPackage): Promise<Group> {
    const { keyPackage, privateKeys } = decodeOwn(own);
    return new Group(await createGroup(copy(groupId), keyPackage, privateKeys, [], await suite(), config));
  }

  /** Joins by the Welcome; the KeyPackage is one that the Welcome names, see {@link welcomeReferences}. */
  static async join(welcome: Uint8Array, own: OwnKeyPackage): Promise<Group> {
    const message = decodeMessage(welcome);
    if (message.wireformat !== "mls_welcome")
      throw new TypeError("Not a Welcome.");
    const { keyPackage, privateKeys } = decodeOwn(own);
    return new Group(await joinByWelcome(message.welcome, keyPackage, privateKeys, await suite(), config));
  }

  /** Restores what {@link encodeBase} and {@link encodeRatchet} wrote; an epoch whose ratchets are missing cannot be read any more. */
  static restore(base: Uint8Array, ratchets: Map<number, Uint8Array>): Group {
    const state = decodeGroupState(copy(base), 0)?.[0];
    if (!state)
      throw new TypeError("The state cannot be read.");
    const treeOf = (epoch: bigint) => {
      const bytes = ratchets.get(Number(epoch));
      return bytes ? decodeSecretTree(copy(bytes), 0)?.[0] : undefined;
    };
    const current = treeOf(state.groupContext.epoch);
    if (!current)
      throw new TypeError("The state's ratchets are missing.");
    const past = new Map<bigint, EpochReceiverData>();
    for (const [epoch, data] of state.historicalReceiverData) {
      const secretTree = treeOf(epoch);
      if (secretTree)
        past.set(epoch, { ...data, secretTree });
    }
    return new Group({ ...state, secretTree: current, historicalReceiverData: past, clientConfig: config });
  }

  get id(): Bytes {
    return copy(this.state.groupContext.groupId);
  }

  get roomId(): string {
    return idText(this.state.groupContext.groupId.subarray(0, 16));
  }

  get generation(): number {
    return generationOf(this.state.groupContext.groupId);
  }

  get epoch(): number {
    return Number(this.state.groupContext.epoch);
  }

  /** Epochs that can be decrypted: the current one and some before it. */
  get epochs(): number[] {
    return [...this.state.historicalReceiverData.keys()].map(Number).concat(this.epoch);
  }

  get ownLeafIndex(): number {
    return this.state.privatePath.leafIndex;
  }

  /** Changes with each epoch and is the same for all who are in it (RFC 9420 section 8.7). */
  get epochAuthenticator(): Bytes {
    return copy(this.state.keySchedule.epochAuthenticator);
  }

  leaves(): Leaf[] {
    return leavesOf(this.state.ratchetTree);
  }

  ownSignatureSeed(): Bytes {
    return copy(this.state.signaturePrivateKey);
  }

  /** RFC 9420 section 8.5. */
  async export(label: string, context: Uint8Array, length: number): Promise<Bytes> {
    return copy(await mlsExporter(this.state.keySchedule.exporterSecret, label, context, length, await suite()));
  }

  /** All but the message keys. */
  encodeBase(): Bytes {
    const past = new Map<bigint, EpochReceiverData>();
    for (const [epoch, data] of this.state.historicalReceiverData)
      past.set(epoch, { ...data, secretTree: [] });
    const base: GroupState = { ...this.state, secretTree: [], historicalReceiverData: past };
    return copy(encodeGroupState(base));
  }

  /** The message keys of an epoch: small, and what changes with each message. */
  encodeRatchet(epoch: number): Bytes {
    const tree = epoch === this.epoch ? this.state.secretTree : this.state.historicalReceiverData.get(BigInt(epoch))?.secretTree;
    if (!tree)
      throw new TypeError("There is no such epoch.");
    return copy(encode(secretTreeEncoder)(tree));
  }

  /** Encrypts for the current epoch. */
  async encrypt(plaintext: Uint8Array): Promise<{ group: Group; message: Bytes }> {
    const result = await createApplicationMessage({ ...this.state, unappliedProposals: {} }, plaintext, await suite());
    return {
      group: this.with({ secretTree: result.newState.secretTree }),
      message: encodeMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage: result.privateMessage }),
    };
  }

  /** Decrypts an application message of the current or a past epoch. Throws when it cannot be; then nothing has changed. */
  async decrypt(message: Uint8Array): Promise<{ group: Group; sender: Leaf; plaintext: Bytes }> {
    const privateMessage = decodePrivate(message);
    if (privateMessage.contentType !== "application" || !equal(privateMessage.groupId, this.state.groupContext.groupId))
      throw new TypeError("Not a message of this group.");
    const current = privateMessage.epoch === this.state.groupContext.epoch;
    const past = this.state.historicalReceiverData.get(privateMessage.epoch);
    if (!current && !past)
      throw new TypeError("The keys of this epoch are gone.");
    const keys = current
      ? { ...this.state, senderDataSecret: this.state.keySchedule.senderDataSecret } : past!;
    const { content, tree } = await unprotectPrivateMessage(
      keys.senderDataSecret, privateMessage, keys.secretTree, keys.ratchetTree, keys.groupContext, config.keyRetentionConfig, await suite());
    if (content.content.contentType !== "application" || content.content.sender.senderType !== "member")
      throw new TypeError("Not an application message.");
    const index = content.content.sender.leafIndex;
    const sender = leavesOf(keys.ratchetTree).find((leaf) => leaf.index === index);
    if (!sender)
      throw new TypeError("The sender is not in the group.");
    const group = current ? this.with({ secretTree: tree })
      : this.with({ historicalReceiverData: new Map(this.state.historicalReceiverData).set(privateMessage.epoch, { ...past!, secretTree: tree }) });
    return { group, sender, plaintext: copy(content.content.applicationData) };
  }

  /** Applies another's Commit of the current epoch. Without a group in the answer this device was removed by it. */
  async applyCommit(message: Uint8Array): Promise<{ group: Group | undefined; committer: Leaf | undefined }> {
    const privateMessage = decodePrivate(message);
    if (privateMessage.contentType !== "commit" || !equal(privateMessage.groupId, this.state.groupContext.groupId) || privateMessage.epoch !== this.state.groupContext.epoch)
      throw new TypeError("Not a Commit of this epoch.");
    let removed = false;
    let committer: number | undefined;
    const before = this.leaves();
    try {
      const result = await processPrivateMessage(this.state, privateMessage, emptyPskIndex, await suite(), (incoming) => {
        if (incoming.kind !== "commit")
          return "reject";
        committer = incoming.senderLeafIndex;
        if (incoming.proposals.some(({ proposal }) => !isAllowed(proposal)))
          return "reject";
        removed = incoming.proposals.some(({ proposal }) => proposal.proposalType === "remove" && proposal.remove.removed === this.ownLeafIndex);
        return "accept";
      });
      if (result.kind !== "newState" || result.actionTaken === "reject")
        throw new TypeError("The Commit does what is not done here.");
      if (!removed)
        return { group: new Group(result.newState), committer: before.find((leaf) => leaf.index === committer) };
    } catch (error) {
      // ts-mls tells a removal by the blank leaf. When the same Commit fills it again, it tries to go on and finds no key.
      if (!removed)
        throw error;
    }
    return { group: undefined, committer: before.find((leaf) => leaf.index === committer) };
  }

  /** Takes note of a proposal, so that a Commit may refer to it. None of them is ever committed by this SDK. */
  async applyProposal(message: Uint8Array): Promise<Group> {
    const result = await processPrivateMessage(this.state, decodePrivate(message), emptyPskIndex, await suite());
    if (result.kind !== "newState")
      throw new TypeError("Not a proposal.");
    return new Group(result.newState);
  }

  /** Makes a Commit. Nothing of it takes effect until {@link merge}. */
  async commit(change: { remove: number[]; add: Uint8Array[] }): Promise<OwnCommit> {
    const cs = await suite();
    const proposals: Proposal[] = [
      ...change.remove.map((removed): Proposal => ({ proposalType: "remove", remove: { removed } })),
      ...change.add.map((keyPackage): Proposal => ({ proposalType: "add", add: { keyPackage: decodePackageMessage(keyPackage) } })),
    ];
    const state = { ...this.state, unappliedProposals: {} };
    const result = await createCommit({ state, cipherSuite: cs, pskIndex: emptyPskIndex }, { extraProposals: proposals, ratchetTreeExtension: true });
    // ts-mls leaves the key that it used in the state; a second Commit of this epoch would use it again.
    const { newTree } = await consumeRatchet(this.state.secretTree, leafToNodeIndex(toLeafIndex(this.ownLeafIndex)), "commit", cs);
    return {
      before: this.with({ secretTree: newTree }),
      after: new Group(result.newState),
      commit: encodeMessage(result.commit),
      welcome: result.welcome && encodeMessage({ version: "mls10", wireformat: "mls_welcome", welcome: result.welcome }),
    };
  }

  /** Goes on to the state after one's own Commit. Message keys of this epoch that were used since it was made stay used. */
  merge(after: Group): Group {
    const epoch = this.state.groupContext.epoch;
    const past = new Map(after.state.historicalReceiverData);
    for (const [each, data] of past) {
      const secretTree = each === epoch ? this.state.secretTree : this.state.historicalReceiverData.get(each)?.secretTree;
      if (secretTree)
        past.set(each, { ...data, secretTree });
    }
    return after.with({ historicalReceiverData: past });
  }

  /** This device was in the group before, under another leaf: what is still under way for the epochs from then can be read. */
  inherit(former: Group): Group {
    const { state } = former;
    if (!equal(state.groupContext.groupId, this.state.groupContext.groupId) || former.epoch >= this.epoch)
      return this;
    const past = new Map(state.historicalReceiverData).set(state.groupContext.epoch, {
      secretTree: state.secretTree, ratchetTree: state.ratchetTree, groupContext: state.groupContext,
      senderDataSecret: state.keySchedule.senderDataSecret, resumptionPsk: state.keySchedule.resumptionPsk,
    });
    return this.with({ historicalReceiverData: new Map([...past].filter(([epoch]) => Number(epoch) + config.keyRetentionConfig.retainKeysForEpochs > this.epoch)) });
  }

  private with(change: Partial<ClientState>): Group {
    return new Group({ ...this.state, ...change });
  }
}

function isAllowed(proposal: Proposal): boolean {
  return proposal.proposalType === "add" || proposal.proposalType === "remove" || proposal.proposalType === "update";
}

function leavesOf(tree: GroupState["ratchetTree"]): Leaf[] {
  const leaves: Leaf[] = [];
  for (const [i, node] of tree.entries()) {
    if (node?.nodeType !== "leaf" || node.leaf.credential.credentialType !== "basic")
      continue;
    const identity = decodeCredential(node.leaf.credential.identity);
    if (identity)
      leaves.push({ ...identity, index: nodeToLeafIndex(toNodeIndex(i)), signatureKey: copy(node.leaf.signaturePublicKey) });
  }
  return leaves;
}
