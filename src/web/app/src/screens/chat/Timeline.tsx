import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { Virtualizer, type VirtualizerHandle } from "virtua";
import { Spinner } from "../../components/Button.js";
import { Icon } from "../../components/Icon.js";
import { count, day } from "../../text/format.js";
import type { Message, Reference } from "../../base/sdk.js";
import { keyOfMessage, keyOfReference } from "../../base/reference.js";
import type { RoomStore, RoomView } from "../../state/room.js";
import { strings } from "../../text/strings.js";
import { Bubble, type BubbleActions } from "./Bubble.js";
import { rowsOf, type Quotes, type Row } from "./rows.js";
import { TimelineLine } from "../../components/TimelineLine.js";
import { sentenceOf, toneOf, type LineFacts } from "../../text/lines.js";
import { gist } from "../../text/gist.js";

interface Props {
  room: RoomStore;
  view: RoomView;
  group: boolean;
  canWrite: boolean;
  me: string;
  others: number | undefined;
  /** Whether there are messages from before this device was added. */
  earlier: boolean;
  /** The first unread place when the room was opened. */
  unreadFrom: number | undefined;
  /** Answered messages that are not loaded. */
  quotes: Quotes;
  /** What has happened beside the messages. */
  lines: readonly LineFacts[];
  actions: BubbleActions;
  /** A message to scroll to; each request is another object. */
  target: { message: Reference } | undefined;
  onTargetMissing: () => void;
  /** Whether the newest message is on the screen. */
  onBottom: (atBottom: boolean) => void;
  onEscape: () => void;
}

const nearBottom = 60;
const nearTop = 900;

/** The messages. Only those near the visible part are in the document. */
export function Timeline({
  room,
  view,
  group,
  canWrite,
  me,
  others,
  earlier,
  unreadFrom,
  quotes,
  lines,
  actions,
  target,
  onTargetMissing,
  onBottom,
  onEscape,
}: Props) {
  const rows = useMemo(() => rowsOf(view, me, others, unreadFrom, quotes, lines), [view, me, others, unreadFrom, quotes, lines]);
  const list = useRef<VirtualizerHandle>(null);
  const box = useRef<HTMLDivElement>(null);
  const stuck = useRef(true);
  const placed = useRef(false);
  const letGo = useRef<() => void>(undefined);
  // While a message that was unfolded grows, its place is kept: events of an earlier scroll must not make the list follow its end again.
  const isHeld = useRef(false);
  const [below, setBelow] = useState(0);
  const [away, setAway] = useState(false);
  const [lit, setLit] = useState<string>();
  const before = useRef<{ first?: number; last?: string; length: number }>({ length: 0 });

  const firstSeq = view.messages[0]?.seq;
  const lastKey = rows.at(-1)?.key;
  const prepended = before.current.first !== undefined && firstSeq !== undefined && firstSeq < before.current.first;

  const toBottom = useCallback(() => {
    letGo.current?.();
    list.current?.scrollToIndex(before.current.length - 1, { align: "end" });
  }, []);

  useLayoutEffect(() => {
    const old = before.current;
    before.current = { ...(firstSeq === undefined ? {} : { first: firstSeq }), ...(lastKey === undefined ? {} : { last: lastKey }), length: rows.length };
    if (rows.length === 0) return;
    if (!placed.current) {
      placed.current = true;
      const unread = rows.findIndex((row) => row.type === "unread");
      if (unread > 0 && unread < rows.length - 3) {
        stuck.current = false;
        list.current?.scrollToIndex(unread, { align: "start", offset: -40 });
      } else {
        toBottom();
      }
      return;
    }
    const last = rows.at(-1)!;
    const isNew = lastKey !== old.last;
    if (isNew && last.type === "bubble" && last.outgoing) stuck.current = true;
    if (stuck.current) toBottom();
    else if (isNew) setBelow((n) => n + 1);
  }, [rows, firstSeq, lastKey, toBottom]);

  // When the composer, the keyboard of a phone or the window changes the size, the newest message stays visible.
  const onResize = useCallback(() => {
    if (placed.current && stuck.current) toBottom();
  }, [toBottom]);

  /** Looks whether the newest message is on the screen. */
  const look = useCallback(() => {
    if (!box.current) return;
    // The element's own values: after a resize they are correct before the list has measured.
    const { scrollHeight, scrollTop, clientHeight } = box.current;
    const left = scrollHeight - scrollTop - clientHeight;
    const atBottom = left < nearBottom && !isHeld.current;
    setAway(left > clientHeight);
    if (atBottom !== stuck.current) {
      stuck.current = atBottom;
      onBottom(atBottom);
    }
    if (atBottom) setBelow(0);
  }, [onBottom]);

  const onScroll = useCallback(
    (offset: number) => {
      const handle = list.current;
      if (!handle || !placed.current) return;
      look();
      if (offset < nearTop) void room.loadOlder();
      const from = seqAt(rows, handle.findItemIndex(offset), 1);
      const to = seqAt(rows, handle.findItemIndex(offset + handle.viewportSize), -1);
      if (from !== undefined && to !== undefined) room.setVisible(from, to);
    },
    [room, rows, look],
  );

  // A list that does not fill the screen cannot be scrolled, so it loads more by itself.
  useEffect(() => {
    const handle = list.current;
    if (view.loaded && !view.atStart && !view.loadingOlder && handle && handle.scrollSize <= handle.viewportSize + nearTop) void room.loadOlder();
  }, [view, room]);

  useEffect(() => {
    if (!target) return;
    let stopped = false;
    void (async () => {
      for (let tries = 0; tries < 100 && !stopped; tries++) {
        const key = keyOfReference(target.message);
        const found = rowsOf(room.view.get(), me, others, unreadFrom, quotes, lines).findIndex((row) => referenceOf(row) === key);
        if (found >= 0) {
          await new Promise((resolve) => requestAnimationFrame(resolve));
          stuck.current = false;
          letGo.current?.();
          onBottom(false);
          list.current?.scrollToIndex(found, { align: "center" });
          setLit(key);
          setTimeout(() => setLit(undefined), 1_600);
          return;
        }
        if (room.view.get().atStart) break;
        await room.loadOlder();
      }
      if (!stopped) onTargetMissing();
    })();
    return () => {
      stopped = true;
    };
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- only a new target causes a jump
  }, [target]);

  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>): void => {
    if (event.key === "Escape") {
      onEscape();
      return;
    }
    const step = event.key === "ArrowUp" ? -1 : event.key === "ArrowDown" ? 1 : 0;
    if (step === 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const focused = event.target instanceof HTMLElement ? event.target.closest<HTMLElement>("[data-row]") : null;
    const from = focused ? rows.findIndex((row) => row.key === focused.dataset.row) : rows.length;
    for (let index = from + step; index >= 0 && index < rows.length; index += step) {
      if (rows[index]!.type !== "bubble") continue;
      event.preventDefault();
      letGo.current?.();
      list.current?.scrollToIndex(index, { align: "nearest" });
      requestAnimationFrame(() => box.current?.querySelector<HTMLElement>(`[data-row="${CSS.escape(rows[index]!.key)}"]`)?.focus({ preventScroll: true }));
      return;
    }
    if (step > 0) onEscape();
  };

  return (
    <div className="timeline-box">
      <div
        ref={box}
        className="timeline"
        role="group"
        aria-label={strings.chat.messages}
        tabIndex={0}
        onKeyDown={onKeyDown}
        onWheel={() => letGo.current?.()}
        onTouchMove={() => letGo.current?.()}
        onClickCapture={(event) => {
          if (event.target instanceof Element && event.target.matches(".fold")) {
            stuck.current = false;
            letGo.current?.();
            const end = keepPlace(box.current!, event.target.closest("article")!, () => {
              isHeld.current = false;
              look();
            });
            isHeld.current = true;
            letGo.current = () => {
              isHeld.current = false;
              end();
            };
          }
        }}
      >
        <div className="filler" />
        {view.loadingOlder && (
          <div className="loading-older">
            <Spinner small label={strings.chat.loadingOlder} />
          </div>
        )}
        <Virtualizer ref={list} data={rows} shift={prepended} onScroll={onScroll} onResize={onResize} bufferSize={600} scrollRef={box}>
          {(row) => (
            <RowView
              key={row.key}
              row={row}
              earlier={earlier}
              group={group}
              lit={lit !== undefined && referenceOf(row) === lit}
              canWrite={canWrite}
              actions={actions}
            />
          )}
        </Virtualizer>
      </div>
      <Jump
        show={below > 0 || away}
        below={below}
        onClick={() => {
          setBelow(0);
          stuck.current = true;
          toBottom();
          onBottom(true);
        }}
      />
      <Announcer messages={view.messages} actions={actions} />
    </div>
  );
}

const settledAfterMs = 500;

/**
 * Keeps the top of a message in place while its size changes. The list would keep the bottom of a message that begins above the screen.
 * Returns a function that ends this, for when the user scrolls.
 * @param settled - Called when the size has changed. A message may grow below the screen without any scrolling.
 */
function keepPlace(box: HTMLElement, message: HTMLElement, settled: () => void): () => void {
  const place = (): number => message.getBoundingClientRect().top;
  const before = place();
  let until = performance.now() + settledAfterMs;
  const hold = (): void => {
    if (until === 0) return;
    box.scrollTop += place() - before;
    if (performance.now() < until && message.isConnected) requestAnimationFrame(hold);
    else settled();
  };
  requestAnimationFrame(hold);
  return () => {
    until = 0;
  };
}

/** The message of a row, as a key. */
const referenceOf = (row: Row): string | undefined => (row.type === "bubble" && row.message ? keyOfMessage(row.message) : undefined);

function seqAt(rows: Row[], index: number, step: number): number | undefined {
  for (let i = Math.min(Math.max(index, 0), rows.length - 1); i >= 0 && i < rows.length; i += step) {
    const row = rows[i]!;
    if (row.type === "bubble" && row.message) return row.message.seq;
    if (row.type === "missing") return row.seq;
  }
  return undefined;
}

function RowView({
  row,
  earlier,
  group,
  lit,
  canWrite,
  actions,
}: {
  row: Row;
  earlier: boolean;
  group: boolean;
  lit: boolean;
  canWrite: boolean;
  actions: BubbleActions;
}) {
  switch (row.type) {
    case "bubble":
      return <Bubble row={row} group={group} lit={lit} canWrite={canWrite} actions={actions} />;
    case "day":
      return (
        <div className="day" role="separator">
          <span>{day(row.at)}</span>
        </div>
      );
    case "unread":
      return (
        <div className="day unread" role="separator">
          <span>{strings.chat.newMessages}</span>
        </div>
      );
    case "start":
      return (
        <div className="beginning">
          <Icon name="lock" size="small" />
          {earlier ? strings.chat.earlier : strings.chat.beginning}
        </div>
      );
    case "line":
      return <TimelineLine line={{ key: row.key, at: row.line.at, tone: toneOf(row.line), text: sentenceOf(row.line, actions.nameOf) }} />;
    case "missing":
      return <TimelineLine line={{ key: row.key, at: row.at, tone: row.isExpired ? "plain" : "alarm", text: row.text }} />;
  }
}

function Jump({ show, below, onClick }: { show: boolean; below: number; onClick: () => void }) {
  return (
    show && (
      <button
        type="button"
        className="jump"
        aria-label={below > 0 ? strings.chat.newBelow(below) : strings.chat.newest}
        title={strings.chat.newest}
        onClick={onClick}
      >
        <Icon name="down" />
        {below > 0 && <span className="badge">{count(below)}</span>}
      </button>
    )
  );
}

/** Reads new messages to screen readers. The list itself is not live, because scrolling changes it. */
function Announcer({ messages, actions }: { messages: readonly Message[]; actions: BubbleActions }) {
  const [said, setSaid] = useState("");
  const newest = useRef<number>(undefined);
  useEffect(() => {
    const last = messages.at(-1);
    if (newest.current !== undefined && last && last.seq > newest.current && !last.mine)
      setSaid(strings.chat.incoming(actions.nameOf(last.from?.userId), gist(last)));
    if (last) newest.current = last.seq;
  }, [messages, actions]);
  return (
    <div className="visually-hidden" role="log" aria-live="polite">
      {said}
    </div>
  );
}
