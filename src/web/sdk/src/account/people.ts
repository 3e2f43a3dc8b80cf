import { copy, equal } from "../base/bytes.js";
import { SecureMessagingError } from "../base/errors.js";
import { attempt } from "../trust/rules.js";
import { decodeContactCode, encodeContactCode, safetyNumber } from "../trust/safety.js";
import type { Hold, TrustedDevice, TrustLine } from "./peopleTrust.js";
import type { Pin } from "./pins.js";
import { onlyDigits } from "./deviceRecord.js";
import type { TrustBook } from "./trustBook.js";

export type { IdentityChange } from "./trustBook.js";

/** A user as this device knows them: by what it has seen and what the user has signed. */
export interface Person {
  /** The user's id. */
  userId: string;
  /** The username at first sight, or the one in the newest signed list. Undefined when this device has not seen one. */
  username?: string;
  /** The identity key. Undefined until the user has a device. */
  identityKey?: Uint8Array;
  /** The devices in the newest signed list. */
  devices: TrustedDevice[];
  /** `no`: no person has compared the keys. `yes`: a person has. `again`: the user has other keys since then, so compare again. */
  verified: "no" | "yes" | "again";
  /** Why sends to this user wait; undefined when they do not. */
  hold?: Hold;
}

/** The people whom this device knows. Nothing here depends on the newest answer of the server alone. */
export class People {
  /** @internal */
  constructor(
    private readonly book: TrustBook,
    private readonly own: { readonly userId: string; readonly identityKey: Uint8Array | undefined },
  ) {}

  /** A user whom this device knows. */
  get(userId: string): Person | undefined {
    const pin = this.book.pins.pin(userId);
    return pin && this.toPerson(userId, pin);
  }

  /** All users whom this device knows, without this user. */
  list(): Person[] {
    return this.book.pins
      .users()
      .filter((userId) => userId !== this.own.userId)
      .map((userId) => this.get(userId)!);
  }

  /** The users to whom nothing is sent, with the reason. */
  get holds(): { userId: string; hold: Hold }[] {
    return this.list().flatMap(({ userId, hold }) => (hold ? [{ userId, hold }] : []));
  }

  /** What this device has noticed about a user's keys, devices and name, oldest first. */
  lines(userId: string): Promise<TrustLine[]> {
    return this.book.linesOf(userId);
  }

  /**
   * The code that this user and another compare over another channel to detect an attacker between them: 12 groups of 5 digits, equal for both. While another
   * identity key waits for a decision, it is made of that key.
   * @throws {@link SecureMessagingError} `NotReady` when one of them has no identity key that this device knows.
   */
  async safetyNumber(userId: string): Promise<string> {
    return this.numberOf(userId, this.identityToCompare(userId));
  }

  private async numberOf(userId: string, theirs: Uint8Array | undefined): Promise<string> {
    const own = this.own.identityKey;
    if (!own || !theirs) throw SecureMessagingError.of("NotReady", "One of the two users has no identity key, because no device is registered.");
    return safetyNumber({ userId: this.own.userId, identityKey: own }, { userId, identityKey: theirs });
  }

  private identityToCompare(userId: string): Uint8Array | undefined {
    return this.book.pins.pin(userId)?.holds?.identityChanged?.candidate?.identity ?? this.book.identityKeyOf(userId);
  }

  /**
   * A person has compared the safety number of this user, and it was equal. Another identity key that waits for a decision is accepted.
   * @param number - The number that was compared. While a person compares, the server may bring another identity key.
   * @throws {@link SecureMessagingError} `Conflict` when the number is another one by now.
   */
  async verify(userId: string, number?: string): Promise<void> {
    this.require(userId);
    const identity = this.identityToCompare(userId);
    if (number !== undefined && onlyDigits(number) !== onlyDigits(await this.numberOf(userId, identity)))
      throw SecureMessagingError.of("Conflict", "The safety number is another one by now. Compare again.");
    await this.book.decide(userId, true, identity && { identity });
  }

  /** Removes the mark that a person has compared the keys. */
  unverify(userId: string): Promise<void> {
    this.require(userId);
    return this.book.unverify(userId);
  }

  /**
   * A person has seen why sends to this user wait, and wants to send. It is valid for what {@link Person.hold} shows now. Another identity key becomes the
   * user's, not compared.
   */
  async accept(userId: string): Promise<void> {
    const person = this.require(userId);
    if (person.hold?.kind === "nameChanged" && person.username === undefined)
      throw SecureMessagingError.of("Invalid", "Call people.acceptName with the name that has changed.");
    await this.book.decide(userId, false, person.hold && { kind: person.hold.kind });
  }

  /** A person knows that a username belongs to another user than before. From now on the name stands for the new user. */
  acceptName(username: string): Promise<void> {
    return this.book.acceptName(username);
  }

  /**
   * The text of the QR code that shows this user's keys to another person, who scans it with {@link People.verifyByQr}. Both people scan, so that both know.
   * @throws {@link SecureMessagingError} `NotReady` until this device is approved and the account has a device list.
   */
  qrText(): string {
    const list = this.book.listOf(this.own.userId);
    const { identityKey } = this.own;
    if (!list || !identityKey) throw SecureMessagingError.of("NotReady", "This device is not approved yet.");
    return encodeContactCode({ user: this.own.userId, identity: copy(identityKey), number: list.number, list: list.hash });
  }

  /**
   * Compares the keys in the QR code of another person with those that this device knows, and marks the person as verified. A code that differs changes
   * nothing, because it is not signed.
   * @param expected - The user whose code it must be: another person may show the code of a third one.
   * @throws {@link SecureMessagingError} `Invalid` for another text or the code of another user, `Forbidden` when the keys or the device lists differ: an
   * attacker may be between.
   */
  async verifyByQr(text: string, expected?: string): Promise<Person> {
    const read = attempt(() => decodeContactCode(text.trim()));
    if (!read.ok) throw SecureMessagingError.of("Invalid", "This is not the QR code of a person.");
    const { user, identity, number, list } = read.value;
    if (user === this.own.userId) throw SecureMessagingError.of("Invalid", "This is your own QR code.");
    if (expected !== undefined && user !== expected) throw SecureMessagingError.of("Invalid", "This is the QR code of another person.");
    let compared = this.book.compare(user, { number, hash: list });
    if (compared === "newer") {
      await this.book.update(user);
      compared = this.book.compare(user, { number, hash: list });
    }
    const known = this.identityToCompare(user);
    if (!known || !equal(known, identity)) throw differs("The other device has another identity key of this person.");
    if (compared === "fork") throw differs("The other device has another device list of the same number.");
    if (compared === "newer") throw SecureMessagingError.of("Conflict", "The server does not have the person's newest device list. Try again.");
    await this.book.decide(user, true, { identity });
    return this.get(user)!;
  }

  private require(userId: string): Person {
    const person = this.get(userId);
    if (!person) throw SecureMessagingError.of("NotFound", "This device does not know this user.");
    return person;
  }

  private toPerson(userId: string, { username, identity, verified }: Pin): Person {
    const hold = this.book.holdOf(userId);
    return {
      userId,
      ...(username === undefined ? {} : { username }),
      ...(identity ? { identityKey: new Uint8Array(identity) } : {}),
      devices: this.book.devicesOf(userId),
      verified: verified ?? "no",
      ...(hold ? { hold } : {}),
    };
  }
}

const differs = (what: string) => SecureMessagingError.of("Forbidden", `${what} An attacker may be between you.`);
