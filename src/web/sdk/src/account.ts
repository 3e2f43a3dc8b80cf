import { SecureMessagingError } from "./errors.js";
import type { Context } from "./rooms/context.js";
import type { NotificationPreferences } from "./tabs/shared.js";

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

  /** Gives the account another e-mail address. */
  async changeEmail(password: string, email: string): Promise<void> {
    await this.context.session.call("PATCH", "v1/me", { email, currentPassword: password });
  }

  /** Gives the account another password and ends its other sessions. @throws {@link SecureMessagingError} `Forbidden` when the present one is another. */
  async changePassword(password: string, newPassword: string): Promise<void> {
    await this.context.session.call("POST", "v1/me/password", { currentPassword: password, newPassword });
  }

  /** Erases the account and everything that the server holds on it. The store of this device keeps what it has until it is wiped. */
  async delete(password: string): Promise<void> {
    await this.context.session.call("POST", "v1/me/delete", { password });
    await this.context.session.end();
  }

  /** Everything the server holds on this user. */
  dataHeld(): Promise<unknown> {
    return this.context.session.call("GET", "v1/me/data");
  }

  /** @internal */
  notifications(): Promise<{ everywhere: NotificationPreferences; rooms: Record<string, NotificationPreferences> }> {
    return Promise.reject(notYet());
  }

  /** @internal */
  setNotifications(_settings: NotificationPreferences | undefined, _roomId?: string): Promise<void> {
    return Promise.reject(notYet());
  }

  /** @internal */
  pushKey(): Promise<string | undefined> {
    return Promise.reject(notYet());
  }

  /** @internal */
  setPushEndpoint(_endpoint: string | undefined): Promise<void> {
    return Promise.reject(notYet());
  }
}

const notYet = () => SecureMessagingError.of("NotFound", "The server has no such call.");
