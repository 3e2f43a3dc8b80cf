import { memo } from "react";
import { Avatar } from "../../components/Avatar.js";
import { Icon } from "../../components/Icon.js";
import { VerifiedMark } from "../../components/VerifiedMark.js";
import { brief, count, iso } from "../../text/format.js";
import { hrefOf } from "../../browser/routes.js";
import type { Conversation } from "../../base/sdk.js";
import { useCell } from "../../base/cell.js";
import { useApp } from "../../state/context.js";
import { markOf } from "../../state/people.js";
import { strings } from "../../text/strings.js";
import { nameOf } from "../../text/safe.js";
import { gist } from "../../text/gist.js";

const text = strings.list;

/** An entry of the list: title, last message, time, unread messages. */
export const ConversationRow = memo(function ConversationRow({ conversation, current }: { conversation: Conversation; current: boolean }) {
  const app = useApp();
  const { id, kind, personId, title, last, unread, role, problem, holds, timeToLiveSeconds } = conversation;
  const names = useCell(app.names);
  const people = useCell(app.people.all);
  const typing = useCell(app.typing)[id]?.length ? text.typing : undefined;
  const group = kind === "group";
  const who = last?.mine ? text.you : group ? (names.get(last?.from?.userId ?? "") ?? people.get(last?.from?.userId ?? "")?.username) : undefined;
  const said = role === undefined ? text.left : last === undefined ? (conversation.earlier ? text.noMessagesHere : text.noMessages) : gist(last);
  const shown = nameOf(title);
  return (
    <a
      className={`conversation ${unread > 0 ? "unread" : ""}`}
      href={hrefOf({ at: "room", roomId: id, details: false })}
      aria-current={current ? "page" : undefined}
    >
      <Avatar id={id} name={title} group={group} />
      <div className="grow">
        <div className="line tops">
          <span className="name ellipsis grow">
            <bdi>{shown}</bdi>
          </span>
          {personId !== undefined && <VerifiedMark verified={markOf(people.get(personId))} />}
          {timeToLiveSeconds !== undefined && <Icon name="timer" size="small" />}
          {last && (
            <time className="small" dateTime={iso(last.time)}>
              {brief(last.time)}
            </time>
          )}
        </div>
        <div className="line tops">
          {typing ? (
            <span className="said ellipsis grow typing-now">{typing}</span>
          ) : (
            <span className="said ellipsis grow">
              {who !== undefined && role !== undefined && (
                <>
                  <bdi>{who}</bdi>:{" "}
                </>
              )}
              <bdi>{said}</bdi>
            </span>
          )}
          {((problem && problem !== "joining") || holds) && (
            <span className="alarm" role="img" aria-label={text.problem} title={text.problem}>
              <Icon name="warning" size="small" />
            </span>
          )}
          {unread > 0 && (
            <span className="badge">
              <span aria-hidden="true">{count(unread)}</span>
              <span className="visually-hidden">{text.unread(unread)}</span>
            </span>
          )}
        </div>
      </div>
    </a>
  );
});
