import { useState } from "react";
import { Button, IconButton } from "../../components/Button.js";
import { Ask } from "../../components/Dialog.js";
import { Icon } from "../../components/Icon.js";
import { RenameDevice } from "../../components/RenameDevice.js";
import { hour } from "../../text/format.js";
import { useApp } from "../../state/context.js";
import { useLoad } from "../../base/useLoad.js";
import { strings } from "../../text/strings.js";
import { Online } from "./Online.js";

const text = strings.sessions;

/** This user's sessions. */
export function Sessions() {
  const { client, toasts } = useApp();
  const sessions = useLoad(async () =>
    (await client.sessions()).toSorted(
      (a, b) =>
        Number(b.current) - Number(a.current) || Number(a.endedAt !== undefined) - Number(b.endedAt !== undefined) || b.startedAt.localeCompare(a.startedAt),
    ),
  );
  const [ending, setEnding] = useState<string>();
  const [all, setAll] = useState(false);
  const [naming, setNaming] = useState<{ id: string; name: string | undefined }>();
  return (
    <>
      <p className="muted">{text.text}</p>
      <Online from={sessions}>
        {(list) => (
          <ul className="card plain">
            {list.map(({ id, current, startedAt, endedAt, name, deviceId }) => (
              <li key={id} className="entry">
                <span className="round">
                  <Icon name={endedAt ? "door" : "device"} />
                </span>
                <div className="grow">
                  <div className="line wrap">
                    <strong>
                      <bdi>{name ?? (current ? text.current : endedAt ? text.ended : text.active)}</bdi>
                    </strong>
                    {name !== undefined && (current || endedAt !== undefined) && <span className="tag">{current ? text.current : text.ended}</span>}
                  </div>
                  <div className="muted small">{endedAt ? text.until(hour(startedAt), hour(endedAt)) : text.since(hour(startedAt))}</div>
                </div>
                {!endedAt && deviceId !== undefined && (
                  <IconButton icon="edit" small label={`${strings.naming.rename}: ${name ?? ""}`} onClick={() => setNaming({ id: deviceId, name })} />
                )}
                {!endedAt && !current && (
                  <Button compact onClick={() => setEnding(id)}>
                    {text.end}
                  </Button>
                )}
              </li>
            ))}
          </ul>
        )}
      </Online>
      <div>
        <Button look="bad" icon="door" onClick={() => setAll(true)}>
          {text.endAll}
        </Button>
      </div>
      {naming && <RenameDevice {...naming} onClose={() => setNaming(undefined)} onDone={sessions.reload} />}
      {ending !== undefined && (
        <Ask
          title={text.endTitle}
          text={text.endText}
          action={text.end}
          bad
          onClose={() => setEnding(undefined)}
          onDo={async () => {
            await client.endSession(ending);
            toasts.show(text.ended1);
            await sessions.reload();
          }}
        />
      )}
      {all && (
        <Ask title={text.endAllTitle} text={text.endAllText} action={text.endAll} bad onClose={() => setAll(false)} onDo={() => client.endAllSessions()} />
      )}
    </>
  );
}
