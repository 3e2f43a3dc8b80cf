import { Choices, Switch } from "../../components/Field.js";
import { timeZone } from "../../text/format.js";
import type { NotificationPreferences } from "../../base/sdk.js";
import { strings } from "../../text/strings.js";

const text = strings.notifications;
const priorities = ["low", "normal", "high"] as const;

export const defaults: NotificationPreferences = { muted: false, priority: "normal" };

/** Mute, quiet hours and priority, for all conversations or one. */
export function Preferences({ value, mute, onChange }: { value: NotificationPreferences; mute: string; onChange: (value: NotificationPreferences) => void }) {
  const quiet = value.quietFrom !== undefined && value.quietUntil !== undefined;
  const zone = value.timeZone ?? timeZone();
  const setQuiet = (on: boolean): void => {
    const { quietFrom: _, quietUntil: __, timeZone: ___, ...rest } = value;
    onChange(on ? { ...rest, quietFrom: 22 * 60, quietUntil: 7 * 60, timeZone: timeZone() } : rest);
  };
  return (
    <div className="card">
      <Switch label={mute} on={value.muted} onChange={(muted) => onChange({ ...value, muted })} />
      <hr />
      <Switch label={text.quiet} hint={text.quietText} on={quiet} onChange={setQuiet} />
      {quiet && (
        <>
          <div className="times">
            <Time label={text.from} minutes={value.quietFrom!} onChange={(quietFrom) => onChange({ ...value, quietFrom })} />
            <Time label={text.until} minutes={value.quietUntil!} onChange={(quietUntil) => onChange({ ...value, quietUntil })} />
          </div>
          <p className="muted small">{text.zone(zone)}</p>
        </>
      )}
      <hr />
      <div className="stack tight">
        <div>{text.priority}</div>
        <div className="muted small">{text.priorityText}</div>
        <div>
          <Choices
            label={text.priority}
            value={value.priority}
            options={priorities.map((each) => [each, text.priorities[each]] as const)}
            onChange={(priority) => onChange({ ...value, priority })}
          />
        </div>
      </div>
    </div>
  );
}

function Time({ label, minutes, onChange }: { label: string; minutes: number; onChange: (minutes: number) => void }) {
  const two = (n: number): string => String(n).padStart(2, "0");
  return (
    <div className="field">
      <label>
        <span className="label">{label}</span>
        <input
          className="input"
          type="time"
          required
          value={`${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`}
          onChange={(event) => {
            const [hours, rest] = event.target.value.split(":").map(Number);
            if (hours !== undefined && rest !== undefined && !Number.isNaN(hours + rest)) onChange(hours * 60 + rest);
          }}
        />
      </label>
    </div>
  );
}
