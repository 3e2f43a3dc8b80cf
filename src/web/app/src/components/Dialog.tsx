import { useLayoutEffect, useRef, useState, type ReactNode } from "react";
import { sentence } from "../text/errors.js";
import { giveBack } from "../browser/focus.js";
import { strings } from "../text/strings.js";
import { Button, Note } from "./Button.js";

/**
 * The browser's modal dialog. It keeps the focus inside, closes on Esc, and returns the focus.
 * @param whole - Whether it covers the screen.
 */
export function Dialog({ title, whole, onClose, children }: { title: string; whole?: boolean; onClose: () => void; children: ReactNode }) {
  const ref = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const dialog = ref.current!;
    const before = document.activeElement;
    if (!dialog.open) dialog.showModal();
    return () => {
      dialog.close();
      giveBack(before);
    };
  }, []);
  return (
    <dialog
      ref={ref}
      className={`dialog ${whole ? "whole" : ""}`}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === ref.current) onClose();
      }}
    >
      {children}
    </dialog>
  );
}

/** Asks for confirmation, or for input that an action needs. Stays open with the error when `onDo` fails, and when it answers "stay". */
export function Ask({
  title,
  text,
  children,
  action,
  bad,
  ready = true,
  special,
  onDo,
  onClose,
}: {
  title: string;
  text?: ReactNode;
  children?: ReactNode;
  action: string;
  bad?: boolean;
  ready?: boolean;
  special?: Partial<Record<string, string>>;
  onDo: () => Promise<unknown>;
  onClose: () => void;
}) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          setBusy(true);
          setError(undefined);
          onDo()
            .then((answer) => (answer === "stay" ? undefined : onClose()), setError)
            .finally(() => setBusy(false));
        }}
      >
        <h2>{title}</h2>
        {text && <div className="muted">{text}</div>}
        {children}
        {error !== undefined && (
          <Note tone="bad" icon="warning">
            {sentence(error, special)}
          </Note>
        )}
        <div className="actions">
          <Button look="soft" onClick={onClose}>
            {strings.common.cancel}
          </Button>
          <Button look={bad ? "bad" : "main"} type="submit" busy={busy} disabled={!ready}>
            {action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
