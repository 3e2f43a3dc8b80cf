import { useId, useState, type InputHTMLAttributes, type ReactNode } from "react";
import { strings } from "../text/strings.js";
import { IconButton } from "./Button.js";
import { Icon } from "./Icon.js";

interface FieldProps extends Omit<InputHTMLAttributes<HTMLInputElement>, "onChange" | "value"> {
  label: string;
  value: string;
  onChange: (value: string) => void;
  hint?: ReactNode;
  /** The error, as a sentence. */
  wrong?: string | undefined;
  /** For digits to compare. */
  mono?: boolean;
}

/** An input with a label. A password can be shown. */
export function Field({ label, value, onChange, hint, wrong, mono, type = "text", ...rest }: FieldProps) {
  const id = useId();
  const [shown, setShown] = useState(false);
  const input = (
    <input
      {...rest}
      id={id}
      className={mono ? "input mono" : "input"}
      type={type === "password" && shown ? "text" : type}
      value={value}
      onChange={(event) => onChange(event.target.value)}
      aria-invalid={wrong ? true : undefined}
      aria-describedby={hint || wrong ? `${id}-more` : undefined}
    />
  );
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {type === "password" ? (
        <div className="with-button">
          {input}
          <IconButton
            icon={shown ? "eyeoff" : "eye"}
            label={shown ? strings.common.hidePassword : strings.common.showPassword}
            onClick={() => setShown(!shown)}
          />
        </div>
      ) : (
        input
      )}
      {(wrong || hint) && (
        <div id={`${id}-more`} className={wrong ? "wrong" : "hint"} {...(wrong ? { role: "alert" } : {})}>
          {wrong ? (
            <>
              <Icon name="warning" size="small" />
              <span>{wrong}</span>
            </>
          ) : (
            hint
          )}
        </div>
      )}
    </div>
  );
}

/** A switch with a label. */
export function Switch({
  label,
  hint,
  on,
  onChange,
  disabled,
}: {
  label: string;
  hint?: string;
  on: boolean;
  onChange: (on: boolean) => void;
  disabled?: boolean;
}) {
  const id = useId();
  return (
    <div className="line switch-line">
      <div className="grow">
        <div id={id}>{label}</div>
        {hint && (
          <div id={`${id}-hint`} className="muted small">
            {hint}
          </div>
        )}
      </div>
      <button
        type="button"
        className="switch"
        role="switch"
        aria-checked={on}
        aria-labelledby={id}
        aria-describedby={hint ? `${id}-hint` : undefined}
        disabled={disabled}
        onClick={() => onChange(!on)}
      />
    </div>
  );
}

/** A choice of one among a few. */
export function Choices<T extends string>({
  label,
  value,
  options,
  onChange,
  disabled,
}: {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
  disabled?: boolean;
}) {
  const name = useId();
  return (
    <div className="choices" role="radiogroup" aria-label={label}>
      {options.map(([option, text]) => (
        <label key={option}>
          <input type="radio" name={name} value={option} checked={option === value} disabled={disabled} onChange={() => onChange(option)} />
          <span>{text}</span>
        </label>
      ))}
    </div>
  );
}
