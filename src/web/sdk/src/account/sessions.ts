import type { Session } from "../net/session.js";
import type { SessionSummary } from "../net/wire.js";

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
}

/** This user's sessions. */
export class Sessions {
  /** @internal */
  constructor(private readonly session: Session) {}

  /** Reads the sessions that last, and those that have ended within 24 hours. */
  list(): Promise<SessionInfo[]> {
    return this.session.call<SessionSummary[]>("GET", "v1/me/sessions");
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
