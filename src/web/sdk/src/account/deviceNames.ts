/*
 * Names of this user's devices. The server keeps them as labels of sessions, encrypted with a key that only the user's approved devices have.
 * A label is a nonce of 12 bytes and the ciphertext of AES-256-GCM. The key is HKDF-SHA256 of the identity's seed with the info "SecureMessaging 1.0
 * SessionLabel", and the additional data are user id and session id. The plaintext is a byte 1, the id of the session's device and the name in UTF-8, padded
 * with 0x80 and zeros to 160 bytes, so that its length tells nothing.
 */
import { concat, copy, fromBase64, fromUtf8, idBytes, idText, randomBytes, toBase64, utf8, type Bytes } from "../base/bytes.js";
import { SecureMessagingError } from "../base/errors.js";
import { isVerdict } from "../base/verdict.js";
import type { SessionSummary } from "../net/wire.js";
import { keys, pack, read, unpack, type Store } from "../store/store.js";

const plaintextBytes = 160;
const nameAt = 17;
const mostNameBytes = 128;

/** A session of this user. */
export interface SessionInfo {
  /** The session's id. */
  id: string;
  /** The begin, to the hour (UTC). */
  startedAt: string;
  /** The end, to the hour (UTC); undefined while the session lasts. */
  endedAt?: string;
  /** Whether it is this client's session. */
  current: boolean;
  /** The id of the session's device; undefined when the device has not said it. The server cannot read it. */
  deviceId?: string;
  /** The name that a person has given to the device. The server cannot read it. */
  name?: string;
}

/** What a label says. */
interface Label {
  deviceId: string;
  name: string;
}

/** The name of this device, and the session whose label has it. */
interface OwnName {
  name: string;
  /** Whether a person has chosen it. */
  chosen: boolean;
  sessionId?: string;
  /** The identity key under which the label was encrypted. */
  identity?: Uint8Array;
}

interface NamedDevice {
  readonly userId: string;
  readonly id: string;
  /** The identity's private key and public key; undefined until the device is approved. */
  readonly identitySeed: Bytes | undefined;
  readonly identityKey: Bytes | undefined;
}

interface NameServer {
  readonly sessionId: string;
  call<T>(method: "GET" | "PUT", path: string, body?: unknown): Promise<T>;
}

/** The names of this user's devices. @internal */
export class DeviceNames {
  constructor(
    private readonly server: NameServer,
    private readonly device: NamedDevice,
    private readonly store: Store,
  ) {}

  /** Reads the sessions, and keeps the names in them for later, when a device has no session any more. */
  async sessions(): Promise<SessionInfo[]> {
    const found = await this.server.call<SessionSummary[]>("GET", "v1/me/sessions");
    const known = await this.known();
    const sessions: SessionInfo[] = [];
    const news = new Map<string, Uint8Array>();
    for (const { label, ...session } of found) {
      const said = label === undefined ? undefined : await this.open(session.id, fromBase64(label));
      sessions.push({ ...session, ...said });
      if (said && known.get(said.deviceId) !== said.name && session.endedAt === undefined) news.set(keys.deviceName(said.deviceId), pack(said.name));
    }
    if (news.size > 0) await this.store.write(news);
    return sessions;
  }

  /** The last known names by device id. Needs no connection. */
  async known(): Promise<Map<string, string>> {
    const names = new Map((await this.store.list(keys.deviceNames)).map(([key, value]) => [key.slice(keys.deviceNames.length), unpack<string>(value)]));
    const own = await read<OwnName>(this.store, keys.ownName);
    if (own) names.set(this.device.id, own.name);
    return names;
  }

  /** A person names a device. */
  async set(deviceId: string, name: string): Promise<void> {
    const clean = valid(name);
    if (deviceId === this.device.id) {
      await this.store.write(new Map([[keys.ownName, pack({ name: clean, chosen: true } satisfies OwnName)]]));
      await this.keep();
      return;
    }
    const session = (await this.sessions()).find((each) => each.deviceId === deviceId && each.endedAt === undefined);
    if (!session) throw SecureMessagingError.of("NotFound", "This device is not signed in, or has not said which session is its own.");
    await this.label(session.id, { deviceId, name: clean });
    await this.store.write(new Map([[keys.deviceName(deviceId), pack(clean)]]));
  }

  /** The name of this device until a person gives it one. */
  async suggest(name: string): Promise<void> {
    const clean = valid(name);
    const own = await read<OwnName>(this.store, keys.ownName);
    if (own && (own.chosen || own.name === clean)) return;
    await this.store.write(new Map([[keys.ownName, pack({ name: clean, chosen: false } satisfies OwnName)]]));
  }

  /** Ensures that the label of this session has the device's name, also in a new session and after a renewal of the identity. */
  async keep(): Promise<void> {
    const own = await read<OwnName>(this.store, keys.ownName);
    const { identityKey: identity, identitySeed } = this.device;
    const { sessionId } = this.server;
    if (!own || !identity || !identitySeed) return;
    if (own.sessionId === sessionId && own.identity && toBase64(own.identity) === toBase64(identity)) {
      // Another own device may have given this one another name.
      const label = (await this.sessions()).find((each) => each.id === sessionId);
      if (label?.deviceId === this.device.id) {
        if (label.name !== undefined && label.name !== own.name)
          await this.store.write(new Map([[keys.ownName, pack({ ...own, name: label.name, chosen: true })]]));
        return;
      }
    }
    await this.label(sessionId, { deviceId: this.device.id, name: own.name });
    await this.store.write(new Map([[keys.ownName, pack({ ...own, sessionId, identity } satisfies OwnName)]]));
  }

  private async label(sessionId: string, { deviceId, name }: Label): Promise<void> {
    const key = await this.key("encrypt");
    if (!key) throw SecureMessagingError.of("NotReady", "This device is not approved yet.");
    const plaintext = new Uint8Array(plaintextBytes);
    plaintext.set(concat(new Uint8Array([1]), idBytes(deviceId), utf8(name), new Uint8Array([0x80])));
    const nonce = randomBytes(12);
    const ciphertext = await crypto.subtle.encrypt(this.parameters(sessionId, nonce), key, plaintext);
    await this.server.call("PUT", `v1/me/sessions/${sessionId}/label`, { label: toBase64(concat(nonce, new Uint8Array(ciphertext))) });
  }

  /** Undefined for a label under another identity, and for one that another program has made. */
  private async open(sessionId: string, label: Bytes): Promise<Label | undefined> {
    const key = await this.key("decrypt");
    if (!key || label.length !== 12 + plaintextBytes + 16) return undefined;
    let plaintext: Uint8Array;
    try {
      plaintext = new Uint8Array(await crypto.subtle.decrypt(this.parameters(sessionId, label.subarray(0, 12)), key, copy(label.subarray(12))));
    } catch (error) {
      if (!isVerdict(error)) throw error;
      // The result says it: the session has no name.
      return undefined;
    }
    const end = plaintext.lastIndexOf(0x80);
    if (plaintext[0] !== 1 || end < nameAt) return undefined;
    return { deviceId: idText(plaintext.subarray(1, nameAt)), name: fromUtf8(plaintext.subarray(nameAt, end)) };
  }

  private async key(use: KeyUsage): Promise<CryptoKey | undefined> {
    const { identitySeed } = this.device;
    if (!identitySeed) return undefined;
    const seed = await crypto.subtle.importKey("raw", copy(identitySeed), "HKDF", false, ["deriveKey"]);
    const derivation = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info: utf8("SecureMessaging 1.0 SessionLabel") };
    return crypto.subtle.deriveKey(derivation, seed, { name: "AES-GCM", length: 256 }, false, [use]);
  }

  private parameters(sessionId: string, nonce: Uint8Array): AesGcmParams {
    return { name: "AES-GCM", iv: copy(nonce), additionalData: concat(idBytes(this.device.userId), idBytes(sessionId)) };
  }
}

function valid(name: string): string {
  const clean = name.trim();
  if (clean === "") throw SecureMessagingError.of("Invalid", "A device's name is not empty.");
  if (utf8(clean).length > mostNameBytes) throw SecureMessagingError.of("TooLarge", `A device's name has at most ${mostNameBytes} bytes.`);
  return clean;
}
