import { plural } from "./words.js";

/** Failures. */
export const errorsStrings = {
  /** By the error code of the server or the SDK. */
  errors: {
    Unknown: "The server rejected this for a reason that this version of the app does not know. Reload the page to update it.",
    Internal: "Something went wrong. Try again. If it keeps happening, reload the page.",
    NotFound: "Not found, or you do not have access.",
    Unauthenticated: "The password is incorrect.",
    Forbidden: "You do not have permission to do that.",
    Invalid: "The server did not accept this. Check what you entered.",
    Conflict: "This is already in use, or it changed in the meantime. Check and try again.",
    WrongEpoch: "The conversation changed in the meantime. Try again.",
    EpochTooOld: "The conversation changed in the meantime. Try again.",
    TooLarge: "This is over a limit of the server.",
    QuotaExceeded: "This account or conversation has reached its storage limit on the server. Try again tomorrow, or delete messages.",
    RateLimited: "Too many requests. Wait a moment and try again.",
    Overloaded: "The server is busy. Try again in a moment.",
    Unavailable: "The server cannot be reached. Check your connection and try again.",
    Expired: "This has expired. Start again.",
    SignedOut: "Your session has ended. Sign in again.",
    NoDevice: "This person has no device that can read messages yet. Ask them to sign in once.",
    DeviceUnknown: "The server does not know this device any more, or another of your devices has revoked it. Your messages are kept here.",
    NameChanged: "This name belonged to another person before. Ask the person in another way, for example by phone, before you write.",
    TooManyDevices:
      "Your account has reached the number of devices that the server allows. Remove one under Settings, Devices and keys, on a device that you " +
      "use, and sign in again.",
    StoreFailed: "This device cannot store anything at the moment: its disk or the browser's space for this page may be full. Free some space, then try again.",
    UnsupportedPlatform: "This browser cannot keep your keys. Update it, or use a current version of Firefox, Chrome, Edge or Safari.",
    NotReady: "This device is not in the encrypted group yet. Open the app on another of your devices, or wait until another member is online.",
    NotDelivered: "The message was not delivered. It can be sent again.",
  },
  clockWrong: "The clock of this device is wrong, so it cannot add others to a conversation. Set date and time in the system's settings.",
  errorWait: (seconds: number) => `Too many requests. Try again in ${plural(seconds, "second", "seconds")}.`,
  /** With the server's sentence, which names the limit. */
  errorLimit: (limit: string) => `This is over a limit of the server. ${limit}`,
} as const;
