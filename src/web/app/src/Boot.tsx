import { Component, useEffect, useState, type ReactNode } from "react";
import { App } from "./App.js";
import { Button } from "./components/Button.js";
import { Empty } from "./components/Empty.js";
import { Spinner } from "./components/Button.js";
import type { IconName } from "./components/Icon.js";
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
  const [failed, setFailed] = useState(false);
  const unfit = !isSecureContext ? "insecure" : lacking() ? "old" : undefined;
  useEffect(() => {
    if (!unfit)
      open().then(setApp, (error: unknown) => {
        console.error(error);
        setFailed(true);
      });
  }, [unfit]);
  if (unfit === "insecure")
    return <Stop icon="lock" title={text.insecureTitle} words={text.insecure} />;
  if (unfit === "old")
    return <Stop icon="warning" title={text.oldTitle} words={text.old} />;
  if (failed)
    return <Stop icon="warning" title={text.failedTitle} words={text.failed} reload />;
  if (!app)
    return <div className="centre boot"><Spinner label={strings.common.loading} /></div>;
  return <AppProvider value={app}><Guard><App /></Guard></AppProvider>;
}

const Stop = ({ icon, title, words, reload }: { icon: IconName; title: string; words: string; reload?: boolean }) => (
  <main className="centre boot"><Empty icon={icon} title={title} text={words}>{reload && <Button look="main" onClick={() => location.reload()}>{text.reload}</Button>}</Empty></main>
);

/** A screen that throws leaves a way on. */
export class Guard extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override render() {
    return this.state.failed ? <Stop icon="warning" title={text.crashedTitle} words={text.crashed} reload /> : this.props.children;
  }
}
