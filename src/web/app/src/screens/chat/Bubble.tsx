import { memo } from "react";
import { Avatar } from "../../components/Avatar.js";
import { IconButton } from "../../components/Button.js";
import { Icon } from "../../components/Icon.js";
import { VerifiedMark, type Verified } from "../../components/VerifiedMark.js";
import { SafeText } from "../../components/SafeText.js";
import { clock, fullTime, iso } from "../../text/format.js";
import type { Message, Reference } from "../../base/sdk.js";
import { strings } from "../../text/strings.js";
import { isBlank, isEmojiOnly, nameOf } from "../../text/safe.js";
import { canRefer } from "./MessageMenu.js";
import type { BubbleRow } from "./rows.js";
import { Reactions } from "./Reactions.js";
import { gist } from "../../text/gist.js";

/** The actions of a bubble. */
export interface BubbleActions {
  me: string;
  nameOf: (userId: string | undefined) => string;
  /** Whether the keys of a person were compared. */
  verified: (userId: string | undefined) => Verified | undefined;
  jump: (to: Reference) => void;
  react: (message: Message, emoji: string, on: boolean) => void;
  /** Opens the menu of a message at an element or point. */
  menu: (message: Message, anchor: HTMLElement | { x: number; y: number }) => void;
  pickReaction: (message: Message, anchor: HTMLElement) => void;
  reply: (message: Message) => void;
  /** Asks before it opens an address that can look like another one. */
  openSuspect: (link: { href: string; host: string }) => void;
  retry: (id: string) => void;
  discard: (id: string) => void;
}

/** Each change creates new row objects, but most of them are equal: compares them by value. */
const same = (a: Props, b: Props): boolean =>
  a.group === b.group &&
  a.lit === b.lit &&
  a.canWrite === b.canWrite &&
  a.actions === b.actions &&
  (Object.keys({ ...a.row, ...b.row }) as (keyof BubbleRow)[]).every((key) => Object.is(a.row[key], b.row[key]));

interface Props {
  row: BubbleRow;
  group: boolean;
  lit: boolean;
  canWrite: boolean;
  actions: BubbleActions;
}

/** One message. */
export const Bubble = memo(function Bubble({ row, group, lit, canWrite, actions }: Props) {
  const { message, outgoing, mine, first, last, stamped, state } = row;
  const who = mine ? strings.common.you : actions.nameOf(row.userId);
  const content = message?.content;
  const text = message ? (content?.type === "text" || content?.type === "reply" ? content.text : undefined) : outgoing?.text;
  const replyTo = content?.type === "reply" ? content.to : outgoing?.replyTo;
  const emoji = text !== undefined && !message?.deleted && replyTo === undefined && isEmojiOnly(text);
  const label = strings.chat.person(who, message ? gist(message) : (text ?? ""), clock(row.at));
  const act = message && canWrite && canRefer(message);
  return (
    <article
      className={`message ${mine ? "mine" : "theirs"} ${first ? "first" : ""} ${last ? "last" : ""} ${lit ? "lit" : ""}`}
      data-row={row.key}
      tabIndex={-1}
      aria-label={label}
      onContextMenu={(event) => {
        // For a selection the browser shows its own menu.
        if (message && getSelection()?.isCollapsed !== false && !(event.target instanceof HTMLAnchorElement)) {
          event.preventDefault();
          actions.menu(message, { x: event.clientX, y: event.clientY });
        }
      }}
      onClick={(event) => {
        // Without a mouse, a tap opens the menu.
        if (
          message &&
          matchMedia("(hover: none)").matches &&
          getSelection()?.isCollapsed !== false &&
          event.target instanceof Element &&
          event.target.closest(".bubble") &&
          !event.target.closest("a, button")
        )
          actions.menu(message, { x: event.clientX, y: event.clientY });
      }}
      onKeyDown={(event) => {
        if (message && event.target === event.currentTarget && (event.key === "Enter" || event.key === " ")) {
          event.preventDefault();
          actions.menu(message, event.currentTarget);
        }
      }}
    >
      {group && !mine && <div className="face">{last && <Avatar name={who} size="s" />}</div>}
      <div className="column">
        {group && !mine && first && (
          <div className="sender">
            <bdi>{who}</bdi>
            {!message?.otherIdentity && <VerifiedMark verified={actions.verified(row.userId)} />}
          </div>
        )}
        <div className="bubble-line">
          <div className={`bubble ${emoji ? "emoji" : ""} ${message?.deleted || (message && text === undefined) ? "dim" : ""}`}>
            {replyTo !== undefined && !message?.deleted && <Quote to={replyTo} target={row.quoted} missing={row.quoteMissing} actions={actions} />}
            <Body message={message} text={text} mine={mine} actions={actions} />
            {(stamped || (message?.edited && !message.deleted)) && (
              <span className="stamp">
                {message?.edited && !message.deleted && <span>{strings.chat.edited}</span>}
                {stamped && (
                  <time dateTime={iso(row.at)} title={fullTime(row.at)}>
                    {clock(row.at)}
                  </time>
                )}
                {stamped && state && <State state={state} />}
              </span>
            )}
          </div>
          {act && (
            <div className="tools">
              <IconButton icon="smile" small tabIndex={-1} label={strings.chat.react} onClick={(event) => actions.pickReaction(message, event.currentTarget)} />
              <IconButton icon="reply" small tabIndex={-1} label={strings.chat.reply} onClick={() => actions.reply(message)} />
              <IconButton icon="more" small tabIndex={-1} label={strings.chat.actions} onClick={(event) => actions.menu(message, event.currentTarget)} />
            </div>
          )}
        </div>
        {message?.reactions && !message.deleted && <Reactions message={message} canWrite={canWrite} actions={actions} />}
        {message && !message.deleted && (message.late || message.notAllowed || message.otherIdentity) && (
          <div className="aside bad">
            <Icon name="warning" size="small" />
            {message.otherIdentity ? strings.chat.otherIdentity(who) : message.late ? strings.chat.late : strings.chat.notAllowed}
          </div>
        )}
        {message?.unlisted && canRefer(message) && (
          <div className="aside bad">
            <Icon name="warning" size="small" />
            <span>{mine ? strings.chat.ownUnlisted : strings.chat.unlisted(nameOf(who))}</span>
          </div>
        )}
        {outgoing?.state === "failed" && (
          <div className="aside bad" role="alert">
            <Icon name="warning" size="small" />
            <span>{outgoing.error === "NotDelivered" ? strings.chat.notDelivered : strings.chat.failed}</span>
            <button type="button" onClick={() => actions.retry(outgoing.id)}>
              {strings.chat.tryAgain}
            </button>
            <button type="button" onClick={() => actions.discard(outgoing.id)}>
              {strings.chat.discard}
            </button>
          </div>
        )}
      </div>
    </article>
  );
}, same);

function Body({ message, text, mine, actions }: { message: Message | undefined; text: string | undefined; mine: boolean; actions: BubbleActions }) {
  const { chat } = strings;
  if (message?.deleted) {
    const by = message.deletedBy;
    return <Dim icon="trash" text={by !== undefined ? chat.removedBy(nameOf(actions.nameOf(by))) : mine ? chat.ownDeleted : chat.deleted} />;
  }
  if (text !== undefined) return isBlank(text) ? <Dim icon="chat" text={chat.blank} /> : <SafeText text={text} onSuspect={actions.openSuspect} />;
  return <Dim icon="warning" text={bodyOf(message?.content.type)} />;
}

/** What stands in the place of a content that is not a text. */
function bodyOf(type: Message["content"]["type"] | undefined): string {
  const { chat } = strings;
  switch (type) {
    case "custom":
      return chat.custom;
    case "file":
      return chat.file;
    case "unsupported":
      return chat.unsupported;
    case "malformed":
      return chat.malformed;
    case "unreadable":
    case undefined:
      return chat.unreadable;
    default:
      // An edit, a deletion or a reaction is shown only when it does not count.
      return chat.noEffect;
  }
}

const Dim = ({ icon, text }: { icon: "trash" | "warning" | "chat"; text: string }) => (
  <div className="text dimmed">
    <Icon name={icon} size="small" />
    <span>{text}</span>
  </div>
);

function Quote({ to, target, missing, actions }: { to: Reference; target: Message | undefined; missing: boolean | undefined; actions: BubbleActions }) {
  return (
    <button type="button" className="quote" tabIndex={-1} title={strings.chat.jump} onClick={() => actions.jump(to)}>
      {target && (
        <strong>
          <bdi>{target.mine ? strings.common.you : actions.nameOf(target.from?.userId)}</bdi>
        </strong>
      )}
      <span dir="auto">{target ? gist(target) : missing ? strings.chat.replyGone : strings.chat.replyLoading}</span>
    </button>
  );
}

function State({ state }: { state: NonNullable<BubbleRow["state"]> }) {
  const icon = state === "waiting" ? "clock" : state === "failed" ? "warning" : state === "alone" ? "person" : state === "sent" ? "check" : "checks";
  return (
    <span className={`state ${state}`} role="img" aria-label={strings.chat.states[state]} title={strings.chat.states[state]}>
      <Icon name={icon} size="small" />
    </span>
  );
}
