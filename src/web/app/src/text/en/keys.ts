/** Other people's keys: comparing them, and why nothing is sent. */
export const keysStrings = {
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
      "This device leaves the encrypted group of this conversation, and its unsent messages are dropped. " +
      "Its history stays on this device. If the server shows it again, a member must add you again.",
    /** By the kind of a hold. */
    holds: {
      identityChanged: (name: string) =>
        `${name} has new keys that the earlier ones did not sign. Perhaps all devices were lost, perhaps someone is intercepting. ` +
        "Compare keys before you write.",
      listFork: (name: string) =>
        `There are two contradicting lists of devices of ${name}, both signed with the same keys. Someone else may have these keys. ` +
        `Ask ${name} over another channel.`,
      nameChanged: (name: string) => `The server says that the name ${name} now belongs to another person than before. Ask the person over another channel.`,
      listWithheld: (name: string) => `The server does not show the devices of ${name}. One of them may have been revoked.`,
      unlistedDevice: (name: string) => `A device is in this conversation that ${name} has not signed. Members remove it, or ${name} signs it.`,
      unlistedDirect: (name: string) =>
        `${name} has other keys than this conversation was started with, and cannot read here with them. ` +
        "Delete this conversation in its details, and start a new one.",
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
} as const;
