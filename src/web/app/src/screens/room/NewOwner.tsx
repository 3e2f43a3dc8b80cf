import { useId, useRef, useState } from "react";
import { Avatar } from "../../components/Avatar.js";
import { Ask } from "../../components/Dialog.js";
import { Field } from "../../components/Field.js";
import { VerifiedMark } from "../../components/VerifiedMark.js";
import type { SharedMember } from "../../base/sdk.js";
import { useCell } from "../../base/cell.js";
import { useApp, useStatus } from "../../state/context.js";
import { markOf } from "../../state/people.js";
import { nameOf } from "../../text/safe.js";
import { strings } from "../../text/strings.js";
import { fewMembers, inOrder, matches } from "./order.js";

const text = strings.room;
/** The only owner chooses who becomes the owner, and leaves. */
export function NewOwner({ roomId, members, onDone, onClose }: { roomId: string; members: SharedMember[]; onDone: () => void; onClose: () => void }) {
  const { client, people } = useApp();
  const known = useCell(people.all);
  const { userId: me } = useStatus();
  const group = useId();
  const [chosen, setChosen] = useState<string>();
  const [search, setSearch] = useState("");
  const made = useRef<string>(undefined);
  const others = inOrder(members.filter((member) => member.userId !== me));
  const found = others.filter((member) => matches(member, search));
  const shown = found.slice(0, fewMembers);
  const picked = others.find((member) => member.userId === chosen);
  if (picked && !shown.includes(picked)) shown.unshift(picked);

  const leave = async (userId: string): Promise<void> => {
    // A second attempt after a failed one does not repeat what has succeeded.
    if (made.current !== userId) await client.setRole(roomId, userId, "owner");
    made.current = userId;
    await client.leave(roomId);
    onDone();
  };
  return (
    <Ask
      title={text.newOwnerTitle}
      text={text.newOwnerText}
      action={text.newOwnerAction}
      bad
      ready={chosen !== undefined}
      onClose={onClose}
      onDo={() => leave(chosen!)}
    >
      {others.length > fewMembers && (
        <Field label={text.searchMembers} value={search} onChange={setSearch} autoCapitalize="none" autoComplete="off" spellCheck={false} maxLength={32} />
      )}
      <div className="card plain picks" role="radiogroup" aria-label={text.newOwner}>
        {shown.map(({ userId, username, role, devices, verified }) => (
          <label key={userId} className="entry">
            <input type="radio" name={group} checked={userId === chosen} onChange={() => setChosen(userId)} />
            <Avatar name={username} size="s" />
            <span className="grow">
              <span className="line named">
                <bdi>{nameOf(username)}</bdi>
                <VerifiedMark verified={markOf(known.get(userId)) ?? verified} />
              </span>
              {devices === 0 && <span className="muted small">{text.devices(0)}</span>}
            </span>
            {role !== "member" && <span className="tag">{text.roles[role]}</span>}
          </label>
        ))}
        {shown.length === 0 && <p className="entry muted small">{text.noMember}</p>}
        {found.length > fewMembers && <p className="entry muted small">{text.searchForMore(found.length - fewMembers)}</p>}
      </div>
    </Ask>
  );
}
