import { numbers } from "./words.js";

/** What every screen shares, what is shown when the app cannot start, and the notification of a push. */
export const appStrings = {
  language: "en",
  /** The direction of the script: "ltr" or "rtl". */
  direction: "ltr",
  app: "SecureMessaging",
  /** The page title, with the number of unread conversations. */
  title: (unread: number, place?: string) => `${unread > 0 ? `(${numbers.format(unread)}) ` : ""}${place ? `${place} · ` : ""}SecureMessaging`,

  common: {
    back: "Back",
    close: "Close",
    cancel: "Cancel",
    save: "Save",
    copy: "Copy",
    copied: "Copied",
    retry: "Try again",
    remove: "Remove",
    done: "Done",
    more: "More",
    loading: "Loading…",
    showPassword: "Show password",
    hidePassword: "Hide password",
    notices: "Notices",
    you: "You",
    formerMember: "Former member",
    unknownSender: "Unknown sender",
    unnamed: "Unnamed",
  },

  boot: {
    insecureTitle: "A secure connection is needed",
    insecure: "Browsers allow encryption only on pages that were loaded over HTTPS. Open this address with https:// at the start.",
    oldTitle: "This browser is too old",
    old: "It lacks a feature that the app needs to keep your keys. Update it, or use a current version of Firefox, Chrome, Edge or Safari.",
    failedTitle: "The app could not open its storage",
    failed:
      "Your browser did not let the app open its storage on this device. This happens in private windows and when the disk is full. Free some " +
      "space or use a normal window, then reload.",
    outdatedTitle: "There is a newer version",
    outdated: "Another tab of this browser runs a newer version of the app. Reload to use it here too.",
    crashedTitle: "Something went wrong on this screen",
    crashed: "Nothing is lost: what you sent and received is stored on this device. Reload to continue.",
    missingTitle: "This part of the app could not be loaded",
    missing: "The server may have a newer version of the app, or the connection failed. Reload to try again.",
    reload: "Reload",
    update: "A new version of the app is available.",
  },

  push: { title: "SecureMessaging", body: "You have a new message." },
} as const;
