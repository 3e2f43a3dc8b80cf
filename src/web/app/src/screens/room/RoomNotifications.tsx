import { Switch } from "../../components/Field.js";
import { sentence } from "../../text/errors.js";
import { hrefOf } from "../../browser/routes.js";
import { useNotifications } from "../../state/useNotifications.js";
import { strings } from "../../text/strings.js";

/** The mute switch of a conversation. All other settings are on the settings screen. */
export function RoomNotifications({ roomId }: { roomId: string }) {
  const { loaded, change } = useNotifications();
  const { value } = loaded;
  if (!value)
    return loaded.error === undefined ? null : (
      <section className="section">
        <h2>{strings.room.notifications}</h2>
        <p className="muted small">{sentence(loaded.error)}</p>
      </section>
    );
  const own = value.rooms[roomId];
  const mute = (muted: boolean): void => {
    // No other setting differs: the room uses the general settings again.
    const { muted: _, ...rest } = { ...value.everywhere, ...own };
    change(!muted && JSON.stringify(rest) === JSON.stringify({ ...value.everywhere, muted: undefined }) ? undefined : { ...rest, muted }, roomId);
  };
  return (
    <section className="section">
      <h2>{strings.room.notifications}</h2>
      <div className="card">
        <Switch label={strings.room.mute} on={(own ?? value.everywhere).muted} onChange={mute} />
      </div>
      <a className="small" href={hrefOf({ at: "settings", page: "notifications" })}>
        {strings.room.allNotifications}
      </a>
    </section>
  );
}
