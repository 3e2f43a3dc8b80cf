import { Menu, MenuItem, type Anchor } from "../../components/Menu.js";
import type { Message } from "../../sdk.js";
import { strings } from "../../strings.js";
import { moreEmoji, quickEmoji } from "./Reactions.js";
import { wordsOf } from "./words.js";

export interface Choice { message: Message; anchor: Anchor; only?: "reactions" }

interface Props {
  choice: Choice;
  canWrite: boolean;
  me: string;
  onReact(message: Message, emoji: string, on: boolean): void;
  onReply(message: Message): void;
  onEdit(message: Message): void;
  onDelete(message: Message): void;
  onInfo(message: Message): void;
  onCopied(): void;
  onClose(): void;
}

/** What one can do with a message. */
export function MessageMenu({ choice: { message, anchor, only }, canWrite, me, onReact, onReply, onEdit, onDelete, onInfo, onCopied, onClose }: Props) {
  const words = wordsOf(message);
  const alive = canWrite && !message.deleted;
  const run = (work: () => void) => () => {
    onClose();
    work();
  };
  return (
    <Menu label={only ? strings.chat.react : strings.chat.actions} anchor={anchor} onClose={onClose}>
      {alive && (
        <div className={only ? "emoji-grid" : "emoji-row"}>
          {(only ? moreEmoji : quickEmoji).map((emoji) => {
            const mine = message.reactions?.[emoji]?.includes(me) ?? false;
            return <button key={emoji} type="button" role="menuitemcheckbox" aria-checked={mine} tabIndex={-1} className={mine ? "own" : ""} onClick={run(() => onReact(message, emoji, !mine))}>{emoji}</button>;
          })}
        </div>
      )}
      {!only && (
        <>
          {alive && <MenuItem icon="reply" onSelect={run(() => onReply(message))}>{strings.chat.reply}</MenuItem>}
          {words !== undefined && <MenuItem icon="copy" onSelect={run(() => void navigator.clipboard.writeText(words).then(onCopied))}>{strings.chat.copyText}</MenuItem>}
          {alive && message.mine && words !== undefined && <MenuItem icon="edit" onSelect={run(() => onEdit(message))}>{strings.chat.edit}</MenuItem>}
          <MenuItem icon="info" onSelect={run(() => onInfo(message))}>{strings.chat.info}</MenuItem>
          {alive && message.mine && <MenuItem icon="trash" bad onSelect={run(() => onDelete(message))}>{strings.chat.delete}</MenuItem>}
        </>
      )}
    </Menu>
  );
}
