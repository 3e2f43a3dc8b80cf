import { useMemo, useState, type ReactNode } from "react";
import { Button } from "../../components/Button.js";
import { Icon } from "../../components/Icon.js";
import { save } from "../../browser/download.js";
import { useApp, useStatus } from "../../state/context.js";
import { useLoad } from "../../base/useLoad.js";
import { strings } from "../../text/strings.js";
import { Held, words } from "./Held.js";
import { Online } from "./Online.js";

const text = strings.data;

interface Described {
  purpose?: string;
  precision?: string;
  timeToLive?: string;
}

/** Everything that the server stores about this user, and everything that it can store at all. */
export function ServerData() {
  const { client } = useApp();
  const { username = "" } = useStatus();
  const held = useLoad(() => client.dataHeld());
  const inventory = useLoad(() => client.dataInventory());
  return (
    <>
      <section className="section">
        <h2>{text.short}</h2>
        <ul className="points">
          {text.points.map((point) => (
            <li key={point}>
              <Icon name="check" size="small" />
              {point}
            </li>
          ))}
        </ul>
        {held.value !== undefined && (
          <div>
            <Button icon="download" onClick={() => save(`server-data-${username}.json`, JSON.stringify(held.value, undefined, 2))}>
              {text.download}
            </Button>
          </div>
        )}
      </section>
      <Disclosure title={text.held} hint={text.heldText}>
        <Online from={held}>{(value) => <Held value={value} />}</Online>
      </Disclosure>
      <Disclosure title={text.inventory} hint={text.inventoryText}>
        <Online from={inventory}>{(value) => <Inventory value={value} />}</Online>
      </Disclosure>
    </>
  );
}

const Disclosure = ({ title, hint, children }: { title: string; hint: string; children: ReactNode }) => (
  <details className="disclosure full">
    <summary>
      <Icon name="next" size="small" />
      <h2 className="grow">{title}</h2>
    </summary>
    <p className="muted">{hint}</p>
    {children}
  </details>
);

const groupNames: Record<string, string> = {
  columns: text.columns,
  logs: text.logs,
  logProperties: text.logs,
  metrics: text.metrics,
  metricLabels: text.metrics,
};

function Inventory({ value }: { value: unknown }) {
  const [search, setSearch] = useState("");
  const groups = useMemo(
    () =>
      Object.entries(isRecord(value) ? value : {})
        .flatMap(([name, entries]): [string, [string, Described][]][] =>
          isRecord(entries) ? [[name, Object.entries(entries).filter((entry): entry is [string, Described] => isRecord(entry[1]))]] : [],
        )
        .filter(([, entries]) => entries.length > 0),
    [value],
  );
  const wanted = search.trim().toLowerCase();
  const matching = groups
    .map(([name, entries]): [string, [string, Described][]] => [
      name,
      entries.filter((entry) => `${columnName(entry[0])} ${JSON.stringify(entry)}`.toLowerCase().includes(wanted)),
    ])
    .filter(([, entries]) => entries.length > 0);
  return (
    <div className="held">
      <input
        className="input"
        type="search"
        aria-label={text.search}
        placeholder={text.search}
        value={search}
        onChange={(event) => setSearch(event.target.value)}
      />
      {matching.length === 0 && (
        <p className="muted" role="status">
          {text.none}
        </p>
      )}
      {matching.map(([name, entries]) => (
        <details key={name} open={wanted !== "" || undefined}>
          <summary>
            <Icon name="next" size="small" />
            <span className="grow">{groupNames[name] ?? name}</span>
            <span className="muted small">{text.entries(entries.length)}</span>
          </summary>
          <div className="inside">
            <table className="table inventory">
              <thead>
                <tr>
                  <th scope="col">{text.what}</th>
                  <th scope="col">{text.purpose}</th>
                  <th scope="col">{text.precision}</th>
                  <th scope="col">{text.kept}</th>
                </tr>
              </thead>
              <tbody>
                {entries.map(([what, { purpose, precision, timeToLive }]) => (
                  <tr key={what}>
                    <td title={what}>{name === "columns" ? columnName(what) : words(what)}</td>
                    <td data-label={`${text.purpose}:`}>{purpose ?? text.noPurpose}</td>
                    <td data-label={`${text.precision}:`}>{precision ?? text.empty}</td>
                    <td data-label={`${text.kept}:`}>{timeToLive ?? text.empty}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </details>
      ))}
    </div>
  );
}

/** `rooms.created_on` → `Conversation: created on`. */
function columnName(what: string): string {
  const [table = "", column = ""] = what.split(".");
  const tables: Record<string, string> = text.tables;
  return text.label(tables[table] ?? words(table), words(column).toLowerCase());
}

export const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
