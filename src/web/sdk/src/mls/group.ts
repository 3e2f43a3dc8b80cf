/*
 * A {@link Group} is immutable: each change returns a new one, so that the caller can store a state before it is used. Epochs are numbers.
 */
import { copy, equal, idText, toHex, type Bytes } from "../base/bytes.js";
import { isFault } from "../base/verdict.js";
import { decodeCredential, encodeCredential, verifyDevice } from "./credential.js";
import { joinByWelcome, roomInfoExtension } from "./join.js";
import { decodeMessage, decodeOwn, decodePackageMessage, decodePrivate, encodeMessage, type OwnKeyPackage } from "./messages.js";
import { leafNodeOf, leafOf, leavesOf, openProposal, toLeaf, type Leaf, type OpenedProposal } from "./leaves.js";
import { requireHpke, suite } from "./suite.js";
import { addable, isWellFormed } from "./treeRules.js";
import {
  consumeRatchet,
  createApplicationMessage,
  createCommit,
  createGroup,
  decodeGroupState,
  decodeSecretTree,
  emptyPskIndex,
  encode,
  encodeGroupState,
  framedContentTBSEncoder,
  leafNodeEncoder,
  leafToNodeIndex,
  mlsExporter,
  processPrivateMessage,
  secretTreeEncoder,
  toLeafIndex,
  toTbs,
  unprotectPrivateMessage,
  type ClientConfig,
  type ClientState,
  type EpochReceiverData,
  type GroupState,
  type PrivateMessage,
  type Proposal,
} from "./tsMls.js";

export type { Leaf, OpenedProposal } from "./leaves.js";

/** A group that a Welcome has brought. */
export interface Joined {
  group: Group;
  /** The leaf that has made the Welcome. */
  signer: Leaf;
  /** The room's founding and state; undefined when the Welcome has none. */
  roomInfo: Bytes | undefined;
}

/** A decrypted application message. */
export interface Opened {
  group: Group;
  /** The author's leaf in the message's epoch. */
  sender: Leaf;
  epoch: number;
  plaintext: Bytes;
  authenticatedData: Bytes;
  /** What proves to a third person that the author's device has signed the message. */
  proof(): { tbs: Bytes; signature: Bytes; leaf: Bytes };
}

/** Another member's Commit, decrypted and with a valid signature. It has changed nothing yet. */
export interface OpenedCommit {
  /** The author's leaf before the Commit. */
  committer: Leaf;
  authenticatedData: Bytes;
  /** Whether all proposals stand in the Commit itself. */
  isByValue: boolean;
  proposals: OpenedProposal[];
  /** The new leaf of the author; undefined without a path. The index is the author's. */
  path: Leaf | undefined;
  /** Whether the Commit removes this device. */
  removesThisDevice: boolean;
}

/** An own Commit that the server has not accepted yet, and the state after it. */
export interface OwnCommit {
  /** The state until the Commit is accepted. Its handshake key is used up. */
  before: Group;
  after: Group;
  commit: Bytes;
  welcome: Bytes | undefined;
}

const verified = new Set<string>();

const config: ClientConfig = {
  // The log delivers messages in order, so skipped message keys are deleted at once. Each step costs the receiver a derivation of keys, also when the message
  // then turns out to be forged: so there are few, see {@link messagesPerEpoch}.
  keyRetentionConfig: { retainKeysForGenerations: 0, retainKeysForEpochs: 4, maximumForwardRatchetSteps: 200 },
  lifetimeConfig: { maximumTotalLifetime: 10_000_000n, validateLifetimeOnReceive: false },
  keyPackageEqualityConfig: {
    compareKeyPackages: (a, b) => equal(a.leafNode.signaturePublicKey, b.leafNode.signaturePublicKey),
    compareKeyPackageToLeafNode: (a, b) => equal(a.leafNode.signaturePublicKey, b.signaturePublicKey),
  },
  paddingConfig: { kind: "padUntilLength", padUntilLength: 0 },
  authService: {
    async validateCredential(credential, signatureKey) {
      const identity = credential.credentialType === "basic" ? decodeCredential(credential.identity) : undefined;
      if (!identity) return false;
      const known = toHex(encodeCredential(identity)) + toHex(signatureKey);
      if (verified.has(known)) return true;
      const good = await verifyDevice(identity, signatureKey);
      if (good) verified.add(known);
      return good;
    },
  },
};

/**
 * How many messages a device encrypts in one epoch. From `soon` on it begins another epoch, at `most` it waits for it, and while it cannot begin one it goes to
 * `alone`. So a receiver that has missed all of them, because they have expired, can still read the next one: it goes 200 steps at most.
 */
export const messagesPerEpoch = { soon: 100, most: 150, alone: 190 } as const;

/** The group id: the room id and the generation of the group. */
export function groupIdOf(room: Uint8Array, generation: number): Bytes {
  if (!Number.isInteger(generation) || generation < 0 || generation >= 2 ** 32) throw new RangeError(`${generation} is not a generation.`);
  const id = new Uint8Array(20);
  id.set(room);
  new DataView(id.buffer).setUint32(16, generation);
  return id;
}

/** The generation in a group id; -1 when the id has another form. */
export const generationOf = (groupId: Uint8Array): number => (groupId.length === 20 ? new DataView(groupId.buffer, groupId.byteOffset).getUint32(16) : -1);

export class Group {
  private constructor(private readonly state: ClientState) {}

  /** Creates a group with one member. */
  static async found(groupId: Uint8Array, own: OwnKeyPackage): Promise<Group> {
    const { keyPackage, privateKeys } = decodeOwn(own);
    return new Group(await createGroup(copy(groupId), keyPackage, privateKeys, [], await suite(), config));
  }

  /** Joins with a Welcome. The KeyPackage must be one that the Welcome names, see {@link welcomeReferences}. */
  static async join(welcome: Uint8Array, own: OwnKeyPackage): Promise<Joined> {
    const message = decodeMessage(welcome);
    if (message.wireformat !== "mls_welcome") throw new TypeError("Not a Welcome.");
    const { keyPackage, privateKeys } = decodeOwn(own);
    try {
      const { state, signer, roomInfo } = await joinByWelcome(message.welcome, keyPackage, privateKeys, await suite(), config);
      return { group: new Group(state), signer: leafOf(state.ratchetTree, signer), roomInfo };
    } catch (error) {
      await requireHpke();
      throw error;
    }
  }

  /** Which of these KeyPackages the group can get, when these leaves are removed: without a group, only the KeyPackages are compared. */
  static async addable(keyPackages: readonly Uint8Array[], group: Group | undefined, leaving: readonly number[]): Promise<boolean[]> {
    return addable(keyPackages.map(decodePackageMessage), { tree: group?.state.ratchetTree ?? [], leaving }, await suite(), config);
  }

  /** Restores the output of {@link encodeBase} and {@link encodeRatchet}. An epoch without its ratchets can no longer be decrypted. */
  static restore(base: Uint8Array, ratchets: Map<number, Uint8Array>): Group {
    const state = decodeGroupState(copy(base), 0)?.[0];
    if (!state) throw new TypeError("The state cannot be read.");
    const treeOf = (epoch: bigint) => {
      const bytes = ratchets.get(Number(epoch));
      return bytes ? decodeSecretTree(copy(bytes), 0)?.[0] : undefined;
    };
    const current = treeOf(state.groupContext.epoch);
    if (!current) throw new TypeError("The state's ratchets are missing.");
    const past = new Map<bigint, EpochReceiverData>();
    for (const [epoch, data] of state.historicalReceiverData) {
      const secretTree = treeOf(epoch);
      if (secretTree) past.set(epoch, { ...data, secretTree });
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

  /** The epochs that can be decrypted: the current one and up to four before it. */
  get epochs(): number[] {
    return [...this.state.historicalReceiverData.keys()].map(Number).concat(this.epoch);
  }

  /** The number of messages that this device has encrypted in this epoch. */
  get encrypted(): number {
    return this.state.secretTree[leafToNodeIndex(toLeafIndex(this.ownLeafIndex))]?.application.generation ?? 0;
  }

  get ownLeafIndex(): number {
    return this.state.privatePath.leafIndex;
  }

  /** Differs in each epoch and is equal for all members (RFC 9420 section 8.7). */
  get epochAuthenticator(): Bytes {
    return copy(this.state.keySchedule.epochAuthenticator);
  }

  leaves(): Leaf[] {
    return leavesOf(this.state.ratchetTree);
  }

  ownSignatureSeed(): Bytes {
    return copy(this.state.signaturePrivateKey);
  }

  /** The MLS exporter (RFC 9420 section 8.5). */
  async export(label: string, context: Uint8Array, length: number): Promise<Bytes> {
    return copy(await mlsExporter(this.state.keySchedule.exporterSecret, label, context, length, await suite()));
  }

  /** The state without the message keys. */
  encodeBase(): Bytes {
    const past = new Map<bigint, EpochReceiverData>();
    for (const [epoch, data] of this.state.historicalReceiverData) past.set(epoch, { ...data, secretTree: [] });
    const base: GroupState = { ...this.state, secretTree: [], historicalReceiverData: past };
    return copy(encodeGroupState(base));
  }

  /** The message keys of one epoch. They are small, and each message changes only them. */
  encodeRatchet(epoch: number): Bytes {
    const tree = epoch === this.epoch ? this.state.secretTree : this.state.historicalReceiverData.get(BigInt(epoch))?.secretTree;
    if (!tree) throw new TypeError("There is no such epoch.");
    return copy(encode(secretTreeEncoder)(tree));
  }

  /** Encrypts in the current epoch. */
  async encrypt(plaintext: Uint8Array): Promise<{ group: Group; message: Bytes }> {
    const result = await createApplicationMessage({ ...this.state, unappliedProposals: {} }, plaintext, await suite());
    return {
      group: this.with({ secretTree: result.newState.secretTree }),
      message: encodeMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage: result.privateMessage }),
    };
  }

  /** Decrypts an application message of the current or an earlier epoch. Throws when that fails; then no state has changed. */
  async decrypt(message: Uint8Array): Promise<Opened> {
    const privateMessage = decodePrivate(message);
    if (privateMessage.contentType !== "application" || !equal(privateMessage.groupId, this.state.groupContext.groupId))
      throw new TypeError("Not a message of this group.");
    const current = privateMessage.epoch === this.state.groupContext.epoch;
    const past = this.state.historicalReceiverData.get(privateMessage.epoch);
    if (!current && !past) throw new TypeError("The keys of this epoch are gone.");
    const keys = current ? { ...this.state, senderDataSecret: this.state.keySchedule.senderDataSecret } : past!;
    const { content, tree } = await unprotect(privateMessage, keys);
    const framed = content.content;
    if (framed.contentType !== "application" || framed.sender.senderType !== "member") throw new TypeError("Not an application message.");
    const sender = leafOf(keys.ratchetTree, framed.sender.leafIndex);
    const group = current
      ? this.with({ secretTree: tree })
      : this.with({ historicalReceiverData: new Map(this.state.historicalReceiverData).set(privateMessage.epoch, { ...past!, secretTree: tree }) });
    return {
      group,
      sender,
      epoch: Number(privateMessage.epoch),
      plaintext: copy(framed.applicationData),
      authenticatedData: copy(framed.authenticatedData),
      proof: () => ({
        tbs: copy(encode(framedContentTBSEncoder)(toTbs(framed, "mls_private_message", keys.groupContext))),
        signature: copy(content.auth.signature),
        leaf: copy(encode(leafNodeEncoder)(leafNodeOf(keys.ratchetTree, sender.index))),
      }),
    };
  }

  /** Decrypts another member's Commit of the current epoch, to judge it before {@link applyCommit}. */
  async openCommit(message: Uint8Array): Promise<OpenedCommit> {
    const privateMessage = this.decodeCommit(message);
    const { content } = await unprotect(privateMessage, { ...this.state, senderDataSecret: this.state.keySchedule.senderDataSecret });
    const framed = content.content;
    if (framed.contentType !== "commit" || framed.sender.senderType !== "member") throw new TypeError("Not a member's Commit.");
    const committer = leafOf(this.state.ratchetTree, framed.sender.leafIndex);
    const { proposals, path } = framed.commit;
    const opened = proposals.flatMap((each) => (each.proposalOrRefType === "proposal" ? [openProposal(each.proposal, this.state.ratchetTree)] : []));
    return {
      committer,
      authenticatedData: copy(framed.authenticatedData),
      isByValue: opened.length === proposals.length,
      proposals: opened,
      path: path && toLeaf(path.leafNode, committer.index),
      removesThisDevice: opened.some((each) => each.type === "remove" && each.leaf.index === this.ownLeafIndex),
    };
  }

  private decodeCommit(message: Uint8Array): PrivateMessage {
    const privateMessage = decodePrivate(message);
    if (
      privateMessage.contentType !== "commit" ||
      !equal(privateMessage.groupId, this.state.groupContext.groupId) ||
      privateMessage.epoch !== this.state.groupContext.epoch
    )
      throw new TypeError("Not a Commit of this epoch.");
    return privateMessage;
  }

  /** Applies another member's Commit of the current epoch. The result has no group when the Commit removed this device. */
  async applyCommit(message: Uint8Array): Promise<{ group: Group | undefined }> {
    const privateMessage = this.decodeCommit(message);
    let removed = false;
    try {
      const result = await processPrivateMessage(this.state, privateMessage, emptyPskIndex, await suite(), (incoming) => {
        if (incoming.kind !== "commit") return "reject";
        if (incoming.proposals.some(({ proposal }) => !isAllowed(proposal))) return "reject";
        removed = incoming.proposals.some(({ proposal }) => proposal.proposalType === "remove" && proposal.remove.removed === this.ownLeafIndex);
        return "accept";
      });
      if (result.kind !== "newState" || result.actionTaken === "reject") throw new TypeError("The Commit contains a proposal that is not allowed.");
      if (!removed) {
        if (!isWellFormed(result.newState.ratchetTree)) throw new TypeError("A key stands in two nodes, or a leaf uses what is not used here.");
        return { group: new Group(result.newState) };
      }
    } catch (error) {
      await requireHpke();
      // ts-mls detects a removal by the blank leaf. When the same Commit fills the leaf again, ts-mls continues and finds no key.
      if (!removed || isFault(error)) throw error;
    }
    return { group: undefined };
  }

  /**
   * Makes a Commit. It has no effect before {@link merge}. `authenticatedData` is signed with the Commit, and the server can read it; `roomInfo` goes to the
   * added devices, inside the Welcome.
   */
  async commit(change: { remove: number[]; add: Uint8Array[]; authenticatedData?: Uint8Array; roomInfo?: Uint8Array }): Promise<OwnCommit> {
    const cs = await suite();
    const proposals: Proposal[] = [
      ...change.remove.map((removed): Proposal => ({ proposalType: "remove", remove: { removed } })),
      ...change.add.map((keyPackage): Proposal => ({ proposalType: "add", add: { keyPackage: decodePackageMessage(keyPackage) } })),
    ];
    const state = { ...this.state, unappliedProposals: {} };
    const result = await createCommit(
      { state, cipherSuite: cs, pskIndex: emptyPskIndex },
      {
        extraProposals: proposals,
        ratchetTreeExtension: true,
        authenticatedData: copy(change.authenticatedData ?? new Uint8Array()),
        groupInfoExtensions: change.roomInfo ? [{ extensionType: roomInfoExtension, extensionData: copy(change.roomInfo) }] : [],
      },
    );
    // ts-mls leaves the used handshake key in the state, so a second Commit of this epoch would use it again.
    const { newTree } = await consumeRatchet(this.state.secretTree, leafToNodeIndex(toLeafIndex(this.ownLeafIndex)), "commit", cs);
    return {
      before: this.with({ secretTree: newTree }),
      after: new Group(result.newState),
      commit: encodeMessage(result.commit),
      welcome: result.welcome && encodeMessage({ version: "mls10", wireformat: "mls_welcome", welcome: result.welcome }),
    };
  }

  /** Moves to the state after an own Commit. Message keys of this epoch that were used meanwhile stay used. */
  merge(after: Group): Group {
    const epoch = this.state.groupContext.epoch;
    const past = new Map(after.state.historicalReceiverData);
    for (const [each, data] of past) {
      const secretTree = each === epoch ? this.state.secretTree : this.state.historicalReceiverData.get(each)?.secretTree;
      if (secretTree) past.set(each, { ...data, secretTree });
    }
    return after.with({ historicalReceiverData: past });
  }

  /** Keeps the keys of a former membership of this device, so that messages of its epochs that are still to come can be decrypted. */
  inherit(former: Group): Group {
    const { state } = former;
    if (!equal(state.groupContext.groupId, this.state.groupContext.groupId) || former.epoch >= this.epoch) return this;
    const past = new Map(state.historicalReceiverData).set(state.groupContext.epoch, {
      secretTree: state.secretTree,
      ratchetTree: state.ratchetTree,
      groupContext: state.groupContext,
      senderDataSecret: state.keySchedule.senderDataSecret,
      resumptionPsk: state.keySchedule.resumptionPsk,
    });
    return this.with({
      historicalReceiverData: new Map([...past].filter(([epoch]) => Number(epoch) + config.keyRetentionConfig.retainKeysForEpochs > this.epoch)),
    });
  }

  private with(change: Partial<ClientState>): Group {
    return new Group({ ...this.state, ...change });
  }
}

function isAllowed(proposal: Proposal): boolean {
  return proposal.proposalType === "add" || proposal.proposalType === "remove" || proposal.proposalType === "update";
}

const unprotect = async (message: PrivateMessage, keys: Pick<EpochReceiverData, "senderDataSecret" | "secretTree" | "ratchetTree" | "groupContext">) =>
  unprotectPrivateMessage(keys.senderDataSecret, message, keys.secretTree, keys.ratchetTree, keys.groupContext, config.keyRetentionConfig, await suite());
