import { copy, equal, fromBase64, toHex, type Bytes } from "../base/bytes.js";
import { SecureMessagingError } from "../base/errors.js";
import { Emitter } from "../base/events.js";
import { verifyDevice } from "../mls/credential.js";
import type { Leaf } from "../mls/group.js";
import type { UserKeys } from "../net/wire.js";
import type { TransferredPin } from "../trust/transfer.js";
import type { Directory } from "./directory.js";
import { fetchLists, type Fetched, type Verified } from "./lists.js";
import type { DecidedAbout, Hold, KnownDeviceList, KnownPerson, ListComparison, PeopleTrust, ResolvedUser, TrustedDevice, TrustLine } from "./peopleTrust.js";
import type { IdentityChange, TrustEvents, VerifiedDevice } from "./trustEvents.js";
import { nameIn } from "../trust/deviceList.js";
import { enforced } from "../trust/enforced.js";
import { forkHold, lineOf, linesBetween, nameChanged, nameHold } from "./trustLines.js";
export type { IdentityChange } from "./trustEvents.js";
import { withHold, withoutHold, type Pin, type PinChange, type Pins, type StoredHold } from "./pins.js";

/**
 * What this device believes about people: rules T5 and T6. A name, an identity key and a device list are pinned at first sight. Later answers of the server are
 * compared with the pins and change them only by what the user has signed, or by a person's decision. @internal
 */
export class TrustBook extends Emitter<TrustEvents> implements PeopleTrust {
  private readonly running = new Map<string, Promise<void>>();

  constructor(
    readonly pins: Pins,
    private readonly directory: Directory,
    private readonly ownId: string,
    private readonly now: () => number = Date.now,
  ) {
    super();
  }

  async resolve(username: string): Promise<ResolvedUser> {
    const asked = username.toLowerCase();
    const found = await this.directory.user(asked);
    const { userId } = found;
    const pinned = this.pins.userOf(asked);
    if (pinned !== undefined && pinned !== userId && enforced.t6) {
      await this.holdName(userId, asked);
      throw nameChanged(`The server says that the name ${asked} belongs to another user than before. Ask the person over another channel.`);
    }
    await this.update(userId);
    const list = this.pins.list(userId)?.list;
    if (list && list.username.toLowerCase() !== asked && enforced.t6)
      throw nameChanged(`The server names ${asked} a user whose signed device list has the name ${list.username}.`);
    if (!list) await this.verify([{ ...found, username: asked }]);
    const identityKey = this.identityKeyOf(userId);
    if (!identityKey) throw SecureMessagingError.of("NoDevice", `${asked} has no device that can read messages.`);
    return { userId, username: asked, identityKey, list: list?.number ?? 0 };
  }

  devicesOf(userId: string): TrustedDevice[] {
    return (this.pins.list(userId)?.list.devices ?? []).map((each) => ({
      deviceId: each.device,
      signatureKey: copy(each.signatureKey),
      linkKey: copy(each.linkKey),
    }));
  }

  listOf(userId: string): KnownDeviceList | undefined {
    const known = this.pins.list(userId);
    return known && { number: known.list.number, hash: copy(known.hash), encoded: copy(known.encoded) };
  }

  listsOf(userId: string): KnownDeviceList[] {
    return this.pins.lists(userId).map(({ list, hash, encoded }) => ({ number: list.number, hash: copy(hash), encoded: copy(encoded) }));
  }

  knownOf(userId: string): KnownPerson | undefined {
    const pin = this.pins.pin(userId);
    return pin && { ...(pin.username === undefined ? {} : { username: pin.username }), verified: pin.verified ?? "no" };
  }

  identityKeyOf(userId: string): Bytes | undefined {
    const identity = this.pins.pin(userId)?.identity;
    return identity && copy(identity);
  }

  isOtherIdentity(userId: string, identityKey: Uint8Array): boolean {
    const { identity, former } = this.pins.pin(userId) ?? {};
    return identity !== undefined && !equal(identity, identityKey) && !former?.includes(toHex(identityKey));
  }

  holdOf(userId: string): Hold | undefined {
    const hold = this.pins.hold(userId);
    return hold && { kind: hold.kind, detail: hold.detail };
  }

  linesOf(userId: string): Promise<TrustLine[]> {
    return this.pins.lines(userId);
  }

  onChange(listener: (change: { userId: string; line?: TrustLine }) => void): () => void {
    return this.on("changed", listener);
  }

  async refresh(userIds: readonly string[]): Promise<void> {
    const users = [...new Set(userIds)];
    // A few at a time: a room may have thousands of members.
    for (let i = 0; i < users.length; i += 8) await Promise.all(users.slice(i, i + 8).map((userId) => this.refreshOne(userId)));
  }

  async mention(userId: string, list: { number: number; hash: Uint8Array }): Promise<ListComparison> {
    const compared = this.compare(userId, list);
    if (compared === "newer")
      await this.change(userId, (pin) => ((pin.mentioned ?? 0) >= list.number ? undefined : { pin: { ...pin, mentioned: list.number } }));
    if (compared === "fork") await this.hold(userId, forkHold(toHex(list.hash)));
    return compared;
  }

  /** Compares a list with the known one, and changes nothing. */
  compare(userId: string, list: { number: number; hash: Uint8Array }): ListComparison {
    const known = this.pins.list(userId);
    if (!known || list.number > known.list.number) return "newer";
    if (list.number < known.list.number) return "older";
    return equal(known.hash.subarray(0, list.hash.length), list.hash) ? "same" : "fork";
  }

  /** Pins the name of a user at first sight. A later name comes from a signed list. A name that is pinned to another user becomes a hold. */
  async learnName(userId: string, username: string): Promise<void> {
    const pinned = this.pins.userOf(username);
    if (pinned !== undefined && pinned !== userId) return this.holdName(userId, username);
    if (this.pins.pin(userId)?.username === undefined) await this.change(userId, (pin) => ({ pin: { ...pin, username } }), [username]);
  }

  /** Compares the identity keys of leaves with the pinned ones. Another one is looked up in the user's lists, in the background. */
  async seeLeaves(leaves: Pick<Leaf, "userId" | "identityKey">[]): Promise<void> {
    for (const { userId, identityKey } of leaves) {
      if (await this.pinIdentity(userId, identityKey)) continue;
      void this.update(userId)
        .then(() => this.compareIdentity(userId, identityKey))
        .catch((error: unknown) => this.emit("trouble", { kind: "identityNotCompared", error }));
    }
  }

  /** The devices in a directory answer with a valid signature of their user's identity, as far as this is the pinned one. */
  async verify(users: UserKeys[]): Promise<VerifiedDevice[]> {
    const all: VerifiedDevice[] = [];
    for (const user of users) {
      await this.learnName(user.userId, user.username);
      if (user.identityKey === undefined) continue;
      const identityKey = fromBase64(user.identityKey);
      const good: VerifiedDevice[] = [];
      for (const device of user.devices) {
        const signatureKey = fromBase64(device.signatureKey);
        const identity = { userId: user.userId, deviceId: device.deviceId, identityKey, identitySignature: fromBase64(device.identitySignature) };
        if (await verifyDevice(identity, signatureKey)) good.push({ userId: user.userId, deviceId: device.deviceId, signatureKey });
      }
      if (good.length > 0 && !(await this.pinIdentity(user.userId, identityKey))) {
        await this.update(user.userId);
        await this.compareIdentity(user.userId, identityKey);
      }
      const pinned = this.pins.pin(user.userId)?.identity;
      if (pinned && equal(pinned, identityKey)) all.push(...good);
    }
    return all;
  }

  /** Fetches the user's lists. What continues the known one is stored; what contradicts it becomes a hold. */
  update(userId: string): Promise<void> {
    // Before this device is approved, it cannot know which lists are its user's.
    if (userId === this.ownId && !this.pins.pin(userId)?.identity) return Promise.resolve();
    let running = this.running.get(userId);
    if (!running) {
      running = fetchLists(this.directory, userId, this.pins.chain(userId))
        .then((found) => this.take(userId, found))
        .finally(() => this.running.delete(userId));
      this.running.set(userId, running);
    }
    return running;
  }

  /** Stores lists that were made on this device. */
  adopt(userId: string, lists: Verified[]): Promise<void> {
    return this.take(userId, { kind: "newer", lists });
  }

  /** This device's user has this identity: it was founded here, or a person or a signed renewal has confirmed it. `lists` replace the known ones. */
  async trustOwn(identity: Bytes, lists: Verified[] | undefined): Promise<void> {
    const last = lists?.at(-1);
    await this.change(this.ownId, (pin) => ({
      pin: { ...pin, identity, ...(lists ? { first: lists[0]?.hash, holds: {} } : {}), ...(last ? { username: last.list.username } : {}) },
      ...(last ? { newest: last } : lists ? { dropList: true } : {}),
    }));
  }

  /** What another own device has seen of people. A list of theirs has not been fetched yet: the first one must be in the chain that the server shows. */
  async takePins(pins: readonly TransferredPin[]): Promise<void> {
    for (const { user, username, identity, number, list, verified } of pins) {
      if (user === this.ownId || this.pins.list(user)) continue;
      const names = username !== "" && this.canPin(user, username) ? [username] : [];
      await this.change(
        user,
        (pin) => ({
          pin: {
            ...pin,
            ...(names.length > 0 ? { username } : {}),
            identity,
            ...(verified ? { verified: "yes" as const } : {}),
            ...(number > 0 ? { mentioned: number, expected: { number, hash: list } } : {}),
          },
        }),
        names,
      );
    }
  }

  /** A person has compared the keys, or accepts what a hold shows. */
  async decide(userId: string, compared: boolean, { kind, identity }: DecidedAbout = {}): Promise<void> {
    await this.change(userId, (pin) => {
      const answered = Object.values(pin.holds ?? {}).filter((hold) => kind === undefined || hold.kind === kind);
      const candidate = answered.find((hold) => hold.kind === "identityChanged")?.candidate;
      const now = candidate?.identity ?? pin.identity;
      if (identity && !(now && equal(now, identity))) throw SecureMessagingError.of("Conflict", "The user has another identity key now. Compare again.");
      const accepted = [...new Set([...(pin.accepted ?? []), ...answered.map((hold) => `${hold.kind} ${hold.about}`)])];
      const next: Pin = answered.reduce((rest: Pin, hold) => withoutHold(rest, hold.kind), { ...pin, accepted });
      // The own identity comes from an approval or a signed renewal only.
      if (userId === this.ownId) return { pin: next };
      if (compared) next.verified = "yes";
      else if (candidate && pin.verified) next.verified = "again";
      if (!candidate) return { pin: next };
      next.identity = candidate.identity;
      return this.withCandidate(next, candidate);
    });
  }

  /** A person accepts that a name belongs to this user now. */
  async acceptName(username: string): Promise<void> {
    const asked = username.toLowerCase();
    const { userId } = await this.directory.user(asked);
    await this.change(userId, (pin) => ({ pin: { ...withoutHold(pin, "nameChanged"), username: asked } }), [asked]);
  }

  async unverify(userId: string): Promise<void> {
    await this.change(userId, (pin) => ({ pin: { ...pin, verified: undefined } }));
  }

  private withCandidate(pin: Pin, candidate: NonNullable<StoredHold["candidate"]>): PinChange {
    return candidate.first && candidate.list ? { pin: { ...pin, first: candidate.first }, stored: candidate.list } : { pin };
  }

  private async refreshOne(userId: string): Promise<void> {
    await this.update(userId);
    if (userId === this.ownId) return;
    const known = this.pins.list(userId)?.list.number ?? 0;
    const wanted = Math.max(1, this.pins.pin(userId)?.mentioned ?? 0);
    if (known < wanted)
      await this.hold(userId, { kind: "listWithheld", about: String(wanted), detail: "The server does not have the user's device list, or withholds it." });
    else await this.change(userId, (pin) => (pin.holds?.listWithheld ? { pin: withoutHold(pin, "listWithheld") } : undefined));
  }

  private async take(userId: string, found: Fetched): Promise<void> {
    if (found.kind === "invalid")
      this.emit("trouble", {
        kind: "deviceListInvalid",
        error: SecureMessagingError.of("Invalid", `Device list ${found.number} of user ${userId} breaks the rule "${found.rule}".`),
      });
    switch (found.kind) {
      case "newer":
      case "invalid":
        if (found.lists.length > 0) await this.follow(userId, found.lists);
        return;
      case "fork":
        return this.hold(userId, forkHold(toHex(found.newest.hash)));
      case "other":
        return this.otherIdentity(userId, found.lists.at(-1)!.list.identity, found.lists);
      case "none":
      case "same":
    }
  }

  /** Lists that continue the known one, or the first ones. */
  private async follow(userId: string, lists: Verified[]): Promise<void> {
    const newest = lists.at(-1)!;
    const name = nameIn(newest.list);
    const { identity } = this.pins.pin(userId) ?? {};
    const { expected } = this.pins.pin(userId) ?? {};
    if (!this.pins.list(userId) && expected) {
      const there = lists.find(({ list }) => list.number === expected.number);
      // The chain does not reach what another own device has seen: it stays withheld.
      if (!there) return;
      if (!equal(there.hash, expected.hash)) return this.hold(userId, forkHold(toHex(there.hash)));
    }
    if (!this.pins.list(userId) && identity && !lists.some(({ list }) => equal(list.identity, identity)))
      return this.otherIdentity(userId, newest.list.identity, lists);
    let renewed: IdentityChange | undefined;
    await this.change(
      userId,
      (pin) => {
        const known = this.pins.list(userId);
        // Another fetch may have stored some of them meanwhile.
        const fresh = lists.filter(({ list }) => list.number > (known?.list.number ?? 0));
        if (fresh.length === 0) return undefined;
        // Without a known list, a key of a leaf may be known: what the user has signed since is news.
        const from = known ?? fresh.findLast(({ list }) => pin.identity && equal(list.identity, pin.identity));
        const news = fresh.filter(({ list }) => from && list.number > from.list.number);
        const lines = from ? linesBetween(from, news, this.now()) : [];
        const next: Pin = { ...pin, identity: newest.list.identity, username: name, first: pin.first ?? lists[0]!.hash };
        const previous = pin.identity;
        const earlier = fresh.map(({ list }) => toHex(list.identity)).filter((each) => each !== toHex(newest.list.identity));
        if (previous && !equal(previous, newest.list.identity)) earlier.push(toHex(previous));
        if (earlier.length > 0) next.former = [...new Set([...(pin.former ?? []), ...earlier])];
        if (previous && !equal(previous, newest.list.identity)) {
          if (pin.verified) next.verified = "again";
          renewed = {
            userId,
            username: next.username,
            identityKey: copy(newest.list.identity),
            previousKey: copy(previous),
            signed: true,
            blocksSending: false,
          };
        }
        // The name at first sight was the server's word.
        const wrongName = !known && pin.username?.toLowerCase() !== name?.toLowerCase() ? pin.username : undefined;
        return { pin: next, newest, earlier: fresh.slice(0, -1), lines, wrongName };
      },
      name !== undefined && this.canPin(userId, name) ? [name] : [],
    );
    if (renewed) this.emit("identityChanged", renewed);
    if (name !== undefined && !this.canPin(userId, name)) await this.holdName(userId, name);
  }

  /** Another identity that the known one has not signed. With lists, they are a whole chain of it. */
  private async otherIdentity(userId: string, identity: Bytes, lists?: Verified[]): Promise<void> {
    const chain = lists && { first: lists[0]!.hash, list: lists.at(-1)!.encoded };
    let changed: IdentityChange | undefined;
    await this.change(userId, (pin) => {
      const previous = pin.identity;
      if (!previous || equal(previous, identity)) return undefined;
      const about = toHex(identity);
      const blocksSending = userId === this.ownId || pin.verified !== undefined;
      const event = { userId, username: pin.username, identityKey: copy(identity), previousKey: copy(previous), signed: false, blocksSending };
      const lines = [lineOf(userId, "identityChanged", this.now())];
      // Only a chain replaces a chain. Without one, the key is shown and not used.
      if (blocksSending || (!chain && this.pins.list(userId))) {
        const detail = "The user has another identity key, and the earlier one has not signed it: compare the safety number.";
        const candidate = chain || !this.pins.list(userId) ? { candidate: { identity, ...chain } } : {};
        const held = withHold(pin, { kind: "identityChanged", about, detail, ...candidate });
        if (!held) return undefined;
        changed = event;
        return blocksSending ? { pin: held, lines } : { pin: { ...pin, accepted: [...(pin.accepted ?? []), `identityChanged ${about}`] }, lines };
      }
      changed = event;
      const next: Pin = { ...pin, identity };
      return { ...(chain ? this.withCandidate(next, { identity, ...chain }) : { pin: next }), lines };
    });
    if (changed) this.emit("identityChanged", changed);
  }

  /** Pins the identity key of a user at first sight. Returns whether it is the pinned one. */
  private async pinIdentity(userId: string, identityKey: Uint8Array): Promise<boolean> {
    // Only an approval says what the own identity is.
    if (userId === this.ownId && !this.pins.pin(userId)?.identity) return true;
    if (!this.pins.pin(userId)?.identity) await this.change(userId, (pin) => (pin.identity ? undefined : { pin: { ...pin, identity: copy(identityKey) } }));
    return equal(this.pins.pin(userId)!.identity!, identityKey);
  }

  private async compareIdentity(userId: string, identityKey: Uint8Array): Promise<void> {
    // A leaf may still have an identity from before a signed renewal.
    if (this.pins.pin(userId)?.former?.includes(toHex(identityKey))) return;
    if (!(await this.pinIdentity(userId, identityKey))) await this.otherIdentity(userId, copy(identityKey));
  }

  private canPin(userId: string, username: string): boolean {
    const pinned = this.pins.userOf(username);
    return pinned === undefined || pinned === userId;
  }

  private holdName(userId: string, username: string): Promise<void> {
    return this.hold(userId, nameHold(username), username);
  }

  private async hold(userId: string, hold: StoredHold, username?: string): Promise<void> {
    const line = { ...lineOf(userId, hold.kind, this.now()), ...(username === undefined ? {} : { username }) };
    await this.change(userId, (pin) => {
      const held = withHold(pin, hold);
      return held && { pin: held, lines: [line] };
    });
  }

  private async change(userId: string, work: (pin: Pin) => PinChange | undefined, names: string[] = []): Promise<void> {
    const lines = await this.pins.change(userId, work, { names });
    if (!lines) return;
    if (lines.length === 0) this.emit("changed", { userId });
    for (const line of lines) this.emit("changed", { userId, line });
  }
}
