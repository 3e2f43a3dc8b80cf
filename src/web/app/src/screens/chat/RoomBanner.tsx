import { Button, Note } from "../../components/Button.js";
import type { Conversation } from "../../base/sdk.js";
import { useAttempt, useClient } from "../../state/context.js";
import { strings } from "../../text/strings.js";

/** The problem of a conversation. It stays until it is solved or acknowledged. */
export function RoomBanner({ room, onCompare }: { room: Conversation; onCompare: () => void }) {
  const client = useClient();
  const attempt = useAttempt();
  const { problem } = room;
  if (!problem) return null;
  const grave = problem === "invalidCommit" || problem === "logRewound";
  return (
    <div className={`room-banner ${problem === "joining" ? "late" : ""}`} role="status">
      <Note tone="warn" icon={grave ? "warning" : "info"}>
        <p>{strings.problems[problem]}</p>
        {grave && (
          <div className="line wrap banner-actions">
            {problem !== "logRewound" && (
              <Button look="soft" compact onClick={onCompare}>
                {strings.problems.compare}
              </Button>
            )}
            <Button look="bare" compact onClick={() => attempt(() => client.acknowledge(room.id))}>
              {strings.problems.understood}
            </Button>
          </div>
        )}
      </Note>
    </div>
  );
}
