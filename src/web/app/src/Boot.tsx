import { useEffect, useState } from "react";
import { App } from "./App.js";
import { Spinner } from "./components/Button.js";
import { Guard, Stop } from "./components/Guard.js";
import { codeOf } from "./errors.js";
import { openSharedClient } from "./sdk.js";
import { AppState } from "./state/app.js";
import { AppProvider } from "./state/context.js";
import { strings } from "./strings.js";

const text = strings.boot;
let opening: Promise<AppState> | undefined;

/** Once per page, however often React starts. */
const open = (): Promise<AppState> => opening ??= openSharedClient({ url: location.origin }).then((client) => new AppState(client));

const lacking = (): boolean => !("indexedDB" in window) || !navigator.locks || !("BroadcastChannel" in window) || !crypto.subtle;

/** Opens this browser's device, or says why that cannot be. */
export function Boot() {
  const [app, setApp] = useState<AppState>();
  const [failed, setFailed] = useState<"failed" | "outdated">();
  const unfit = !isSecureContext ? "insecure" : lacking() ? "old" : undefined;
  useEffect(() => {
    if (!unfit)
      open().then(setApp, (error: unknown) => {
        console.error(error);
        setFailed(codeOf(error) === "Conflict" ? "outdated" : "failed");
      });
  }, [unfit]);
  if (unfit === "insecure")
    return <Stop icon="lock" title={text.insecureTitle} words={text.insecure} />;
  if (unfit === "old")
    return <Stop icon="warning" title={text.oldTitle} words={text.old} />;
  if (failed)
    return <Stop icon="warning" title={text[`${failed}Title`]} words={text[failed]} reload />;
  if (!app)
    return <div className="centre boot"><Spinner label={strings.common.loading} /></div>;
  return <AppProvider value={app}><Guard><App /></Guard></AppProvider>;
}
