import { useState } from "react";
import { Avatar } from "../../components/Avatar.js";
import { Button, IconButton } from "../../components/Button.js";
import { Ask } from "../../components/Dialog.js";
import { Field } from "../../components/Field.js";
import { save } from "../../browser/download.js";
import { calendarDate } from "../../text/format.js";
import { useApp, useStatus } from "../../state/context.js";
import { useLoad } from "../../base/useLoad.js";
import { strings } from "../../text/strings.js";
import { Online } from "./Online.js";

const text = strings.profile;
const passwordMin = 10;

/** The account and its actions. */
export function Profile() {
  const { client, toasts } = useApp();
  const { username = "" } = useStatus();
  const profile = useLoad(() => client.profile());
  const [open, setOpen] = useState<"email" | "password" | "delete">();
  const [exporting, setExporting] = useState(false);
  const done = (words: string): void => {
    toasts.show(words);
    void profile.reload();
  };
  return (
    <>
      <div className="room-head">
        <Avatar name={username} size="l" />
        <div className="line">
          <h2>{username}</h2>
          <IconButton
            icon="copy"
            small
            label={text.copyName}
            onClick={() => void navigator.clipboard.writeText(username).then(() => toasts.show(strings.common.copied), toasts.fail)}
          />
        </div>
        <p className="muted small">{text.usernameHint}</p>
      </div>
      <div className="card">
        <Online from={profile}>
          {({ email, createdOn }) => (
            <dl className="facts">
              <dt>{text.email}</dt>
              <dd>{email}</dd>
              <dt>{text.since}</dt>
              <dd>{calendarDate(createdOn)}</dd>
            </dl>
          )}
        </Online>
        <div className="line wrap">
          <Button onClick={() => setOpen("email")}>{text.changeEmail}</Button>
          <Button icon="key" onClick={() => setOpen("password")}>
            {text.changePassword}
          </Button>
        </div>
      </div>
      <section className="section">
        <h2>{text.export}</h2>
        <p className="muted">{text.exportText}</p>
        <div>
          <Button
            icon="download"
            busy={exporting}
            onClick={() => {
              setExporting(true);
              client
                .exportAll()
                .then((json) => save(`securemessaging-${username}.json`, json))
                .catch(toasts.fail)
                .finally(() => setExporting(false));
            }}
          >
            {text.exportAction}
          </Button>
        </div>
      </section>
      <section className="section">
        <h2>{text.delete}</h2>
        <p className="muted">{text.deleteHint}</p>
        <div>
          <Button look="bad" icon="trash" onClick={() => setOpen("delete")}>
            {text.delete}
          </Button>
        </div>
      </section>
      {open === "email" && <ChangeEmail onDone={() => done(text.emailChanged)} onClose={() => setOpen(undefined)} />}
      {open === "password" && <ChangePassword onDone={() => done(text.passwordChanged)} onClose={() => setOpen(undefined)} />}
      {open === "delete" && <DeleteAccount username={username} onClose={() => setOpen(undefined)} />}
    </>
  );
}

interface Props {
  onDone: () => void;
  onClose: () => void;
}

const wrongPassword = { Unauthenticated: text.wrongPassword, Forbidden: text.wrongPassword };

function ChangeEmail({ onDone, onClose }: Props) {
  const { client } = useApp();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  return (
    <Ask
      title={text.changeEmail}
      action={strings.common.save}
      ready={email.includes("@") && password !== ""}
      special={{ ...wrongPassword, Conflict: text.emailTaken, Invalid: strings.account.wrongEmail }}
      onClose={onClose}
      onDo={() => client.changeEmail(password, email.trim()).then(onDone)}
    >
      <Field label={text.newEmail} type="email" value={email} onChange={setEmail} autoComplete="email" maxLength={254} autoFocus required />
      <Field label={text.currentPassword} type="password" value={password} onChange={setPassword} autoComplete="current-password" maxLength={256} required />
    </Ask>
  );
}

function ChangePassword({ onDone, onClose }: Props) {
  const { client } = useApp();
  const [password, setPassword] = useState("");
  const [next, setNext] = useState("");
  const short = next !== "" && next.length < passwordMin;
  return (
    <Ask
      title={text.changePassword}
      action={strings.common.save}
      ready={password !== "" && next.length >= passwordMin}
      special={wrongPassword}
      onClose={onClose}
      onDo={() => client.changePassword(password, next).then(onDone)}
    >
      <Field
        label={text.currentPassword}
        type="password"
        value={password}
        onChange={setPassword}
        autoComplete="current-password"
        maxLength={256}
        autoFocus
        required
      />
      <Field
        label={text.newPassword}
        type="password"
        value={next}
        onChange={setNext}
        autoComplete="new-password"
        maxLength={256}
        hint={strings.account.passwordHint}
        wrong={short ? strings.account.wrongPassword(passwordMin) : undefined}
        required
      />
    </Ask>
  );
}

function DeleteAccount({ username, onClose }: { username: string; onClose: () => void }) {
  const { client, toasts } = useApp();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  return (
    <Ask
      title={text.deleteTitle}
      text={text.deleteText}
      action={text.deleteAction}
      bad
      ready={name.trim() === username && password !== ""}
      special={wrongPassword}
      onClose={onClose}
      onDo={() => client.deleteAccount(password).then(() => toasts.show(text.deleted))}
    >
      <Field label={text.deleteType(username)} value={name} onChange={setName} autoComplete="off" autoCapitalize="none" spellCheck={false} autoFocus required />
      <Field label={text.currentPassword} type="password" value={password} onChange={setPassword} autoComplete="current-password" maxLength={256} required />
    </Ask>
  );
}
