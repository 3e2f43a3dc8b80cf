import { Button, Note } from "../../components/Button.js";
import type { Conversation } from "../../base/sdk.js";
import { useAttempt, useClient } from "../../state/context.js";
import { nameOf as shownName } from "../../text/safe.js";
import { strings } from "../../text/strings.js";

const text = strings.problems;

/** The problem of a conversation. It stays until it is solved or acknowledged. */
export function RoomBanner({ room, nameOf }: { room: Conversation; nameOf: (userId: string | undefined) => string }) {
  const client = useClient();
  const attempt = useAttempt();
  const { id, problem, brokenBy, role } = room;
  if (!problem) return null;
  const isAdmin = role === "owner" || role === "admin";
  const isGrave = problem === "invalidCommit" || problem === "logRewound";
  return (
    <div className={`room-banner ${problem === "joining" ? "late" : ""}`} role="status">
      <Note tone="warn" icon={isGrave ? "warning" : "info"}>
        {problem === "invalidCommit" ? (
          <>
            <p>{text.invalidCommit(brokenBy === undefined ? undefined : shownName(nameOf(brokenBy)))}</p>
            <p>{text.invalidCommitNext(isAdmin)}</p>
          </>
        ) : (
          <p>{text[problem]}</p>
        )}
        {/* Other members' apps report the change by themselves, and one report of an admin is enough. */}
        {isGrave && (problem !== "invalidCommit" || isAdmin) && (
          <div className="line wrap banner-actions">
            {problem === "invalidCommit" ? (
              <Button look="soft" compact onClick={() => attempt(() => client.reconcileRoom(id))}>
                {text.repair}
              </Button>
            ) : (
              <Button look="bare" compact onClick={() => attempt(() => client.acknowledge(id))}>
                {text.understood}
              </Button>
            )}
          </div>
        )}
      </Note>
    </div>
  );
}
