import { plural } from "./words.js";

/** The list of conversations. */
export const listStrings = {
  list: {
    title: "Conversations",
    new: "New conversation",
    settings: "Settings",
    search: "Search conversations",
    none: "Start your first conversation",
    noneText: "Ask someone for their username, or give them yours:",
    noneAction: "Start a conversation",
    copyName: "Copy my username",
    nameCopied: "Your username is copied.",
    nothing: "No conversation matches.",
    welcome: (name: string) => `Welcome, ${name}`,
    welcomeText:
      "Your keys were created on this device and never leave it. Start a conversation with someone's exact username. What you write is encrypted " +
      "before it leaves this device.",
    pick: "Pick a conversation",
    pickText: "Or start a new one. What you write is encrypted before it leaves this device.",
    noMessages: "No messages yet",
    noMessagesHere: "No messages on this device",
    you: "You",
    left: "You are no longer a member",
    unread: (n: number) => plural(n, "unread message", "unread messages"),
    typing: "typing…",
    offline: "No connection. You can read and write. Messages are sent when you are back online.",
    offlineUnsent: (n: number) => `No connection. ${plural(n, "message waits", "messages wait")} on this device until you are back online.`,
    problem: "Needs your attention",
    notReachable: (why: string) => `Others cannot write to this device yet: the server did not accept its keys. The app tries again. ${why}`,
    notStored: (why: string) => `What you write is not stored, and nothing arrives. ${why}`,
  },

  previews: {
    deleted: "Message deleted",
    unreadable: "Unreadable message",
    custom: "Message from another app",
    unsupported: "Message that needs a newer version",
    file: "File",
    blank: "Empty message",
  },
} as const;
