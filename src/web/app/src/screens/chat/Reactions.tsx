import type { Message } from "../../sdk.js";
import { strings } from "../../strings.js";
import { isBlank, nameOf } from "../../text.js";
import type { BubbleActions } from "./Bubble.js";

/** Reactions that are offered at once. */
export const quickEmoji = ["👍", "❤️", "😂", "😮", "😢", "🙏"] as const;

/** And those behind the button. */
export const moreEmoji = [
  "👍", "👎", "❤️", "🔥", "🎉", "👏", "🙏", "💪", "🤝", "👌", "✌️", "🫶", "😀", "😄", "😂", "🙂", "😉", "😍", "😎", "🤔", "😐", "😮", "😢", "😭", "😡", "🥳", "🤯", "😴", "🤒", "🙈",
  "👀", "💯", "✅", "❌", "❓", "❗", "⭐", "☕", "🍀", "🌈",
] as const;

const shownKinds = 12;
const longest = 16;

/** Who reacted how. What is no emoji was written by somebody else's client: it is cut, and shown as the text it is. */
export function Reactions({ message, canWrite, actions }: { message: Message; canWrite: boolean; actions: BubbleActions }) {
  const all = Object.entries(message.reactions ?? {}).filter(([emoji, users]) => users.length > 0 && !isBlank(emoji)).sort(([, a], [, b]) => b.length - a.length);
  if (all.length === 0)
    return null;
  return (
    <div className="reactions" role="group" aria-label={strings.chat.reactions}>
      {all.slice(0, shownKinds).map(([emoji, users]) => {
        const mine = users.includes(actions.me);
        const shown = [...nameOf(emoji)].slice(0, longest).join("");
        return (
          <button key={emoji} type="button" tabIndex={-1} className={mine ? "own" : ""} disabled={!canWrite} aria-pressed={mine} aria-label={strings.chat.reactionOf(shown, users.length, mine)}
            title={users.slice(0, 20).map((user) => user === actions.me ? strings.common.you : actions.nameOf(user)).join(", ")} onClick={() => actions.react(message, emoji, !mine)}>
            <bdi className="ellipsis">{shown}</bdi>{users.length > 1 && <span>{users.length}</span>}
          </button>
        );
      })}
      {all.length > shownKinds && <span className="muted small">+{all.length - shownKinds}</span>}
    </div>
  );
}
