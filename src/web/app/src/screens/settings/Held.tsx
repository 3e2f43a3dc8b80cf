import { useState } from "react";
import { Button } from "../../components/Button.js";
import { Icon } from "../../components/Icon.js";
import { calendarDate, fullTime } from "../../text/format.js";
import { strings } from "../../text/strings.js";

const text = strings.data;
const rowsAtFirst = 20;
const deepest = 6;

type Fields = Record<string, unknown>;

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);

/** Shows any JSON of the server completely: the screen promises all data. */
export function Held({ value }: { value: unknown }) {
  const outer: (readonly [string, unknown])[] = isFields(value) ? Object.entries(value) : [["", value]];
  // An object that contains only lists is shown open.
  const entries = outer.flatMap(([name, each]) =>
    isFields(each) && Object.values(each).length > 0 && Object.values(each).every(Array.isArray) ? Object.entries(each) : [[name, each] as const],
  );
  const plain = entries.filter(([, each]) => !isFields(each) && !Array.isArray(each));
  const nested = entries.filter(([, each]) => isFields(each) || Array.isArray(each));
  return (
    <div className="held">
      {plain.length > 0 && (
        <div className="card">
          <Facts fields={Object.fromEntries(plain)} depth={0} />
        </div>
      )}
      {nested.map(([name, each]) => (
        <details key={name}>
          <summary>
            <Icon name="next" size="small" />
            <span className="grow">{labelOf(name)}</span>
            <span className="muted small">{text.entries(Array.isArray(each) ? each.length : Object.keys(each as Fields).length)}</span>
          </summary>
          <div className="inside">
            <Value value={each} depth={0} />
          </div>
        </details>
      ))}
    </div>
  );
}

function Value({ value, depth }: { value: unknown; depth: number }) {
  if (depth > deepest) return <span className="mono">{JSON.stringify(value)}</span>;
  if (Array.isArray(value))
    return value.length === 0 ? (
      <span className="muted">{text.nothing}</span>
    ) : value.length === 1 && isFields(value[0]) ? (
      <Facts fields={value[0]} depth={depth} />
    ) : value.every(isFields) ? (
      <Table rows={value} depth={depth} />
    ) : (
      <Plain list={value} depth={depth} />
    );
  if (isFields(value)) return Object.keys(value).length === 0 ? <span className="muted">{text.nothing}</span> : <Facts fields={value} depth={depth} />;
  if (value === null || value === undefined || value === "") return <span className="muted">{text.empty}</span>;
  if (typeof value === "boolean") return <>{value ? text.yes : text.no}</>;
  if (typeof value === "string" && /^\d{4}-\d\d-\d\d(?:T[\d:.]+Z)?$/.test(value))
    return <span title={value}>{value.length > 10 ? fullTime(value) : calendarDate(value)}</span>;
  return (
    <bdi className={typeof value === "string" && value.length > 20 && !value.includes(" ") ? "mono" : ""}>
      {typeof value === "string" ? value : JSON.stringify(value)}
    </bdi>
  );
}

const Facts = ({ fields, depth }: { fields: Fields; depth: number }) => (
  <dl className="facts">
    {Object.entries(fields).map(([name, each]) => (
      <div key={name} className="fact">
        <dt>{words(name)}</dt>
        <dd>
          <Value value={each} depth={depth + 1} />
        </dd>
      </div>
    ))}
  </dl>
);

const Plain = ({ list, depth }: { list: unknown[]; depth: number }) => (
  <ul>
    {list.map((each, index) => (
      <li key={index}>
        <Value value={each} depth={depth + 1} />
      </li>
    ))}
  </ul>
);

function Table({ rows, depth }: { rows: Fields[]; depth: number }) {
  const [all, setAll] = useState(false);
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return (
    <>
      <table className="table">
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col">
                {words(column)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {(all ? rows : rows.slice(0, rowsAtFirst)).map((row, index) => (
            <tr key={index}>
              {columns.map((column) => (
                <td key={column}>
                  <Value value={row[column]} depth={depth + 1} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {!all && rows.length > rowsAtFirst && (
        <Button look="bare" compact onClick={() => setAll(true)}>
          {text.showAll(rows.length)}
        </Button>
      )}
    </>
  );
}

const labelOf = (table: string): string => (text.tables as Record<string, string>)[table] ?? words(table);

/** `createdOn` → `Created on`: makes the server's names readable. */
export function words(name: string): string {
  const spaced = name.replace(/([a-z0-9])([A-Z])/g, (_, before: string, after: string) => `${before} ${after.toLowerCase()}`).replaceAll(/[_.-]+/g, " ");
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}
