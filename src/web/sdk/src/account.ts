import { SecureMessagingError } from "./errors.js";
import type { Context } from "./rooms/context.js";
import type { NotificationPreferences } from "./tabs/shared.js";
import type { TokenResponse } from "./wire.js";

/** What the server keeps on this user. */
export interface Profile {
  username: string;
  email: string;
  /** The day (UTC). */
  createdOn: string;
}

/** This user's account. */
export class Account {
  /** @internal */
  constructor(private readonly context: Context) {}

  /** As the server has it. */
  async profile(): Promise<Profile> {
    const { username, email, createdOn } = await this.context.session.call<Profile>("GET", "v1/me");
    return { username, email, createdOn: createdOn.slice(0, 10) };
  }

  /**
   * Gives the account another e-mail address.
   * @param password Asked for because one can sign in with the address, and somebody else may sit at an open device.
   * @throws {@link SecureMessagingError} `Forbidden` when it is another, `Conflict` when another account has the address.
   */
  async changeEmail(password: string, email: string): Promise<void> {
    await this.context.session.call("PATCH", "v1/me", { email, password });
  }

  /** Gives the account another password and ends its other sessions. @throws {@link SecureMessagingError} `Forbidden` when the present one is another. */
  async changePassword(password: string, newPassword: string): Promise<void> {
    await this.context.session.call("POST", "v1/me/password", { currentPassword: password, newPassword });
  }

  /**
   * Erases the account and everything that the server holds on it. The store of this device keeps what it has until it is wiped.
   * @param repeated Whether it may have been asked for before, so that the account may be gone already.
   * @throws {@link SecureMessagingError} `Forbidden` when the password is another.
   */
  async delete(password: string, repeated = false): Promise<void> {
    const { session } = this.context;
    try {
      await session.call("POST", "v1/me/delete", { password });
    } catch (error) {
      if (!repeated || !(error instanceof SecureMessagingError) || error.code !== "SignedOut")
        throw error;
      // The session is over: with the account, or for another reason.
      const tokens = await this.enter(password);
      if (tokens)
        await session.http.call("POST", "v1/me/delete", { password }, tokens.accessToken);
    }
    await session.end();
  }

  /** Another session; undefined when name and password fit no account. */
  private async enter(password: string): Promise<TokenResponse | undefined> {
    const { http, username } = this.context.session;
    try {
      return await http.call<TokenResponse>("POST", "v1/auth/token", { username, password });
    } catch (error) {
      if (error instanceof SecureMessagingError && error.code === "Unauthenticated")
        return undefined;
      throw error;
    }
  }

  /** Everything the server holds on this user. */
  dataHeld(): Promise<unknown> {
    return this.context.session.call("GET", "v1/me/data");
  }

  /** When messages may wake this user's devices. */
  async notifications(): Promise<{ everywhere: NotificationPreferences; rooms: Record<string, NotificationPreferences> }> {
    const { everywhere, rooms } = await this.context.session.call<AccountSettings>("GET", "v1/me/settings");
    return { everywhere: toPreferences(everywhere), rooms: Object.fromEntries(Object.entries(rooms).map(([id, settings]) => [id, toPreferences(settings)])) };
  }

  /** Sets them, for a room or everywhere. Undefined: as everywhere, or as a new account has them. */
  async setNotifications(settings: NotificationPreferences | undefined, roomId?: string): Promise<void> {
    const path = roomId === undefined ? "v1/me/settings" : `v1/me/settings/rooms/${encodeURIComponent(roomId)}`;
    if (roomId !== undefined && settings === undefined)
      await this.context.session.call("DELETE", path);
    else
      await this.context.session.call("PUT", path, settings ?? {});
  }

  /** The server's VAPID key (RFC 8292 section 3.2), base64url, as `PushManager.subscribe` takes it; undefined when the server pushes nothing. */
  async pushKey(): Promise<string | undefined> {
    return (await this.context.session.call<AccountSettings>("GET", "v1/me/settings")).push.publicKey ?? undefined;
  }

  /** Whether the server wakes a browser for this session: {@link setPushEndpoint} was called in it, and the push service has not refused the endpoint since. */
  async pushRegistered(): Promise<boolean> {
    return (await this.context.session.call<AccountSettings>("GET", "v1/me/settings")).push.registered;
  }

  /** Where this session's browser is woken (RFC 8030), without content; undefined: nowhere any more. It goes with the session. */
  async setPushEndpoint(endpoint: string | undefined): Promise<void> {
    if (endpoint === undefined)
      await this.context.session.call("DELETE", "v1/me/push");
    else
      await this.context.session.call("PUT", "v1/me/push", { endpoint });
  }
}

interface AccountSettings {
  everywhere: NotificationPreferences;
  rooms: Record<string, NotificationPreferences>;
  push: { publicKey?: string | null; registered: boolean };
}

/** Without what is null: the contract says undefined. */
const toPreferences = (settings: NotificationPreferences): NotificationPreferences =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null)) as unknown as NotificationPreferences;
