import { useEffect, useState, type SubmitEvent } from "react";
import { Avatar } from "../../components/Avatar.js";
import { Button, IconButton, Note } from "../../components/Button.js";
import { Ask } from "../../components/Dialog.js";
import { Field } from "../../components/Field.js";
import { Icon } from "../../components/Icon.js";
import { Logo } from "../../components/Logo.js";
import { sentence } from "../../text/errors.js";
import { useArrival } from "../../browser/focus.js";
import { missingFeatures } from "../../base/sdk.js";
import type { Account } from "../../state/accounts.js";
import { useCell } from "../../base/cell.js";
import { useAccounts, useApp, useAttempt, useStatus } from "../../state/context.js";
import { strings } from "../../text/strings.js";

const passwordMin = 10;
const text = strings.account;

/** The form on the sign-in screen: for an account of this browser, for the choice among them, or for a new one. */
type Form = { at: "account"; account: Account } | { at: "list" } | { at: "signIn" } | { at: "signUp" };

/** Sign-up, sign-in, and the choice among the accounts of this browser. */
export function Gate() {
  const accounts = useAccounts();
  const list = useCell(accounts.list);
  const choosing = useCell(accounts.choosing);
  const { store } = useApp();
  const own = list.find((account) => account.store === store);
  const [chosen, setForm] = useState<Form>();
  // A browser with an account starts with the sign-in, any other with the sign-up.
  const form: Form =
    chosen && !(chosen.at === "account" && !list.includes(chosen.account)) && !(chosen.at === "list" && list.length === 0)
      ? chosen
      : choosing
        ? { at: "list" }
        : own
          ? { at: "account", account: own }
          : list.length > 0
            ? { at: "list" }
            : { at: "signUp" };
  const [missing, setMissing] = useState<readonly string[]>([]);
  useEffect(() => {
    missingFeatures().then(setMissing, console.error);
  }, []);
  return (
    <main className="gate">
      <section className="gate-intro">
        <Logo />
        <h1>{strings.app}</h1>
        <p>{text.tagline}</p>
        <ul>
          {text.points.map(([icon, title, words]) => (
            <li key={title}>
              <Icon name={icon} />
              <div>
                <strong>{title}</strong>
                <div className="muted">{words}</div>
              </div>
            </li>
          ))}
        </ul>
      </section>
      <section className="gate-form">
        {missing.length > 0 && (
          <Note tone="bad" icon="warning">
            {text.unsupported(missing)}
          </Note>
        )}
        {form.at === "account" ? (
          <Return key={form.account.store} account={form.account} />
        ) : form.at === "list" ? (
          <Choose list={list} onForm={(account) => setForm({ at: "account", account })} />
        ) : form.at === "signIn" ? (
          <SignIn key="in" />
        ) : (
          <SignUp key="up" />
        )}
        <div className="muted switch-gate">
          {form.at === "signUp" && (
            <p>
              {text.haveAccount}{" "}
              <Button look="bare" onClick={() => setForm({ at: "signIn" })}>
                {text.signIn}
              </Button>
            </p>
          )}
          {form.at === "signIn" && (
            <p>
              {text.noAccount}{" "}
              <Button look="bare" onClick={() => setForm({ at: "signUp" })}>
                {text.signUp}
              </Button>
            </p>
          )}
          {form.at !== "list" && list.length > (form.at === "account" ? 1 : 0) && (
            <p>
              <Button look="bare" onClick={() => setForm({ at: "list" })}>
                {text.choose}
              </Button>
            </p>
          )}
          {(form.at === "account" || form.at === "list") && (
            <p>
              <Button look="bare" onClick={() => setForm({ at: "signIn" })}>
                {text.another}
              </Button>
            </p>
          )}
          {choosing && (
            <p>
              <Button look="bare" onClick={() => accounts.choosing.set(false)}>
                {strings.common.cancel}
              </Button>
            </p>
          )}
        </div>
      </section>
    </main>
  );
}

/** The accounts of this browser. */
function Choose({ list, onForm }: { list: readonly Account[]; onForm: (account: Account) => void }) {
  const accounts = useAccounts();
  const attempt = useAttempt();
  const arrival = useArrival();
  const [removing, setRemoving] = useState<Account>();
  return (
    <div className="stack">
      <h2 {...arrival}>{text.chooseTitle}</h2>
      <ul className="card plain accounts" aria-label={text.chooseTitle}>
        {list.map((account) => (
          <li key={account.store} className="entry">
            <button
              type="button"
              className="account"
              onClick={() =>
                attempt(async () => {
                  await accounts.choose(account.store);
                  onForm(account);
                })
              }
            >
              <Avatar name={account.username} size="s" />
              <bdi className="grow">{account.username}</bdi>
            </button>
            <IconButton icon="trash" small label={text.removeOf(account.username)} onClick={() => setRemoving(account)} />
          </li>
        ))}
      </ul>
      {removing && <Remove account={removing} onClose={() => setRemoving(undefined)} />}
    </div>
  );
}

/** Asks before data is deleted. */
function Remove({ account: { store, username }, onClose }: { account: Account; onClose: () => void }) {
  const accounts = useAccounts();
  return <Ask title={text.removeTitle(username)} text={text.removeText} action={text.removeAction} bad onClose={onClose} onDo={() => accounts.remove(store)} />;
}

/** Signs in to an account with keys in this browser. */
function Return({ account }: { account: Account }) {
  const accounts = useAccounts();
  const { endedElsewhere, endReason = "unknown" } = useStatus();
  const { store } = useApp();
  const [password, setPassword] = useState("");
  const [removing, setRemoving] = useState(false);
  const form = useSubmit(() => accounts.enter(account.username, (client) => client.signIn({ username: account.username, password })));
  return (
    <form className="stack" onSubmit={form.submit}>
      <h2>{text.signInTitle}</h2>
      {endedElsewhere && account.store === store && (
        <Note tone="warn" icon="info">
          {text.ended[endReason]}
        </Note>
      )}
      <Field label={text.username} value={account.username} onChange={() => undefined} readOnly autoComplete="username" />
      <Field label={text.password} type="password" value={password} onChange={setPassword} autoComplete="current-password" maxLength={256} required autoFocus />
      {form.error !== undefined && (
        <Note tone="bad" icon="warning">
          {sentence(form.error, { Unauthenticated: text.refused, Invalid: text.refused })}
        </Note>
      )}
      <Button look="main" type="submit" wide busy={form.busy}>
        {text.signIn}
      </Button>
      <div className="switch-gate">
        <Button look="bare" icon="trash" compact onClick={() => setRemoving(true)}>
          {text.remove}
        </Button>
      </div>
      {removing && <Remove account={account} onClose={() => setRemoving(false)} />}
    </form>
  );
}

function SignUp() {
  const accounts = useAccounts();
  const [username, setUsername] = useState("");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [tried, setTried] = useState(false);
  const wrong = {
    username: /^[a-z0-9._-]{3,32}$/.test(username) ? undefined : text.wrongUsername,
    email: /^[^\s@]+@[^\s@]+$/.test(email) ? undefined : text.wrongEmail,
    password: password.length >= passwordMin ? undefined : text.wrongPassword(passwordMin),
  };
  const form = useSubmit(async () => {
    setTried(true);
    if (wrong.username ?? wrong.email ?? wrong.password) return;
    await accounts.enter(undefined, (client) => client.signUp({ username, email, password }));
  });
  return (
    <form className="stack" onSubmit={form.submit} noValidate>
      <h2>{text.signUpTitle}</h2>
      <Field
        label={text.username}
        value={username}
        onChange={(value) => setUsername(value.toLowerCase().trim())}
        hint={text.usernameHint}
        wrong={tried ? wrong.username : undefined}
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        maxLength={32}
        required
        autoFocus
      />
      <Field
        label={text.email}
        type="email"
        value={email}
        onChange={setEmail}
        hint={text.emailHint}
        wrong={tried ? wrong.email : undefined}
        autoComplete="email"
        maxLength={254}
        required
      />
      <Field
        label={text.password}
        type="password"
        value={password}
        onChange={setPassword}
        hint={text.passwordHint}
        wrong={tried ? wrong.password : undefined}
        autoComplete="new-password"
        maxLength={256}
        required
      />
      {form.error !== undefined && (
        <Note tone="bad" icon="warning">
          {sentence(form.error, { Conflict: text.taken })}
        </Note>
      )}
      <Button look="main" type="submit" wide busy={form.busy}>
        {form.busy ? text.signingUp : text.signUp}
      </Button>
    </form>
  );
}

/** Signs in to any account. */
function SignIn() {
  const accounts = useAccounts();
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const form = useSubmit(() => {
    const name = username.trim();
    return accounts.enter(name.toLowerCase(), (client) => client.signIn({ username: name, password }));
  });
  return (
    <form className="stack" onSubmit={form.submit}>
      <h2>{text.signInTitle}</h2>
      <Field
        label={text.usernameOrEmail}
        value={username}
        onChange={setUsername}
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        maxLength={254}
        required
        autoFocus
      />
      <Field label={text.password} type="password" value={password} onChange={setPassword} autoComplete="current-password" maxLength={256} required />
      {form.error !== undefined && (
        <Note tone="bad" icon="warning">
          {sentence(form.error, { Unauthenticated: text.refused, Invalid: text.refused, Conflict: text.hereAlready })}
        </Note>
      )}
      <Button look="main" type="submit" wide busy={form.busy}>
        {text.signIn}
      </Button>
    </form>
  );
}

function useSubmit(work: () => Promise<void>) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    work()
      .catch(setError)
      .finally(() => setBusy(false));
  };
  return { busy, error, submit };
}
