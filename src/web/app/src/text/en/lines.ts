import { list, plural } from "./words.js";

const devicesOf = (who: string | undefined): string => (who === undefined ? "your devices" : `the devices of ${who}`);

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
    otherRole: (by: string, who: string) => `${by} gave ${who} a role that this version of the app does not know`,
    name: (by: string, name: string) => `${by} named the group “${name}”`,
    noName: (by: string) => `${by} removed the name of the group`,
    timer: (by: string, span: string) => `${by} set messages to disappear after ${span}`,
    timerOff: (by: string) => `${by} turned disappearing messages off`,
    settings: (by: string) => `${by} changed the settings`,
    /** Ends a sentence: whose app has carried out what the list of devices of another person says. */
    doneBy: (by: string) => ` (done by the app of ${by})`,
    doneByOwn: " (done by your app)",
    /** `who` is undefined for this user. `done` is empty for a change that the device's own user has carried out. */
    deviceAdded: (who: string | undefined, done: string) => `A new device of ${who ?? "yours"} can read here${done}`,
    deviceRemoved: (who: string | undefined, done: string) => `A device of ${who ?? "yours"} can no longer read here${done}`,
    deviceReplaced: (who: string | undefined, done: string) => `A device of ${who ?? "yours"} has new keys${done}`,
    deviceReadded: (who: string | undefined, done: string) => `A device of ${who ?? "yours"} was added again${done}`,
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
    identityChanged: (who: string) => `${who} has a new safety number, not signed with the earlier keys. Compare keys before you write anything private.`,
    renamed: (who: string, name: string) => `${who} is now called ${name}`,
    listFork: (who: string | undefined) => `The server has shown two different signed lists of ${devicesOf(who)}`,
    nameChanged: (who: string) => `The server says that the name of ${who} now belongs to another person`,
    listWithheld: (who: string | undefined) => `The server does not show the newest list of ${devicesOf(who)}`,
    reset: (by: string, missing: number, added: number) =>
      `${by} restarted the encryption of this conversation${missing > 0 ? `, without ${plural(missing, "device", "devices")}` : ""}${
        added > 0 ? `, with ${plural(added, "new device", "new devices")}` : ""
      }`,
    invalidCommit: (by: string) => `${by} tried to change this conversation in a way that is not allowed. Nothing was changed.`,
    invalidCommitByServer: (who: string) => `The server says that ${who} made the change that was not allowed. There is no proof of it.`,
    invalidCommitUnknown: "An unknown device tried to change this conversation in a way that is not allowed. Nothing was changed.",
    rosterMismatch: "The server shows another list of members than the one that the members have signed. This app follows the signed list.",
    stateMismatchOwn: "Another device of yours has another list of members than this one",
    stateMismatch: (by: string) => `${by} has written for another list of members than the one on this device`,
    transcriptMismatchOwn:
      "Another device of yours has received other messages here than this one. The server may have left some out or changed their order. " +
      "Compare the messages on both devices.",
    transcriptMismatch: (by: string) =>
      `The device of ${by} has received other messages here than this one. The server may have left some out or changed their order. ` +
      `Ask ${by} in another way, for example by phone.`,
    withheld: "The server does not show this conversation any more",
    other: "Something happened that this version of the app does not know",
  },
} as const;
