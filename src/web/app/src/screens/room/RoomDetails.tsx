import { useCallback, useEffect, useState } from "react";
import { Avatar } from "../../components/Avatar.js";
import { Button, IconButton, Note, Spinner } from "../../components/Button.js";
import { Code } from "../../components/Code.js";
import { CompareKeys } from "../../components/CompareKeys.js";
import { VerifiedMark } from "../../components/VerifiedMark.js";
import { Ask } from "../../components/Dialog.js";
import { Field } from "../../components/Field.js";
import { Icon } from "../../components/Icon.js";
import { codeOf } from "../../base/errors.js";
import { sentence } from "../../text/errors.js";
import { useArrival } from "../../browser/focus.js";
import { duration } from "../../text/format.js";
import { go } from "../../browser/routes.js";
import type { Conversation } from "../../base/sdk.js";
import { useApp, useAttempt, useStatus } from "../../state/context.js";
import { useCell } from "../../base/cell.js";
import { useLoad } from "../../base/useLoad.js";
import { markOf } from "../../state/people.js";
import { strings } from "../../text/strings.js";
import { nameOf } from "../../text/safe.js";
import { Leave } from "./Leave.js";
import { Members } from "./Members.js";
import { RoomNotifications } from "./RoomNotifications.js";

const text = strings.room;
const spans = [3_600, 86_400, 7 * 86_400, 28 * 86_400];
const maxName = 100;
const changedAfterMs = 1_000;

/** The members, settings and security of a conversation. */
export function RoomDetails({ conversation }: { conversation: Conversation }) {
  const { id, kind, personId, title, role, timeToLiveSeconds, unconfirmed, withheld } = conversation;
  const app = useApp();
  const { client } = app;
  const attempt = useAttempt();
  const arrival = useArrival();
  const { userId: me } = useStatus();
  const members = useLoad(() => app.learnMembers(id));
  const code = useLoad(() => client.roomCode(id));
  const { reload: reloadMembers } = members;
  const { reload: reloadCode } = code;
  const [renaming, setRenaming] = useState(false);
  const [compared, setCompared] = useState<{ userId: string; username: string }>();
  const people = useCell(app.people.all);
  const group = kind === "group";
  const rules = role === "owner" || role === "admin";
  const other = members.value?.find((member) => member.userId !== me);
  const timers = timeToLiveSeconds === undefined || spans.includes(timeToLiveSeconds) ? spans : [...spans, timeToLiveSeconds].toSorted((a, b) => a - b);
  const reload = useCallback((): void => {
    void reloadMembers();
    void reloadCode();
  }, [reloadMembers, reloadCode]);

  // Other members change the room too.
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const off = client.on("roomChanged", ({ roomId }) => {
      if (roomId === id)
        timer ??= setTimeout(() => {
          timer = undefined;
          reload();
        }, changedAfterMs);
    });
    return () => {
      clearTimeout(timer);
      off();
    };
  }, [client, id, reload]);

  return (
    <section className="page" aria-label={text.title}>
      <header className="bar">
        <IconButton icon="close" label={strings.common.close} onClick={() => go({ at: "room", roomId: id, details: false })} />
        <h1 className="grow" {...arrival}>
          {text.title}
        </h1>
      </header>
      <div className="page-body">
        <div className="room-head">
          <Avatar id={id} name={title} group={group} size="l" />
          <div className="line">
            <h2>
              <bdi>{nameOf(title)}</bdi>
            </h2>
            {personId !== undefined && <VerifiedMark verified={markOf(people.get(personId))} />}
            {group && rules && <IconButton icon="edit" small label={text.rename} onClick={() => setRenaming(true)} />}
          </div>
          <p className="line muted small">
            <Icon name="lock" size="small" />
            {text.encrypted}
          </p>
        </div>

        {role !== undefined && !group && other && (
          <Button icon="shield" wide onClick={() => setCompared(other)}>
            {strings.trust.compare}
          </Button>
        )}

        {role === undefined && <Note icon="door">{strings.chat.ended}</Note>}

        {group && unconfirmed && (
          <Note icon="info">
            <p>
              <strong>{text.notConfirmed}</strong>
            </p>
            <p>{text.notConfirmedText}</p>
          </Note>
        )}

        {members.value ? (
          <Members room={conversation} members={members.value} onChanged={reload} onCompare={setCompared} />
        ) : members.error !== undefined ? (
          <Note tone="warn" icon="offline">
            {sentence(members.error)}
          </Note>
        ) : (
          <Spinner label={strings.common.loading} />
        )}

        {role !== undefined && (
          <>
            <section className="section">
              <h2>{text.timer}</h2>
              <p className="muted small">{text.timerText}</p>
              <select
                className="input"
                aria-label={text.timer}
                value={timeToLiveSeconds ?? 0}
                disabled={group && !rules}
                onChange={(event) => {
                  const seconds = Number(event.target.value);
                  attempt(() => client.changeSettings(id, { timeToLiveSeconds: seconds === 0 ? null : seconds }));
                }}
              >
                <option value={0}>{text.timerOff}</option>
                {timers.map((seconds) => (
                  <option key={seconds} value={seconds}>
                    {duration(seconds)}
                  </option>
                ))}
              </select>
              {group && !rules && <p className="muted small">{text.onlyAdmins}</p>}
            </section>
            <RoomNotifications roomId={id} />
            <section className="section">
              <h2>{text.security}</h2>
              {code.value !== undefined ? (
                <Code label={text.code} code={code.value} />
              ) : code.error !== undefined ? (
                <Note>
                  {codeOf(code.error) === "NotReady"
                    ? withheld
                      ? strings.chat.withheld
                      : strings.problems[conversation.problem === "out" ? "out" : "joining"]
                    : sentence(code.error)}
                </Note>
              ) : (
                <Spinner label={strings.common.loading} />
              )}
              <p className="muted small">{text.codeText}</p>
            </section>
          </>
        )}
        {(members.value || role === undefined) && <Leave room={conversation} members={members.value ?? []} />}
      </div>
      {renaming && <Rename conversation={conversation} onClose={() => setRenaming(false)} />}
      {compared && <CompareKeys userId={compared.userId} name={nameOf(compared.username)} onClose={() => setCompared(undefined)} />}
    </section>
  );
}

function Rename({ conversation: { id, title }, onClose }: { conversation: Conversation; onClose: () => void }) {
  const { client } = useApp();
  const [name, setName] = useState(nameOf(title));
  return (
    <Ask
      title={text.renameTitle}
      text={strings.start.groupNameHint}
      action={strings.common.save}
      ready={name.trim() !== "" && name.trim() !== title}
      onClose={onClose}
      onDo={() => client.rename(id, name.trim())}
    >
      <Field label={text.name} value={name} onChange={setName} maxLength={maxName} dir="auto" autoComplete="off" autoFocus required />
    </Ask>
  );
}
