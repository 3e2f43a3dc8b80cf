import type { Message } from "../../base/sdk.js";
import { strings } from "../../text/strings.js";
import { isBlank, nameOf } from "../../text/safe.js";
import type { BubbleActions } from "./Bubble.js";

/** The reactions of the first row. */
export const quickEmoji = ["👍", "❤️", "😂", "😮", "😢", "🙏"] as const;

/** The reactions behind the button. */
export const moreEmoji = [
  "👍",
  "👎",
  "❤️",
  "🔥",
  "🎉",
  "👏",
  "🙏",
  "💪",
  "🤝",
  "👌",
  "✌️",
  "🫶",
  "😀",
  "😄",
  "😂",
  "🙂",
  "😉",
  "😍",
  "😎",
  "🤔",
  "😐",
  "😮",
  "😢",
  "😭",
  "😡",
  "🥳",
  "🤯",
  "😴",
  "🤒",
  "🙈",
  "👀",
  "💯",
  "✅",
  "❌",
  "❓",
  "❗",
  "⭐",
  "☕",
  "🍀",
  "🌈",
] as const;

const shownKinds = 12;
const longest = 16;

/** Reactions with their users. Text that is not an emoji comes from another client: it is cut and shown as text. */
export function Reactions({ message, canWrite, actions }: { message: Message; canWrite: boolean; actions: BubbleActions }) {
  const all = Object.entries(message.reactions ?? {})
    .filter(([emoji, users]) => users.length > 0 && !isBlank(emoji))
    .toSorted(([, a], [, b]) => b.length - a.length);
  if (all.length === 0) return null;
  return (
    <div className="reactions" role="group" aria-label={strings.chat.reactions}>
      {all.slice(0, shownKinds).map(([emoji, users]) => {
        const mine = users.includes(actions.me);
        const shown = [...nameOf(emoji)].slice(0, longest).join("");
        return (
          <button
            key={emoji}
            type="button"
            tabIndex={-1}
            className={mine ? "own" : ""}
            disabled={!canWrite}
            aria-pressed={mine}
            aria-label={strings.chat.reactionOf(shown, users.length, mine)}
            title={users
              .slice(0, 20)
              .map((user) => (user === actions.me ? strings.common.you : actions.nameOf(user)))
              .join(", ")}
            onClick={() => actions.react(message, emoji, !mine)}
          >
            <bdi className="ellipsis">{shown}</bdi>
            {users.length > 1 && <span>{users.length}</span>}
          </button>
        );
      })}
      {all.length > shownKinds && <span className="muted small">+{all.length - shownKinds}</span>}
    </div>
  );
}
