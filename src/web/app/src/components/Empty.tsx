import type { ReactNode } from "react";
import { Icon, type IconName } from "./Icon.js";

/** What stands where there is nothing yet: why, and what to do next. */
export function Empty({ icon, title, text, children }: { icon: IconName; title: string; text?: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <div className="art"><Icon name={icon} /></div>
      <h2>{title}</h2>
      {text && <p>{text}</p>}
      {children}
    </div>
  );
}
