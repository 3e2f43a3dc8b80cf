// What counts as a warning of the SDK: the names that the specification and the SDK's documentation give, and nothing that a client reports for other reasons.

/** Kinds of warnings, and names of events, that tell a person about an attack. */
export const attackKinds = new Set([
  "stateMismatch",
  "transcriptMismatch",
  "identityChanged",
  "nameChanged",
  "listFork",
  "listWithheld",
  "updateRequired",
  "logRewound",
  "invalidCommit",
  "rosterMismatch",
  "unlistedDevice",
  "notConfirmed",
  "roomKindChanged",
  "schemeChanged",
]);

/** Kinds of refusals of the SDK that are no alarm for people by themselves, and explain why nothing happened. */
export const refusalKinds = new Set(["welcomeRefused", "welcomeUnreadable", "invalidProposal", "groupUnreadable"]);

/** Contents of the timeline that are messages of people. Other types are lines: they tell what changed, and who did it. */
const ordinary = new Set(["text", "reply", "custom", "name", "unreadable", "malformed", "unsupported", "edit", "delete", "reaction", "receipt", "file"]);

/** The sign in a note of a client: its name, or undefined. */
export function signOf(note) {
  if (note.event === "warning") return attackKinds.has(note.value?.kind) ? note.value.kind : undefined;
  if (attackKinds.has(note.event)) return note.event;
  if (note.event === "personChanged") return attackKinds.has(note.value?.line?.kind) ? note.value.line.kind : undefined;
  if (note.event === "held" || note.event === "hold") return `held (${note.value?.reason ?? note.value?.kind ?? ""})`;
  return undefined;
}

/** The line in a note of a client, as text: joins, leaves, devices and keys that the client shows in the conversation. */
export function lineOf(note) {
  if (note.event === "personChanged" && note.value?.line) return `line ${note.value.line.kind}`;
  if (note.event === "line") return `line ${note.value?.kind ?? note.value?.type ?? JSON.stringify(note.value)}`;
  const type = note.event === "message" ? note.value?.content?.type : undefined;
  return type !== undefined && !ordinary.has(type) ? `line ${type}` : undefined;
}

/** Every name in the notes, for the detail of a row and for adapting this file. */
export const allNames = (notes) => [...new Set(notes.map((note) => (note.event === "warning" ? `warning:${note.value?.kind}` : note.event)))];
