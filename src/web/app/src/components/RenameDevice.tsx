import { useState } from "react";
import { useClient } from "../state/context.js";
import { strings } from "../text/strings.js";
import { Ask } from "./Dialog.js";
import { Field } from "./Field.js";

const text = strings.naming;
/** At most 128 bytes in UTF-8. */
const maxName = 60;

/** Asks for the name of an own device. */
export function RenameDevice({ id, name, onDone, onClose }: { id: string; name: string | undefined; onDone: () => Promise<void>; onClose: () => void }) {
  const client = useClient();
  const [value, setValue] = useState(name ?? "");
  return (
    <Ask
      title={text.title}
      text={text.text}
      action={strings.common.save}
      ready={value.trim() !== "" && value.trim() !== name}
      special={{ NotFound: text.missing, TooLarge: text.tooLong }}
      onClose={onClose}
      onDo={() => client.nameDevice(id, value).then(onDone)}
    >
      <Field label={text.label} value={value} onChange={setValue} maxLength={maxName} dir="auto" autoComplete="off" autoFocus required />
    </Ask>
  );
}
