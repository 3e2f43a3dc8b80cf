import { clock, fullTime, iso } from "../text/format.js";
import { Icon, type IconName } from "./Icon.js";

/** A line between the messages, as plain data. */
export interface ShownLine {
  key: string;
  at: number;
  /** How grave it is: an alarm stands out. */
  tone: "plain" | "keys" | "alarm";
  text: string;
}

const icons: Record<ShownLine["tone"], IconName | undefined> = { plain: undefined, keys: "key", alarm: "warning" };

/** What has happened in a conversation beside the messages. */
export function TimelineLine({ line: { at, tone, text } }: { line: ShownLine }) {
  const icon = icons[tone];
  return (
    <div className={`event ${tone}`}>
      {icon && <Icon name={icon} size="small" />}
      <bdi>{text}</bdi>
      <time dateTime={iso(at)} title={fullTime(at)}>
        {clock(at)}
      </time>
    </div>
  );
}
