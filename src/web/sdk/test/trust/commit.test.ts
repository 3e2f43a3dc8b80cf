import { expect, test } from "vitest";
import { toHex } from "../../src/base/bytes.js";
import { judgeCommit, type CommitFacts } from "../../src/trust/commit.js";
import type { Device } from "../../src/trust/device.js";
import type { Head } from "../../src/trust/follow.js";
import { decodeFounding, foundingHash } from "../../src/trust/founding.js";
import { open, paddedSize, seal } from "../../src/trust/sealed.js";
import { decodeState, emptyState, encodeState } from "../../src/trust/state.js";
import { fromHex, vectors } from "./vectors.js";

const statements = vectors("statements");
const commits = vectors("commits");
const sealed = vectors("sealed");

interface ShownLeaf {
  user: string;
  device: string;
  identityKey: string;
  signatureKey: string;
  approval: string;
}
interface ShownCommit {
  about: string;
  rule?: string;
  number: number;
  room?: string;
  before: ShownLeaf[];
  committer: string;
  statement: string | null;
  remove: string[];
  add: ShownLeaf[];
}

const leafOf = (leaf: ShownLeaf): Device => ({
  user: leaf.user,
  device: leaf.device,
  identity: fromHex(leaf.identityKey),
  approval: fromHex(leaf.approval),
  signatureKey: fromHex(leaf.signatureKey),
});

/** The facts of a Commit that has a path, with the leaves that its proposals make. */
async function factsOf(commit: ShownCommit): Promise<CommitFacts> {
  const room = commit.room === statements.direct.roomId ? statements.direct : statements.group;
  const [last, shown] = [room.valid[commit.number - 2], room.valid[commit.number - 1]];
  const founding = fromHex(room.founding);
  const before = commit.before.map(leafOf);
  const added = commit.add.map(leafOf);
  const removed = before.filter((leaf) => commit.remove.includes(leaf.device));
  const committer = before.find((leaf) => leaf.device === commit.committer)!;
  const head: Head | undefined = last && { number: last.number, hash: fromHex(last.hash) };
  return {
    room: room.roomId,
    founding: decodeFounding(founding),
    foundingHash: await foundingHash(founding),
    generation: shown.generation,
    epoch: shown.epoch,
    state: last ? decodeState(fromHex(last.state)) : emptyState,
    head,
    ...(commit.statement ? { statement: fromHex(commit.statement) } : {}),
    before,
    after: [...before.filter((leaf) => !removed.includes(leaf)), ...added],
    committer,
    committerAfter: committer,
    isPrivate: true,
    proposals: [...removed.map((leaf) => ({ kind: "remove" as const, leaf })), ...added.map((leaf) => ({ kind: "add" as const, leaf }))],
    hasPath: true,
  };
}

test("valid Commits lead to the state of their statement", async () => {
  expect(commits.valid).toHaveLength(6);
  for (const commit of commits.valid as ShownCommit[]) {
    const result = await judgeCommit(await factsOf(commit));
    expect(result, commit.about).toMatchObject({ ok: true });
    if (!result.ok) continue;
    const shown = statements.group.valid[commit.number - (commit.statement ? 1 : 2)];
    expect(toHex(encodeState(result.state)), commit.about).toBe(shown.state);
    expect(toHex(result.head.hash)).toBe(shown.hash);
  }
});

test("invalid Commits name their rule", async () => {
  expect(commits.invalid).toHaveLength(11);
  for (const commit of commits.invalid as ShownCommit[])
    expect(await judgeCommit(await factsOf(commit)), commit.about).toEqual({ ok: false, rule: commit.rule });
});

const changed = async (index: number, fields: (facts: CommitFacts) => Partial<CommitFacts>) => {
  const facts = await factsOf(commits.valid[index]);
  return judgeCommit({ ...facts, ...fields(facts) });
};

test("a Commit is a private message with Adds and Removes by value, with a path unless it only adds", async () => {
  const refused = { ok: false, rule: "proposals" };
  expect(await changed(0, () => ({ hasPath: false }))).toMatchObject({ ok: true });
  expect(await changed(1, () => ({ hasPath: false }))).toEqual(refused);
  expect(await changed(0, () => ({ isPrivate: false }))).toEqual(refused);
  expect(await changed(0, ({ proposals }) => ({ proposals: [...proposals, { kind: "other" }] }))).toEqual(refused);
  expect(await changed(0, ({ proposals }) => ({ proposals: proposals.map((each) => ({ ...each, byReference: true })) }))).toEqual(refused);
  expect(await changed(5, () => ({ proposals: [], hasPath: false }))).toEqual(refused);
});

test("the committer's leaf keeps its credential and key", async () => {
  const refused = { ok: false, rule: "path" };
  expect(await changed(0, ({ committer }) => ({ committerAfter: { ...committer, signatureKey: new Uint8Array(32) } }))).toEqual(refused);
  expect(await changed(0, ({ committer }) => ({ committerAfter: { ...committer, identity: new Uint8Array(32) } }))).toEqual(refused);
  expect(await changed(0, () => ({ committerAfter: undefined }))).toEqual(refused);
});

test("a leaf without the credential of a device, and a changed leaf from before, are refused", async () => {
  expect(await changed(0, ({ after }) => ({ after: [...after, undefined] }))).toEqual({ ok: false, rule: "leaf" });
  expect(await changed(0, ({ after }) => ({ after: after.map((leaf) => leaf && { ...leaf, signatureKey: new Uint8Array(32) }) }))).toEqual({
    ok: false,
    rule: "leaf",
  });
});

test("a Commit in epoch 0 after generation 0 may add all devices, by a device that was a leaf before", async () => {
  const facts = await factsOf(commits.valid[3]);
  const { before, committer } = facts;
  const reset: CommitFacts = {
    ...facts,
    statement: undefined,
    generation: 2,
    epoch: 0,
    before: [committer],
    after: before,
    proposals: before.filter((leaf) => leaf !== committer).map((leaf) => ({ kind: "add", leaf })),
    groupBefore: before,
  };
  expect(await judgeCommit(reset)).toMatchObject({ ok: true, head: facts.head });
  expect(await judgeCommit({ ...reset, groupBefore: before.filter((leaf) => leaf !== committer) })).toEqual({ ok: false, rule: "leaf" });
  expect(await judgeCommit({ ...reset, statement: facts.statement })).toEqual({ ok: false, rule: "generation" });
});

test("a statement is sealed for the epoch of its Commit", async () => {
  const contextOf = (of: { key: string; groupId: string; epoch: number }) => ({ key: fromHex(of.key), groupId: fromHex(of.groupId), epoch: of.epoch });
  expect(sealed.valid).toHaveLength(1);
  const [valid] = sealed.valid;
  expect(toHex(await seal(fromHex(valid.plaintext), contextOf(valid), fromHex(valid.nonce)))).toBe(valid.sealed);
  expect(await open(fromHex(valid.sealed), contextOf(valid))).toEqual({ ok: true, statement: fromHex(valid.plaintext) });
  expect(paddedSize(fromHex(valid.plaintext).length)).toBe(valid.padded);
  expect(sealed.padding).toHaveLength(6);
  for (const { length, padded } of sealed.padding) expect(paddedSize(length)).toBe(padded);
  expect(sealed.invalid).toHaveLength(6);
  for (const { rule, about, sealed: bytes } of sealed.invalid) expect(await open(fromHex(bytes), contextOf(valid)), about).toEqual({ ok: false, rule });
  const bytes = fromHex(valid.sealed);
  for (let length = 0; length < bytes.length; length += 7) expect(await open(bytes.slice(0, length), contextOf(valid))).toEqual({ ok: false, rule: "length" });
  expect(await open(await seal(new Uint8Array(), contextOf(valid)), contextOf(valid))).toEqual({ ok: true, statement: new Uint8Array() });
});
