import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Ask } from "../../components/Dialog.js";
import { Empty } from "../../components/Empty.js";
import { Note, Spinner } from "../../components/Button.js";
import { sentence } from "../../text/errors.js";
import { hasKeyboard } from "../../browser/focus.js";
import type { Conversation, Message, Reference } from "../../base/sdk.js";
import { useCell } from "../../base/cell.js";
import { useApp, useStatus } from "../../state/context.js";
import { useLoad } from "../../base/useLoad.js";
import { markOf } from "../../state/people.js";
import { strings } from "../../text/strings.js";
import type { BubbleActions } from "./Bubble.js";
import { ChatHeader } from "./ChatHeader.js";
import { Composer, type Aim, type ComposerHandle } from "./Composer.js";
import { MessageInfo } from "./MessageInfo.js";
import { MessageMenu, type Choice } from "./MessageMenu.js";
import { RoomBanner } from "./RoomBanner.js";
import { RoomHolds } from "./RoomHolds.js";
import { Timeline } from "./Timeline.js";
import { useQuotes } from "./useQuotes.js";
import { useReading } from "./useReading.js";
import { useLines } from "./useLines.js";
import { wordsOf } from "../../text/gist.js";

/** A conversation. Each one is a new component, so that no state remains. */
export function Chat({ conversation }: { conversation: Conversation }) {
  const { id, kind, personId, role, unread, memberCount, earlier } = conversation;
  const app = useApp();
  const { userId: me = "", privacy, storeError } = useStatus();
  const receipts = privacy?.readReceipts !== false;
  const room = useMemo(() => app.room(id), [app, id]);
  const view = useCell(room.view);
  const names = useCell(app.names);
  const people = useCell(app.people.all);
  const lines = useLines(id, people);
  // New members have names too.
  useLoad(() => app.learnMembers(id), `${id} ${memberCount}`);
  const typists = useCell(app.typing)[id] ?? [];
  const composer = useRef<ComposerHandle>(null);
  const [aim, setAim] = useState<Aim>();
  const [choice, setChoice] = useState<Choice>();
  const [info, setInfo] = useState<Message>();
  const [deleting, setDeleting] = useState<Message>();
  const [suspect, setSuspect] = useState<{ href: string; host: string }>();
  const [target, setTarget] = useState<{ message: Reference }>();
  const [atBottom, setAtBottom] = useState(true);
  const [unreadFrom, setUnreadFrom] = useState<number>();
  const unreadAtOpen = useRef(unread);
  const group = kind === "group";
  const canWrite = role !== undefined;
  // The other person of a direct conversation has signed to leave, for example because the account was deleted.
  const isGone = !group && conversation.problem === "noReader" && lines.some((line) => line.kind === "left" && line.userId === personId);

  const toComposer = useCallback(() => {
    if (hasKeyboard()) composer.current?.focus();
  }, []);

  useEffect(() => {
    void room.refresh();
    toComposer();
  }, [room, toComposer]);

  // The first unread message is found once, when the history is loaded.
  useEffect(() => {
    if (!view.loaded || unreadAtOpen.current === 0) return;
    const theirs = view.messages.filter((message) => !message.mine);
    setUnreadFrom(theirs.at(-Math.min(unreadAtOpen.current, theirs.length))?.seq);
    unreadAtOpen.current = 0;
  }, [view]);

  const quotes = useQuotes(id, view);
  useReading(id, view, atBottom, unread);

  const nameOf = useCallback(
    (userId: string | undefined) => {
      if (userId === undefined) return strings.common.unknownSender;
      if (userId === me) return strings.common.you;
      // The name of a person who has left or deleted the account is the last known one.
      return names.get(userId) ?? people.get(userId)?.username ?? (userId === personId ? conversation.title : strings.common.formerMember);
    },
    [names, people, me, personId, conversation.title],
  );

  const { toasts } = app;
  const actions = useMemo<BubbleActions>(
    () => ({
      me,
      nameOf,
      verified: (userId) => markOf(people.get(userId ?? "")),
      jump: (message) => setTarget({ message }),
      react: (message, emoji, on) => {
        toComposer();
        room.react(message, emoji, on).catch(toasts.fail);
      },
      menu: (message, anchor) => setChoice({ message, anchor }),
      pickReaction: (message, anchor) => setChoice({ message, anchor, only: "reactions" }),
      reply: (message) => setAim({ kind: "reply", to: message }),
      openSuspect: setSuspect,
      retry: (sendId) => {
        toComposer();
        room.retry(sendId).catch(toasts.fail);
      },
      discard: (sendId) => {
        toComposer();
        room.discard(sendId).catch(toasts.fail);
      },
    }),
    [me, nameOf, people, room, toasts, toComposer],
  );

  const editLast = (): void => {
    const last = view.messages.findLast((message) => message.mine && wordsOf(message) !== undefined);
    if (last) setAim({ kind: "edit", message: last });
  };

  return (
    <section className="chat" aria-label={conversation.title}>
      <ChatHeader conversation={conversation} typing={typists.map((typist) => typist.username)} />
      {storeError && (
        <div className="room-banner narrow" role="alert">
          <Note tone="bad" icon="warning">
            {strings.list.notStored(sentence(storeError))}
          </Note>
        </div>
      )}
      {!isGone && <RoomBanner room={conversation} nameOf={nameOf} />}
      {!view.loaded ? (
        <div className="centre">
          <Spinner label={strings.common.loading} />
        </div>
      ) : view.messages.length + view.outgoing.length + lines.length === 0 ? (
        <div className="centre">
          <Empty icon="lock" title={earlier ? strings.chat.emptyHere : strings.chat.empty} text={earlier ? strings.chat.earlier : strings.chat.emptyText} />
        </div>
      ) : (
        <Timeline
          room={room}
          view={view}
          group={group}
          canWrite={canWrite}
          me={me}
          others={memberCount > 1 ? memberCount - 1 : !group ? 1 : memberCount === 1 ? 0 : undefined}
          earlier={earlier === true}
          unreadFrom={unreadFrom}
          quotes={quotes}
          lines={lines}
          actions={actions}
          target={target}
          onTargetMissing={() => toasts.show(strings.chat.notFound)}
          onBottom={setAtBottom}
          onEscape={() => composer.current?.focus()}
        />
      )}
      <div className="typing" aria-live="polite">
        {typists.length > 0 && (
          <>
            <Dots />
            <span>{strings.chat.typing(typists.map((typist) => typist.username))}</span>
          </>
        )}
      </div>
      {canWrite && !isGone && <RoomHolds room={conversation} lines={lines} nameOf={nameOf} />}
      {canWrite && !isGone ? (
        <Composer
          ref={composer}
          roomId={id}
          aim={aim}
          nameOf={nameOf}
          onAim={setAim}
          onSend={(text, replyTo) => room.send(text, replyTo)}
          onEdit={(message, text) => room.edit(message, text)}
          onEditLast={editLast}
          held={conversation.holds !== undefined}
        />
      ) : (
        <div className="ended muted">{isGone ? strings.chat.otherGone : strings.chat.ended}</div>
      )}
      {choice && (
        <MessageMenu
          choice={choice}
          canWrite={canWrite}
          me={me}
          onClose={() => setChoice(undefined)}
          onChosen={toComposer}
          onReact={actions.react}
          onMoreReactions={() => setChoice({ ...choice, only: "reactions" })}
          onReply={actions.reply}
          onJump={actions.jump}
          onEdit={(message) => setAim({ kind: "edit", message })}
          onDelete={setDeleting}
          onInfo={setInfo}
          onCopy={(words) => void navigator.clipboard.writeText(words).then(() => toasts.show(strings.common.copied), toasts.fail)}
        />
      )}
      {info && (
        <MessageInfo
          message={info}
          receipts={receipts}
          marks={view.marks}
          me={me}
          nameOf={nameOf}
          verified={actions.verified}
          onClose={() => setInfo(undefined)}
        />
      )}
      {suspect && (
        <Ask
          title={strings.chat.addressTitle}
          text={strings.chat.addressText(suspect.host)}
          action={strings.chat.addressAction}
          onClose={() => setSuspect(undefined)}
          onDo={async () => {
            window.open(suspect.href, "_blank", "noopener,noreferrer");
          }}
        />
      )}
      {deleting && (
        <Ask
          title={strings.chat.deleteTitle}
          text={strings.chat.deleteText}
          action={strings.chat.deleteAction}
          bad
          onClose={() => setDeleting(undefined)}
          onDo={() => room.remove(deleting)}
        />
      )}
    </section>
  );
}

const Dots = () => (
  <span className="dots" aria-hidden="true">
    <i />
    <i />
    <i />
  </span>
);
