/* A room of 1,000 people, with real signatures: what one client signs, and what all others compute for each of its Commits. */
import { expect, test } from "vitest";
import { randomBytes } from "../../src/base/bytes.js";
import { makeStatement } from "../../src/rooms/statements.js";
import { SignedRoom } from "../../src/rooms/signedRoom.js";
import { toDevice } from "../../src/rooms/judge.js";
import type { Leaf, RoomGroup } from "../../src/rooms/ports.js";
import { encodeChain, enter } from "../../src/trust/chain.js";
import { judgeCommit, type CommitFacts } from "../../src/trust/commit.js";
import { encodeFounding } from "../../src/trust/founding.js";
import { memberOf } from "../../src/trust/state.js";
import { changes, type RawChange } from "../../src/trust/statement.js";
import { newDevice, newUser, type TestDevice } from "../people.js";

const people = await Promise.all(Array.from({ length: 1000 }, async () => newDevice(await newUser())));
const [founder, admin, last] = [people[0]!, people[1]!, people.at(-1)!];
const leaves = people.map(({ identity, signature }, index): Leaf => ({ ...identity, signatureKey: signature.publicKey, index }));
const userOf = ({ identity }: TestDevice) => identity.userId;

/** The group in an epoch, as one of its devices has it. */
const groupOf = (own: TestDevice, epoch: number, members: readonly Leaf[]) =>
  ({
    generation: 0,
    epoch,
    ownLeafIndex: people.indexOf(own),
    leaves: () => members,
    ownSignatureSeed: () => own.signature.privateKey,
  }) as unknown as RoomGroup;

interface Changed {
  signed: SignedRoom;
  by: TestDevice;
  epoch: number;
  made: RawChange[];
  before: readonly Leaf[];
  after: readonly Leaf[];
  /** Where the others are when they judge the Commit: by default where its author was. */
  others?: { signed: SignedRoom; epoch: number };
}

/** Makes a Commit with these changes, as `by`, and judges it, as every other member does. */
async function change({ signed, by, epoch, made, before, after, others = { signed, epoch } }: Changed): Promise<SignedRoom> {
  const { statement } = await makeStatement(signed, groupOf(by, epoch, before), made);
  const committer = toDevice(leaves[people.indexOf(by)]!);
  const facts: CommitFacts = {
    room: signed.id,
    founding: signed.founding,
    foundingHash: signed.foundingHash,
    generation: 0,
    epoch: others.epoch,
    state: others.signed.state,
    head: others.signed.head,
    statement,
    before: before.map(toDevice),
    after: after.map(toDevice),
    committer,
    committerAfter: committer,
    isPrivate: true,
    proposals: [
      ...after.filter((leaf) => !before.includes(leaf)).map((leaf) => ({ kind: "add" as const, leaf: toDevice(leaf) })),
      ...before.filter((leaf) => !after.includes(leaf)).map((leaf) => ({ kind: "remove" as const, leaf: toDevice(leaf) })),
    ],
    hasPath: true,
  };
  const judged = await judgeCommit(facts);
  if (!judged.ok) throw new Error(judged.rule);
  return signed.next({ generation: 0, epoch: epoch + 1 }, judged, statement);
}

test("a room of 1,000 people is founded; of two changes at once one wins, and the other one is made again; a member enters", { timeout: 120_000 }, async () => {
  const { identityKey, userId } = founder.identity;
  const begun = await SignedRoom.begin(encodeFounding({ kind: "group", founder: userId, identity: identityKey, nonce: randomBytes(16) }));
  const all = people.map((each) => changes.add(userOf(each), each.identity.identityKey, each === founder ? 3 : each === admin ? 2 : 0, 1));
  const founded = await change({ signed: begun, by: founder, epoch: 0, made: all, before: [leaves[0]!], after: leaves });
  expect(founded.state.roster).toHaveLength(1000);

  const others = leaves.slice(0, -1);
  const won = await change({ signed: founded, by: founder, epoch: 1, made: [changes.remove(userOf(last))], before: leaves, after: others });
  expect(memberOf(won.state, userOf(last))).toBeUndefined();
  const renaming = { by: admin, made: [changes.set({ type: 3, value: new TextEncoder().encode("all of us") })] };
  const late = change({ ...renaming, signed: founded, epoch: 1, before: leaves, after: leaves, others: { signed: won, epoch: 2 } });
  await expect(late).rejects.toThrow("epoch");
  const renamed = await change({ ...renaming, signed: won, epoch: 2, before: others, after: others });

  const member = people[500]!;
  const entered = await enter({
    extension: encodeChain((await renamed.chainSince(1))!),
    room: renamed.id,
    generation: 0,
    epoch: 3,
    leaves: others.map(toDevice),
    signer: toDevice(leaves[1]!),
    user: userOf(member),
  });
  expect(entered).toMatchObject({ ok: true, confirmed: false, state: { name: "all of us" } });
  expect(entered.ok && entered.state.roster).toHaveLength(999);
});
