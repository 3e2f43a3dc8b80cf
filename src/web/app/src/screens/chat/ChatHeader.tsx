import { Avatar } from "../../components/Avatar.js";
import { IconButton } from "../../components/Button.js";
import { Icon } from "../../components/Icon.js";
import { VerifiedMark } from "../../components/VerifiedMark.js";
import { useCell } from "../../base/cell.js";
import { useApp } from "../../state/context.js";
import { duration } from "../../text/format.js";
import { go, hrefOf } from "../../browser/routes.js";
import type { Conversation } from "../../base/sdk.js";
import { markOf } from "../../state/people.js";
import { strings } from "../../text/strings.js";
import { nameOf } from "../../text/safe.js";

export function ChatHeader({ conversation, typing }: { conversation: Conversation; typing: string[] }) {
  const { id, kind, personId, title, role, timeToLiveSeconds, memberCount, unconfirmed, withheld } = conversation;
  const people = useCell(useApp().people.all);
  const group = kind === "group";
  const under =
    role === undefined
      ? strings.list.left
      : withheld
        ? strings.chat.withheld
        : typing.length > 0
          ? strings.chat.typing(typing)
          : group && memberCount > 0
            ? `${strings.chat.members(memberCount)}${unconfirmed ? ` · ${strings.chat.notConfirmed}` : ""}`
            : strings.chat.direct;
  return (
    <header className="bar">
      <IconButton icon="back" className="only-narrow" label={strings.common.back} onClick={() => go({ at: "list" })} />
      <a className="chat-title" href={hrefOf({ at: "room", roomId: id, details: true })}>
        <Avatar id={id} name={title} group={group} size="s" />
        <div className="grow">
          <h1 className="ellipsis">
            <bdi>{nameOf(title)}</bdi>
            {personId !== undefined && <VerifiedMark verified={markOf(people.get(personId))} />}
          </h1>
          <div className="small muted ellipsis">{under}</div>
        </div>
      </a>
      {timeToLiveSeconds !== undefined && (
        <span className="timer" title={strings.chat.disappearing(duration(timeToLiveSeconds))}>
          <Icon name="timer" size="small" />
          <span aria-hidden="true">{duration(timeToLiveSeconds)}</span>
          <span className="visually-hidden">{strings.chat.disappearing(duration(timeToLiveSeconds))}</span>
        </span>
      )}
      <IconButton icon="info" label={strings.chat.details} onClick={() => go({ at: "room", roomId: id, details: true })} />
    </header>
  );
}
