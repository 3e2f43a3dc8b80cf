import { useState } from "react";
import { Avatar } from "../../components/Avatar.js";
import { Button, Note, Spinner } from "../../components/Button.js";
import { CompareKeys } from "../../components/CompareKeys.js";
import { Dialog } from "../../components/Dialog.js";
import { Qr } from "../../components/Qr.js";
import { Scanner } from "../../components/Scanner.js";
import { VerifiedMark } from "../../components/VerifiedMark.js";
import { codeOf } from "../../base/errors.js";
import type { Person } from "../../base/sdk.js";
import { useCell } from "../../base/cell.js";
import { useLoad } from "../../base/useLoad.js";
import { useApp } from "../../state/context.js";
import { sentence } from "../../text/errors.js";
import { nameOf } from "../../text/safe.js";
import { strings } from "../../text/strings.js";

const text = strings.people;

const urgency = ({ hold, verified }: Person): number => (hold ? 0 : verified === "again" ? 1 : verified === "yes" ? 2 : 3);

/** The people whom this device knows, and this user's own code. */
export function People() {
  const { client, people, toasts } = useApp();
  const all = useCell(people.all);
  const own = useLoad(() => client.contactQr());
  const [scanning, setScanning] = useState(false);
  const [compared, setCompared] = useState<{ userId: string; name: string }>();
  const named = [...all.values()].flatMap((person) => (person.username === undefined ? [] : [{ ...person, username: person.username }]));
  const sorted = named.toSorted((a, b) => urgency(a) - urgency(b) || a.username.localeCompare(b.username));
  return (
    <>
      <p className="muted">{text.text}</p>
      <section className="section">
        <h2>{text.own}</h2>
        {own.value !== undefined ? (
          <Qr text={own.value} label={strings.trust.ownQr} />
        ) : own.error !== undefined ? (
          <Note>{codeOf(own.error) === "NotReady" ? text.ownNone : sentence(own.error)}</Note>
        ) : (
          <Spinner label={strings.common.loading} />
        )}
        <p className="muted small">{text.ownText}</p>
        <div>
          <Button look="main" icon="camera" onClick={() => setScanning(true)}>
            {text.scan}
          </Button>
        </div>
      </section>
      {sorted.length === 0 ? (
        <p className="muted">{text.none}</p>
      ) : (
        <ul className="card plain">
          {sorted.map(({ userId, username, verified, hold }) => (
            <li key={userId} className="entry">
              <Avatar name={username} size="s" />
              <div className="grow">
                <div className="line named">
                  <bdi>{nameOf(username)}</bdi>
                  <VerifiedMark verified={hold ? "held" : verified} />
                </div>
                <div className={`small ${hold ? "bad" : "muted"}`}>{hold ? text.waits : text.states[verified]}</div>
              </div>
              <Button compact onClick={() => setCompared({ userId, name: nameOf(username) })}>
                {strings.trust.compare}
              </Button>
            </li>
          ))}
        </ul>
      )}
      {scanning && (
        <Dialog title={text.scanTitle} onClose={() => setScanning(false)}>
          <div className="body">
            <h2>{text.scanTitle}</h2>
            <p className="muted">{text.scanText}</p>
            <Scanner
              special={{ Invalid: strings.trust.notAPerson, Forbidden: strings.trust.differs, Conflict: strings.trust.listMissing, NotFound: text.notKnown }}
              onText={async (read) => {
                const person = await client.verifyByQr(read);
                toasts.show(strings.trust.verified(nameOf(person.username ?? "")));
                setScanning(false);
              }}
            />
            <div className="actions">
              <Button onClick={() => setScanning(false)}>{strings.common.cancel}</Button>
            </div>
          </div>
        </Dialog>
      )}
      {compared && <CompareKeys {...compared} onClose={() => setCompared(undefined)} />}
    </>
  );
}
