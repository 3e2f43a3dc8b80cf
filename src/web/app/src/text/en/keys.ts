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
      `Or compare the safety number with ${name}, in person or on a call. It stands for the keys of both of you. If you see the same digits, no one between ` +
      "you can read your messages.",
    scanEachOther: (name: string) => `When you meet: ${name} scans this code, and you scan the code of ${name}.`,
    ownQr: "Your keys as a QR code",
    scan: "Scan their code",
    scanText: (name: string) =>
      `On the device of ${name}, open the details of your conversation and choose “Compare keys”. Point your camera at the code there.`,
    showNumber: "Show my code",
    equal: "They are equal",
    unverify: "Remove the verified mark",
    verified: (name: string) => `${name} is verified.`,
    noNumber: "There is no safety number yet: this person has not set up encryption.",
    notThisPerson: (name: string) => `This is not the code of ${name}. On the other device, choose “Compare keys”.`,
    notAPerson: "This is not the code of another person. On the other device, choose “Compare keys”.",
    differs:
      "The keys differ. Someone between you may be reading your messages. Write nothing private here, and ask the person in another way, for example by phone.",
    listMissing: "The server does not have this person's newest devices yet. Wait a moment and scan again.",
    again: (name: string) =>
      `You have compared keys with ${name} before. Since then ${name} has renewed them, and the old keys signed the new ones. Compare again to be sure.`,
    stopped: "Nothing is sent here now.",
    stoppedHint: "Sending waits. The notice above says why.",
    accept: "Send anyway",
    reload: "Reload to update",
    enter: "Enter again",
    enterTitle: "Enter this conversation again?",
    enterText:
      "First ask a member in another way, for example by phone, whether you were removed and added again. If no one did that, someone may be showing " +
      "you a false conversation: do not enter.",
    giveUp: "Give this conversation up",
    giveUpTitle: "Give this conversation up?",
    giveUpText:
      "This device leaves the encrypted group of this conversation, and its unsent messages are deleted. " +
      "Its history stays on this device. If the server shows it again, a member must add you again.",
    /** By the kind of a hold. */
    holds: {
      identityChanged: (name: string) =>
        `${name} has new keys, and the old keys did not sign them. ${name} may have lost all devices and started again, or someone else may use this ` +
        "account. Compare keys before you write.",
      listFork: (name: string) =>
        `The server has shown two different lists of the devices of ${name}, both signed with the same keys. Someone else may have these keys. ` +
        `Ask ${name} in another way, for example by phone, before you write.`,
      nameChanged: (name: string) =>
        `The server says that the name ${name} now belongs to another person. Ask ${name} in another way, for example by phone, before you write.`,
      listWithheld: (name: string) =>
        `The server does not show the newest list of the devices of ${name}. A device that ${name} has removed could still read here. ` +
        "This ends when the server shows the list.",
      unlistedDevice: (name: string) =>
        `A device in this conversation is not on the signed list of the devices of ${name}. It could read what you write. Usually this ends by itself: ` +
        `the app of a member removes the device, or ${name} signs a new list. If it stays, ask ${name}.`,
      unlistedDeviceOwn: () =>
        "A device in this conversation says that it is yours, but it is not on your list of devices. It could read what you write. Usually this ends by " +
        "itself: the app of a member removes the device. If it stays, look at your devices in the settings.",
      listForkOwn: () =>
        "The server has shown two different lists of your own devices, both signed with your keys. Someone else may have your keys. Look at your devices in " +
        "the settings, and replace your identity key there.",
      listWithheldOwn: () =>
        "The server does not show the newest list of your own devices. A device that you have removed could still read here. " +
        "This ends when the server shows the list.",
      unlistedDirect: (name: string) =>
        `This conversation was started with the old keys of ${name}. ${name} has other keys now, and cannot read here with them. Delete this conversation ` +
        "in its details, and start a new one.",
      unlistedWelcome: (name: string) =>
        `This device was added by a device that is not on the signed list of the devices of ${name}. It may be in another conversation than the other ` +
        "members. Ask one of them in another way, for example by phone, before you write.",
      unlistedWelcomeOwn: () =>
        "This device was added by a device that says that it is yours, but it is not on your list of devices. Look at your devices in the settings before " +
        "you write.",
      stateMismatch: (name: string) =>
        `${name} has another list of the members of this conversation than this device. Someone may be showing you a false list. ` +
        "Ask a member in another way, for example by phone, who is in this conversation.",
      updateRequired: () => "This conversation uses something that this version of the app does not know. Reload to update, and then write.",
      reentryHeld: () =>
        "You were removed from this conversation and added again, while this device could not see it. Ask a member whether that is right. " +
        "Then enter again.",
      withheld: () =>
        "The server does not show this conversation any more, although no member has removed you. Everything on this device is kept, and this ends when the " +
        "server shows the conversation again. Ask the people in it, or who runs the server. You can also give it up.",
    },
  },

  people: {
    text: "The people whose keys this device knows. Compare keys with them to be sure that no one between you can read your messages.",
    own: "Your code",
    ownText: "Show it to another person, who scans it to verify you. It is no secret: it contains only public keys.",
    ownNone: "Your code appears when this device is approved and has been online.",
    scan: "Scan a person's code",
    scanTitle: "Scan a person's code",
    scanText: "On the other device, open Settings, then People. Point your camera at the code there.",
    notKnown: "This device does not know this person yet. Start a conversation first.",
    none: "Start a conversation, and the person appears here.",
    states: { no: "Not compared", yes: "Verified", again: "Compare again: the keys were renewed" },
    waits: "Nothing is sent to this person",
  },
} as const;
