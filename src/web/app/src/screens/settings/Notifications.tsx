import { useState } from "react";
import { Avatar } from "../../components/Avatar.js";
import { Button, Note, Spinner } from "../../components/Button.js";
import { Dialog } from "../../components/Dialog.js";
import { Switch } from "../../components/Field.js";
import { sentence } from "../../text/errors.js";
import type { Conversation } from "../../base/sdk.js";
import { useCell } from "../../base/cell.js";
import { useApp } from "../../state/context.js";
import { pushState, turnPushOff, turnPushOn } from "../../state/push.js";
import { useLoad } from "../../base/useLoad.js";
import { useNotifications } from "../../state/useNotifications.js";
import { strings } from "../../text/strings.js";
import { nameOf } from "../../text/safe.js";
import { Online } from "./Online.js";
import { defaults, Preferences } from "./Preferences.js";

const text = strings.notifications;

/** The notification settings, in general and for each conversation. */
export function Notifications() {
  const { conversations } = useApp();
  const { loaded, change } = useNotifications();
  const rooms = useCell(conversations)?.filter((room) => room.role !== undefined) ?? [];
  const [open, setOpen] = useState<Conversation>();
  return (
    <>
      <Push />
      <Online from={loaded}>
        {({ everywhere, rooms: own }) => (
          <>
            <section className="section">
              <h2>{text.everywhere}</h2>
              <Preferences value={everywhere} mute={text.mute} onChange={(value) => change(value)} />
            </section>
            {rooms.length > 0 && (
              <section className="section">
                <h2>{text.rooms}</h2>
                <p className="muted">{text.roomsText}</p>
                <ul className="card plain">
                  {rooms.map((room) => (
                    <li key={room.id} className="entry">
                      <Avatar id={room.id} name={room.title} group={room.kind === "group"} size="s" />
                      <div className="grow">
                        <div className="ellipsis">
                          <bdi>{nameOf(room.title)}</bdi>
                        </div>
                        <div className="muted small">{!own[room.id] ? text.asEverywhere : own[room.id]!.muted ? text.roomMuted : text.own}</div>
                      </div>
                      <Button compact aria-label={text.changeOf(nameOf(room.title))} onClick={() => setOpen(room)}>
                        {text.change}
                      </Button>
                    </li>
                  ))}
                </ul>
              </section>
            )}
            {open && (
              <Dialog title={text.changeOf(nameOf(open.title))} onClose={() => setOpen(undefined)}>
                <div className="body">
                  <h2>
                    <bdi>{nameOf(open.title)}</bdi>
                  </h2>
                  <Preferences value={own[open.id] ?? everywhere ?? defaults} mute={strings.room.mute} onChange={(value) => change(value, open.id)} />
                  <div className="actions">
                    {own[open.id] && (
                      <Button look="bare" onClick={() => change(undefined, open.id)}>
                        {text.useDefault}
                      </Button>
                    )}
                    <Button look="main" onClick={() => setOpen(undefined)}>
                      {strings.common.done}
                    </Button>
                  </div>
                </div>
              </Dialog>
            )}
          </>
        )}
      </Online>
    </>
  );
}

/** Whether this browser is woken while the app is closed. */
function Push() {
  const { client } = useApp();
  const state = useLoad(() => pushState(client));
  const [failed, setFailed] = useState(false);
  const [busy, setBusy] = useState(false);
  const { value } = state;
  if (value === undefined)
    return state.error === undefined ? (
      <Spinner label={strings.common.loading} />
    ) : (
      <Note tone="warn" icon="belloff">
        {text.pushUnknown} {sentence(state.error)}
      </Note>
    );
  const switchTo = (on: boolean): void => {
    setBusy(true);
    setFailed(false);
    (on ? turnPushOn(client) : turnPushOff(client))
      .then(state.set, (error: unknown) => {
        console.warn("Push notifications could not be turned on or off:", error);
        setFailed(true);
      })
      .finally(() => setBusy(false));
  };
  return (
    <section className="section">
      <div className="card">
        <Switch label={text.push} hint={text.pushText} on={value === "on"} disabled={busy || (value !== "on" && value !== "off")} onChange={switchTo} />
      </div>
      {value === "denied" && (
        <Note tone="warn" icon="belloff">
          {text.pushDenied}
        </Note>
      )}
      {value === "serverOff" && <Note icon="belloff">{text.pushOff}</Note>}
      {value === "unsupported" && <Note icon="belloff">{text.pushUnsupported}</Note>}
      {failed && (
        <Note tone="bad" icon="warning">
          {text.pushFailed}
        </Note>
      )}
    </section>
  );
}
