import { strings } from "../text/strings.js";
import { Button, Note } from "./Button.js";

/** Why the sends of a conversation wait, as plain data. */
export interface ShownHold {
  kind: string;
  /** The name of the person whom it is about. */
  name?: string;
  /** A sentence of the SDK, for kinds that this version of the app does not know. */
  detail: string;
  /** Opens the comparison of keys, for a hold that it ends. */
  onCompare?: () => void;
  /** Opens the details of the conversation, for a hold that is ended there. */
  onDetails?: () => void;
  /** The user has understood and wants to send. Absent when only another person can end the hold. */
  onAccept?: () => void;
  /** Loads a newer version of the app. */
  onUpdate?: () => void;
  /** The user wants to enter the conversation again. */
  onEnter?: () => void;
  /** The user gives the conversation up. */
  onGiveUp?: () => void;
}

const text = strings.trust;

/** Says why nothing is sent, and what the user can do. */
export function HoldBanner({ holds }: { holds: readonly ShownHold[] }) {
  if (holds.length === 0) return null;
  const sentences: Partial<Record<string, (name: string) => string>> = text.holds;
  return (
    <div className="room-banner hold" role="alert">
      {holds.map((hold, index) => (
        <Note key={index} tone="warn" icon="shieldalert">
          <p>
            <strong>{text.stopped}</strong> {sentences[hold.kind]?.(hold.name ?? strings.common.formerMember) ?? hold.detail}
          </p>
          <div className="line wrap banner-actions">
            {hold.onCompare && (
              <Button look="soft" compact onClick={hold.onCompare}>
                {text.compare}
              </Button>
            )}
            {hold.onDetails && (
              <Button look="soft" compact onClick={hold.onDetails}>
                {strings.chat.details}
              </Button>
            )}
            {hold.onUpdate && (
              <Button look="soft" compact onClick={hold.onUpdate}>
                {text.reload}
              </Button>
            )}
            {hold.onEnter && (
              <Button look="soft" compact onClick={hold.onEnter}>
                {text.enter}
              </Button>
            )}
            {hold.onAccept && (
              <Button look="bare" compact onClick={hold.onAccept}>
                {text.accept}
              </Button>
            )}
            {hold.onGiveUp && (
              <Button look="bare" compact onClick={hold.onGiveUp}>
                {text.giveUp}
              </Button>
            )}
          </div>
        </Note>
      ))}
    </div>
  );
}
