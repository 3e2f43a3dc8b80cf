/* Fetches the device lists of a user and compares them with what is known. Nothing is stored here. */
import { equal, type Bytes } from "../base/bytes.js";
import { SecureMessagingError } from "../base/errors.js";
import { checkDeviceList, type KnownList } from "../trust/deviceList.js";
import type { RuleName } from "../trust/rules.js";
import type { Directory } from "./directory.js";

/** A verified list with its bytes. @internal */
export interface Verified extends KnownList {
  encoded: Bytes;
}

/** What is known of a user's lists: the newest one, and the hash of number 1. @internal */
export interface KnownChain {
  newest: Verified;
  first: Bytes;
}

/** What the server has, compared with what is known. @internal */
export type Fetched =
  /** No list at all. */
  | { kind: "none" }
  /** Nothing new. The server may even have less than is known. */
  | { kind: "same" }
  /** Lists that continue the known one, in their order. */
  | { kind: "newer"; lists: Verified[] }
  /** Another list of a known number, signed by the known identity. */
  | { kind: "fork"; newest: Verified }
  /** Another chain, from number 1, with another identity. */
  | { kind: "other"; lists: Verified[] }
  /** A list that breaks a rule; `lists` are those before it that continue the known one. */
  | { kind: "invalid"; rule: RuleName; number: number; lists: Verified[] };

/** As many lists are read at once: an honest server has about 1,000 of a user, and can invent any number of valid ones of a user of its own. */
const mostAtOnce = 4096;

/** @internal */
export async function fetchLists(directory: Directory, userId: string, known: KnownChain | undefined, most = mostAtOnce): Promise<Fetched> {
  if (!known) return check(read(directory, userId, 0, most), userId, undefined);
  const { newest, first } = known;
  // With the known number, so that another list of this number is seen.
  const later = read(directory, userId, newest.list.number - 1, most);
  const again = await later.next();
  if (!again.done && equal(again.value, newest.encoded)) return check(later, userId, newest);
  const whole = await check(read(directory, userId, 0, newest.list.number + most), userId, undefined);
  if (whole.kind !== "newer") return whole.kind === "none" ? { kind: "same" } : whole.kind === "invalid" ? { ...whole, lists: [] } : whole;
  const { lists } = whole;
  // An earlier state of the same chain: the server does not have, or does not show, the rest.
  if (equal(lists[0]!.hash, first) && lists.length < newest.list.number) return { kind: "same" };
  const last = lists.at(-1)!;
  if (lists.length >= newest.list.number && equal(lists[newest.list.number - 1]!.hash, newest.hash))
    return { kind: "newer", lists: lists.slice(newest.list.number) };
  return equal(last.list.identity, newest.list.identity) || equal(lists[0]!.hash, first) ? { kind: "fork", newest: last } : { kind: "other", lists };
}

/**
 * The lists after this number, oldest first, page by page: the reader stops at one that is not valid, and no more are asked for.
 * @throws `Unavailable` after `most` lists, when there are more.
 */
async function* read(directory: Directory, userId: string, after: number, most: number): AsyncGenerator<Bytes, void, undefined> {
  for (let count = 0; ;) {
    const { newest, lists } = await directory.lists(userId, after + count);
    for (const each of lists) {
      if (count++ === most) throw SecureMessagingError.of("Unavailable", `The server names more than ${most} device lists of user ${userId} at once.`);
      yield each;
    }
    if (lists.length === 0 || after + count >= newest) return;
  }
}

async function check(encoded: AsyncIterable<Bytes>, userId: string, before: Verified | undefined): Promise<Fetched> {
  const lists: Verified[] = [];
  let last = before;
  for await (const each of encoded) {
    const checked = await checkDeviceList(each, userId, last);
    if (!checked.ok) return { kind: "invalid", rule: checked.rule, number: (last?.list.number ?? 0) + 1, lists };
    last = { list: checked.list, hash: checked.hash, encoded: each };
    lists.push(last);
  }
  return lists.length > 0 ? { kind: "newer", lists } : { kind: before ? "same" : "none" };
}
