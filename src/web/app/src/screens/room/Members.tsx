import { useMemo, useState } from "react";
import { Avatar } from "../../components/Avatar.js";
import { Button } from "../../components/Button.js";
import { Ask } from "../../components/Dialog.js";
import { Field } from "../../components/Field.js";
import { MenuButton, MenuItem } from "../../components/Menu.js";
import { VerifiedMark } from "../../components/VerifiedMark.js";
import { go } from "../../browser/routes.js";
import type { Conversation, Role, SharedMember } from "../../base/sdk.js";
import { useCell } from "../../base/cell.js";
import { useApp, useStatus } from "../../state/context.js";
import { nameOf } from "../../text/safe.js";
import { markOf } from "../../state/people.js";
import { strings } from "../../text/strings.js";
import { fewMembers, inOrder, matches, rank } from "./order.js";

const text = strings.room;

/** The roles that an owner can give. */
const given: readonly [Role, string][] = [
  ["owner", text.makeOwner],
  ["admin", text.makeAdmin],
  ["member", text.makeMember],
];

/** The members, as they have signed the conversation, with the actions that this user's role allows. */
export function Members({
  room,
  members,
  onChanged,
  onCompare,
}: {
  room: Conversation;
  members: SharedMember[];
  onChanged: () => void;
  onCompare: (member: SharedMember) => void;
}) {
  const { client, people: known, toasts } = useApp();
  const people = useCell(known.all);
  const { userId: me } = useStatus();
  const [search, setSearch] = useState("");
  const [all, setAll] = useState(false);
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<SharedMember>();
  const { id, role } = room;
  const group = room.kind === "group";
  const rules = group && (role === "owner" || role === "admin");
  const many = members.length > fewMembers;
  const sorted = useMemo(() => inOrder(members), [members]);
  const found = many && search.trim() !== "" ? sorted.filter((member) => matches(member, search)) : sorted;
  // What stands below a long list must be found without scrolling through all of it.
  const shown = many && !all ? found.slice(0, fewMembers) : found;
  const isUnverified = ({ userId, verified }: SharedMember): boolean => userId !== me && (markOf(people.get(userId)) ?? verified) === "no";
  const mayRemove = ({ role: theirs }: SharedMember): boolean => rules && (role === "owner" || rank[theirs] > rank.admin);

  const setRole = (member: SharedMember, next: Role) => () => void client.setRole(id, member.userId, next).then(onChanged, toasts.fail);
  const write = (member: SharedMember) => () =>
    void client.createDirect(member.username).then((roomId) => go({ at: "room", roomId, details: false }), toasts.fail);
  return (
    <section className="section">
      <div className="line">
        <h2 className="grow">{role === undefined ? text.lastMembers : group ? `${text.members} (${members.length})` : text.members}</h2>
        {rules && (
          <Button compact icon="plus" onClick={() => setAdding(true)}>
            {text.add}
          </Button>
        )}
      </div>
      {many && (
        <Field label={text.searchMembers} value={search} onChange={setSearch} autoCapitalize="none" autoComplete="off" spellCheck={false} maxLength={33} />
      )}
      <ul className="card plain">
        {found.length === 0 && <li className="entry muted small">{text.noMember}</li>}
        {shown.map((member) => (
          <li key={member.userId} className="entry">
            <Avatar name={member.username} size="s" />
            <div className="grow">
              <div className="line named">
                <bdi>{nameOf(member.username)}</bdi>
                {member.userId === me && <span className="muted"> ({text.you})</span>}
                <VerifiedMark verified={markOf(people.get(member.userId)) ?? member.verified} />
              </div>
              <div className="muted small">
                {role !== undefined && text.devices(member.devices)}
                {role !== undefined && isUnverified(member) && ` · ${strings.people.states.no}`}
              </div>
            </div>
            {group && member.role !== "member" && <span className="tag">{text.roles[member.role]}</span>}
            {member.userId !== me && (
              <MenuButton label={text.memberMenu(member.username)}>
                {group && (
                  <MenuItem icon="chat" onSelect={write(member)}>
                    {text.message}
                  </MenuItem>
                )}
                <MenuItem icon="shield" onSelect={() => onCompare(member)}>
                  {strings.trust.compare}
                </MenuItem>
                {mayRemove(member) && <hr />}
                {group &&
                  role === "owner" &&
                  given.map(([next, label]) =>
                    member.role === next ? null : (
                      <MenuItem key={next} icon="person" onSelect={setRole(member, next)}>
                        {label}
                      </MenuItem>
                    ),
                  )}
                {mayRemove(member) && (
                  <MenuItem icon="door" bad onSelect={() => setRemoving(member)}>
                    {text.removeMember}
                  </MenuItem>
                )}
              </MenuButton>
            )}
          </li>
        ))}
      </ul>
      {shown.length < found.length && (
        <div>
          <Button look="bare" onClick={() => setAll(true)}>
            {text.showAllMembers(found.length)}
          </Button>
        </div>
      )}
      {adding && <Add roomId={id} members={members} onClose={() => setAdding(false)} onDone={onChanged} />}
      {removing && (
        <Ask
          title={text.removeTitle(removing.username)}
          text={text.removeText}
          action={text.removeMember}
          bad
          onClose={() => setRemoving(undefined)}
          onDo={() => client.removeMember(id, removing.userId).then(onChanged)}
        />
      )}
    </section>
  );
}

function Add({ roomId, members, onDone, onClose }: { roomId: string; members: SharedMember[]; onDone: () => void; onClose: () => void }) {
  const { client } = useApp();
  const [name, setName] = useState("");
  const clean = name.trim().replace(/^@/, "").toLowerCase();
  const { start } = strings;
  const isThere = members.some((member) => member.username === clean);
  return (
    <Ask
      title={text.add}
      text={text.addText}
      action={text.addAction}
      ready={clean !== "" && !isThere}
      special={{ NotFound: start.unknownUser, Invalid: start.unknownUser, Conflict: text.addedAlready, NotReady: start.notReadyYet, TooLarge: start.full }}
      onClose={onClose}
      onDo={() => client.addMember(roomId, clean).then(onDone)}
    >
      <Field
        label={start.username}
        value={name}
        onChange={setName}
        hint={start.usernameHint}
        wrong={isThere ? text.addedAlready : undefined}
        autoCapitalize="none"
        autoComplete="off"
        spellCheck={false}
        maxLength={33}
        autoFocus
        required
      />
    </Ask>
  );
}
