import { useEffect, useState } from "react";
import { Button, Note } from "../../components/Button.js";
import { Code } from "../../components/Code.js";
import { Ask, Dialog } from "../../components/Dialog.js";
import { Field } from "../../components/Field.js";
import { Icon } from "../../components/Icon.js";
import { MenuButton, MenuItem } from "../../components/Menu.js";
import { calendarDate } from "../../text/format.js";
import type { DeviceInfo } from "../../base/sdk.js";
import { useCell } from "../../base/cell.js";
import { useApp } from "../../state/context.js";
import { useLoad } from "../../base/useLoad.js";
import { strings } from "../../text/strings.js";
import { Online } from "./Online.js";

const text = strings.devices;
const lookEveryMs = 5_000;

type Open = { what: "approve" | "revoke"; device: DeviceInfo } | { what: "rotate" | "replace" } | undefined;

/** This user's devices, and their approval. */
export function Devices() {
  const { client, toasts, changedPeople } = useApp();
  const devices = useLoad(async () =>
    (await client.devices()).toSorted(
      (a, b) => Number(b.current) - Number(a.current) || Number(a.approved) - Number(b.approved) || a.createdOn.localeCompare(b.createdOn),
    ),
  );
  const changed = useCell(changedPeople);
  const [open, setOpen] = useState<Open>();
  const { reload } = devices;

  // A new device appears here while the user waits for it.
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible" && client.status.connected) void reload();
    }, lookEveryMs);
    return () => clearInterval(timer);
  }, [client, reload]);

  const close = (): void => {
    setOpen(undefined);
    void reload();
  };
  return (
    <>
      <p className="muted">{text.text}</p>
      {changed.length > 0 && (
        <Note tone="warn" icon="warning">
          {text.changed([...changed])}
        </Note>
      )}
      <Online from={devices}>
        {(all) => (
          <ul className="card plain">
            {all.map((device, index) => (
              <li key={device.id} className="entry wraps">
                <span className="round">
                  <Icon name="device" />
                </span>
                <div className="grow">
                  <div className="line wrap">
                    <strong>{device.current ? text.this : text.name(index + 1)}</strong>
                    {!device.approved && <span className="tag warn">{text.waiting}</span>}
                  </div>
                  <div className="muted small">
                    {text.registered(calendarDate(device.createdOn))}, {text.seen(calendarDate(device.seenOn))}
                  </div>
                  <div className="muted small mono" dir="ltr">
                    <span className="visually-hidden">{text.code} </span>
                    {device.code}
                  </div>
                </div>
                <div className="line entry-actions">
                  {!device.approved && !device.current && (
                    <Button look="main" compact onClick={() => setOpen({ what: "approve", device })}>
                      {text.approve}
                    </Button>
                  )}
                  {!device.current && (
                    <MenuButton label={text.menu(text.name(index + 1))}>
                      {!device.approved && (
                        <MenuItem icon="check" onSelect={() => setOpen({ what: "approve", device })}>
                          {text.approve}
                        </MenuItem>
                      )}
                      <MenuItem icon="trash" bad onSelect={() => setOpen({ what: "revoke", device })}>
                        {text.revoke}
                      </MenuItem>
                    </MenuButton>
                  )}
                </div>
              </li>
            ))}
          </ul>
        )}
      </Online>
      <section className="section">
        <h2>{text.add}</h2>
        <p className="muted">{text.addText}</p>
      </section>
      <section className="section">
        <h2>{text.rotate}</h2>
        <p className="muted">{text.rotateText}</p>
        <div>
          <Button icon="retry" onClick={() => setOpen({ what: "rotate" })}>
            {text.rotateAction}
          </Button>
        </div>
      </section>
      <section className="section">
        <h2>{text.replace}</h2>
        <p className="muted">{text.replaceText}</p>
        <div>
          <Button look="bad" icon="key" onClick={() => setOpen({ what: "replace" })}>
            {text.replaceAction}
          </Button>
        </div>
      </section>
      {open?.what === "approve" && <Approve device={open.device} onClose={close} />}
      {open?.what === "revoke" && (
        <Ask title={text.revokeTitle} text={text.revokeText} action={text.revoke} bad onClose={close} onDo={() => client.revokeDevice(open.device.id)} />
      )}
      {open?.what === "rotate" && (
        <Ask
          title={text.rotate}
          text={text.rotateText}
          action={text.rotateAction}
          onClose={close}
          onDo={() => client.rotateDevice().then(() => toasts.show(text.rotated))}
        />
      )}
      {open?.what === "replace" && (
        <Ask
          title={text.replaceTitle}
          text={text.replaceText}
          action={text.replaceAction}
          bad
          onClose={close}
          onDo={() => client.replaceIdentity().then(() => toasts.show(text.replaced))}
        />
      )}
    </>
  );
}

/** The two steps of an approval: this device checks the code of the new one, then the new one checks a code of this one. */
function Approve({ device, onClose }: { device: DeviceInfo; onClose: () => void }) {
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
