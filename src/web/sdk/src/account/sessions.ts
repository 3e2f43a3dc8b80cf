import type { Session } from "../net/session.js";
import type { DeviceNames, SessionInfo } from "./deviceNames.js";

export type { SessionInfo } from "./deviceNames.js";

/** This user's sessions. */
export class Sessions {
  /** @internal */
  constructor(
    private readonly session: Session,
    private readonly names: DeviceNames,
  ) {}

  /** Reads the sessions that last, and those that have ended within 24 hours. */
  list(): Promise<SessionInfo[]> {
    return this.names.sessions();
  }

  /** Ends a session. Its connections close within 2 s. */
  async end(sessionId: string): Promise<void> {
    await this.session.call("DELETE", `v1/me/sessions/${sessionId}`);
  }

  /** Ends all sessions, this one included. */
  async endAll(): Promise<void> {
    await this.session.call("POST", "v1/auth/logout-everywhere");
    await this.session.end();
  }
}
