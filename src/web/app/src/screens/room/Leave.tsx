import { useState } from "react";
import { Button } from "../../components/Button.js";
import { Ask } from "../../components/Dialog.js";
import { go } from "../../browser/routes.js";
import type { Conversation, SharedMember } from "../../base/sdk.js";
import { useApp } from "../../state/context.js";
import { strings } from "../../text/strings.js";
import { NewOwner } from "./NewOwner.js";

const text = strings.room;

/** The buttons to leave, delete or forget a conversation. */
export function Leave({ room: { id, kind, role }, members }: { room: Conversation; members: SharedMember[] }) {
  const { client } = useApp();
  const [open, setOpen] = useState<"leave" | "newOwner" | "delete" | "forget">();
  const group = kind === "group";
  const isLastOwner = group && role === "owner" && members.length > 1 && members.filter((member) => member.role === "owner").length === 1;
  const done = (): void => go({ at: "list" }, { replace: true });
  if (role === undefined)
    return (
      <section className="section">
        <p className="muted small">{text.forgetHint}</p>
        <div>
          <Button look="bad" icon="trash" onClick={() => setOpen("forget")}>
            {text.forget}
          </Button>
        </div>
        {open === "forget" && (
          <Ask
            title={text.forgetTitle}
            text={text.forgetText}
            action={text.forget}
            bad
            onClose={() => setOpen(undefined)}
            onDo={() => client.deleteRoom(id).then(done)}
          />
        )}
      </section>
    );
  return (
    <section className="section">
      <div className="line wrap">
        {/* The two people of a direct conversation are a part of its id, so it is only deleted. */}
        {group && (
          <Button look="bad" icon="door" onClick={() => setOpen(isLastOwner ? "newOwner" : "leave")}>
            {text.leave}
          </Button>
        )}
        {(!group || role === "owner") && (
          <Button look="bad" icon="trash" onClick={() => setOpen("delete")}>
            {group ? text.delete : text.deleteDirect}
          </Button>
        )}
      </div>
      {/* It stays open while the members change: then a second attempt only leaves. */}
      {open === "newOwner" && <NewOwner roomId={id} members={members} onDone={done} onClose={() => setOpen(undefined)} />}
      {open === "leave" && (
        <Ask
          title={text.leaveTitle}
          text={text.leaveText}
          action={text.leave}
          bad
          special={{ Conflict: text.leaveOwner }}
          onClose={() => setOpen(undefined)}
          onDo={() => client.leave(id).then(done)}
        />
      )}
      {open === "delete" && (
        <Ask
          title={group ? text.deleteTitle : text.deleteDirectTitle}
          text={group ? text.deleteText : text.deleteDirectText}
          action={group ? text.delete : text.deleteDirect}
          bad
          onClose={() => setOpen(undefined)}
          onDo={() => client.deleteRoom(id).then(done)}
        />
      )}
    </section>
  );
}
