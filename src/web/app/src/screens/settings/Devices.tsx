import { useEffect, useState } from "react";
import { Button, Note } from "../../components/Button.js";
import { Ask } from "../../components/Dialog.js";
import { Switch } from "../../components/Field.js";
import { Icon } from "../../components/Icon.js";
import { MenuButton, MenuItem } from "../../components/Menu.js";
import { RenameDevice } from "../../components/RenameDevice.js";
import { calendarDate } from "../../text/format.js";
import type { DeviceInfo } from "../../base/sdk.js";
import { useCell } from "../../base/cell.js";
import { useApp, useClient } from "../../state/context.js";
import { useLoad } from "../../base/useLoad.js";
import { strings } from "../../text/strings.js";
import { Approve } from "./Approve.js";
import { Online } from "./Online.js";

const text = strings.devices;
const lookEveryMs = 5_000;

type Open = { what: "approve" | "revoke" | "rename"; device: DeviceInfo } | { what: "scan" | "rotate" | "replace" } | undefined;

const nameOf = ({ name, current }: DeviceInfo): string => name ?? (current ? text.this : strings.naming.unnamed);

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
            {all.map((device) => (
              <li key={device.id} className="entry wraps">
                <span className="round">
                  <Icon name="device" />
                </span>
                <div className="grow">
                  <div className="line wrap">
                    <strong>
                      <bdi>{nameOf(device)}</bdi>
                    </strong>
                    {device.current && device.name !== undefined && <span className="tag">{text.this}</span>}
                    {!device.approved && <span className="tag warn">{text.waiting}</span>}
                  </div>
                  <div className="muted small">
                    {text.registered(calendarDate(device.createdOn))}, {text.seen(calendarDate(device.seenOn))}
                  </div>
                </div>
                <div className="line entry-actions">
                  {!device.approved && !device.current && (
                    <Button look="main" compact onClick={() => setOpen({ what: "approve", device })}>
                      {text.approve}
                    </Button>
                  )}
                  <MenuButton label={text.menu(nameOf(device))}>
                    {device.approved ? (
                      <MenuItem icon="edit" onSelect={() => setOpen({ what: "rename", device })}>
                        {strings.naming.rename}
                      </MenuItem>
                    ) : (
                      <MenuItem icon="check" onSelect={() => setOpen({ what: "approve", device })}>
                        {text.approve}
                      </MenuItem>
                    )}
                    {!device.current && (
                      <MenuItem icon="trash" bad onSelect={() => setOpen({ what: "revoke", device })}>
                        {text.revoke}
                      </MenuItem>
                    )}
                  </MenuButton>
                </div>
              </li>
            ))}
          </ul>
        )}
      </Online>
      <section className="section">
        <h2>{text.add}</h2>
        <p className="muted">{text.addText}</p>
        <div>
          <Button icon="camera" onClick={() => setOpen({ what: "scan" })}>
            {strings.approval.scan}
          </Button>
        </div>
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
      {open?.what === "scan" && <Approve device={undefined} onClose={close} />}
      {open?.what === "approve" && <Approve device={open.device} onClose={close} />}
      {open?.what === "rename" && <RenameDevice id={open.device.id} name={open.device.name} onClose={() => setOpen(undefined)} onDone={devices.reload} />}
      {open?.what === "revoke" && <Revoke device={open.device} onClose={close} />}
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

function Revoke({ device, onClose }: { device: DeviceInfo; onClose: () => void }) {
  const client = useClient();
  const [lost, setLost] = useState(false);
  return (
    <Ask title={text.revokeTitle} text={text.revokeText} action={text.revoke} bad onClose={onClose} onDo={() => client.revokeDevice(device.id, { lost })}>
      {device.approved && <Switch label={strings.approval.lost} hint={strings.approval.lostText} on={lost} onChange={setLost} />}
    </Ask>
  );
}
