import { useState } from "react";
import { Note } from "../../components/Button.js";
import { Ask } from "../../components/Dialog.js";
import { Switch } from "../../components/Field.js";
import { go } from "../../browser/routes.js";
import { useApp, useClient, useStatus } from "../../state/context.js";
import { useLoad } from "../../base/useLoad.js";
import { strings } from "../../text/strings.js";

const text = strings.settings;

export function SignOut({ onClose }: { onClose: () => void }) {
  const client = useClient();
  const app = useApp();
  const { unsent } = useStatus();
  const [wipe, setWipe] = useState(false);
  // Without a connection it is not known whether the user has another device.
  const devices = useLoad(() => client.devices());
  const hasOther = devices.value?.some((device) => device.approved && !device.current);
  return (
    <Ask
      title={text.signOutTitle}
      text={wipe ? text.signOutWipeText : text.signOutText}
      action={text.signOut}
      bad={wipe}
      onClose={onClose}
      onDo={async () => {
        await client.signOut({ wipe });
        if (wipe) app.unsent.forgetAll();
        go({ at: "list" }, { replace: true });
      }}
    >
      {unsent > 0 && (
        <Note tone="warn" icon="warning">
          {text.signOutUnsent(unsent, wipe)}
        </Note>
      )}
      <Switch label={text.signOutWipe} hint={text.signOutWipeHint} on={wipe} onChange={setWipe} />
      {wipe && !hasOther && (
        <Note tone="bad" icon="warning">
          {devices.value ? text.signOutLast : text.signOutMaybeLast}
        </Note>
      )}
    </Ask>
  );
}
