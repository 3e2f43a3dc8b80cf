import { useEffect, useState } from "react";
import { App } from "./App.js";
import { Spinner } from "./components/Button.js";
import { Guard, Stop } from "./components/Guard.js";
import { codeOf } from "./base/errors.js";
import { Accounts } from "./state/accounts.js";
import { useCell } from "./base/cell.js";
import { AccountsProvider, AppProvider } from "./state/context.js";
import { strings } from "./text/strings.js";

const text = strings.boot;
const accounts = new Accounts();
let opening: Promise<void> | undefined;

/** Opens the accounts once for each page, although React may run an effect twice. */
const open = (): Promise<void> => (opening ??= accounts.start());

const lacking = (): boolean => !("indexedDB" in window) || !navigator.locks || !("BroadcastChannel" in window) || !crypto.subtle;

/** Opens this browser's device, or says why that is not possible. */
export function Boot() {
  const app = useCell(accounts.app);
  const [failed, setFailed] = useState<"failed" | "old" | "outdated">();
  const unfit = !isSecureContext ? "insecure" : lacking() ? "old" : undefined;
  useEffect(() => {
    if (!unfit)
      open().catch((error: unknown) => {
        console.error(error);
        const code = codeOf(error);
        setFailed(code === "Conflict" ? "outdated" : code === "UnsupportedPlatform" ? "old" : "failed");
      });
  }, [unfit]);
  if (unfit === "insecure") return <Stop icon="lock" title={text.insecureTitle} words={text.insecure} />;
  if (unfit === "old") return <Stop icon="warning" title={text.oldTitle} words={text.old} />;
  if (failed) return <Stop icon="warning" title={text[`${failed}Title`]} words={text[failed]} reload />;
  if (!app)
    return (
      <div className="centre boot">
        <Spinner label={strings.common.loading} />
      </div>
    );
  return (
    <AccountsProvider value={accounts}>
      <AppProvider value={app}>
        <Guard key={app.store}>
          <App />
        </Guard>
      </AppProvider>
    </AccountsProvider>
  );
}
