import { useState } from "react";
import { Button, Note, Spinner } from "../../components/Button.js";
import { Code } from "../../components/Code.js";
import { Ask, Dialog } from "../../components/Dialog.js";
import { Field } from "../../components/Field.js";
import { Logo } from "../../components/Logo.js";
import { Qr } from "../../components/Qr.js";
import { useLoad } from "../../base/useLoad.js";
import { sentence } from "../../text/errors.js";
import { useAttempt, useClient, useStatus } from "../../state/context.js";
import { strings } from "../../text/strings.js";

const text = strings.waiting;

/** A new device that waits for approval: it shows its code, and then asks for the code of the other device. */
export function Waiting() {
  const client = useClient();
  const { deviceCode, toConfirm, deviceError } = useStatus();
  const attempt = useAttempt();
  const [lost, setLost] = useState(false);
  return (
    <main className="gate single">
      <section className={`gate-form ${toConfirm ? "" : "codes"}`}>
        <Logo />
        {toConfirm ? (
          <Confirm />
        ) : (
          <div className="stack">
            <h1>{text.title}</h1>
            <p className="muted">{text.text}</p>
            <OwnCode code={deviceCode} />
            <p className="line muted" role="status">
              <Spinner small />
              {text.waiting}
            </p>
            <Note>{text.history}</Note>
          </div>
        )}
        <div className="line wrap gate-exits">
          <Button look="bare" onClick={() => setLost(true)}>
            {text.lost}
          </Button>
          <Button look="bare" onClick={() => attempt(() => client.signOut({ wipe: true }))}>
            {strings.settings.signOut}
          </Button>
        </div>
        {lost && (
          <Ask
            title={text.lostTitle}
            text={text.lostText}
            action={text.lostAction}
            bad
            onClose={() => setLost(false)}
            onDo={() => (deviceError?.code === "DeviceUnknown" ? client.startOver() : client.replaceIdentity())}
          />
        )}
      </section>
    </main>
  );
}

/** The code that the other device scans, and beside it the one to type. Both stay the same until the device is approved. */
function OwnCode({ code }: { code: string | undefined }) {
  const client = useClient();
  const { value } = useLoad(() => client.deviceQr());
  const [large, setLarge] = useState(false);
  if (value === undefined || code === undefined) return <Spinner label={strings.common.loading} />;
  return (
    <div className="own-code">
      <Qr text={value} label={strings.approval.qr} large />
      <div className="stack">
        <p className="muted small">{strings.approval.qrText}</p>
        <div>
          <Button icon="qr" onClick={() => setLarge(true)}>
            {strings.approval.larger}
          </Button>
        </div>
        <p className="muted small">{strings.approval.orType}</p>
        <Code label={text.code} code={code} />
      </div>
      {large && (
        <Dialog title={strings.approval.qr} onClose={() => setLarge(false)} whole>
          <Qr text={value} label={strings.approval.qr} large />
          <Button look="main" onClick={() => setLarge(false)}>
            {strings.common.close}
          </Button>
        </Dialog>
      )}
    </div>
  );
}

function Confirm() {
  const client = useClient();
  const [code, setCode] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        setBusy(true);
        setError(undefined);
        client
          .confirmDevice(code)
          .catch(setError)
          .finally(() => setBusy(false));
      }}
    >
      <h1>{text.confirmTitle}</h1>
      <p className="muted">{text.confirmText}</p>
      <Field label={text.confirmLabel} value={code} onChange={setCode} inputMode="numeric" autoComplete="off" mono required autoFocus />
      {error !== undefined && (
        <Note tone="bad" icon="warning">
          {sentence(error, { Forbidden: text.wrong })}
        </Note>
      )}
      <Button look="main" type="submit" wide busy={busy} disabled={code.replace(/\D/g, "").length !== 30}>
        {text.confirm}
      </Button>
    </form>
  );
}
