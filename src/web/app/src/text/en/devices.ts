import { list, plural } from "./words.js";

const quoted = (name: string): string => `“${name}”`;
/** Devices at the start of a sentence: their names, or the number of those without one. */
const theDevices = (n: number, names: readonly string[]): string =>
  names.length === n && n > 0 ? `${n === 1 ? "The device" : "The devices"} ${list.format(names.map(quoted))}` : plural(n, "device", "devices");

/** The user's own devices. */
export const devicesStrings = {
  devices: {
    text: "Every device has its own keys, which never leave it. A conversation is encrypted for each device of everyone in it.",
    this: "This device",
    approved: "Approved",
    waiting: "Waits for approval",
    registered: (date: string) => `Registered on ${date}`,
    seen: (date: string) => `last seen on ${date}`,
    code: "Code",
    menu: (device: string) => `Options for ${device}`,
    add: "Add a device",
    addText: "Sign in on the other device with your username and password. It shows a QR code: scan it here.",
    approve: "Approve",
    approveTitle: "Approve a device",
    approveText: "Enter the code that the new device shows. Type it from its screen: this proves that the device is yours.",
    approveLabel: "Code on the new device",
    approveWrong: "This is not the code of that device. Check the digits. If they are right, someone may be changing the connection: do not approve it.",
    confirmTitle: "Now enter this on the new device",
    confirmText: "The new device asks for this code. It proves that you, and no one else, approved it.",
    rotate: "Renew keys of this device",
    rotateText: "This device gets new keys in every conversation. Do this if someone else may have had access to it.",
    rotateAction: "Renew keys",
    rotated: "This device has new keys.",
    revoke: "Revoke",
    revokeTitle: "Revoke this device?",
    revokeText: "It is signed out and removed from every conversation. It keeps what it has received so far.",
    replace: "Replace identity",
    replaceTitle: "Replace your identity key?",
    replaceText: "Your safety number changes for everyone you talk to, and they see it. Your other devices stay. Do this if someone else may know the key.",
    replaceAction: "Replace identity key",
    replaced: "Your identity key was replaced.",
    changed: (names: string[]) => `The keys of ${list.format(names)} have changed. Compare safety numbers with them.`,
  },

  deviceNews: {
    added: (n: number, names: readonly string[], by: string | undefined) =>
      `${n === 1 && names.length === 0 ? "A new device" : theDevices(n, names)} can now read your messages` +
      `${by === undefined ? "" : `. It was approved on “${by}”`}. If this was not you, revoke ${n === 1 ? "it" : "them"} now and change your password.`,
    removed: (n: number, names: readonly string[]) => `${theDevices(n, names)} of your account ${n === 1 ? "was" : "were"} revoked on another device.`,
    newKeys: (n: number, names: readonly string[]) => `${theDevices(n, names)} of your account ${n === 1 ? "has" : "have"} new keys.`,
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
      "This is the code of a device of another account, or the server shows other keys for it. If you are sure that it is your device, someone may be " +
      "changing the connection: do not approve it.",
    gone: "The server does not know this device any more. Sign in on it again.",
    qr: "Code of this device as a QR code",
    qrText: "Do not let anyone else scan this code.",
    larger: "Show it larger",
    lost: "The device is lost or stolen",
    lostText: "You get a new identity key too, signed by this device, because another person may have the old one. Your contacts see a new safety number.",
    orType: "Without a camera, type this code there instead:",
  },
} as const;
