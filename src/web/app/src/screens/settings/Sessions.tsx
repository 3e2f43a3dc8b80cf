import { useState } from "react";
import { Button } from "../../components/Button.js";
import { Ask } from "../../components/Dialog.js";
import { Icon } from "../../components/Icon.js";
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
  return (
    <>
      <p className="muted">{text.text}</p>
      <Online from={sessions}>
        {(list) => (
          <ul className="card plain">
            {list.map(({ id, current, startedAt, endedAt }) => (
              <li key={id} className="entry">
                <span className="round">
                  <Icon name={endedAt ? "door" : "device"} />
                </span>
                <div className="grow">
                  <div className="line wrap">
                    <strong>{current ? text.current : endedAt ? text.ended : text.active}</strong>
                  </div>
                  <div className="muted small">{endedAt ? text.until(hour(startedAt), hour(endedAt)) : text.since(hour(startedAt))}</div>
                </div>
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
