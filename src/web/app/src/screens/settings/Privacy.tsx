import { useLoad } from "../../base/useLoad.js";
import { Switch } from "../../components/Field.js";
import { useAttempt, useClient, useStatus } from "../../state/context.js";
import { strings } from "../../text/strings.js";
import { Online } from "./Online.js";

const text = strings.privacy;

/** What this user lets others and the server know besides messages. */
export function Privacy() {
  const client = useClient();
  const attempt = useAttempt();
  const { privacy } = useStatus();
  // Another device may have changed what holds for the whole account.
  const account = useLoad(() => client.refreshPrivacy().then(() => true));
  if (!privacy) return null;
  return (
    <>
      <section className="section">
        <p className="muted">{text.text}</p>
        <div className="card">
          <Switch
            label={text.receipts}
            hint={text.receiptsText}
            on={privacy.readReceipts}
            onChange={(readReceipts) => attempt(() => client.setPrivacy({ readReceipts }))}
          />
          <hr />
          <Switch label={text.typing} hint={text.typingText} on={privacy.typing} onChange={(typing) => attempt(() => client.setPrivacy({ typing }))} />
        </div>
      </section>
      <section className="section">
        <h2>{text.server}</h2>
        <Online from={account}>
          {() => (
            <div className="card">
              <Switch
                label={text.cursor}
                hint={text.cursorText}
                on={privacy.deliveryCursor}
                onChange={(deliveryCursor) => attempt(() => client.setPrivacy({ deliveryCursor }))}
              />
            </div>
          )}
        </Online>
      </section>
    </>
  );
}
