import { SecureMessagingError } from "../base/errors.js";
import type { Session } from "../net/session.js";
import type { TokenResponse } from "../net/wire.js";

/** The user's account as the server stores it. */
export interface Profile {
  /** The username. */
  username: string;
  /** The e-mail address. */
  email: string;
  /** The day of the sign-up, `yyyy-mm-dd` (UTC). */
  createdOn: string;
}

/** Notification settings, as the server keeps them. */
export interface NotificationPreferences {
  /** Whether no message wakes a device. */
  muted: boolean;
  /** The begin of the quiet hours: minutes since midnight, 0 to 1439, in `timeZone`. */
  quietFrom?: number;
  /** The end of the quiet hours, in the same unit. Smaller than `quietFrom` when they pass midnight. */
  quietUntil?: number;
  /** A time zone of the IANA database, for example `Europe/Vienna`. */
  timeZone?: string;
  /** The urgency for the push service (RFC 8030 section 5.3). `high` also wakes devices in quiet hours. */
  priority: "low" | "normal" | "high";
}

/** This user's account. */
export class Account {
  /** @internal */
  constructor(
    private readonly session: Session,
    /** Hands rooms over and signs that this user leaves them. */
    private readonly signOff: () => Promise<void>,
  ) {}

  /** Reads the account from the server. */
  async profile(): Promise<Profile> {
    const { username, email, createdOn } = await this.session.call<Profile>("GET", "v1/me");
    return { username, email, createdOn: createdOn.slice(0, 10) };
  }

  /**
   * Changes the e-mail address.
   * @param password - The server asks for it because the address can be used to sign in, and another person may use an unlocked device.
   * @throws {@link SecureMessagingError} `Forbidden` when the password is wrong, `Conflict` when another account has the address.
   */
  async changeEmail(password: string, email: string): Promise<void> {
    await this.session.call("PATCH", "v1/me", { email, password });
  }

  /** Changes the password and ends all other sessions. @throws {@link SecureMessagingError} `Forbidden` when the current password is wrong. */
  async changePassword(password: string, newPassword: string): Promise<void> {
    await this.session.call("POST", "v1/me/password", { currentPassword: password, newPassword });
  }

  /**
   * Deletes the account and everything that the server stores about it. Before that, this device tells the rooms in signed messages that the user leaves, and
   * makes another member the owner where this user is the last one. This device's store keeps its data until it is erased.
   * @param repeated - Whether an earlier call may have deleted the account already.
   * @throws {@link SecureMessagingError} `Forbidden` when the password is wrong.
   */
  async delete(password: string, repeated = false): Promise<void> {
    const { session } = this;
    if (!repeated) {
      // Nothing is signed with a wrong password: the server asks for it also when the address stays the same, and counts that only as a password check.
      await this.changeEmail(password, (await this.profile()).email);
      await this.signOff();
    }
    // The server can say over the hub that the account is closed before it answers the call, and the end of a session ends running calls.
    let isClosed = false;
    const off = session.on("ended", ({ reason }) => {
      isClosed = reason === "accountClosed";
    });
    try {
      await session.call("POST", "v1/me/delete", { password });
    } catch (error) {
      if (isClosed) return;
      if (!repeated || !(error instanceof SecureMessagingError) || error.code !== "SignedOut") throw error;
      // The session has ended: because the account is gone, or for another reason.
      const tokens = await this.enter(password);
      if (tokens) await session.http.call("POST", "v1/me/delete", { password }, tokens.accessToken);
    } finally {
      off();
    }
    await session.end();
  }

  /** Begins another session; undefined when no account has this name and password. */
  private async enter(password: string): Promise<TokenResponse | undefined> {
    const { http, username } = this.session;
    try {
      return await http.call<TokenResponse>("POST", "v1/auth/token", { username, password });
    } catch (error) {
      if (error instanceof SecureMessagingError && error.code === "Unauthenticated") return undefined;
      throw error;
    }
  }

  /** Reads everything that the server stores about this user: `GET /v1/me/data`. */
  dataHeld(): Promise<unknown> {
    return this.session.call("GET", "v1/me/data");
  }

  /** Reads what the server stores, for how long and why: `/.well-known/data-inventory`. */
  dataInventory(): Promise<unknown> {
    return this.session.call("GET", ".well-known/data-inventory");
  }

  /** When messages may wake this user's devices: the general settings, and those of rooms that have their own, by room id. */
  async notifications(): Promise<{ everywhere: NotificationPreferences; rooms: Record<string, NotificationPreferences> }> {
    const { everywhere, rooms } = await this.session.call<AccountSettings>("GET", "v1/me/settings");
    return { everywhere: toPreferences(everywhere), rooms: Object.fromEntries(Object.entries(rooms).map(([id, settings]) => [id, toPreferences(settings)])) };
  }

  /** Changes the general settings, or those of one room. Undefined removes them: the room then uses the general ones, the account the defaults. */
  async setNotifications(settings: NotificationPreferences | undefined, roomId?: string): Promise<void> {
    const path = roomId === undefined ? "v1/me/settings" : `v1/me/settings/rooms/${encodeURIComponent(roomId)}`;
    if (roomId !== undefined && settings === undefined) await this.session.call("DELETE", path);
    else await this.session.call("PUT", path, settings ?? {});
  }

  /** The server's VAPID key (RFC 8292 section 3.2), base64url, for `PushManager.subscribe`; undefined when Web Push is off. */
  async pushKey(): Promise<string | undefined> {
    return (await this.session.call<AccountSettings>("GET", "v1/me/settings")).push.publicKey ?? undefined;
  }

  /**
   * Whether the server wakes a browser for this session: {@link Account.setPushEndpoint} was called, and the push service has not rejected the endpoint since.
   */
  async pushRegistered(): Promise<boolean> {
    return (await this.session.call<AccountSettings>("GET", "v1/me/settings")).push.registered;
  }

  /** Registers the push endpoint (RFC 8030) of this session's browser; undefined removes it. A push has no content. The endpoint ends with the session. */
  async setPushEndpoint(endpoint: string | undefined): Promise<void> {
    if (endpoint === undefined) await this.session.call("DELETE", "v1/me/push");
    else await this.session.call("PUT", "v1/me/push", { endpoint });
  }
}

interface AccountSettings {
  everywhere: NotificationPreferences;
  rooms: Record<string, NotificationPreferences>;
  push: { publicKey?: string | null; registered: boolean };
}

/** Removes null values: the type says undefined. */
const toPreferences = (settings: NotificationPreferences): NotificationPreferences =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null)) as unknown as NotificationPreferences;
