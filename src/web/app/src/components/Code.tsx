import { useApp } from "../state/context.js";
import { strings } from "../text/strings.js";
import { IconButton } from "./Button.js";

/** Groups of digits to compare or read aloud, always from left to right. */
export function Code({ label, code }: { label: string; code: string }) {
  const { toasts } = useApp();
  return (
    <div className="code">
      <div className="line">
        <span className="small muted grow">{label}</span>
        <IconButton
          icon="copy"
          small
          label={strings.common.copy}
          onClick={() => void navigator.clipboard.writeText(code).then(() => toasts.show(strings.common.copied), toasts.fail)}
        />
      </div>
      <div className="digits mono" dir="ltr" role="group" aria-label={label}>
        {code.split(/\s+/).map((group, index) => (
          <span key={index}>{group} </span>
        ))}
      </div>
    </div>
  );
}
