import { useDeferredValue, useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { Virtualizer } from "virtua";
import { Button, IconButton } from "../../components/Button.js";
import { Empty } from "../../components/Empty.js";
import { Icon } from "../../components/Icon.js";
import { sentence } from "../../text/errors.js";
import { isLost } from "../../browser/focus.js";
import { go } from "../../browser/routes.js";
import { useCell } from "../../base/cell.js";
import { useApp, useStatus } from "../../state/context.js";
import { strings } from "../../text/strings.js";
import { ConversationRow } from "./ConversationRow.js";

const text = strings.list;
const searchFrom = 6;
const offlineAfterMs = 2_500;

/** The list of conversations, the newest first. */
export function Sidebar({ current }: { current: string | undefined }) {
  const app = useApp();
  const all = useCell(app.conversations);
  const [search, setSearch] = useState("");
  const wanted = useDeferredValue(search.trim().toLowerCase());
  const shown = useMemo(() => all?.filter((conversation) => conversation.title.toLowerCase().includes(wanted)) ?? [], [all, wanted]);
  const box = useRef<HTMLDivElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);

  // The sign-in form, which had the focus, is gone.
  useEffect(() => {
    if (isLost()) heading.current?.focus({ preventScroll: true });
  }, []);

  const onKeyDown = (event: KeyboardEvent): void => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step === 0) return;
    const links = [...(box.current?.querySelectorAll<HTMLElement>("a.conversation") ?? [])];
    const at = links.indexOf(document.activeElement as HTMLElement);
    const next = links[at < 0 ? 0 : at + step];
    if (next) {
      event.preventDefault();
      next.focus();
    }
  };

  return (
    <nav className="sidebar" aria-label={text.title} onKeyDown={onKeyDown}>
      <header className="bar">
        <h1 ref={heading} className="grow" tabIndex={-1} data-place="heading">
          {text.title}
        </h1>
        <IconButton icon="settings" label={text.settings} onClick={() => go({ at: "settings" })} />
        <IconButton icon="plus" label={text.new} className="filled" onClick={() => go({ at: "new", group: false })} />
      </header>
      <Connection />
      {all && all.length >= searchFrom && (
        <div className="search">
          <Icon name="search" size="small" />
          <input
            className="input"
            type="search"
            value={search}
            aria-label={text.search}
            placeholder={text.search}
            onChange={(event) => setSearch(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Escape") setSearch("");
            }}
          />
        </div>
      )}
      {all === undefined ? (
        <Skeletons />
      ) : all.length === 0 ? (
        <First />
      ) : shown.length === 0 ? (
        <p className="muted nothing" role="status">
          {text.nothing}
        </p>
      ) : (
        <div ref={box} className="conversations">
          <Virtualizer data={shown} itemSize={68} bufferSize={400} scrollRef={box}>
            {(conversation) => <ConversationRow key={conversation.id} conversation={conversation} current={conversation.id === current} />}
          </Virtualizer>
        </div>
      )}
    </nav>
  );
}

/** The empty list of a new user. */
function First() {
  const { toasts } = useApp();
  const { username } = useStatus();
  return (
    <Empty icon="chat" title={text.none} text={text.noneText}>
      <button
        type="button"
        className="username"
        title={text.copyName}
        onClick={() => void navigator.clipboard.writeText(username ?? "").then(() => toasts.show(text.nameCopied), toasts.fail)}
      >
        <span className="mono">{username}</span>
        <Icon name="copy" size="small" />
      </button>
      <Button look="main" icon="plus" onClick={() => go({ at: "new", group: false })}>
        {text.noneAction}
      </Button>
    </Empty>
  );
}

/** Shown only after a delay, because connecting takes a moment. */
function Connection() {
  const { connected, unsent, storeError, deviceError } = useStatus();
  const [lasts, setLasts] = useState(false);
  useEffect(() => {
    if (connected) return () => undefined;
    const timer = setTimeout(() => setLasts(true), navigator.onLine ? offlineAfterMs : 0);
    return () => {
      clearTimeout(timer);
      setLasts(false);
    };
  }, [connected]);
  if (storeError)
    return (
      <div className="connection" role="alert">
        <Icon name="warning" size="small" />
        <span>{text.notStored(sentence(storeError))}</span>
      </div>
    );
  if (deviceError)
    return (
      <div className="connection" role="alert">
        <Icon name="warning" size="small" />
        <span>{text.notReachable(sentence(deviceError))}</span>
      </div>
    );
  if (connected || !lasts) return null;
  return (
    <div className="connection" role="status">
      <Icon name="offline" size="small" />
      <span>{unsent > 0 ? text.offlineUnsent(unsent) : text.offline}</span>
    </div>
  );
}

function Skeletons() {
  return (
    <div className="conversations" role="status" aria-label={strings.common.loading}>
      {[70, 50, 60, 40, 55].map((width) => (
        <div key={width} className="conversation">
          <span className="skeleton avatar-shape" />
          <div className="grow stack tight">
            <span className="skeleton bone" style={{ width: `${width}%` }} />
            <span className="skeleton bone" style={{ width: `${width + 20}%` }} />
          </div>
        </div>
      ))}
    </div>
  );
}
