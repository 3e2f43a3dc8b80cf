/* The sentences about keys, devices and what has happened in a conversation. A part of strings.ts. */
const rules = new Intl.PluralRules("en");
const numbers = new Intl.NumberFormat("en");
const list = new Intl.ListFormat("en", { style: "long", type: "conjunction" });

const plural = (n: number, one: string, other: string): string => `${numbers.format(n)} ${rules.select(n) === "one" ? one : other}`;
/** Who has carried out a change for another person. */
const byOther = (by: string | undefined): string => (by === undefined ? "" : ` (carried out by ${by})`);
/** Devices by their names; the number of those without one. */
const devices = (n: number, names: readonly string[]): string =>
  names.length === n && n > 0 ? `${n === 1 ? "the device" : "the devices"} ${list.format(names.map((name) => `“${name}”`))}` : plural(n, "device", "devices");

export const trustStrings = {
  scan: {
    view: "Camera",
    starting: "Starting the camera…",
    checking: "Checking the code…",
    picture: "Choose a picture instead",
    nothing: "There is no QR code in this picture, or it is not sharp enough.",
    noPicture: "This file is not a picture that the browser can open.",
    /** By the reason why there is no picture of the camera. */
    problems: {
      denied: "The browser does not let this page use the camera. Allow it in the settings for this site, or choose a picture of the code.",
      none: "This device has no camera. Choose a picture of the code.",
      busy: "The camera gives no picture. Another app may be using it. Close that app and try again, or choose a picture of the code.",
      unsupported: "This browser gives pages no camera. Choose a picture of the code.",
    },
  },

  trust: {
    marks: { yes: "Verified", again: "Compare the keys again", held: "Nothing is sent to this person now" },
    compare: "Compare keys",
    compareTitle: (name: string) => `Compare keys with ${name}`,
    number: "Safety number",
    compareText: (name: string) =>
      `Or compare these digits with ${name} in person or on a call. If both of you see the same digits, no one is intercepting your messages.`,
    scanEachOther: (name: string) => `When you meet: ${name} scans this code, and you scan the one of ${name}.`,
    ownQr: "Your keys as a QR code",
    scan: "Scan their code",
    scanText: (name: string) => `On the other phone, open the details of your conversation and choose “Compare keys”. Point the camera at the code of ${name}.`,
    showNumber: "Show my code",
    equal: "They are equal",
    unverify: "Remove the mark",
    verified: (name: string) => `${name} is verified.`,
    noNumber: "There is no safety number yet: this person has not set up encryption.",
    notAPerson: "This is not the code of another person. On the other phone, choose “Compare keys”.",
    differs: "The keys differ. Someone may be intercepting your messages. Do not write anything private, and ask the person over another channel.",
    listMissing: "The server does not have this person's newest devices yet. Wait a moment and scan again.",
    again: (name: string) => `You compared keys before. ${name} has renewed them since, with a valid signature. Compare again.`,
    stopped: "Nothing is sent here now.",
    stoppedHint: "Sending waits. The notice above says why.",
    accept: "Send anyway",
    reload: "Reload to update",
    enter: "Enter again",
    enterTitle: "Enter this conversation again?",
    enterText:
      "Ask a member over another channel whether you were removed and added again. If no one did that, someone may be showing you another conversation.",
    giveUp: "Give this conversation up",
    giveUpTitle: "Give this conversation up?",
    giveUpText:
      "This device leaves the encrypted group of this conversation, and its unsent messages are dropped. Its history stays on this device. If the server shows it again, a member must add you again.",
    /** By the kind of a hold. */
    holds: {
      identityChanged: (name: string) =>
        `${name} has new keys that the earlier ones did not sign. Perhaps all devices were lost, perhaps someone is intercepting. Compare keys before you write.`,
      listFork: (name: string) =>
        `There are two contradicting lists of devices of ${name}, both signed with the same keys. Someone else may have these keys. Ask ${name} over another channel.`,
      nameChanged: (name: string) => `The server says that the name ${name} now belongs to another person than before. Ask the person over another channel.`,
      listWithheld: (name: string) => `The server does not show the devices of ${name}. One of them may have been revoked.`,
      unlistedDevice: (name: string) => `A device is in this conversation that ${name} has not signed. Members remove it, or ${name} signs it.`,
      unlistedDirect: (name: string) =>
        `${name} has other keys than this conversation was started with, and cannot read here with them. Delete this conversation in its details, and start a new one.`,
      stateMismatch: (name: string) => `A message of ${name} was written for another list of members than this device has.`,
      updateRequired: () => "This conversation uses something that this version of the app does not know. Update the app to write here.",
      reentryHeld: () => "You were removed and added again while this device could not see it. Ask a member whether that is right.",
      withheld: () => "The server does not show this conversation any more, although no member has removed you. Nothing on this device was deleted.",
    },
  },

  people: {
    text: "The people whose keys this device knows. Compare keys to be sure that no one is between you and them.",
    own: "Your code",
    ownText: "Show it to another person, who scans it to verify you. It contains only public keys.",
    ownNone: "Your code appears when this device is approved and has been online.",
    scan: "Scan a person's code",
    scanTitle: "Scan a person's code",
    scanText: "On the other device: Settings, People. Point the camera at the code.",
    notKnown: "This device does not know this person yet. Start a conversation first.",
    none: "Start a conversation, and the person appears here.",
    states: { no: "Not compared", yes: "Verified", again: "Compare again: the keys were renewed" },
    waits: "Nothing is sent to this person",
  },

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

  deviceNews: {
    added: (n: number, names: readonly string[], by: string | undefined) =>
      `${n === 1 && names.length === 0 ? "A new device" : devices(n, names).replace(/^t/, "T")} can now read your messages${by === undefined ? "" : `. It was approved on “${by}”`}. If this was not you, revoke it now and change your password.`,
    removed: (n: number, names: readonly string[]) => `${devices(n, names).replace(/^t/, "T")} of your account was revoked on another device.`,
    newKeys: (n: number, names: readonly string[]) => `${devices(n, names).replace(/^t/, "T")} of your account has new keys.`,
    identity: "Your identity key was renewed on another of your devices. Your contacts see a new safety number.",
    look: "Look at my devices",
    seen: "That was me",
  },

  naming: {
    rename: "Rename",
    title: "Name of this device",
    text: "Only your own devices can read it. The server stores it encrypted.",
    label: "Name",
    missing: "This device is not signed in. It can be named when it is.",
    tooLong: "This name is too long. Use at most 60 characters.",
    unnamed: "Device without a name",
  },

  approval: {
    scan: "Scan the code of the new device",
    scanText: "On the new device, sign in with your username and password. It shows a QR code. Point the camera at it. Nothing has to be typed.",
    type: "Type the codes instead",
    done: "The device is approved.",
    notADevice: "This is not the code of a device that waits for approval.",
    refused:
      "This is the code of a device of another account, or the server has other keys for the device. If you are sure that it is your device, someone may be " +
      "intercepting the connection: do not approve it.",
    gone: "The server does not know this device any more. Sign in on it again.",
    qr: "Code of this device as a QR code",
    qrText: "On your other device: Settings, Devices and keys, “Scan the code of the new device”. Do not let anyone else scan it.",
    larger: "Show it larger",
    lost: "The device is lost or stolen",
    lostText: "You get a new identity key too, signed by this device, because another person may have the old one. Your contacts see a new safety number.",
    orType: "Without a camera, type this code there instead:",
  },
} as const;
