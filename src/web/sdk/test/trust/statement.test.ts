import { expect, test } from "vitest";
import { toHex } from "../../src/base/bytes.js";
import { decodeDeviceList } from "../../src/trust/deviceList.js";
import type { Device } from "../../src/trust/device.js";
import { followStatement, type FollowContext, type Head } from "../../src/trust/follow.js";
import { decodeFounding, foundingHash } from "../../src/trust/founding.js";
import { decodeState, emptyState, encodeState } from "../../src/trust/state.js";
import * as s from "../../src/trust/statement.js";
import { fromHex, fuzz, vectors } from "./vectors.js";

const file = vectors("statements");

interface Shown {
  about: string;
  number: number;
  generation: number;
  epoch: number;
  leaves: ShownDevice[];
  author: ShownDevice;
  authorSeed: string;
  changes: { type: number; value: string }[];
  state: string;
  stateHash: string;
  encoded: string;
  hash: string;
}
interface ShownDevice {
  user: string;
  device: string;
  identityKey: string;
  signatureKey: string;
}

/* The vectors show leaves without the approval. Of the author of the statement, and of the leaf that a token names, it is read from the bytes. */
function leavesOf(shown: Shown): Device[] {
  const { author, changes } = s.decodeStatement(fromHex(shown.encoded));
  const known = [author];
  for (const change of changes) if (change.type === 3) known.push(s.decodeLeave(change.value).author);
  return shown.leaves.map((leaf) => {
    const found = known.find((each) => each.device === leaf.device);
    return {
      user: leaf.user,
      device: leaf.device,
      identity: fromHex(leaf.identityKey),
      approval: found?.approval ?? new Uint8Array(64),
      signatureKey: fromHex(leaf.signatureKey),
    };
  });
}

async function follow(room: { founding: string; roomId: string; valid: Shown[] }, number: number, encoded: string) {
  const shown = room.valid[number - 1]!;
  const last = room.valid[number - 2];
  const founding = fromHex(room.founding);
  const head: Head | undefined = last && { number: last.number, hash: fromHex(last.hash) };
  const context: FollowContext = {
    room: room.roomId,
    founding: decodeFounding(founding),
    foundingHash: await foundingHash(founding),
    place: (statement) => (statement.generation !== shown.generation ? "generation" : statement.epoch !== shown.epoch ? "epoch" : undefined),
    leaves: leavesOf(shown),
  };
  return followStatement(fromHex(encoded), { state: last ? decodeState(fromHex(last.state)) : emptyState, head }, context);
}

test("the statements of a group and of a direct room are followed to their states", async () => {
  expect([file.group.valid.length, file.direct.valid.length]).toEqual([11, 3]);
  for (const room of [file.group, file.direct])
    for (const shown of room.valid as Shown[]) {
      const result = await follow(room, shown.number, shown.encoded);
      expect(result, shown.about).toMatchObject({ ok: true });
      if (!result.ok) continue;
      expect(toHex(encodeState(result.state))).toBe(shown.state);
      expect(toHex(result.statement.state)).toBe(shown.stateHash);
      expect(result.head).toEqual({ number: shown.number, hash: fromHex(shown.hash) });
    }
});

test("statements are signed to the same bytes", async () => {
  for (const room of [file.group, file.direct])
    for (const shown of room.valid as Shown[]) {
      const statement = s.decodeStatement(fromHex(shown.encoded));
      expect(statement.changes.map(({ type, value }) => ({ type, value: toHex(value) }))).toEqual(shown.changes);
      expect(toHex(await s.signStatement(statement, { device: statement.author, seed: fromHex(shown.authorSeed) }))).toBe(shown.encoded);
      for (const change of statement.changes) expect(encodeAgain(change)).toEqual(change);
    }
});

function encodeAgain(change: s.RawChange): s.RawChange {
  const decoded = s.decodeChange(change);
  switch (decoded.kind) {
    case "add":
      return s.changes.add(decoded.user, decoded.identity, decoded.role, decoded.list);
    case "remove":
      return s.changes.remove(decoded.user);
    case "leave":
      return s.changes.leave(s.encodeLeave(decoded.token));
    case "renew":
    case "devices":
      return s.changes[decoded.kind](change.value);
    case "role":
      return s.changes.role(decoded.user, decoded.role);
    case "set":
      return s.changes.set(decoded.part);
    case "unset":
      return s.changes.unset(decoded.part);
    case "invite":
      return s.changes.invite(decoded.terms);
    case "uninvite":
      return s.changes.uninvite(decoded.invitation);
    case "admit":
      return s.changes.admit(s.encodeAcceptance(decoded.acceptance));
  }
}

test("invalid statements name their rule", async () => {
  expect([file.invalid.length, file.invalidDirect.length]).toEqual([46, 3]);
  for (const { number, rule, about, encoded } of file.invalid) expect(await follow(file.group, number, encoded), about ?? rule).toEqual({ ok: false, rule });
  for (const { number, rule, about, encoded } of file.invalidDirect) expect(await follow(file.direct, number, encoded), about).toEqual({ ok: false, rule });
});

test("a leave token and an acceptance are valid with their seeds", async () => {
  const token = s.decodeLeave(fromHex(file.leave.encoded));
  expect(token).toMatchObject({ room: file.group.roomId, since: file.leave.since, author: { user: file.leave.user } });
  expect(await s.isLeaveSigned(token)).toBe(true);
  const accepted = s.decodeAcceptance(fromHex(file.acceptance.encoded));
  expect(accepted.author.user).toBe(file.acceptance.user);
  expect(toHex(accepted.invitation)).toBe(file.acceptance.invitation);
  expect(await s.isAcceptanceSigned(accepted)).toBe(true);
  const dora = (file.group.valid as Shown[])[7]!;
  const again = await s.signAcceptance(accepted, { device: accepted.author, seed: fromHex(dora.authorSeed) }, fromHex(file.acceptance.invitationSeed));
  expect(toHex(again)).toBe(file.acceptance.encoded);
});

test("damaged statements, tokens and acceptances are rejected or encode to the same bytes", () => {
  for (const shown of [file.group.valid[0], file.group.valid[6]] as Shown[]) fuzz(fromHex(shown.encoded), s.decodeStatement, s.encodeStatement);
  fuzz(fromHex(file.leave.encoded), s.decodeLeave, s.encodeLeave);
  fuzz(fromHex(file.acceptance.encoded), s.decodeAcceptance, s.encodeAcceptance);
  const statement = s.decodeStatement(fromHex(file.group.valid[4].encoded));
  expect(decodeDeviceList(statement.changes[0]!.value).reason).toBe(4);
});
