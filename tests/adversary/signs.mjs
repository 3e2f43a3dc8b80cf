// What counts as a warning of the SDK: the names that the specification and the SDK's documentation give, and nothing that a client reports for other reasons.

/** Kinds of warnings and lines, and names of events, that tell a person about an attack. */
export const attackKinds = new Set([
  "stateMismatch",
  "transcriptMismatch",
  "identityChanged",
  "nameChanged",
  "listFork",
  "listWithheld",
  "unlistedDevice",
  "updateRequired",
  "logRewound",
  "invalidCommit",
  "rosterMismatch",
  "reentryHeld",
  "resetIgnored",
  "withheld",
]);

/** Contents of the timeline that are messages of people. Other types are lines: they tell what changed, and who did it. */
const ordinary = new Set(["text", "reply", "custom", "leave", "unreadable", "malformed", "unsupported", "missing", "edit", "delete", "reaction", "file"]);

/** The sign in a note of a client: its name, or undefined. */
export function signOf({ event, value }) {
  if (event === "warning" || event === "line") return attackKinds.has(value?.kind) ? value.kind : undefined;
  if (event === "withheld") return value?.isWithheld ? "withheld" : undefined;
  if (event === "personChanged") return attackKinds.has(value?.line?.kind) ? value.line.kind : undefined;
  if (event === "devicesAlarm") return event;
  return attackKinds.has(event) ? event : undefined;
}

/** The line in a note of a client, as text: joins, leaves, devices and keys that the client shows in the conversation. */
export function lineOf({ event, value }) {
  if (event === "personChanged" && value?.line) return `line ${value.line.kind}`;
  if (event === "devicesChanged") return "line devices";
  if (event === "line") return `line ${value?.kind}`;
  const type = event === "message" ? value?.content?.type : undefined;
  return type !== undefined && !ordinary.has(type) ? `line ${type}` : undefined;
}
