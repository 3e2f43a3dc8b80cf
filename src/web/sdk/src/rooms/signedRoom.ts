/* What the members of a room have signed, as this device has followed it: the founding, the state in each epoch, and the statements that newcomers need. */
import type { Bytes } from "../base/bytes.js";
import { pack, unpack } from "../store/store.js";
import { isTooLong, type Chain, type Entered } from "../trust/chain.js";
import { applyChanges } from "../trust/change.js";
import type { Head, RoomAt } from "../trust/follow.js";
import { decodeFounding, foundingHash as hashOf, roomIdOf, type Founding } from "../trust/founding.js";
import { decodeState, emptyState, encodeState, memberOf, type RoomState } from "../trust/state.js";
import { decodeStatement } from "../trust/statement.js";

/** The place of an epoch: the generation of the group, and the epoch in it. @internal */
export interface Place {
  generation: number;
  epoch: number;
}

/** The state that the members of an epoch agree on. `head` is undefined before statement 1. @internal */
export interface StateOfEpoch extends Place {
  state: RoomState;
  head: Head | undefined;
}

/** A statement that this device has followed. */
interface Followed {
  number: number;
  bytes: Bytes;
}

/** The stored form. States are encoded. */
interface StoredRoom {
  founding: Bytes;
  foundingHash: Bytes;
  confirmed: boolean;
  base: Bytes;
  statements: Followed[];
  epochs: (Place & { state: Bytes; head: Head | undefined })[];
  newest: Place;
}

/** As many epochs can be decrypted: the current one and those before it. */
const epochsKept = 5;

/** Immutable: each change returns a new one, so that the caller can store it with what it belongs to. @internal */
export class SignedRoom {
  private constructor(
    private readonly encodedFounding: Bytes,
    readonly founding: Founding,
    /** The whole hash of the founding. */
    readonly foundingHash: Bytes,
    /** False: the state is the word of the member who has added this device, until a device of another user sends a message with the same head. */
    readonly confirmed: boolean,
    /** The state before the first of the statements. */
    private readonly base: RoomState,
    private readonly statements: readonly Followed[],
    /** The states of the epochs that can be decrypted, the newest last. */
    private readonly epochs: readonly StateOfEpoch[],
    /** The newest epoch in which this device had a leaf. A Welcome into it, or into an earlier one, is a repetition. */
    readonly newest: Place,
  ) {}

  /** The room before its first statement. @throws `FormatError` for bytes that are not a founding. */
  static async begin(founding: Bytes): Promise<SignedRoom> {
    const decoded = decodeFounding(founding);
    return new SignedRoom(founding, decoded, await hashOf(founding), true, emptyState, [], [{ ...first, state: emptyState, head: undefined }], first);
  }

  /** The room that a Welcome has led into. `known` is what this device has followed before; epochs of it can still be decrypted. */
  static enter(entered: Entered, chain: Chain, place: Place, known: SignedRoom | undefined): SignedRoom {
    const { state, head } = entered;
    return new SignedRoom(
      chain.founding,
      entered.founding,
      entered.foundingHash,
      entered.confirmed,
      decodeState(chain.base),
      chain.statements.map(followed),
      lastOf([...(known?.epochs ?? []), { ...place, state, head }]),
      place,
    );
  }

  static decode(bytes: Uint8Array): SignedRoom {
    const { founding, foundingHash: hash, confirmed, base, statements, epochs, newest } = unpack<StoredRoom>(bytes);
    return new SignedRoom(
      founding,
      decodeFounding(founding),
      hash,
      confirmed,
      decodeState(base),
      statements,
      epochs.map((each) => ({ ...each, state: decodeState(each.state) })),
      newest,
    );
  }

  encode(): Uint8Array {
    const stored: StoredRoom = {
      founding: this.encodedFounding,
      foundingHash: this.foundingHash,
      confirmed: this.confirmed,
      base: encodeState(this.base),
      statements: [...this.statements],
      epochs: this.epochs.map((each) => ({ ...each, state: encodeState(each.state) })),
      newest: this.newest,
    };
    return pack(stored);
  }

  get id(): string {
    return roomIdOf(this.foundingHash);
  }

  /** The newest state that this device has followed. */
  get current(): StateOfEpoch {
    return this.epochs.at(-1)!;
  }

  get state(): RoomState {
    return this.current.state;
  }

  get head(): Head | undefined {
    return this.current.head;
  }

  /** The state in an epoch; undefined for one that this device was not in, or that is too old to be decrypted. */
  at({ generation, epoch }: Place): StateOfEpoch | undefined {
    return this.epochs.find((each) => each.generation === generation && each.epoch === epoch);
  }

  /**
   * The room in the epoch that a Commit begins. `statement` is the one that the Commit carried. `isOut`: the Commit has removed this device.
   */
  async next(place: Place, { state, head }: RoomAt, statement?: Bytes, isOut = false): Promise<SignedRoom> {
    const statements = statement ? [...this.statements, followed(statement)] : this.statements;
    const epochs = lastOf([...this.epochs, { ...place, state, head }]);
    return this.with({ epochs, newest: isOut ? this.newest : place, ...(await shortened(this.founding, this.base, statements)) });
  }

  /** The identity keys that a member has had since it was added, in the epochs that can be decrypted: a signed renewal replaces them. */
  identitiesOf(user: string): Bytes[] {
    const since = memberOf(this.state, user)?.since;
    return this.epochs.flatMap(({ state }) => memberOf(state, user) ?? []).flatMap((each) => (each.since === since ? [each.identity] : []));
  }

  /** The number of the first statement that {@link chainSince} can give. */
  get oldest(): number | undefined {
    return this.statements[0]?.number;
  }

  /** A device of another user has sent a message with the same head. */
  confirm(): SignedRoom {
    return this.with({ confirmed: true });
  }

  /**
   * The content of the group info for devices of users whom the statement with this number has added; undefined when this device has not followed it, and
   * another member must add them. `more` is the statement of the Commit that adds them.
   */
  async chainSince(number: number, more?: Bytes): Promise<Chain | undefined> {
    const all = more ? [...this.statements, followed(more)] : this.statements;
    const at = all.findIndex((each) => each.number === number);
    if (at < 0) return undefined;
    const before = await stateAfter(this.founding, this.base, all.slice(0, at));
    const chain = { founding: this.encodedFounding, base: encodeState(before), statements: all.slice(at).map((each) => each.bytes) };
    return isTooLong(chain) ? undefined : chain;
  }

  private with(change: Partial<SignedRoom["parts"]>): SignedRoom {
    const { confirmed, base, statements, epochs, newest } = { ...this.parts, ...change };
    return new SignedRoom(this.encodedFounding, this.founding, this.foundingHash, confirmed, base, statements, epochs, newest);
  }

  private get parts() {
    const { confirmed, base, statements, epochs, newest } = this;
    return { confirmed, base, statements, epochs, newest };
  }
}

const followed = (bytes: Bytes): Followed => ({ number: decodeStatement(bytes).number, bytes });

const first: Place = { generation: 0, epoch: 0 };

const lastOf = (epochs: StateOfEpoch[]): StateOfEpoch[] => epochs.slice(-epochsKept);

async function stateAfter(founding: Founding, base: RoomState, statements: readonly Followed[]): Promise<RoomState> {
  let state = base;
  for (const { bytes } of statements) {
    const applied = await applyChanges(state, decodeStatement(bytes), { founding });
    if (!applied.ok) throw new TypeError(`A statement that was followed breaks the rule "${applied.rule}".`);
    state = applied.state;
  }
  return state;
}

/** Drops the oldest statements when all together are more than a Welcome may contain. */
async function shortened(founding: Founding, base: RoomState, statements: readonly Followed[]): Promise<{ base: RoomState; statements: readonly Followed[] }> {
  let from = 0;
  const isTooMuch = () => {
    const rest = statements.slice(from).map((each) => each.bytes);
    return isTooLong({ founding: new Uint8Array(), base: encodeState(base), statements: rest }) && rest.length > 1;
  };
  while (isTooMuch()) from += 1;
  return from === 0 ? { base, statements } : { base: await stateAfter(founding, base, statements.slice(0, from)), statements: statements.slice(from) };
}
