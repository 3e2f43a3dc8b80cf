import { useEffect, useRef, type ReactNode } from "react";
import { Button, Note, Spinner } from "../../components/Button.js";
import { codeOf } from "../../base/errors.js";
import { sentence } from "../../text/errors.js";
import { useStatus } from "../../state/context.js";
import type { Loaded } from "../../base/useLoad.js";
import { strings } from "../../text/strings.js";

/** A value of the server, or the notice that it is not available. Reads it again when there is a connection. */
export function Online<T>({ from, children }: { from: Loaded<T>; children: (value: T) => ReactNode }) {
  const { connected } = useStatus();
  const { value, error, reload } = from;
  const missing = value === undefined;
  const before = useRef(connected);
  useEffect(() => {
    if (connected && !before.current && missing) void reload();
    before.current = connected;
  }, [connected, missing, reload]);
  if (value !== undefined) return <>{children(value)}</>;
  if (error === undefined && connected) return <Spinner label={strings.common.loading} />;
  return (
    <div className="stack">
      <Note tone="warn" icon="offline">
        {error === undefined || codeOf(error) === "Unavailable" ? strings.settings.unavailable : sentence(error)}
      </Note>
      <div>
        <Button icon="retry" onClick={() => void reload()}>
          {strings.common.retry}
        </Button>
      </div>
    </div>
  );
}
