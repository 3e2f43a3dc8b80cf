import type { ReactNode } from "react";
import { Button, Note, Spinner } from "../../components/Button.js";
import { codeOf, sentence } from "../../errors.js";
import type { Loaded } from "../../state/useLoad.js";
import { strings } from "../../strings.js";

/** What only the server knows: what it said, or that it cannot be asked. */
export function Online<T>({ from, children }: { from: Loaded<T>; children: (value: T) => ReactNode }) {
  if (from.value !== undefined)
    return <>{children(from.value)}</>;
  if (from.error === undefined)
    return <Spinner label={strings.common.loading} />;
  return (
    <div className="stack">
      <Note tone="warn" icon="offline">{codeOf(from.error) === "Unavailable" ? strings.settings.unavailable : sentence(from.error)}</Note>
      <div><Button icon="retry" onClick={() => void from.reload()}>{strings.common.retry}</Button></div>
    </div>
  );
}
