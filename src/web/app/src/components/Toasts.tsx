import { useApp } from "../state/context.js";
import { useCell } from "../base/cell.js";
import { giveBack } from "../browser/focus.js";
import { strings } from "../text/strings.js";
import { Button, IconButton } from "./Button.js";

export function Toasts() {
  const { toasts } = useApp();
  const list = useCell(toasts.list);
  return (
    <div className="toasts" role="region" aria-label={strings.common.notices} aria-live="polite">
      {list.map(({ id, text, action }) => (
        <div key={id} className="toast">
          <span className="grow">{text}</span>
          {action && (
            <Button
              look="bare"
              compact
              onClick={() => {
                toasts.close(id);
                action.run();
              }}
            >
              {action.label}
            </Button>
          )}
          <IconButton
            icon="close"
            small
            label={strings.common.close}
            onClick={(event) => {
              toasts.close(id);
              event.currentTarget.blur();
              giveBack(null);
            }}
          />
        </div>
      ))}
    </div>
  );
}
