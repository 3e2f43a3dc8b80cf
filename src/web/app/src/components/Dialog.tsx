import { useLayoutEffect, useRef, useState, type ReactNode } from "react";
import { sentence } from "../errors.js";
import { giveBack } from "../focus.js";
import { strings } from "../strings.js";
import { Button, Note } from "./Button.js";

/** A modal dialog of the browser's own: it holds the focus, Esc closes it, and the focus goes back to where it was. */
export function Dialog({ title, onClose, children }: { title: string; onClose(): void; children: ReactNode }) {
  const ref = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const dialog = ref.current!;
    const before = document.activeElement;
    if (!dialog.open)
      dialog.showModal();
    return () => {
      dialog.close();
      giveBack(before);
    };
  }, []);
  return (
    <dialog ref={ref} className="dialog" aria-label={title} onCancel={(event) => {
      event.preventDefault();
      onClose();
    }} onClick={(event) => {
      if (event.target === ref.current)
        onClose();
    }}>
      {children}
    </dialog>
  );
}

/** Asks before something that cannot be taken back, or for what is needed to do it. Stays open, with the reason, when it fails, and when `onDo` answers "stay". */
export function Ask({ title, text, children, action, bad, ready = true, special, onDo, onClose }: {
  title: string; text?: ReactNode; children?: ReactNode; action: string; bad?: boolean; ready?: boolean; special?: Partial<Record<string, string>>;
  onDo(): Promise<unknown>; onClose(): void;
}) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={(event) => {
        event.preventDefault();
        setBusy(true);
        setError(undefined);
        onDo().then((answer) => answer === "stay" ? undefined : onClose(), setError).finally(() => setBusy(false));
      }}>
        <h2>{title}</h2>
        {text && <div className="muted">{text}</div>}
        {children}
        {error !== undefined && <Note tone="bad" icon="warning">{sentence(error, special)}</Note>}
        <div className="actions">
          <Button look="soft" onClick={onClose}>{strings.common.cancel}</Button>
          <Button look={bad ? "bad" : "main"} type="submit" busy={busy} disabled={!ready}>{action}</Button>
        </div>
      </form>
    </Dialog>
  );
}
