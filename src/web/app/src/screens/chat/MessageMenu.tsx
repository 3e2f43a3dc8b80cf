import { Icon } from "../../components/Icon.js";
import { Menu, MenuItem, useMenuClose, type Anchor } from "../../components/Menu.js";
import type { Message, Reference } from "../../base/sdk.js";
import { strings } from "../../text/strings.js";
import { moreEmoji, quickEmoji } from "./Reactions.js";
import { wordsOf } from "../../text/gist.js";

export interface Choice {
  message: Message;
  anchor: Anchor;
  only?: "reactions";
}

interface Props {
  choice: Choice;
  canWrite: boolean;
  me: string;
  onReact: (message: Message, emoji: string, on: boolean) => void;
  onMoreReactions: () => void;
  onReply: (message: Message) => void;
  onJump: (to: Reference) => void;
  onEdit: (message: Message) => void;
  onDelete: (message: Message) => void;
  onInfo: (message: Message) => void;
  onCopy: (words: string) => void;
  onClose: () => void;
  /** Called before the chosen action. */
  onChosen: () => void;
}

/** Whether a message can be answered and reacted to: one without an author, or that counts for nothing, cannot. */
export const canRefer = ({ deleted, from, late, notAllowed, otherIdentity }: Message): boolean =>
  !deleted && from !== undefined && !late && !notAllowed && !otherIdentity;

/** The actions for a message. */
export function MessageMenu({
  choice: { message, anchor, only },
  canWrite,
  me,
  onReact,
  onMoreReactions,
  onReply,
  onJump,
  onEdit,
  onDelete,
  onInfo,
  onCopy,
  onClose,
  onChosen,
}: Props) {
  const words = wordsOf(message);
  const quoted = message.content.type === "reply" ? message.content.to : undefined;
  const alive = canWrite && canRefer(message);
  const run = (work: () => void) => () => {
    onChosen();
    work();
  };
  return (
    <Menu key={only ?? "all"} label={only ? strings.chat.react : strings.chat.actions} anchor={anchor} onClose={onClose}>
      {alive && (
        <div className={only ? "emoji-grid" : "emoji-row"}>
          {(only ? moreEmoji : quickEmoji).map((emoji) => {
            const mine = message.reactions?.[emoji]?.includes(me) ?? false;
            return <Emoji key={emoji} emoji={emoji} mine={mine} onSelect={run(() => onReact(message, emoji, !mine))} />;
          })}
          {!only && (
            <button type="button" role="menuitem" tabIndex={-1} aria-label={strings.chat.moreEmoji} title={strings.chat.moreEmoji} onClick={onMoreReactions}>
              <Icon name="plus" />
            </button>
          )}
        </div>
      )}
      {!only && (
        <>
          {alive && (
            <MenuItem icon="reply" onSelect={run(() => onReply(message))}>
              {strings.chat.reply}
            </MenuItem>
          )}
          {quoted && !message.deleted && (
            <MenuItem icon="next" onSelect={run(() => onJump(quoted))}>
              {strings.chat.jump}
            </MenuItem>
          )}
          {words !== undefined && (
            <MenuItem icon="copy" onSelect={run(() => onCopy(words))}>
              {strings.chat.copyText}
            </MenuItem>
          )}
          {alive && message.mine && words !== undefined && (
            <MenuItem icon="edit" onSelect={run(() => onEdit(message))}>
              {strings.chat.edit}
            </MenuItem>
          )}
          <MenuItem icon="info" onSelect={run(() => onInfo(message))}>
            {strings.chat.info}
          </MenuItem>
          {alive && message.mine && (
            <MenuItem icon="trash" bad onSelect={run(() => onDelete(message))}>
              {strings.chat.delete}
            </MenuItem>
          )}
        </>
      )}
    </Menu>
  );
}

function Emoji({ emoji, mine, onSelect }: { emoji: string; mine: boolean; onSelect: () => void }) {
  const close = useMenuClose();
  return (
    <button
      type="button"
      role="menuitemcheckbox"
      aria-checked={mine}
      tabIndex={-1}
      className={mine ? "own" : ""}
      onClick={() => {
        close();
        onSelect();
      }}
    >
      {emoji}
    </button>
  );
}
