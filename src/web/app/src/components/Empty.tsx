import type { ReactNode } from "react";
import { Icon, type IconName } from "./Icon.js";

/** Shown where there is no content: the reason, and what to do. */
export function Empty({ icon, title, text, children }: { icon: IconName; title: string; text?: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <div className="art">
        <Icon name={icon} />
      </div>
      <h2>{title}</h2>
      {text && <p>{text}</p>}
      {children}
    </div>
  );
}
