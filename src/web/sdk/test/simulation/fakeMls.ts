/*
 * MLS without cryptography: a message names the secret of its epoch, and a group opens it only when it has that secret. Like the real one it has epochs,
 * message keys that work once, Welcomes for named KeyPackages, removals, and past epochs; and a group never changes. Bytes are the numbers of objects that
 * stay in memory, so thousands of runs take seconds.
 */
import { equal, toHex, type Bytes } from "../../src/base/bytes.js";
import type { DeviceIdentity } from "../../src/mls/credential.js";
import { generationOf, type Leaf, type Opened, type OpenedCommit } from "../../src/mls/group.js";
import type { OwnKeyPackage } from "../../src/mls/messages.js";
import type { Mls, RoomGroup } from "../../src/rooms/ports.js";
import type { SimMls } from "./mls.js";
import type { World } from "./world.js";

const pastEpochs = 4;

interface Sealed {
  kind: "application" | "commit" | "proposal";
  group: Bytes;
  epoch: number;
  secret: string;
  leaf: number;
  /** The number of the message key. */
  key: number;
  content: Uint8Array;
}

interface CommitContent {
  next: string;
  remove: number[];
  add: Uint8Array[];
  authenticatedData?: Uint8Array;
}

interface WelcomeContent {
  kind: "welcome";
  references: string[];
  group: Bytes;
  epoch: number;
  secret: string;
  leaves: Leaf[];
  signer: Leaf;
  roomInfo: Uint8Array | undefined;
}

interface PackageContent extends DeviceIdentity {
  kind: "keyPackage";
  signatureKey: Bytes;
  reference: Bytes;
}

/** The next message key of each leaf. */
type Keys = Record<string, number>;

interface Epoch {
  secret: string;
  leaves: Leaf[];
  keys: Keys;
}

interface State {
  group: Bytes;
  epoch: number;
  own: number;
  /** The private key of the own leaf. */
  seed: Bytes;
  epochs: Map<number, Epoch>;
}

const own = (bytes: Uint8Array): Bytes => new Uint8Array(bytes);

/** The objects that bytes stand for. */
class Registry {
  private readonly all = new Map<string, unknown>();

  encode(value: unknown): Bytes {
    const bytes = new Uint8Array(12);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 0x4d4c5300);
    view.setUint32(4, this.all.size);
    this.all.set(nameOf(bytes), value);
    return bytes;
  }

  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller knows what it has encoded
  decode<T>(bytes: Uint8Array): T | undefined {
    return bytes.length === 12 ? (this.all.get(nameOf(bytes)) as T | undefined) : undefined;
  }

  find<T extends { kind: string }>(bytes: Uint8Array, ...kinds: T["kind"][]): T | undefined {
    const value = this.decode<T>(bytes);
    return value && kinds.includes(value.kind) ? value : undefined;
  }

  sealed(bytes: Uint8Array): Sealed | undefined {
    return this.find<Sealed>(bytes, "application", "commit", "proposal");
  }
}

const nameOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

const keyOf = (registry: Registry, message: Uint8Array): string | undefined => {
  const sealed = registry.sealed(message);
  return sealed && `${sealed.secret}/${sealed.kind}/${sealed.leaf}/${sealed.key}`;
};

export class FakeGroup implements RoomGroup {
  constructor(
    private readonly world: World,
    private readonly registry: Registry,
    private readonly state: State,
  ) {}

  get id(): Bytes {
    return own(this.state.group);
  }

  get generation(): number {
    return generationOf(this.state.group);
  }

  get epoch(): number {
    return this.state.epoch;
  }

  get epochs(): number[] {
    return [...this.state.epochs.keys()].toSorted((a, b) => a - b);
  }

  /** Counts each message twenty times, so that short runs begin epochs because of messages, too. */
  get encrypted(): number {
    return 20 * (this.current.keys[`${this.state.own}/application`] ?? 0);
  }

  get ownLeafIndex(): number {
    return this.state.own;
  }

  get epochAuthenticator(): Bytes {
    return own(new TextEncoder().encode(this.current.secret));
  }

  leaves(): Leaf[] {
    return [...this.current.leaves];
  }

  ownSignatureSeed(): Bytes {
    return own(this.state.seed);
  }

  async export(label: string, _context: Uint8Array, length: number): Promise<Bytes> {
    const bytes = new TextEncoder().encode(label + this.current.secret);
    return own(bytes.slice(-length));
  }

  encodeBase(): Bytes {
    return this.registry.encode(this.state);
  }

  encodeRatchet(epoch: number): Bytes {
    const found = this.state.epochs.get(epoch);
    if (!found) throw new TypeError("There is no such epoch.");
    return this.registry.encode(found.keys);
  }

  async encrypt(plaintext: Uint8Array): Promise<{ group: FakeGroup; message: Bytes }> {
    return this.seal("application", plaintext);
  }

  async decrypt(message: Uint8Array): Promise<Omit<Opened, "group"> & { group: FakeGroup }> {
    const { sealed, epoch, sender, group } = this.open(message, "application");
    if (!sender) throw new TypeError("The sender is not in the group.");
    return {
      group: group.withEpoch(sealed.epoch, epoch),
      sender,
      epoch: sealed.epoch,
      plaintext: own(sealed.content),
      authenticatedData: new Uint8Array(0),
      // There is nothing to prove without cryptography.
      proof: () => ({ tbs: new Uint8Array(0), signature: new Uint8Array(64), leaf: new Uint8Array(0) }),
    };
  }

  async openCommit(message: Uint8Array): Promise<OpenedCommit> {
    const { sealed, sender } = this.open(message, "commit");
    if (!sender) throw new TypeError("The sender is not in the group.");
    const { remove, add, authenticatedData } = this.registry.decode<CommitContent>(sealed.content)!;
    return {
      committer: sender,
      authenticatedData: own(authenticatedData ?? new Uint8Array(0)),
      isByValue: true,
      proposals: [
        ...remove.map((index) => ({ type: "remove" as const, leaf: this.leaves().find((leaf) => leaf.index === index)! })),
        ...add.map((each) => ({ type: "add" as const, leaf: leafOf(this.registry.find<PackageContent>(each, "keyPackage")!, -1) })),
      ],
      path: sender,
      removesThisDevice: remove.includes(this.state.own),
    };
  }

  async applyCommit(message: Uint8Array): Promise<{ group: FakeGroup | undefined; committer: Leaf | undefined }> {
    const { sealed, sender } = this.open(message, "commit");
    if (sealed.epoch !== this.epoch || sealed.leaf === this.state.own) throw new TypeError("Not a Commit that can be applied.");
    const content = this.registry.decode<CommitContent>(sealed.content)!;
    if (content.remove.includes(this.state.own)) return { group: undefined, committer: sender };
    return { group: this.next(content), committer: sender };
  }

  async commit(change: Parameters<RoomGroup["commit"]>[0]): Promise<{ before: FakeGroup; after: FakeGroup; commit: Bytes; welcome: Bytes | undefined }> {
    const content: CommitContent = { next: this.world.uuid(), ...change };
    const { group: before, message } = this.seal("commit", this.registry.encode(content));
    const after = this.next(content);
    const references = change.add.map((each) => toHex(this.registry.find<PackageContent>(each, "keyPackage")!.reference));
    const welcome: WelcomeContent = {
      kind: "welcome",
      references,
      group: this.id,
      epoch: after.epoch,
      secret: content.next,
      leaves: after.leaves(),
      signer: this.leaves().find((leaf) => leaf.index === this.state.own)!,
      roomInfo: change.roomInfo,
    };
    return { before, after, commit: message, welcome: references.length > 0 ? this.registry.encode(welcome) : undefined };
  }

  merge(after: RoomGroup): FakeGroup {
    const { state } = after as FakeGroup;
    const epochs = new Map(state.epochs);
    for (const [epoch, found] of this.state.epochs) {
      const known = epochs.get(epoch);
      if (known && known.secret === found.secret) epochs.set(epoch, { ...known, keys: found.keys });
    }
    return new FakeGroup(this.world, this.registry, { ...state, epochs });
  }

  inherit(former: RoomGroup): FakeGroup {
    const { state } = former as FakeGroup;
    if (!equal(state.group, this.state.group) || state.epoch >= this.epoch) return this;
    const epochs = new Map(this.state.epochs).set(state.epoch, state.epochs.get(state.epoch)!);
    return new FakeGroup(this.world, this.registry, { ...this.state, epochs: recent(epochs, this.epoch) });
  }

  private get current(): Epoch {
    return this.state.epochs.get(this.epoch)!;
  }

  private next({ next, remove, add }: CommitContent): FakeGroup {
    let leaves = this.leaves();
    for (const index of remove) {
      if (!leaves.some((leaf) => leaf.index === index)) throw new TypeError("There is no such leaf.");
      leaves = leaves.filter((leaf) => leaf.index !== index);
    }
    for (const each of add) {
      const found = this.registry.find<PackageContent>(each, "keyPackage");
      if (!found) throw new TypeError("Not a KeyPackage.");
      if (leaves.some((leaf) => equal(leaf.signatureKey, found.signatureKey))) throw new TypeError("A key stands in two leaves.");
      let index = 0;
      while (leaves.some((leaf) => leaf.index === index)) index++;
      leaves.push(leafOf(found, index));
    }
    leaves.sort((a, b) => a.index - b.index);
    const epoch = this.epoch + 1;
    const epochs = new Map(this.state.epochs).set(epoch, { secret: next, leaves, keys: {} });
    return new FakeGroup(this.world, this.registry, { ...this.state, epoch, epochs: recent(epochs, epoch) });
  }

  private seal(kind: Sealed["kind"], content: Uint8Array): { group: FakeGroup; message: Bytes } {
    const { epoch, own: leaf, group } = this.state;
    const name = `${kind}/${leaf}`;
    const key = this.current.keys[name] ?? 0;
    const sealed: Sealed = { kind, group, epoch, secret: this.current.secret, leaf, key, content };
    return { group: this.withEpoch(epoch, { ...this.current, keys: { ...this.current.keys, [name]: key + 1 } }), message: this.registry.encode(sealed) };
  }

  private open(message: Uint8Array, kind: Sealed["kind"]): { sealed: Sealed; epoch: Epoch; sender: Leaf | undefined; group: FakeGroup } {
    const sealed = this.registry.sealed(message);
    if (sealed?.kind !== kind || !equal(sealed.group, this.state.group)) throw new TypeError("Not a message of this group.");
    const epoch = this.state.epochs.get(sealed.epoch);
    if (!epoch) throw new TypeError("The keys of this epoch are gone.");
    if (epoch.secret !== sealed.secret) throw new TypeError("The message cannot be decrypted.");
    const name = `${kind}/${sealed.leaf}`;
    if (sealed.key < (epoch.keys[name] ?? 0)) throw new TypeError("The key of this message was used.");
    const sender = epoch.leaves.find((leaf) => leaf.index === sealed.leaf);
    return { sealed, epoch: { ...epoch, keys: { ...epoch.keys, [name]: sealed.key + 1 } }, sender, group: this };
  }

  private withEpoch(number: number, epoch: Epoch): FakeGroup {
    return new FakeGroup(this.world, this.registry, { ...this.state, epochs: new Map(this.state.epochs).set(number, epoch) });
  }
}

const recent = (epochs: Map<number, Epoch>, now: number): Map<number, Epoch> => new Map([...epochs].filter(([epoch]) => epoch + pastEpochs >= now));

function leafOf({ userId, deviceId, identityKey, identitySignature, signatureKey }: PackageContent, index: number): Leaf {
  return { userId, deviceId, identityKey: own(identityKey), identitySignature: own(identitySignature), signatureKey: own(signatureKey), index };
}

/** MLS for one world. `keyOf` names the message key that a message uses: of all messages that the server sees, each must have another one. */
export function fakeMls(world: World): Mls & Pick<SimMls, "isLeave" | "keyOf"> {
  const registry = new Registry();
  const makeKeyPackage: Mls["makeKeyPackage"] = async (identity, signature) => {
    const reference = world.bytes(16);
    const content: PackageContent = { kind: "keyPackage", ...identity, signatureKey: signature.publicKey, reference };
    const message = registry.encode(content);
    const none = new Uint8Array(0);
    return { reference, message, keyPackage: message, initKey: none, leafKey: none, signatureKey: signature.privateKey };
  };
  return {
    keyOf: (message) => keyOf(registry, message),
    async found(groupId, { message, signatureKey }: OwnKeyPackage) {
      const leaf = leafOf(registry.find<PackageContent>(message, "keyPackage")!, 0);
      const first: Epoch = { secret: world.uuid(), leaves: [leaf], keys: {} };
      return new FakeGroup(world, registry, { group: own(groupId), epoch: 0, own: 0, seed: own(signatureKey), epochs: new Map([[0, first]]) });
    },
    async join(welcome, { reference, message, signatureKey: seed }) {
      const content = registry.find<WelcomeContent>(welcome, "welcome");
      if (!content?.references.includes(toHex(reference))) throw new TypeError("The Welcome is not for this KeyPackage.");
      const { signatureKey } = registry.find<PackageContent>(message, "keyPackage")!;
      const leaf = content.leaves.find((each) => equal(each.signatureKey, signatureKey));
      if (!leaf) throw new TypeError("The tree lacks this device.");
      const { group, epoch, secret, leaves } = content;
      const joined = new FakeGroup(world, registry, {
        group: own(group),
        epoch,
        own: leaf.index,
        seed: own(seed),
        epochs: new Map([[epoch, { secret, leaves, keys: {} }]]),
      });
      return { group: joined, signer: content.signer, roomInfo: content.roomInfo && own(content.roomInfo) };
    },
    restore(base, ratchets) {
      const state = registry.decode<State>(base);
      if (!state) throw new TypeError("The state cannot be read.");
      const epochs = new Map<number, Epoch>();
      for (const [epoch, found] of state.epochs) {
        const keys = ratchets.get(epoch);
        if (keys) epochs.set(epoch, { ...found, keys: registry.decode<Keys>(keys)! });
      }
      if (!epochs.has(state.epoch)) throw new TypeError("The state's ratchets are missing.");
      return new FakeGroup(world, registry, { ...state, epochs });
    },
    isLeave: (message) => new TextDecoder().decode(registry.sealed(message)?.content).includes('"type":"leave"'),
    readHeader(message) {
      const sealed = registry.sealed(message);
      return sealed && { groupId: own(sealed.group), epoch: sealed.epoch, contentType: sealed.kind };
    },
    welcomeReferences(welcome) {
      const content = registry.find<WelcomeContent>(welcome, "welcome");
      if (!content) throw new TypeError("Not a Welcome.");
      return content.references;
    },
    makeKeyPackage,
    readKeyPackage(message) {
      const found = registry.find<PackageContent>(message, "keyPackage");
      return found && { ...leafOf(found, 0), expired: false };
    },
    addable: (keyPackages) => Promise.resolve(keyPackages.map(() => true)),
    async sealSignal(group, content) {
      return registry.encode({ kind: "signal", secret: toHex(group.epochAuthenticator), leaf: group.ownLeafIndex, content });
    },
    async openSignal(group, signal) {
      const found = registry.find<{ kind: "signal"; secret: string; leaf: number; content: Uint8Array }>(signal, "signal");
      const sender = group.leaves().find((leaf) => leaf.index === found?.leaf);
      return found?.secret === toHex(group.epochAuthenticator) && sender ? { sender, content: found.content } : undefined;
    },
  };
}
