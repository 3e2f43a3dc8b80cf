import { useState } from "react";
import { Note } from "../../components/Button.js";
import { Ask } from "../../components/Dialog.js";
import { Switch } from "../../components/Field.js";
import { go } from "../../routes.js";
import { useClient, useStatus } from "../../state/context.js";
import { strings } from "../../strings.js";

const text = strings.settings;

export function SignOut({ onClose }: { onClose(): void }) {
  const client = useClient();
  const { unsent } = useStatus();
  const [wipe, setWipe] = useState(false);
  return (
    <Ask title={text.signOutTitle} text={text.signOutText} action={text.signOut} bad={wipe} onClose={onClose} onDo={async () => {
      await client.signOut({ wipe });
      go({ at: "list" }, { replace: true });
    }}>
      {unsent > 0 && <Note tone="warn" icon="warning">{text.signOutUnsent(unsent)}</Note>}
      <Switch label={text.signOutWipe} hint={text.signOutWipeHint} on={wipe} onChange={setWipe} />
    </Ask>
  );
}
