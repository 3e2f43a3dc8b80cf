import { useState } from "react";
import { CompareKeys } from "../../components/CompareKeys.js";
import { Ask } from "../../components/Dialog.js";
import { HoldBanner, type ShownHold } from "../../components/HoldBanner.js";
import { go } from "../../browser/routes.js";
import type { Conversation, RoomHold } from "../../base/sdk.js";
import { useAttempt, useClient, useStatus } from "../../state/context.js";
import type { LineFacts } from "../../text/lines.js";
import { nameOf as shownName } from "../../text/safe.js";
import { strings } from "../../text/strings.js";

const text = strings.trust;
/** Several holds of one kind about one person, for example about each of the devices, have one answer. */
const mostShown = 3;

/** Holds that a person ends by comparing keys. */
const compared = new Set<RoomHold["kind"]>(["identityChanged", "listFork", "listWithheld", "nameChanged"]);

/** Why nothing is sent in a conversation, and what ends it. */
export function RoomHolds({ room, lines, nameOf }: { room: Conversation; lines: readonly LineFacts[]; nameOf: (userId: string | undefined) => string }) {
  const { id, holds = [] } = room;
  const client = useClient();
  const attempt = useAttempt();
  const { userId: me } = useStatus();
  const [open, setOpen] = useState<"enter" | "giveUp" | { userId: string; name: string }>();

  const shown = ({ kind, userId, detail }: RoomHold): ShownHold => {
    const name = userId === undefined ? undefined : shownName(nameOf(userId));
    // The people of a direct conversation have signed their identities, and only a signed renewal replaces one.
    const hasOtherKeys = room.kind === "direct" && lines.some((line) => line.kind === "identityChanged" && line.userId === userId);
    const isOwn = userId !== undefined && userId === me;
    const said = isOwn ? `${kind}Own` : kind === "unlistedDevice" && hasOtherKeys ? "unlistedDirect" : kind;
    const about = { kind: said, detail, ...(name === undefined ? {} : { name }) };
    switch (kind) {
      case "updateRequired":
        return { ...about, onUpdate: () => location.reload() };
      case "reentryHeld":
        return { ...about, onEnter: () => setOpen("enter") };
      case "withheld":
        return { ...about, onGiveUp: () => setOpen("giveUp") };
      default: {
        const compare = compared.has(kind) && !isOwn && userId !== undefined && name !== undefined ? { onCompare: () => setOpen({ userId, name }) } : {};
        const details = said === "unlistedDirect" ? { onDetails: () => go({ at: "room", roomId: id, details: true }) } : {};
        return { ...about, ...compare, ...details, onAccept: () => attempt(() => client.answerHold(id, kind)) };
      }
    }
  };
  const each = [...new Map(holds.map((hold) => [`${hold.kind} ${hold.userId ?? ""}`, hold])).values()];
  return (
    <>
      <HoldBanner holds={each.slice(0, mostShown).map(shown)} />
      {typeof open === "object" && <CompareKeys {...open} onClose={() => setOpen(undefined)} />}
      {open === "enter" && (
        <Ask title={text.enterTitle} text={text.enterText} action={text.enter} onClose={() => setOpen(undefined)} onDo={() => client.agreeToEnter(id)} />
      )}
      {open === "giveUp" && (
        <Ask title={text.giveUpTitle} text={text.giveUpText} action={text.giveUp} bad onClose={() => setOpen(undefined)} onDo={() => client.forgetRoom(id)} />
      )}
    </>
  );
}
