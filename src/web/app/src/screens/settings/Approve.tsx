import { useState } from "react";
import { Button } from "../../components/Button.js";
import { Code } from "../../components/Code.js";
import { Ask, Dialog } from "../../components/Dialog.js";
import { Field } from "../../components/Field.js";
import { Scanner } from "../../components/Scanner.js";
import type { DeviceInfo } from "../../base/sdk.js";
import { useApp } from "../../state/context.js";
import { strings } from "../../text/strings.js";

const text = strings.devices;
const { approval } = strings;

/**
 * Approves a device: one scan of its QR code, or two codes that are typed.
 * @param device - The device in the list that was chosen. Without it, only the scan says which one.
 */
export function Approve({ device, onClose }: { device: DeviceInfo | undefined; onClose: () => void }) {
  const { client, toasts } = useApp();
  const [typing, setTyping] = useState(false);
  if (typing && device) return <Typed device={device} onClose={onClose} />;
  return (
    <Dialog title={approval.scan} onClose={onClose}>
      <div className="body">
        <h2>{approval.scan}</h2>
        <p className="muted">{approval.scanText}</p>
        <Scanner
          special={{ Invalid: approval.notADevice, Forbidden: approval.refused, NotFound: approval.gone }}
          onText={async (read) => {
            await client.approveDeviceByQr(read);
            toasts.show(approval.done);
            onClose();
          }}
        />
        <div className="actions wrap">
          {device && (
            <Button look="bare" onClick={() => setTyping(true)}>
              {approval.type}
            </Button>
          )}
          <Button onClick={onClose}>{strings.common.cancel}</Button>
        </div>
      </div>
    </Dialog>
  );
}

/** This device checks the code of the new one, which the user types from its screen. Then the new one checks a code of this one. */
function Typed({ device, onClose }: { device: DeviceInfo; onClose: () => void }) {
  const { client } = useApp();
  const [code, setCode] = useState("");
  const [answer, setAnswer] = useState<string>();
  if (answer === undefined)
    return (
      <Ask
        title={text.approveTitle}
        text={text.approveText}
        action={text.approve}
        ready={code.replace(/\D/g, "").length === 30}
        special={{ Forbidden: text.approveWrong }}
        onClose={onClose}
        onDo={async () => {
          setAnswer(await client.approveDevice(device.id, code));
          return "stay";
        }}
      >
        <Field label={text.approveLabel} value={code} onChange={setCode} inputMode="numeric" autoComplete="off" mono autoFocus required />
      </Ask>
    );
  return (
    <Dialog title={text.confirmTitle} onClose={onClose}>
      <div className="body">
        <h2>{text.confirmTitle}</h2>
        <p className="muted">{text.confirmText}</p>
        <Code label={text.code} code={answer} />
        <div className="actions">
          <Button look="main" onClick={onClose}>
            {strings.common.done}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
