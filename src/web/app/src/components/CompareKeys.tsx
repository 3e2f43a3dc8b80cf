import { useState } from "react";
import { codeOf } from "../base/errors.js";
import { useCell } from "../base/cell.js";
import { useLoad } from "../base/useLoad.js";
import { useApp } from "../state/context.js";
import { markOf } from "../state/people.js";
import { sentence } from "../text/errors.js";
import { strings } from "../text/strings.js";
import { Button, Note, Spinner } from "./Button.js";
import { Code } from "./Code.js";
import { Dialog } from "./Dialog.js";
import { Qr } from "./Qr.js";
import { Scanner } from "./Scanner.js";
import { VerifiedMark } from "./VerifiedMark.js";

const text = strings.trust;

/** Two people compare their keys: by the digits, or by scanning the code of the other. */
export function CompareKeys({ userId, name, onClose }: { userId: string; name: string; onClose: () => void }) {
  const { client, people, toasts } = useApp();
  const person = useCell(people.all).get(userId);
  const verified = person?.verified ?? "no";
  const shown = useLoad(
    async () => ({ number: await client.numberWith(userId), qr: await client.contactQr() }),
    `${userId} ${person?.hold?.kind ?? ""} ${person?.identityKey?.join() ?? ""}`,
  );
  const [scanning, setScanning] = useState(false);
  const [busy, setBusy] = useState(false);

  const done = (): void => {
    toasts.show(text.verified(name));
    onClose();
  };
  const attempt = (work: () => Promise<void>): void => {
    setBusy(true);
    work()
      .catch(toasts.fail)
      .finally(() => setBusy(false));
  };
  return (
    <Dialog title={text.compareTitle(name)} onClose={onClose}>
      <div className="body">
        <h2 className="line">
          {text.compareTitle(name)} <VerifiedMark verified={markOf(person)} />
        </h2>
        {verified === "again" && (
          <Note tone="warn" icon="shieldalert">
            {text.again(name)}
          </Note>
        )}
        {scanning ? (
          <>
            <p className="muted">{text.scanText(name)}</p>
            <Scanner
              special={{ Invalid: text.notThisPerson(name), Forbidden: text.differs, Conflict: text.listMissing }}
              onText={async (read) => {
                // Without the person, the other could show the code of a third one, who would be marked.
                await client.verifyByQr(read, userId);
                done();
              }}
            />
          </>
        ) : shown.value !== undefined ? (
          <>
            <Qr text={shown.value.qr} label={text.ownQr} />
            <p className="muted small">{text.scanEachOther(name)}</p>
            <Code label={text.number} code={shown.value.number} />
            <p className="muted small">{text.compareText(name)}</p>
          </>
        ) : shown.error !== undefined ? (
          <Note tone="warn" icon="warning">
            {codeOf(shown.error) === "NotReady" || codeOf(shown.error) === "NotFound" ? text.noNumber : sentence(shown.error)}
          </Note>
        ) : (
          <Spinner label={strings.common.loading} />
        )}
        <div className="actions wrap">
          {verified === "yes" && !person?.hold && !scanning && (
            <Button look="bare" busy={busy} onClick={() => attempt(() => client.unverifyPerson(userId))}>
              {text.unverify}
            </Button>
          )}
          <Button onClick={onClose}>{strings.common.close}</Button>
          {shown.value !== undefined && (
            <Button icon={scanning ? "key" : "camera"} onClick={() => setScanning(!scanning)}>
              {scanning ? text.showNumber : text.scan}
            </Button>
          )}
          {(verified !== "yes" || person?.hold) && !scanning && shown.value !== undefined && (
            <Button look="main" icon="shield" busy={busy} onClick={() => attempt(() => client.verifyPerson(userId, shown.value!.number).then(done))}>
              {text.equal}
            </Button>
          )}
        </div>
      </div>
    </Dialog>
  );
}
