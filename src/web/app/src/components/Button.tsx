import type { ButtonHTMLAttributes, ReactNode, Ref } from "react";
import { Icon, type IconName } from "./Icon.js";

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: "main" | "soft" | "bare" | "bad";
  icon?: IconName;
  /** Whether the action is running. The button is then disabled. */
  busy?: boolean;
  wide?: boolean;
  compact?: boolean;
}

export function Button({ look = "soft", icon, busy, wide, compact, children, disabled, type = "button", ...rest }: ButtonProps) {
  return (
    <button
      {...rest}
      type={type}
      disabled={disabled || busy}
      aria-busy={busy || undefined}
      className={`button ${look} ${wide ? "wide" : ""} ${compact ? "compact" : ""}`}
    >
      {busy ? <Spinner small /> : icon && <Icon name={icon} {...(compact ? { size: "small" as const } : {})} />}
      {children}
    </button>
  );
}

interface IconButtonProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "children"> {
  icon: IconName;
  /** The accessible name, also the tooltip. */
  label: string;
  small?: boolean;
  ref?: Ref<HTMLButtonElement>;
}

export function IconButton({ icon, label, small, type = "button", className = "", ...rest }: IconButtonProps) {
  return (
    <button {...rest} type={type} className={`icon-button ${small ? "small" : ""} ${className}`} aria-label={label} title={label}>
      <Icon name={icon} {...(small ? { size: "small" as const } : {})} />
    </button>
  );
}

export function Spinner({ small, label }: { small?: boolean; label?: string }) {
  return <span className={`spinner ${small ? "small" : ""}`} {...(label ? { role: "status", "aria-label": label } : { "aria-hidden": true })} />;
}

/** A boxed notice. */
export function Note({ tone, icon = "info", children }: { tone?: "warn" | "bad" | "good"; icon?: IconName; children: ReactNode }) {
  return (
    <div className={`note ${tone ?? ""}`} {...(tone === "bad" ? { role: "alert" } : {})}>
      <Icon name={icon} />
      <div className="grow">{children}</div>
    </div>
  );
}
