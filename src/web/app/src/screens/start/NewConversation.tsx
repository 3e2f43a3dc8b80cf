import { useState, type SubmitEvent } from "react";
import { Avatar } from "../../components/Avatar.js";
import { Button, IconButton, Note } from "../../components/Button.js";
import { Choices, Field } from "../../components/Field.js";
import { sentence } from "../../text/errors.js";
import { useArrival } from "../../browser/focus.js";
import { go } from "../../browser/routes.js";
import { useClient, useStatus } from "../../state/context.js";
import { strings } from "../../text/strings.js";

const text = strings.start;
const special = { NotFound: text.unknownUser, Invalid: text.unknownUser, NoDevice: text.notReadyYet, TooLarge: text.full };
const specialAmong = { NotFound: text.unknownAmong, Invalid: text.unknownAmong, NoDevice: text.notReadyAmong, TooLarge: text.full };

/** A conversation with one person, or a group. */
export function NewConversation({ group }: { group: boolean }) {
  const arrival = useArrival();
  return (
    <section className="page" aria-label={text.title}>
      <header className="bar">
        <IconButton icon="back" label={strings.common.back} onClick={() => go({ at: "list" })} />
        <h1 className="grow" {...arrival}>
          {text.title}
        </h1>
      </header>
      <div className="page-body">
        <Choices
          label={text.kind}
          value={group ? "group" : "direct"}
          options={[
            ["direct", text.direct],
            ["group", text.group],
          ]}
          onChange={(kind) => go({ at: "new", group: kind === "group" }, { replace: true })}
        />
        {group ? <Group /> : <Direct />}
      </div>
    </section>
  );
}

const clean = (name: string): string => name.trim().replace(/^@/, "").toLowerCase();

function Direct() {
  const client = useClient();
  const { username: me } = useStatus();
  const [name, setName] = useState("");
  const work = useWork();
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    work.run(async () => go({ at: "room", roomId: await client.createDirect(clean(name)), details: false }, { replace: true }));
  };
  const isMe = clean(name) === me;
  return (
    <form className="stack" onSubmit={submit}>
      <Field
        label={text.username}
        value={name}
        onChange={setName}
        hint={text.usernameHint}
        wrong={isMe ? text.yourself : undefined}
        autoCapitalize="none"
        autoComplete="off"
        spellCheck={false}
        maxLength={33}
        autoFocus
        required
      />
      {work.error !== undefined && (
        <Note tone="bad" icon="warning">
          {sentence(work.error, special)}
        </Note>
      )}
      <div>
        <Button look="main" type="submit" icon="chat" busy={work.busy} disabled={clean(name) === "" || isMe}>
          {text.open}
        </Button>
      </div>
    </form>
  );
}

function Group() {
  const client = useClient();
  const { username: me } = useStatus();
  const [title, setTitle] = useState("");
  const [name, setName] = useState("");
  const [people, setPeople] = useState<string[]>([]);
  const [wrong, setWrong] = useState<string>();
  const work = useWork();

  /** Returns the listed people together with the one in the field; undefined when that name cannot be added. */
  const withName = (): string[] | undefined => {
    const added = clean(name);
    if (added === "") return people;
    const problem = added === me ? text.yourself : people.includes(added) ? text.twice : !/^[a-z0-9._-]{3,32}$/.test(added) ? text.unknownUser : undefined;
    setWrong(problem);
    return problem ? undefined : [...people, added];
  };
  const add = (): void => {
    const next = withName();
    if (next) {
      setPeople(next);
      setName("");
    }
  };
  const create = (): void => {
    const all = withName();
    if (!all) return;
    setPeople(all);
    setName("");
    work.run(async () => go({ at: "room", roomId: await client.createGroup(all, title.trim()), details: false }, { replace: true }));
  };
  return (
    <div className="stack">
      <Field label={text.groupName} value={title} onChange={setTitle} hint={text.groupNameHint} maxLength={100} dir="auto" autoComplete="off" autoFocus />
      <form
        className="line add-line"
        onSubmit={(event) => {
          event.preventDefault();
          add();
        }}
      >
        <div className="grow">
          <Field
            label={text.username}
            value={name}
            onChange={(value) => {
              setName(value);
              setWrong(undefined);
            }}
            wrong={wrong}
            hint={text.usernameHint}
            autoCapitalize="none"
            autoComplete="off"
            spellCheck={false}
            maxLength={33}
          />
        </div>
        <Button type="submit" icon="plus" disabled={clean(name) === ""}>
          {text.add}
        </Button>
      </form>
      {people.length === 0 ? (
        <p className="muted">{text.groupEmpty}</p>
      ) : (
        <ul className="people" aria-label={text.people}>
          {people.map((person) => (
            <li key={person} className="line">
              <Avatar name={person} size="s" />
              <span className="grow">{person}</span>
              <IconButton icon="close" small label={text.removePerson(person)} onClick={() => setPeople(people.filter((other) => other !== person))} />
            </li>
          ))}
        </ul>
      )}
      <div className="visually-hidden" role="status">
        {people.length > 0 && text.added(people.at(-1)!)}
      </div>
      {work.error !== undefined && (
        <Note tone="bad" icon="warning">
          {sentence(work.error, people.length > 1 ? specialAmong : special)}
        </Note>
      )}
      <div>
        <Button look="main" icon="people" busy={work.busy} disabled={people.length === 0 && clean(name) === ""} onClick={create}>
          {text.create}
        </Button>
      </div>
    </div>
  );
}

function useWork() {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const run = (work: () => Promise<void>): void => {
    setBusy(true);
    setError(undefined);
    work()
      .catch(setError)
      .finally(() => setBusy(false));
  };
  return { busy, error, run };
}
