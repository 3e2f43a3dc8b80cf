import { list, plural } from "./words.js";

/** Who has carried out a change for another person. */
const byOther = (by: string | undefined): string => (by === undefined ? "" : ` (carried out by ${by})`);

/** The lines between the messages: what has happened in a conversation, and who has done it. */
export const linesStrings = {
  /** Lines between the messages. `who` is the person whom it is about, `by` who has done it. */
  lines: {
    founded: (by: string) => `${by} started this conversation`,
    entered: (by: string) => `${by} added this device to the conversation`,
    /** This user, as a part of a sentence. */
    you: "you",
    joined: (by: string, who: readonly string[]) =>
      `${by} added ${list.format(who.length > 6 ? [...who.slice(0, 5), plural(who.length - 5, "other person", "other people")] : who)}`,
    left: (who: string) => `${who} left`,
    removed: (by: string, who: string) => `${by} removed ${who}`,
    role: (by: string, who: string, role: string) => `${by} made ${who} ${role}`,
    roles: { owner: "an owner", admin: "an admin", moderator: "a moderator", member: "a member" },
    otherRole: "something that this version of the app does not know",
    name: (by: string, name: string) => `${by} named the group “${name}”`,
    noName: (by: string) => `${by} removed the name of the group`,
    timer: (by: string, span: string) => `${by} set messages to disappear after ${span}`,
    timerOff: (by: string) => `${by} turned disappearing messages off`,
    settings: (by: string) => `${by} changed the settings`,
    /** `who` is undefined for this user, `by` for a change that the device's own user has carried out. */
    deviceAdded: (who: string | undefined, by: string | undefined) => `A new device of ${who ?? "yours"} takes part${byOther(by)}`,
    deviceRemoved: (who: string | undefined, by: string | undefined) => `A device of ${who ?? "yours"} no longer takes part${byOther(by)}`,
    deviceReplaced: (who: string | undefined, by: string | undefined) => `A device of ${who ?? "yours"} has new keys${byOther(by)}`,
    deviceReadded: (who: string | undefined, by: string | undefined) => `A device of ${who ?? "yours"} was added again${byOther(by)}`,
    devices: (who: string, added: number, removed: number, renewed: number) =>
      `${who} ${list.format(
        [
          added > 0 ? `added ${plural(added, "device", "devices")}` : "",
          removed > 0 ? `removed ${plural(removed, "device", "devices")}` : "",
          renewed > 0 ? `renewed the keys of ${plural(renewed, "device", "devices")}` : "",
        ].filter((part) => part !== ""),
      )}`,
    devicesOther: (who: string) => `${who} signed a new list of devices`,
    identityRenewed: (who: string) => `${who} has a new safety number, signed with the earlier keys`,
    identityRenewedOwn: "You have a new safety number, signed with the earlier keys",
    identityChanged: (who: string) => `${who} has a new safety number, not signed with the earlier keys`,
    renamed: (who: string, name: string) => `${who} is now called ${name}`,
    listFork: (who: string) => `There are contradicting lists of devices of ${who}`,
    nameChanged: (who: string) => `The server gave the name of ${who} to another person`,
    listWithheld: (who: string) => `The server does not show the devices of ${who}`,
    reset: (by: string, missing: number, added: number) =>
      `${by} started the encryption of this conversation anew${missing > 0 ? `, without ${plural(missing, "device", "devices")}` : ""}${
        added > 0 ? `, with ${plural(added, "new device", "new devices")}` : ""
      }`,
    invalidCommit: (by: string) => `${by} tried to change this conversation in a way that is not allowed. Nothing was changed.`,
    invalidCommitByServer: (who: string) => `The server says that the change that was not allowed came from ${who}. Only the server says so.`,
    invalidCommitUnknown: "An unknown device tried to change this conversation in a way that is not allowed. Nothing was changed.",
    rosterMismatch: "The server lists other members than the members have signed. The signed list counts.",
    stateMismatch: (by: string) => `A message of ${by} was written for another list of members than this device has`,
    transcriptMismatch: "Another device has read other messages than this one. The server may have left some out or changed their order.",
    withheld: "The server does not show this conversation any more",
    other: "Something happened that this version of the app does not know",
  },
} as const;
