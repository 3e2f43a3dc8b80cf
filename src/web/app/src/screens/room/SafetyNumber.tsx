import { Button, Note, Spinner } from "../../components/Button.js";
import { Code } from "../../components/Code.js";
import { Dialog } from "../../components/Dialog.js";
import { Qr } from "../../components/Qr.js";
import { codeOf } from "../../base/errors.js";
import { sentence } from "../../text/errors.js";
import { useClient } from "../../state/context.js";
import { useLoad } from "../../base/useLoad.js";
import { strings } from "../../text/strings.js";

const text = strings.room;

/** The digits that two people compare to detect an attacker between them. */
export function SafetyNumber({ username, onClose }: { username: string; onClose: () => void }) {
  const client = useClient();
  const { value, error } = useLoad(() => client.safetyNumber(username), username);
  return (
    <Dialog title={text.safetyTitle(username)} onClose={onClose}>
      <div className="body">
        <h2>{text.safetyTitle(username)}</h2>
        {value !== undefined ? (
          <>
            <Qr text={value.replace(/\s/g, "")} label={text.safetyQr(username)} />
            <Code label={text.safety} code={value} />
            <p className="muted small">{text.safetyText(username)}</p>
          </>
        ) : error !== undefined ? (
          <Note tone="warn" icon="warning">
            {codeOf(error) === "NotFound" || codeOf(error) === "NotReady" ? text.safetyNone : sentence(error)}
          </Note>
        ) : (
          <Spinner label={strings.common.loading} />
        )}
        <div className="actions">
          <Button onClick={onClose}>{strings.common.close}</Button>
        </div>
      </div>
    </Dialog>
  );
}
