import { useEffect, useState, type FormEvent } from "react";
import { Button, Note } from "../../components/Button.js";
import { Field } from "../../components/Field.js";
import { Icon } from "../../components/Icon.js";
import { Logo } from "../../components/Logo.js";
import { sentence } from "../../errors.js";
import { missingFeatures } from "../../sdk.js";
import { useClient } from "../../state/context.js";
import { strings } from "../../strings.js";

const passwordMin = 10;
const text = strings.account;

/** Sign-up and sign-in. */
export function Gate() {
  const [isNew, setIsNew] = useState(!hasBeenHere());
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
            <li key={title}><Icon name={icon} /><div><strong>{title}</strong><div className="muted">{words}</div></div></li>
          ))}
        </ul>
      </section>
      <section className="gate-form">
        {missing.length > 0 && <Note tone="bad" icon="warning">{text.unsupported(missing)}</Note>}
        {isNew ? <SignUp key="up" /> : <SignIn key="in" />}
        <p className="muted switch-gate">
          {isNew ? text.haveAccount : text.noAccount}{" "}
          <Button look="bare" onClick={() => setIsNew(!isNew)}>{isNew ? text.signIn : text.signUp}</Button>
        </p>
      </section>
    </main>
  );
}

function SignUp() {
  const client = useClient();
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
    if (wrong.username ?? wrong.email ?? wrong.password)
      return;
    await client.signUp({ username, email, password });
    remember();
  });
  return (
    <form className="stack" onSubmit={form.submit} noValidate>
      <h2>{text.signUpTitle}</h2>
      <Field label={text.username} value={username} onChange={(value) => setUsername(value.toLowerCase().trim())} hint={text.usernameHint} wrong={tried ? wrong.username : undefined}
        autoComplete="username" autoCapitalize="none" spellCheck={false} maxLength={32} required autoFocus />
      <Field label={text.email} type="email" value={email} onChange={setEmail} hint={text.emailHint} wrong={tried ? wrong.email : undefined} autoComplete="email" maxLength={254} required />
      <Field label={text.password} type="password" value={password} onChange={setPassword} hint={text.passwordHint} wrong={tried ? wrong.password : undefined} autoComplete="new-password" maxLength={256} required />
      {form.error !== undefined && <Note tone="bad" icon="warning">{sentence(form.error, { Conflict: text.taken })}</Note>}
      <Button look="main" type="submit" wide busy={form.busy}>{form.busy ? text.signingUp : text.signUp}</Button>
    </form>
  );
}

function SignIn() {
  const client = useClient();
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const form = useSubmit(async () => {
    await client.signIn({ username: username.trim(), password });
    remember();
  });
  return (
    <form className="stack" onSubmit={form.submit}>
      <h2>{text.signInTitle}</h2>
      <Field label={text.usernameOrEmail} value={username} onChange={setUsername} autoComplete="username" autoCapitalize="none" spellCheck={false} maxLength={254} required autoFocus />
      <Field label={text.password} type="password" value={password} onChange={setPassword} autoComplete="current-password" maxLength={256} required />
      {form.error !== undefined && <Note tone="bad" icon="warning">{sentence(form.error, { Unauthenticated: text.refused, Invalid: text.refused, Conflict: text.otherAccount })}</Note>}
      <Button look="main" type="submit" wide busy={form.busy}>{text.signIn}</Button>
    </form>
  );
}

function useSubmit(work: () => Promise<void>) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    work().catch(setError).finally(() => setBusy(false));
  };
  return { busy, error, submit };
}

/** Whether somebody has signed in here before: then they are more likely to want in again. */
function hasBeenHere(): boolean {
  try {
    return localStorage.getItem("here") !== null;
  } catch {
    return false;
  }
}

function remember(): void {
  try {
    localStorage.setItem("here", "1");
  } catch {
    // Only a convenience.
  }
}
