import { Switch } from "../../components/Field.js";
import { useAttempt, useClient, useStatus } from "../../state/context.js";
import { strings } from "../../text/strings.js";

const text = strings.privacy;

/** Which signals this device sends besides messages. */
export function Privacy() {
  const client = useClient();
  const attempt = useAttempt();
  const { privacy } = useStatus();
  if (!privacy) return null;
  return (
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
  );
}
