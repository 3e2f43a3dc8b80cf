// Compiles against the published types, like an application. It is never run.
import {
  IndexedDbStore,
  MemoryStore,
  missingFeatures,
  SecureMessaging,
  SecureMessagingError,
  type IdentityChange,
  type Message,
  type PlatformFeature,
  type Role,
  type Room,
  type Store,
  type Warning,
} from "@secure-messaging/sdk";
import { openSharedClient, type Conversation, type SharedClient } from "@secure-messaging/sdk/browser";
import { FileStore } from "@secure-messaging/sdk/node";

export async function app(inBrowser: boolean): Promise<void> {
  const lacking: PlatformFeature[] = await missingFeatures();
  if (lacking.length > 0) return;
  const store: Store = inBrowser ? await IndexedDbStore.open() : process.argv[2] ? await FileStore.open(process.argv[2]) : new MemoryStore();
  const credentials = { url: "https://example.org", username: "anna", password: "correct horse battery", store, privacy: { readReceipts: false } };
  const client = (await SecureMessaging.resume({ store })) ?? (await SecureMessaging.signIn(credentials));
  client.on("identityChanged", (change: IdentityChange) => console.log(change.username, change.identityKey.length));
  client.on("warning", (warning: Warning) => console.warn(warning.area, warning.kind, warning.roomId, warning.error?.code, warning.retrying));
  client.on("error", (error: SecureMessagingError) => console.error(error.message));
  client.on("signedOut", ({ reason }) => console.log(reason === "accountClosed"));
  client.on("room", (room: Room) => void follow(room));
  const room = await client.rooms.create(["ben"], { name: "Lunch", timeToLiveSeconds: 3600 });
  room.on("typing", ({ userId }) => console.log(userId));
  room.on("typingEnded", ({ userId }) => console.log(userId));
  room.on("epoch", ({ epoch, devices }) => console.log(epoch, devices[0]?.deviceId));
  if (room.canBeRead === false) console.log("what is sent waits");
  const role: Role = room.role;
  await room.members.add("cleo", role);
  for (const { username, verified, devices } of await room.members.list()) console.log(username, verified, devices.length);
  room.on("line", ({ kind, by, userId }) => console.log(kind, by?.userId, userId));
  room.on("holds", (holds) => void Promise.all(holds.map(({ kind }) => room.answerHold(kind))));
  if (room.isWithheld) await room.forget();
  try {
    const { seq } = await (await room.send("hello")).stored;
    await room.markRead(seq);
    await client.privacy.set({ readReceipts: client.privacy.settings.typing });
  } catch (error) {
    if (error instanceof SecureMessagingError && error.retryable) console.log(error.code, error.retryAfterMs, error.currentEpoch, error.errors[0]?.pointer);
  }
  for (const device of await client.devices.list()) if (!device.approved) console.log(await client.devices.approve(device.id, device.code));
  console.log(await client.safetyNumber("ben"), await room.code(), (await room.reads()).get(client.userId));
  await client.close();
}

export async function tab(): Promise<void> {
  const client: SharedClient = await openSharedClient({ url: "https://example.org" });
  client.on("status", ({ state, leader }) => console.log(state, leader));
  client.on("warning", ({ area, kind, error }) => console.warn(area, kind, error?.message));
  console.log(client.status.storeError?.message, client.status.endReason);
  const all: Conversation[] = await client.conversations();
  const { id: to, from } = all[0]!.last!;
  const id = await client.send(all[0]!.id, "hello", from ? { replyTo: { author: from.userId, id: to } } : {});
  for (const hold of all[0]!.holds ?? []) await client.answerHold(all[0]!.id, hold.kind);
  for (const line of await client.lines(all[0]!.id)) console.log(line.kind, "seq" in line ? line.seq : line.at);
  console.log(id, (await client.history(all[0]!.id, { limit: 20 }))[0]?.at.getTime());
  if (client.status.toConfirm) await client.confirmDevice("00000 00000 00000 00000 00000 00000");
  await client.close();
}

async function follow(room: Room): Promise<void> {
  for await (const message of room.messages()) show(message);
}

function show(message: Message): void {
  switch (message.content.type) {
    case "text":
    case "reply":
      console.log(message.from?.userId, message.content.text, message.reactions?.["👍"]?.length, message.edited);
      break;
    case "malformed":
    case "unreadable":
      console.log(message.content.reason);
      break;
    default:
      break;
  }
}
