import { list } from "./words.js";

/** Sign-in, and a new device that waits for approval. */
export const accountStrings = {
  account: {
    tagline: "Conversations that only you and the people in them can read.",
    signUp: "Create account",
    signIn: "Sign in",
    signingUp: "Creating your keys…",
    signUpTitle: "Create your account",
    signInTitle: "Welcome back",
    username: "Username",
    usernameHint: "3 to 32 characters: a–z, 0–9, dot, dash and underscore. People find you by exactly this name.",
    usernameOrEmail: "Username or e-mail",
    email: "E-mail",
    emailHint: "Not shown to anyone. Stored encrypted.",
    password: "Password",
    passwordHint: "At least 10 characters. It cannot be reset if you forget it.",
    haveAccount: "Already have an account?",
    noAccount: "New here?",
    wrongUsername: "Use 3 to 32 characters: a–z, 0–9, dot, dash and underscore.",
    wrongEmail: "This does not look like an e-mail address.",
    wrongPassword: (min: number) => `Use at least ${min} characters.`,
    taken: "This username or e-mail address is already in use. Choose another one, or sign in.",
    refused: "Incorrect username or password.",
    unsupported: (missing: readonly string[]) =>
      `This browser lacks ${list.format(missing)}, which the app needs to encrypt. Nothing has been sent. Update it, or use Chrome or Edge 137, ` +
      "Firefox 130 or Safari 17, or later.",
    hereAlready: "This account is already in this browser. Choose it under “Accounts in this browser”.",
    chooseTitle: "Choose an account",
    choose: "Accounts in this browser",
    another: "Use another account",
    remove: "Remove this account's data from this browser",
    removeOf: (name: string) => `Remove the data of ${name} from this browser`,
    removeTitle: (name: string) => `Remove the data of ${name}?`,
    removeAction: "Remove data",
    removeText:
      "This deletes the account's keys and messages from this browser. Messages that are on no other device, and messages that have not been sent, " +
      "are lost for good. The account itself stays on the server. If this is its only device, you have to start over with new keys, and your " +
      "contacts are warned.",
    /** By the server's reason. */
    ended: {
      loggedOut:
        "You were signed out: the session was ended on another device, the password was changed, or this device was revoked. Your messages are still " +
        "in this browser. Sign in to continue.",
      accountClosed: "You were signed out: this account was deleted, or an administrator of the server disabled it. Your messages are still in this browser.",
      unknown:
        "You were signed out: the session was ended on another device, or the server no longer accepts it. Your messages are still in this browser. " +
        "Sign in to continue.",
    },
    points: [
      ["lock", "Encrypted on your device", "The server stores only what it cannot read."],
      ["offline", "Works offline", "Write without a connection. Messages are sent when you are back online."],
      ["data", "Almost no metadata", "No IP addresses, no directory. See in the settings what the server knows about you."],
    ],
  },

  waiting: {
    title: "Approve this device",
    text:
      "This is a new device. On a device that you already use, open Settings, then Devices and keys. Choose “Scan the code of the new device” there, and " +
      "scan this code.",
    code: "Code of this device",
    waiting: "Waiting for your other device…",
    confirmTitle: "One more code",
    confirmText: "Your other device approved this one and shows a code. Enter it here: it proves that the approval came from you.",
    confirmLabel: "Code from your other device",
    confirm: "Confirm",
    wrong:
      "This code does not match what this device received. Check the digits. If they are right, someone may be changing the connection: stop " +
      "here, and revoke this device on your other one.",
    lost: "I no longer have another device",
    lostTitle: "Start over with new keys?",
    lostText:
      "This device creates new keys for your account. Your contacts see that your safety number changed, and earlier messages cannot be read here. " +
      "Your other devices can no longer read or write.",
    lostAction: "Make new keys",
    history: "A new device can read messages from now on, not earlier ones.",
  },
} as const;
