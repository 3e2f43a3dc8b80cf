/*
 * Every sentence that the app shows, in English. Another language is another file of this shape: words stand in functions where something is put into them, and numbers go
 * through `plural`, so that a language with other plurals can say them.
 */
const rules = new Intl.PluralRules("en");
const numbers = new Intl.NumberFormat("en");
const people = new Intl.ListFormat("en", { style: "long", type: "conjunction" });

const plural = (n: number, one: string, other: string): string => `${numbers.format(n)} ${rules.select(n) === "one" ? one : other}`;

export const strings = {
  language: "en",
  /** Of its script: "ltr" or "rtl". */
  direction: "ltr",
  app: "SecureMessaging",
  /** Of the page; with what is unread. */
  title: (unread: number, place?: string) => `${unread > 0 ? `(${numbers.format(unread)}) ` : ""}${place ? `${place} · ` : ""}SecureMessaging`,

  common: {
    back: "Back", close: "Close", cancel: "Cancel", save: "Save", copy: "Copy", copied: "Copied", retry: "Try again", remove: "Remove", done: "Done", more: "More",
    loading: "Loading…", showPassword: "Show password", hidePassword: "Hide password", notices: "Notices", you: "You", formerMember: "Former member",
    unnamed: "Unnamed",
  },

  /** For whatever the server or the SDK answers, by code. */
  errors: {
    Internal: "Something went wrong. Please try again; if it stays so, reload the page.",
    NotFound: "It is not there, or not for you to see.",
    Unauthenticated: "The password is not right.",
    Forbidden: "You are not allowed to do that here.",
    Invalid: "The server did not accept this. Please check what you have entered.",
    Conflict: "That is taken, or it has changed meanwhile. Please look again.",
    WrongEpoch: "The conversation has changed meanwhile. Please try again.",
    EpochTooOld: "The conversation has changed meanwhile. Please try again.",
    TooLarge: "That is too long. Please make it shorter.",
    RateLimited: "That was a lot at once. Please wait a little and try again.",
    Overloaded: "The server is busy. Please try again in a moment.",
    Unavailable: "The server cannot be reached. Check your connection and try again.",
    Expired: "The time for this is over. Please start it again.",
    SignedOut: "Your session is over. Please sign in again.",
    NoDevice: "This person has no device that can read messages yet. Ask them to sign in once.",
    TooManyDevices: "Your account has as many devices as it may have. Remove one under Settings, Devices and keys, on a device that you use, and sign in again.",
    StoreFailed: "This device cannot store anything at the moment: its disk or the browser's space for this page may be full. Free some space, then try again.",
    UnsupportedPlatform: "This browser cannot keep your keys. Please update it, or use a current Firefox, Chrome, Edge or Safari.",
    NotReady: "This device has not been let in yet. Open the app on another of your devices, or wait until another member is online.",
  },
  errorWait: (seconds: number) => `That was a lot at once. Please try again in ${plural(seconds, "second", "seconds")}.`,

  boot: {
    insecureTitle: "A secure connection is needed",
    insecure: "Browsers only let an app encrypt when its page came over HTTPS. Open this address with https:// at its front.",
    oldTitle: "This browser is too old",
    old: "It lacks something that the app needs to keep your keys. Please update it, or use a current Firefox, Chrome, Edge or Safari.",
    failedTitle: "The app could not open its store",
    failed: "Your browser refused to open what the app keeps on this device. Private windows and full disks do that. Free some space or use a normal window, then reload.",
    outdatedTitle: "There is a newer version", outdated: "Another tab of this browser runs a newer version of the app. Reload to use it here, too.",
    crashedTitle: "This screen has failed",
    crashed: "Nothing is lost: what you have sent and received is stored on this device. Reload to go on.",
    reload: "Reload",
    update: "There is a new version of the app.",
  },

  push: { title: "SecureMessaging", body: "You have a new message." },

  account: {
    tagline: "Conversations that only you and the people in them can read.",
    signUp: "Create account", signIn: "Sign in", signingUp: "Making your keys…",
    signUpTitle: "Create your account", signInTitle: "Welcome back",
    username: "Username", usernameHint: "3 to 32 of a–z, 0–9, dot, dash and underscore. People find you by exactly this name.",
    usernameOrEmail: "Username or e-mail",
    email: "E-mail", emailHint: "Shown to nobody. Stored encrypted.",
    password: "Password", passwordHint: "10 characters or more. Nobody can reset it for you.",
    haveAccount: "You have an account?", noAccount: "New here?",
    wrongUsername: "Use 3 to 32 of a–z, 0–9, dot, dash and underscore.",
    wrongEmail: "This does not look like an e-mail address.",
    wrongPassword: (min: number) => `Use ${min} characters or more.`,
    taken: "This username or e-mail address is taken. Choose another, or sign in.",
    refused: "Username and password do not belong together. Please check both.",
    otherAccount: "This browser holds another account's keys. Sign in as that account, or sign it out first and remove its data.",
    unsupported: (missing: readonly string[]) =>
      `This browser lacks ${people.format(missing)}, which the app needs to encrypt. Nothing has been sent. Please update it, or use Chrome or Edge 137, Firefox 130 or Safari 17, or later.`,
    points: [
      ["lock", "Encrypted on your device", "The server stores what it cannot read."],
      ["offline", "Works without a network", "Write on the train. It goes out when you are back."],
      ["data", "Next to nothing to tell", "No addresses, no read times, no directory. See for yourself in the settings."],
    ],
  },

  waiting: {
    title: "Approve this device",
    text: "This is a new device. Take one that you already use, open Settings, then Devices and keys, and approve this one with its code.",
    code: "Code of this device",
    codeCopied: "The code is copied.",
    waiting: "Waiting for your other device…",
    confirmTitle: "One more code",
    confirmText: "Your other device has approved this one and shows a code. Enter it here, so that this device knows that it was really yours.",
    confirmLabel: "Code from your other device",
    confirm: "Confirm",
    wrong: "That is not the code that belongs to what this device was given. Check the digits. If they are right, somebody may be in between: do not go on, and revoke this device on your other one.",
    lost: "I no longer have another device",
    lostTitle: "Start over with new keys?",
    lostText: "This device makes new keys for your account. Your contacts are told that your safety number has changed, and old conversations stay unreadable here. Your other devices will no longer be able to take part.",
    lostAction: "Make new keys",
    history: "New devices read what comes from now on, not what was said before.",
  },

  list: {
    title: "Conversations", new: "New conversation", settings: "Settings", search: "Search conversations", clearSearch: "Clear search",
    none: "Start your first conversation", noneText: "Ask somebody for their username, or tell them yours:",
    noneAction: "Start a conversation", copyName: "Copy my username", nameCopied: "Your username is copied.",
    nothing: "No conversation is called that.",
    welcome: (name: string) => `Welcome, ${name}`, welcomeText: "Your keys were made on this device and never leave it. Start a conversation with somebody's exact username; what you write is encrypted before it goes out.",
    pick: "Pick a conversation", pickText: "Or start a new one. What you write is encrypted before it leaves this device.",
    noMessages: "No messages yet", you: "You", left: "You are no longer in it",
    unread: (n: number) => plural(n, "unread message", "unread messages"),
    typing: "typing…",
    offline: "No connection. You can read and write; it goes out when you are back.",
    offlineUnsent: (n: number) => `No connection. ${plural(n, "message waits", "messages wait")} on this device and will go out when you are back.`,
    sending: (n: number) => `Sending ${plural(n, "message", "messages")}…`,
    problem: "Needs your attention",
  },

  previews: { deleted: "Message deleted", unreadable: "Message that cannot be read", custom: "Message of another app", name: (name: string) => `Named the group “${name}”`, blank: "Empty message" },

  chat: {
    messages: "Messages", details: "Details", write: "Message", placeholder: "Write a message", send: "Send", sendKeys: "Enter sends, Shift and Enter makes a new line",
    empty: "Say hello", emptyText: "Messages here are end-to-end encrypted. Only the people in this conversation can read them.",
    beginning: "The conversation begins here on this device.",
    loadingOlder: "Loading earlier messages…", newest: "Newest messages", newMessages: "New messages",
    newBelow: (n: number) => plural(n, "new message", "new messages"),
    typing: (names: string[]) => names.length > 2 ? "Several people are typing…" : `${people.format(names)} ${names.length === 1 ? "is" : "are"} typing…`,
    gone: "This conversation is not on this device.", goneText: "It may have been deleted, or you have left it.",
    ended: "You are no longer in this conversation. Its history stays on this device.",
    disappearing: (span: string) => `Messages disappear after ${span}`,
    members: (n: number) => plural(n, "member", "members"),
    direct: "End-to-end encrypted",
    edited: "edited", deleted: "This message was deleted.", ownDeleted: "You deleted this message.",
    retracted: "The server says that this message was taken back. Its sender has not confirmed it.",
    unreadable: "This message could not be decrypted on this device.", malformed: "This message was written by a program that this app does not understand.",
    custom: "This message is for another app.", blank: "Empty message",
    named: (who: string, name: string) => `${who} named the group “${name}”`,
    showMore: "Show more", showLess: "Show less",
    replyTo: (who: string) => `Reply to ${who}`, replyGone: "An earlier message", jump: "Go to the message", notFound: "That message is not on this device.",
    editing: "Edit message", cancelReply: "Cancel reply", cancelEdit: "Cancel editing",
    actions: "Message actions", react: "React", reply: "Reply", edit: "Edit", delete: "Delete", copyText: "Copy text", info: "Info",
    moreEmoji: "More reactions", reactions: "Reactions",
    reactionOf: (emoji: string, n: number, mine: boolean) => `${emoji}, ${plural(n, "reaction", "reactions")}${mine ? ", yours too" : ""}`,
    deleteTitle: "Delete this message?", deleteText: "It disappears for everyone who has not yet read it and from the apps of those who have. Somebody may have copied it.",
    deleteAction: "Delete for everyone",
    states: { waiting: "Waiting to be sent", sent: "Sent", delivered: "Delivered", read: "Read", failed: "Not sent" },
    failed: "Not sent", tryAgain: "Try again", discard: "Discard",
    tooLong: "This is too long for one message. Please split it.",
    infoTitle: "Message info", sentAt: "Stored by the server", sentAtHint: "To the minute; the server keeps no more.", readBy: "Read by", readByNobody: "Nobody has said so yet.",
    person: (who: string, text: string, when: string) => `${who}, ${when}: ${text}`,
    incoming: (who: string, text: string) => `${who}: ${text}`,
  },

  problems: {
    identityChanged: "A safety number has changed. Somebody here has new keys: a new phone, perhaps, or somebody in between. Compare the number with them before you write anything private.",
    rosterMismatch: "A member's app changed who can read this conversation against the list of members. This was put right. If you do not know why, ask who is in it.",
    broken: "This device cannot follow the encryption of this conversation. It has reported that and asks to be let in again; messages until then may be missing here.",
    out: "This device is not in the encrypted group at the moment. It is let in again as soon as another member is online.",
    noReader: "No other person here has a device that can read messages now. What you write waits on this device and goes out once there is one.",
    joining: "This device is not in the encrypted group of this conversation yet. It is let in as soon as a device that is in it is online; what was written before cannot be read here.",
    logRewound: "The server knows less of this conversation than this device: it seems to have been restored from an old backup. Messages may be missing for others.",
    compare: "Compare", seen: "I have checked it", understood: "Understood",
    changedToast: (name: string) => `The keys of ${name} have changed.`,
  },

  start: {
    title: "New conversation", direct: "One person", group: "Group", kind: "Kind of conversation",
    username: "Exact username", usernameHint: "There is no directory to search. Ask for the username.",
    open: "Start conversation", groupName: "Name of the group", groupNameHint: "Encrypted: the server does not learn it.",
    people: "People", add: "Add", added: (name: string) => `${name} added`, removePerson: (name: string) => `Remove ${name}`,
    create: "Create group", nobody: "There is nobody of that name. Names must match exactly.",
    nobodyAmong: "One of these names belongs to nobody. Names must match exactly; take out the one that is not right.",
    notReadyAmong: "One of these people has not used an app with encryption yet. Ask them to sign in once, or begin without them.",
    yourself: "That is you. Enter somebody else's username.", twice: "This person is on the list already.",
    notReadyYet: "This person has not used an app with encryption yet. Ask them to sign in once.",
    groupEmpty: "Add the people for your group by their exact usernames. You can add more later.",
  },

  room: {
    title: "Details", members: "Members", add: "Add a person", addAction: "Add", addText: "They read what is written from now on, and nothing from before.",
    roles: { owner: "Owner", admin: "Admin", member: "Member" },
    devices: (n: number) => plural(n, "device", "devices"),
    memberMenu: (name: string) => `What to do with ${name}`,
    makeOwner: "Make owner", makeAdmin: "Make admin", makeMember: "Make member", removeMember: "Remove from group", message: "Send a message", safety: "Safety number",
    removeTitle: (name: string) => `Remove ${name}?`, removeText: "The group gets new keys: they cannot read what is written from then on. What they have received they keep.",
    addedAlready: "This person is in the group already.",
    leave: "Leave group", leaveDirect: "Leave conversation", leaveTitle: "Leave this conversation?", leaveText: "You will receive nothing more from it. Its history stays on this device.",
    leaveOwner: "You are the only owner. Make somebody else owner first, or delete the group.",
    delete: "Delete group", deleteTitle: "Delete this group for everyone?", deleteText: "The server deletes everything that it stores of it. What people have on their devices stays there.",
    rename: "Rename", renameTitle: "Name of the group", name: "Name",
    timer: "Disappearing messages", timerText: "The server deletes new messages after this time. It holds for everybody in the conversation.", timerOff: "Off", timerOwn: (span: string) => span,
    notifications: "Notifications", muted: "Muted", mute: "Mute this conversation",
    code: "Epoch code", codeText: "Everybody in this conversation sees the same code at the same time. If yours differs from theirs, somebody was let in or kept out behind your backs.",
    codeCopied: "The code is copied.",
    safetyTitle: (name: string) => `Safety number with ${name}`,
    safetyText: (name: string) => `Compare it with ${name} in person or on a call. If both of you see the same digits, nobody stands between you.`,
    safetyQr: (name: string) => `Safety number with ${name} as a QR code`,
    safetyNone: "There is no safety number yet: this person has not used an app with encryption.",
    you: "you", security: "Security", encrypted: "End-to-end encrypted with MLS (RFC 9420).",
    danger: "Leave", onlyAdmins: "Only owners and admins can change this.",
  },

  settings: {
    title: "Settings", profile: "Profile", devices: "Devices and keys", sessions: "Sessions", notifications: "Notifications", appearance: "Appearance", data: "What the server knows about me",
    signOut: "Sign out", signOutTitle: "Sign out?",
    signOutText: "Your keys and history stay in this browser, so that you can sign in again here and go on.",
    signOutWipe: "Remove keys and history from this browser", signOutWipeHint: "On a computer that is not yours. The next sign-in here is then a new device, which another of your devices must approve.",
    signOutUnsent: (n: number) => `${plural(n, "message has", "messages have")} not been sent yet.`,
    unavailable: "This needs a connection. It appears when you are back online.",
  },

  profile: {
    username: "Username", usernameHint: "People find you by it. It cannot be changed.", email: "E-mail", since: "Member since",
    changeEmail: "Change e-mail", newEmail: "New e-mail address", emailChanged: "Your e-mail address is changed.",
    changePassword: "Change password", newPassword: "New password", currentPassword: "Current password", passwordChanged: "Your password is changed.",
    export: "Export everything", exportText: "One JSON file with all conversations on this device, in the clear, and all that the server holds on you. Keep it safe.", exportAction: "Export",
    delete: "Delete account", deleteTitle: "Delete your account?", deleteText: "The server deletes your account, your devices and everything that you have sent. Groups go on without you. This cannot be undone.",
    deleteHint: "Deleting is at once and for good.", deleteType: (name: string) => `To be sure, enter your username, ${name}`, deleteAction: "Delete for ever",
    wrongPassword: "The current password is not right.", emailTaken: "Another account uses this address.",
    copyName: "Copy username",
  },

  devices: {
    text: "Every device has keys of its own, which never leave it. A conversation is encrypted for each device of everybody in it.",
    this: "This device", approved: "Approved", waiting: "Waits for approval", name: (n: number) => `Device ${n}`,
    registered: (date: string) => `Registered on ${date}`, seen: (date: string) => `last seen on ${date}`,
    code: "Code", menu: "What to do with this device",
    add: "Add a device", addText: "Sign in on the other device with your username and password. It then appears here and waits for your approval.",
    approve: "Approve", approveTitle: "Approve a device", approveText: "Enter the code that the new device shows. Type it from its screen: that is what proves that it is yours.",
    approveLabel: "Code on the new device", approveWrong: "This is not the code of that device. Check the digits. If they are right, somebody may be in between: do not approve it.",
    confirmTitle: "Now enter this on the new device", confirmText: "The new device asks for this code. It proves to it that you, and nobody in between, have approved it.",
    rotate: "Renew keys of this device", rotateText: "This device gets new keys in every conversation. Do that when somebody may have had their hands on it.", rotateAction: "Renew keys", rotated: "This device has new keys.",
    revoke: "Revoke", revokeTitle: "Revoke this device?", revokeText: "It is signed out and taken out of every conversation. It keeps what it has received so far.",
    replace: "Replace identity", replaceTitle: "Replace your identity key?",
    replaceText: "Your safety numbers change with everybody, who will be warned. Your other devices must be approved anew. Do this only if your identity key may be in the wrong hands.", replaceAction: "Replace identity key", replaced: "Your identity key is replaced.",
    changed: (names: string[]) => `The keys of ${people.format(names)} have changed. Compare safety numbers with them.`,
  },

  sessions: {
    text: "Each sign-in is a session. The server knows when it began and ended, to the hour, and forgets it a day after its end. It knows no addresses and no names of browsers.",
    current: "This session", active: "Signed in", ended: "Ended", since: (when: string) => `Since ${when}`, until: (from: string, to: string) => `${from} to ${to}`,
    end: "End", endTitle: "End this session?", endText: "Whoever uses it is signed out within seconds. Their device stays registered: revoke it under Devices and keys.",
    endAll: "End all sessions", endAllTitle: "End all sessions?", endAllText: "Everybody is signed out, on every device, this one included. Keys and history stay where they are.", ended1: "The session is ended.",
  },

  notifications: {
    everywhere: "All conversations", push: "Notify me in this browser", pushText: "When the app is closed, the server asks your browser's push service to wake it. Nothing but “wake up” leaves the server: no name, no text.",
    pushDenied: "Your browser blocks notifications from this page. Allow them in its settings for this site.", pushOff: "This server does not offer push notifications.", pushUnsupported: "This browser cannot receive push notifications here.",
    pushFailed: "Your browser's push service refused. Try again later.",
    mute: "Mute everything", quiet: "Quiet hours", quietText: "No notifications between these times.", from: "From", until: "Until",
    zone: (zone: string) => `In the time zone ${zone}`,
    priority: "Priority", priorities: { low: "Low", normal: "Normal", high: "High" }, priorityText: "Low lets your device wait for a better moment; high wakes it at once.",
    rooms: "Per conversation", roomsText: "What is set for a conversation holds instead of what is set for all.", asEverywhere: "As for all", own: "Own settings", roomMuted: "Muted",
    change: (room: string) => `Notifications of ${room}`, useDefault: "Use the settings for all",
  },

  appearance: { theme: "Theme", system: "As the system", light: "Light", dark: "Dark", themeText: "The app follows your system unless you choose." },

  data: {
    text: "This is everything the server holds on you, straight from it, and the list of everything it can hold on anybody. What you write is not in it: the server only has it encrypted.",
    held: "What it holds on you", inventory: "What it stores, why and for how long", inventoryText: "A test of the server fails when it stores anything that is not on this list.",
    download: "Download as JSON", nothing: "Nothing.", entries: (n: number) => plural(n, "entry", "entries"), yes: "Yes", no: "No", empty: "—",
    purpose: "Why", precision: "How exactly", kept: "How long", what: "What", search: "Search the list", none: "Nothing on the list matches.", noPurpose: "Not described.",
    columns: "In the database", logs: "In the server's log", metrics: "In the server's metrics", showAll: (n: number) => `Show all ${numbers.format(n)}`,
  },

  time: {
    today: "Today", yesterday: "Yesterday",
    dateAt: (date: string, clock: string) => `${date}, ${clock}`,
    units: {
      minute: (n: number) => plural(n, "minute", "minutes"), hour: (n: number) => plural(n, "hour", "hours"), day: (n: number) => plural(n, "day", "days"), week: (n: number) => plural(n, "week", "weeks"),
    },
  },
} as const;
